//! The columns that every table has after those of the manifest.

/// The time when this version of the row was read: when the request that brought it was sent, or when it was marked as vanished.
pub const SYNCED_AT: &str = "synced_at";
/// The time when the row's key was first read.
pub const FIRST_SEEN_AT: &str = "first_seen_at";
/// A 64-bit hash of the row without its volatile columns. Two versions of a row are equal if their fingerprints are.
pub const FINGERPRINT: &str = "_fingerprint";
/// A JSON object with the values of the record that no column names.
pub const EXTRA: &str = "_extra";
/// A JSON object with the values that did not fit the type of their column, by the name of the column.
pub const ISSUES: &str = "_issues";
