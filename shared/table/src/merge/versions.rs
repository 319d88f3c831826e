//! The versions of rows that a merge is about to write, and the trait that records them before.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::batch::Batch;
use super::merged::Merged;
use crate::error::Error;

/// A version of a row that is about to be written into a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewVersion {
    /// The position of the row in its batch.
    pub(super) row: u32,
    /// The version that it replaces; `None` if the key is not stored.
    pub(super) replaces: Option<ReplacedVersion>,
}

/// A stored version of a row that is about to be replaced, by its times in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplacedVersion {
    pub(super) synced_at: i64,
    pub(super) first_seen_at: i64,
}

/// Records versions before the table has them. The history implements it.
#[async_trait(?Send)]
pub(super) trait RecordVersions {
    /// Records those of `versions`, which are rows of `batch`, that are not recorded yet, and adds the parts that this wrote to `merged`.
    async fn record(&self, batch: &Batch, versions: &[NewVersion], merged: &mut Merged) -> Result<(), Error>;
}

/// The rows of a batch whose versions are recorded, by their positions.
#[derive(Debug, Default)]
pub(super) struct RecordedRows(Mutex<HashSet<u32>>);

impl RecordedRows {
    pub(super) fn add(&self, versions: &[NewVersion]) {
        self.lock().extend(versions.iter().map(|version| version.row));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
