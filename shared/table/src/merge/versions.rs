//! Versions of rows that are about to be written, and who records them first.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::buffer::Batch;
use super::merged::Merged;
use crate::error::Error;

/// A row that is about to be written into a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewVersion {
    /// The row's place in its batch.
    pub(super) row: u32,
    /// The `synced_at` and `first_seen_at` of the version that it replaces, in microseconds since 1970.
    pub(super) replaces: Option<(i64, i64)>,
}

/// Records versions before the table has them: the history.
#[async_trait(?Send)]
pub(super) trait RecordVersions {
    /// Writes those of `versions`, rows of `batch`, that are not recorded yet, and counts the objects that this took.
    async fn record(&self, batch: &Batch, versions: &[NewVersion], merged: &mut Merged) -> Result<(), Error>;
}

/// The rows of a batch whose versions are recorded.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<HashSet<u32>>);

impl Recorded {
    pub(super) fn rows(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, versions: &[NewVersion]) {
        self.rows().extend(versions.iter().map(|version| version.row));
    }
}
