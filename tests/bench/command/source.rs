//! What is measured: the sales of See Tickets and the events of Ticketmaster.

/// One of the two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The sales of See Tickets.
    Sales,
    /// The events of Ticketmaster.
    Events,
}

impl Source {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sales, Self::Events];

    /// The name of the resource, of its function and of its figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Events => "events",
        }
    }

    /// The name of the manifest, and of the server of the sandbox.
    pub(crate) fn api(self) -> &'static str {
        match self {
            Self::Sales => "see_tickets",
            Self::Events => "ticketmaster",
        }
    }

    /// How many of its records are measured where `sales` sales are: an event has ten times the bytes of a sale.
    pub(crate) fn records(self, sales: usize) -> usize {
        match self {
            Self::Sales => sales,
            Self::Events => sales / 10,
        }
    }
}
