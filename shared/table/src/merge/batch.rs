//! The rows of one merge.

use std::collections::{BTreeMap, HashSet};

use arrow_array::RecordBatch;
use chrono::{DateTime, Utc};

use super::newest::Recency;

/// The rows of one merge, which came from a buffer. A row is identified by its position, from 0.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: RecordBatch,
    /// The key of each row.
    pub(super) keys: Vec<String>,
    /// The fingerprint of each row.
    pub(super) fingerprints: Vec<i64>,
    /// How new each row is.
    pub(super) recency: Vec<Recency>,
    /// The positions of each partition's rows. Rows whose key a newer row of the partition has are left out.
    pub(super) partitions: BTreeMap<String, Vec<u32>>,
    /// The number of rows that were left out.
    pub(super) repeated: u64,
    /// The positions of the rows that are not inserted: each of them only updates the stored row with its key, if there is one.
    pub(super) updates_only: HashSet<u32>,
    /// The time of the merge.
    pub(super) merged_at: DateTime<Utc>,
}
