//! Rows that the API no longer has, and rows that are past.
//!
//! Rows that a complete run did not see are removed (dlt's write disposition `replace`) or marked as vanished. Rows that are past are removed
//! when they reach an age (retention).

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use manifest::time::TimeRange;
use xxhash_rust::xxh3::xxh3_64;

use super::merged::Merged;
use super::part::{Part, StoredRow, list_parts};
use super::revision::{Revision, RowChange};
use super::table::Table;
use super::versions::RecordVersions;
use crate::error::Error;
use crate::map::engine_columns;

/// Returns the hash of a [`Row::key`](crate::map::Row::key) by which a run remembers the keys that it saw: eight bytes, so that it can
/// remember millions. A vanished row is kept if its hash is that of a seen key. Among a million seen keys that happens to less than one
/// of 10¹³ vanished rows.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// The stored rows that a run did not see.
#[derive(Debug, Default)]
pub struct UnseenRows {
    /// The keys of the rows.
    pub keys: Vec<String>,
    /// The key of one stored row that the run saw. `None` if it saw no stored row.
    pub seen_key: Option<String>,
}

impl Table<'_> {
    /// Removes every row whose key is not in `seen`, which holds the [`key_hash`] of each seen key. `seen` must be all that the API has, so
    /// only a complete run may call this. `before` is the start of that run. Rows that were written then or later are kept, since
    /// another run saw them. A history keeps its versions.
    ///
    /// The counts are added to `merged`, also before an error. Another call then removes the rest.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn remove_unseen_rows(
        &self,
        seen: &HashSet<u64>,
        before: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let written_before = before.timestamp_micros();
        let selects = |key: &str, stored: &StoredRow<'_>| {
            stored.times[0] < Some(written_before) && !seen.contains(&key_hash(key))
        };
        let revision = Revision {
            time_columns: vec![engine_columns::SYNCED_AT],
            selects: &selects,
            change: RowChange::Remove,
            time: before,
        };
        self.revise(&revision, merged).await
    }

    /// Finds the rows that a run did not see, in a table with a column for vanished rows. Also returns the key of one row that the
    /// run saw.
    ///
    /// `seen` holds the [`key_hash`] of each seen key, and `before` is the start of the run. A row is left out if
    ///
    /// - it is marked as vanished already,
    /// - another run wrote it at `before` or later,
    /// - it was past before `now`, so that the API need not have it,
    /// - `window` is not [`TimeRange::ALL`], and the time when the row is past is unknown or outside of it.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn find_unseen_rows(
        &self,
        seen: &HashSet<u64>,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        window: TimeRange,
    ) -> Result<UnseenRows, Error> {
        let Some(vanished_column) = &self.context.vanished_column else { return Ok(UnseenRows::default()) };
        let (before, now) = (before.timestamp_micros(), now.timestamp_micros());
        let passed_by = self.context.passed_by.iter().map(String::as_str);
        let time_columns: Vec<&str> =
            [engine_columns::SYNCED_AT, vanished_column.as_str()].into_iter().chain(passed_by).collect();
        let is_in_window = |passed: Option<i64>| {
            window == TimeRange::ALL || passed.is_some_and(|time| window.contains(time.div_euclid(1_000_000)))
        };
        let mut unseen = UnseenRows::default();
        for (name, listed) in list_parts(&self.context).await? {
            let Some(part) = Part::open(&self.context, name, &listed).await? else { continue };
            part.scan(&self.context, &time_columns, |key, stored| {
                let [synced_at, vanished_at, passed @ ..] = stored.times else { return };
                let passed = first_time(passed);
                if seen.contains(&key_hash(key)) {
                    unseen.seen_key.get_or_insert_with(|| key.to_owned());
                } else if vanished_at.is_none()
                    && *synced_at < Some(before)
                    && passed.is_none_or(|passed| passed >= now)
                    && is_in_window(passed)
                {
                    unseen.keys.push(key.to_owned());
                }
            })
            .await?;
        }
        Ok(unseen)
    }

    /// Marks the rows whose keys are in `vanished`, by their [`key_hash`], as vanished at `now`. Does nothing if the table has no column for
    /// that. A history gets a version that says so. Rows that are marked already, or that were written at `before` or later, stay as
    /// they are.
    ///
    /// The counts are added to `merged`, also before an error. Another call then marks the rest.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn mark_vanished(
        &self,
        vanished: &HashSet<u64>,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some(vanished_column) = &self.context.vanished_column else { return Ok(()) };
        let before = before.timestamp_micros();
        let selects = |key: &str, stored: &StoredRow<'_>| {
            stored.times[1].is_none() && stored.times[0] < Some(before) && vanished.contains(&key_hash(key))
        };
        let revision = Revision {
            time_columns: vec![engine_columns::SYNCED_AT, vanished_column],
            selects: &selects,
            change: RowChange::MarkVanished(vanished_column),
            time: now,
        };
        self.revise(&revision, merged).await
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
            selects: &selects,
            change: RowChange::Remove,
            time: run,
        };
        self.revise(&revision, merged).await
    }

    async fn revise(&self, revision: &Revision<'_>, merged: &mut Merged) -> Result<(), Error> {
        let history = self.history.as_ref().map(|history| history as &dyn RecordVersions);
        revision.run(&self.context, history, merged).await
    }
}

/// Returns the first of `times` that has a value.
fn first_time(times: &[Option<i64>]) -> Option<i64> {
    times.iter().copied().flatten().next()
}
