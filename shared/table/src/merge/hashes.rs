//! The hashes by which rows are remembered.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::part::StoredRow;

/// Returns the hash of a [`Row::key`](crate::map::Row::key) by which a run remembers the keys that it saw: eight bytes, so that it can
/// remember millions. A vanished row is kept if its hash is that of a seen key. Among a million seen keys that happens to less than one
/// of 10¹³ vanished rows.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// Returns a hash of the key, the content and the time of a stored row. It changes with every write of the row.
pub(super) fn row_hash(key: &str, stored: &StoredRow<'_>) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&stored.fingerprint.to_le_bytes());
    hash.update(&stored.times[0].unwrap_or_default().to_le_bytes());
    hash.digest()
}
