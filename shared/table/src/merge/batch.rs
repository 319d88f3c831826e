//! The rows of one merge.

use std::collections::BTreeMap;

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
    /// The time of the merge.
    pub(super) merged_at: DateTime<Utc>,
}
