//! The queries that a plan consists of.

use manifest::time::TimeRange;
use manifest::{Query, QueryId, TimeParams};

/// The reason for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// It reads the range of the run.
    Range,
    /// It reads the records that were announced since an earlier run.
    Announced,
    /// It reads all records in a window of the near future.
    Near,
}

impl QueryKind {
    /// Returns the prefix of the label of such a query.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Range => "",
            Self::Announced => "announced",
            Self::Near => "near",
        }
    }
}

/// How a query is split by time, and the window that it covers.
#[derive(Clone, Copy, Debug)]
pub struct TimeSplit<'p> {
    /// The parameters of the window.
    pub time: &'p TimeParams,
    /// The window that is covered.
    pub window: TimeRange,
}

/// A query of a plan.
#[derive(Clone, Debug)]
pub struct PlannedQuery<'p> {
    /// The reason for the query.
    pub kind: QueryKind,
    /// The query.
    pub query: Query,
    /// How the query is split by time. `None` if it is not.
    pub time: Option<TimeSplit<'p>>,
    /// The id of its calendar. `None` if it has none.
    pub calendar: Option<QueryId>,
}

/// A query that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// The query's label.
    pub label: String,
    /// The value that cannot be sent, and the reason.
    pub reason: String,
}
