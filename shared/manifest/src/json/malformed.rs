//! What a reader cannot read.

/// A text that is not JSON, or that the reader does not read: one with more levels than it may have, with a text or a number that has no
/// meaning, or with two members of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
