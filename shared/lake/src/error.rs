//! The error of a store.

/// The kind of a [`StoreError`], by which a caller decides what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The version that is read was replaced by another writer. The caller lists or opens the object again.
    Changed,
    /// The bucket or the directory does not exist.
    Missing,
    /// The credentials do not have the rights that the operation needs.
    Denied,
    /// Every attempt to write the object had a write conflict.
    Conflict,
    /// The object cannot be understood: it is damaged, ticketlake did not write it, or a later version of ticketlake wrote it.
    Unreadable,
    /// Any other failure of the disk, the network or the service.
    Other,
}

/// Returns the text of an error and of each of its causes, on one line and none repeated.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A failed operation of a store.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {place}: {detail}{}", self.advice())]
pub struct StoreError {
    /// The kind of the failure.
    pub kind: ErrorKind,
    /// The operation that failed: `list`, `read` or `write`.
    pub operation: &'static str,
    /// The key or the prefix that the operation was for, with the address of the lake before it where the store knows it.
    pub place: String,
    /// The whole chain of causes.
    pub detail: String,
}

impl StoreError {
    /// Creates the error for an object at `place` whose bytes cannot be understood.
    pub fn unreadable(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unreadable, operation: "read", place: place.into(), detail: detail.into() }
    }

    /// Whether the same operation may succeed later without any change to the lake or the configuration.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Changed | ErrorKind::Conflict | ErrorKind::Other)
    }

    /// Returns the remedy, which ends the message. It is empty if there is none to name.
    fn advice(&self) -> &'static str {
        match self.kind {
            ErrorKind::Changed | ErrorKind::Conflict | ErrorKind::Other => ". The same run can succeed later",
            ErrorKind::Denied if self.place.starts_with("s3://") => {
                ". The function needs s3:ListBucket on the bucket and s3:GetObject and s3:PutObject on the prefix"
            }
            ErrorKind::Missing if self.place.starts_with("s3://") => ". Check the bucket's name and region in LAKE",
            _ => "",
        }
    }
}
