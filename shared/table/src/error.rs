//! The errors of this crate.

use arrow_schema::ArrowError;
use lake::{ErrorKind, StoreError};
use manifest::{Fault, Faults};

/// The reason why rows could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest or the request does not fit the stored table.
    #[error("{0}")]
    Configuration(Faults),
    /// The lake could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored part is damaged, or ticketlake did not write it.
    #[error("stored part {key}: {detail}")]
    Part {
        /// The key of the part, relative to the lake.
        key: String,
        /// What is wrong with the part.
        detail: String,
    },
    /// Rows could not be converted to columns or compressed, which only a fault of this program can cause.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Creates a [`Error::Configuration`] with one fault.
    pub fn configuration(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Configuration(Fault::new(place, message).into())
    }

    /// Creates the error for an operation on columns that only a fault of this program can make fail.
    pub(crate) fn arrow(error: &ArrowError) -> Self {
        Self::Internal(format!("rows could not be converted to columns: {error}"))
    }

    /// Whether another writer replaced the version that was read, so that the operation has to start again.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Self::Store(StoreError { kind: ErrorKind::Changed, .. }))
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}
