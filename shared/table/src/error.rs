//! What can go wrong between a record and a stored part.

use lake::{Kind, StoreError};
use manifest::{Fault, Faults};

/// Why rows could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest or the request does not fit what is stored.
    #[error("{0}")]
    Configuration(Faults),
    /// The lake could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored part is not one of ours, or is damaged.
    #[error("stored part {key}: {detail}")]
    Part {
        /// The object's key below the lake.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Rows could not be laid out as columns or compressed: a fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A configuration error of one fault.
    pub fn configuration(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Configuration(Fault::new(place, message).into())
    }

    /// Whether the version that was read was replaced meanwhile, so that the operation must begin again.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Self::Store(StoreError { kind: Kind::Changed, .. }))
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}
