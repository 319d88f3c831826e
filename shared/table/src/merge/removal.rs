//! Rows that the API no longer has, and rows that are past.
//!
//! Rows that a proven reading did not receive are removed (dlt's write disposition `replace`) or marked as vanished. Rows that are past are removed
//! when they reach an age (retention).

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lake::{Attempt, ListedObject, retry_on_conflict};
use manifest::time::TimeRange;

use super::hashes::{key_hash, row_hash};
use super::merged::Merged;
use super::part::{Part, PartName, StoredRow, list_parts};
use super::revision::{Revision, RowChange};
use super::table::Table;
use super::versions::RecordVersions;
use crate::error::Error;
use crate::map::engine_columns;

/// The greatest number of rows that are claimed together: their hashes take 1 MB in the document of the readings.
const MAX_CLAIMED_ROWS: usize = 50_000;

/// The stored rows that a reading did not receive.
#[derive(Debug, Default)]
pub struct UnseenRows {
    /// The rows by the key of their part.
    rows: Vec<(Arc<str>, UnseenRow)>,
    /// The keys of the rows.
    pub keys: Vec<String>,
    /// The key of one stored row that the reading received. `None` if it received no stored row.
    pub seen_key: Option<String>,
}

/// A stored row that a reading did not receive.
#[derive(Clone, Copy, Debug)]
struct UnseenRow {
    /// The [`key_hash`] of its key.
    key: u64,
    /// The [`row_hash`] of the version that is stored.
    version: u64,
}

