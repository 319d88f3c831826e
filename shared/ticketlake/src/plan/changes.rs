//! The changes that a run reads instead of everything.

use manifest::time::{Instant, TimeRange};

/// The changes of a resource with `refresh`: announced records, and the records of a near window. Without both, nothing is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The instant since which announced records are read.
    pub announced: Option<Instant>,
    /// The time window whose records are all read.
    pub near: Option<TimeRange>,
}
