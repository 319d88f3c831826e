//! The number of rows in one record batch.

/// The largest number of rows in a record batch.
pub(super) const MAX_BATCH_ROWS: usize = 4096;

/// The smallest number of rows in a record batch of all columns.
const MIN_BATCH_ROWS: usize = 16;

/// About the size of a record batch of all columns, in bytes.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// Returns how many rows of about `row_bytes` bytes a record batch of all columns has. An event has 6 KB, and 4,096 of them would take
/// as much memory as a full buffer.
pub(super) fn batch_rows(row_bytes: usize) -> usize {
    (BATCH_BYTES / row_bytes.max(1)).clamp(MIN_BATCH_ROWS, MAX_BATCH_ROWS)
}