impl Table<'_> {
    /// Begins a reading that may remove or mark rows at its end. This must happen before its first request. Returns its number, by which a
    /// later run resumes it.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn begin_reading(&self) -> Result<u64, Error> {
        self.readings.begin().await
    }

    /// Resumes the reading with this number, which an earlier run began.
    pub fn resume_reading(&self, number: u64) {
        self.readings.resume(number);
    }

    /// Removes every row whose key is not in `seen`, which holds the [`key_hash`] of each seen key. `seen` must be all that the API has, so
    /// only a proven reading of everything may call this, after [`Table::begin_reading`]. `now` tells the writes of this run from those of
    /// others. A history keeps its versions. Returns the number of rows that were left, because another run has stored rows since the
    /// reading began, and may have received them.
    ///
    /// The counts are added to `merged`, also before an error. Another call then removes the rest.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn remove_unseen_rows(
        &self,
        seen: &HashSet<u64>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<u64, Error> {
        let unseen = self.scan_unseen_rows(seen, &[engine_columns::SYNCED_AT], |_| true).await?;
        self.change_unclaimed(&unseen.rows, RowChange::Remove, now, merged).await
    }

    /// Finds the rows that a reading did not receive, in a table with a column for vanished rows. Also returns the key of one row that the
    /// reading received.
    ///
    /// `seen` holds the [`key_hash`] of each seen key. A row is left out if
    ///
    /// - it is marked as vanished already,
    /// - it was past before `now`, so that the API need not have it,
    /// - `window` is not [`TimeRange::ALL`], and the time when the row is past is unknown or outside of it.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn find_unseen_rows(
        &self,
        seen: &HashSet<u64>,
        now: DateTime<Utc>,
        window: TimeRange,
    ) -> Result<UnseenRows, Error> {
        let Some(vanished_column) = &self.context.vanished_column else { return Ok(UnseenRows::default()) };
        let now = now.timestamp_micros();
        let passed_by = self.context.passed_by.iter().map(String::as_str);
        let time_columns: Vec<&str> =
            [engine_columns::SYNCED_AT, vanished_column.as_str()].into_iter().chain(passed_by).collect();
        let is_in_window = |passed: Option<i64>| {
            window == TimeRange::ALL || passed.is_some_and(|time| window.contains(time.div_euclid(1_000_000)))
        };
        self.scan_unseen_rows(seen, &time_columns, |stored| {
            let [_, vanished_at, passed @ ..] = stored.times else { return false };
            let passed = first_time(passed);
            vanished_at.is_none() && passed.is_none_or(|passed| passed >= now) && is_in_window(passed)
        })
        .await
    }

    /// Returns whether a row has a key that is not in `seen`.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn has_unseen_rows(&self, seen: &HashSet<u64>) -> Result<bool, Error> {
        let unseen = self.scan_unseen_rows(seen, &[engine_columns::SYNCED_AT], |_| true).await?;
        Ok(!unseen.keys.is_empty())
    }

    /// Returns the rows whose keys are not in `seen` and that `is_wanted` selects. `time_columns` are those that it gets, the time of
    /// reading first.
    async fn scan_unseen_rows(
        &self,
        seen: &HashSet<u64>,
        time_columns: &[&str],
        is_wanted: impl Fn(&StoredRow<'_>) -> bool,
    ) -> Result<UnseenRows, Error> {
        let mut unseen = UnseenRows::default();
        for (name, listed) in list_parts(&self.context).await? {
            let mut found = Some(listed);
            let in_part = retry_on_conflict(&name.key, async || {
                let Some(listed) = found.take() else { return Ok(Attempt::Done(UnseenRows::default())) };
                match self.scan_unseen_rows_of_part(&name, &listed, (seen, time_columns), &is_wanted).await {
                    Err(error) if error.is_changed() => {}
                    scanned => return scanned.map(Attempt::Done),
                }
                let listed = self.context.store.list(&name.key).await?;
                found = listed.into_iter().find(|listed| listed.key == name.key);
                Ok::<_, Error>(Attempt::Conflict)
            })
            .await?;
            unseen.keys.extend(in_part.keys);
            unseen.rows.extend(in_part.rows);
            unseen.seen_key = unseen.seen_key.or(in_part.seen_key);
        }
        Ok(unseen)
    }

    /// Returns the rows of one part, as [`Table::scan_unseen_rows`] does.
    async fn scan_unseen_rows_of_part(
        &self,
        name: &PartName,
        listed: &ListedObject,
        (seen, time_columns): (&HashSet<u64>, &[&str]),
        is_wanted: &impl Fn(&StoredRow<'_>) -> bool,
    ) -> Result<UnseenRows, Error> {
        let mut unseen = UnseenRows::default();
        let Some(part) = Part::open(&self.context, name.clone(), listed).await? else { return Ok(unseen) };
        let part_key: Arc<str> = name.key.as_str().into();
        part.scan(&self.context, time_columns, |key, stored| {
            let hash = key_hash(key);
            if seen.contains(&hash) {
                unseen.seen_key.get_or_insert_with(|| key.to_owned());
            } else if is_wanted(&stored) {
                unseen.keys.push(key.to_owned());
                let row = UnseenRow { key: hash, version: row_hash(key, &stored) };
                unseen.rows.push((Arc::clone(&part_key), row));
            }
        })
        .await?;
        Ok(unseen)
    }

    /// Marks those of the `unseen` rows as vanished at `now` whose keys are in `vanished`, by their [`key_hash`]. Does nothing if the table
    /// has no column for that. A history gets a version that says so. Rows that were written since they were found stay as they are.
    /// Returns the number of rows that were left, because another run has stored rows since the reading began.
    ///
    /// The counts are added to `merged`, also before an error. Another call then marks the rest.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn mark_vanished(
        &self,
        unseen: &UnseenRows,
        vanished: &HashSet<u64>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<u64, Error> {
        let Some(vanished_column) = &self.context.vanished_column else { return Ok(0) };
        let rows = unseen.rows.iter().filter(|(_, row)| vanished.contains(&row.key)).cloned().collect::<Vec<_>>();
        self.change_unclaimed(&rows, RowChange::MarkVanished(vanished_column), now, merged).await
    }

    /// Changes these rows, unless they were written since they were found. Returns the number of rows that were left, because another run
    /// has stored rows since the reading began.
    async fn change_unclaimed(
        &self,
        rows: &[(Arc<str>, UnseenRow)],
        change: RowChange<'_>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<u64, Error> {
        let mut left = rows.len();
        for chunk in rows.chunks(MAX_CLAIMED_ROWS) {
            let keys: Vec<u64> = chunk.iter().map(|(_, row)| row.key).collect();
            if !self.readings.claim(&keys).await? {
                break;
            }
            let versions: HashSet<u64> = chunk.iter().map(|(_, row)| row.version).collect();
            let parts: HashSet<&str> = chunk.iter().map(|(part, _)| part.as_ref()).collect();
            let selects = |key: &str, stored: &StoredRow<'_>| versions.contains(&row_hash(key, stored));
            let revision = Revision {
                time_columns: vec![engine_columns::SYNCED_AT],
                parts: Some(&parts),
                selects: &selects,
                change,
                time: now,
            };
            self.revise(&revision, merged).await?;
            left -= chunk.len();
        }
        if left < rows.len() {
            self.readings.end_removal().await?;
        }
        Ok(left as u64)
    }

    /// Removes the rows that were past before `oldest`. A row that does not say when it is past is removed if it vanished before
    /// `oldest`. A history keeps its versions: its partitions are days, and the store can expire whole days of it.
    ///
    /// `run` is a time that tells the writes of this run from those of others. The counts are added to `merged`, also before an error.
    /// Another call then removes the rest.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn remove_expired_rows(
        &self,
        oldest: DateTime<Utc>,
        run: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let oldest = oldest.timestamp_micros();
        let selects = |_: &str, stored: &StoredRow<'_>| first_time(stored.times).is_some_and(|passed| passed < oldest);
        let time_columns = self.context.passed_by.iter().chain(&self.context.vanished_column);
        let revision = Revision {
            time_columns: time_columns.map(String::as_str).collect(),
            parts: None,
            selects: &selects,
            change: RowChange::Remove,
            time: run,
        };
        self.revise(&revision, merged).await
    }

    pub(super) async fn revise(&self, revision: &Revision<'_>, merged: &mut Merged) -> Result<(), Error> {
        let history = self.history.as_ref().map(|history| history as &dyn RecordVersions);
        revision.run(&self.context, history, merged).await
    }
}

/// Returns the first of `times` that has a value.
fn first_time(times: &[Option<i64>]) -> Option<i64> {
    times.iter().copied().flatten().next()
}
