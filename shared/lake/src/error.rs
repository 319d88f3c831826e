//! What can go wrong with a store.

use crate::MAX_WRITE_CONFLICTS;

/// What kind of trouble a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The version that is read was replaced meanwhile: read again.
    Changed,
    /// There is no such bucket or directory.
    Missing,
    /// The credentials do not have the rights that the operation needs.
    Denied,
    /// Other writers changed the object more often than a write is tried.
    Conflict,
    /// The object is damaged, is not one of ours, or was written by a later version of ticketlake.
    Unreadable,
    /// Anything else: the disk, the network, the service.
    Other,
}

/// An operation of a store that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {place}: {detail}{}", self.advice())]
pub struct StoreError {
    /// The kind of trouble.
    pub kind: Kind,
    /// `list`, `read` or `write`.
    pub operation: &'static str,
    /// The object or folder, with the lake before it where that is known.
    pub place: String,
    /// The whole chain of causes.
    pub detail: String,
}

impl StoreError {
    /// The error after [`MAX_WRITE_CONFLICTS`] writes of `place` that other writers won.
    pub fn conflict(place: impl Into<String>) -> Self {
        let detail = format!("another writer was first {MAX_WRITE_CONFLICTS} times");
        Self { kind: Kind::Conflict, operation: "write", place: place.into(), detail }
    }

    /// The error of an object at `place` that cannot be understood.
    pub fn unreadable(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: Kind::Unreadable, operation: "read", place: place.into(), detail: detail.into() }
    }

    /// Whether the same operation may succeed later with nothing changed.
    pub fn retryable(&self) -> bool {
        matches!(self.kind, Kind::Changed | Kind::Conflict | Kind::Other)
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            Kind::Denied if self.place.starts_with("s3://") => {
                ". The function needs s3:ListBucket on the bucket and s3:GetObject and s3:PutObject on the prefix"
            }
            Kind::Missing if self.place.starts_with("s3://") => ". Check the bucket's name and region in LAKE",
            _ => "",
        }
    }
}
