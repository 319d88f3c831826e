//! Rows that are no more: those that a complete extraction did not meet are taken out (dlt's write disposition `replace`) or marked,
//! those that are past are kept for so long.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_64;

use super::part::StoredRow;
use super::revision::{Deed, Revision};
use super::{Merged, Table};
use crate::error::Error;
use crate::map::own;

/// What [`Table::retain_only`] knows of a [`Row::key`](crate::map::Row::key): eight bytes, so that a run can remember millions. A
/// vanished row whose hash is that of one among a million others stays; of 10¹³ vanished rows that is less than one.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

impl Table<'_> {
    /// Removes the rows whose key is not in `seen`, by its [`key_hash`], from every partition. `seen` must be all that the API has:
    /// only a complete extraction may end in this. Rows written at `before`, the extraction's begin, or later stay: another run
    /// saw them meanwhile. A history keeps its versions.
    ///
    /// What was removed is added to `merged`, also when an error ended the removal; doing it again removes the rest.
    pub async fn retain_only(
        &self,
        seen: &HashSet<u64>,
        before: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let written_before = before.timestamp_micros();
        let concerns = |key: &str, stored: &StoredRow<'_>| {
            stored.stamps[0] < Some(written_before) && !seen.contains(&key_hash(key))
        };
        let revision = Revision { stamps: vec![own::SYNCED_AT], concerns: &concerns, deed: Deed::Removed, run: before };
        self.revise(&revision, merged).await
    }

    /// Marks the rows whose key is not in `seen` as missing since `now`, where the table has a column for that: as
    /// [`Table::retain_only`] removes them, with a version in the history. Rows that are marked stay as they are, and so do those that
    /// are past by `now`: they are not missing, they are over.
    pub async fn mark_missing(
        &self,
        seen: &HashSet<u64>,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some(mark) = &self.mark else { return Ok(()) };
        let (before, until) = (before.timestamp_micros(), now.timestamp_micros());
        let concerns = |key: &str, stored: &StoredRow<'_>| {
            let [synced, marked, passed @ ..] = stored.stamps else { return false };
            let over = first(passed).is_some_and(|passed| passed < until);
            marked.is_none() && !over && *synced < Some(before) && !seen.contains(&key_hash(key))
        };
        let own = [own::SYNCED_AT, mark.as_str()];
        let stamps = own.into_iter().chain(self.passed_by.iter().map(String::as_str)).collect();
        let revision = Revision { stamps, concerns: &concerns, deed: Deed::Marked(mark), run: now };
        self.revise(&revision, merged).await
    }

    /// Removes the rows that were past before `oldest`; of those that do not say when they are past, the ones that are missing since
    /// before then. A history keeps its versions: it lies by days, and whole days of it can expire in the store.
    ///
    /// `run` tells this run's writes from others'.
    pub async fn expire(&self, oldest: DateTime<Utc>, run: DateTime<Utc>, merged: &mut Merged) -> Result<(), Error> {
        let oldest = oldest.timestamp_micros();
        let concerns = |_: &str, stored: &StoredRow<'_>| first(stored.stamps).is_some_and(|passed| passed < oldest);
        let stamps = self.passed_by.iter().chain(&self.mark).map(String::as_str).collect();
        let revision = Revision { stamps, concerns: &concerns, deed: Deed::Removed, run };
        self.revise(&revision, merged).await
    }
}

fn first(stamps: &[Option<i64>]) -> Option<i64> {
    stamps.iter().copied().flatten().next()
}
