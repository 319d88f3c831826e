//! Keys that lie in several partitions.
//!
//! The partition of a row is a function of its columns. If the API corrects such a column, the row comes into another partition, and the
//! inserts there do not see the row of the first one. Only a scan of the whole table finds both.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::hashes::{key_hash, row_hash};
use super::merged::Merged;
use super::part::{Part, StoredRow, list_parts};
use super::revision::{Revision, RowChange};
use super::table::Table;
use crate::error::Error;
use crate::map::engine_columns;

/// A table with at most so many parts is scanned at the end of a run that has inserted rows.
const MAX_SCANNED_PARTS: usize = 32;

/// The largest size of a table that is scanned at the end of a run, in bytes as stored: its keys take about 60 bytes of memory each. A
/// row of sales has about 45 bytes as stored, so that the keys of the largest such table take about 45 MB.
const MAX_SCANNED_BYTES: u64 = 32 << 20;

/// The rows that are not the newest of their key.
#[derive(Debug, Default)]
pub struct DoubledRows {
    /// The hash of each row, with the key of its part.
    rows: Vec<(Arc<str>, u64)>,
    /// The key of one of the rows.
    pub example: Option<String>,
}

impl DoubledRows {
    /// Returns the number of the rows.
    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// The newest row of a key so far.
struct NewestRow {
    synced_at: Option<i64>,
    part: Arc<str>,
    hash: u64,
}

impl Table<'_> {
    /// Finds the rows whose key another row has that was read later. The keys of the whole table are read, and take about 60 bytes of memory
    /// each. If `only_if_small`, a table with many parts or bytes is not read.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn find_doubled_rows(&self, only_if_small: bool) -> Result<DoubledRows, Error> {
        let mut doubled = DoubledRows::default();
        let parts = list_parts(&self.context).await?;
        let bytes: u64 = parts.iter().map(|(_, listed)| listed.size).sum();
        if only_if_small && (parts.len() > MAX_SCANNED_PARTS || bytes > MAX_SCANNED_BYTES) {
            return Ok(doubled);
        }
        let mut newest: HashMap<u64, NewestRow> = HashMap::new();
        for (name, listed) in parts {
            let part_key: Arc<str> = name.key.as_str().into();
            let Some(part) = Part::open(&self.context, name, &listed).await? else { continue };
            part.scan(&self.context, &[engine_columns::SYNCED_AT], |key, stored| {
                let hash = row_hash(key, &stored);
                let row = NewestRow { synced_at: stored.times[0], part: Arc::clone(&part_key), hash };
                let Some(other) = newest.get_mut(&key_hash(key)) else {
                    newest.insert(key_hash(key), row);
                    return;
                };
                // The order of the parts decides between equal times, so that two repairs keep the same row.
                let older = if row.synced_at >= other.synced_at { std::mem::replace(other, row) } else { row };
                doubled.rows.push((older.part, older.hash));
                doubled.example.get_or_insert_with(|| key.to_owned());
            })
            .await?;
        }
        Ok(doubled)
    }

    /// Removes the `doubled` rows that were not written since they were found. `now` tells the writes of this run from those of others. A
    /// history keeps its versions. The counts are added to `merged`, also before an error.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn remove_doubled_rows(
        &self,
        doubled: &DoubledRows,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let hashes: HashSet<u64> = doubled.rows.iter().map(|(_, hash)| *hash).collect();
        let parts: HashSet<&str> = doubled.rows.iter().map(|(part, _)| part.as_ref()).collect();
        let revision = Revision {
            time_columns: vec![engine_columns::SYNCED_AT],
            parts: Some(&parts),
            selects: &|key: &str, stored: &StoredRow<'_>| hashes.contains(&row_hash(key, stored)),
            change: RowChange::Remove,
            time: now,
        };
        self.revise(&revision, merged).await
    }
}
