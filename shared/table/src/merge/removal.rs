//! Rows that are no more: those that a complete extraction did not meet are taken out (dlt's write disposition `replace`) or marked,
//! those that are past are kept for so long.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use manifest::time::TimeRange;
use xxhash_rust::xxh3::xxh3_64;

use super::merged::Merged;
use super::name::list_parts;
use super::part::{Part, StoredRow};
use super::revision::{Revision, RowChange};
use super::table::Table;
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
        let revision = Revision { stamps: vec![own::SYNCED_AT], concerns: &concerns, change: RowChange::Remove, run: before };
        revision.run(&self.parts, self.history.as_ref(), merged).await
    }

    /// The keys of rows that an extraction which began at `before` did not meet: those not in `seen`, by their [`key_hash`], and of them
    /// only rows that are past within `window`, where it is given. Without those that are marked already, those that are past by `now`
    /// (they are not missing, they are over), and those that another run wrote meanwhile. And one key that was met.
    pub async fn missing(
        &self,
        seen: &HashSet<u64>,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        window: TimeRange,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let Some(mark) = &self.parts.mark else { return Ok((Vec::new(), None)) };
        let (before, until) = (before.timestamp_micros(), now.timestamp_micros());
        let own = [own::SYNCED_AT, mark.as_str()];
        let stamps: Vec<&str> = own.into_iter().chain(self.parts.passed_by.iter().map(String::as_str)).collect();
        let (mut missing, mut met) = (Vec::new(), None);
        for (name, listed) in list_parts(&self.parts).await? {
            let Some(part) = Part::open(&self.parts, name, &listed).await? else { continue };
            part.scan(&self.parts, &stamps, |key, stored| {
                let [synced, marked, passed @ ..] = stored.stamps else { return };
                let passed = first(passed);
                if seen.contains(&key_hash(key)) {
                    met.get_or_insert_with(|| key.to_owned());
                } else if marked.is_none()
                    && *synced < Some(before)
                    && passed.is_none_or(|passed| passed >= until)
                    && (window == TimeRange::ALL || passed.is_some_and(|at| window.contains(at.div_euclid(1_000_000))))
                {
                    missing.push(key.to_owned());
                }
            })
            .await?;
        }
        Ok((missing, met))
    }

    /// Marks the rows whose key is in `missing`, by its [`key_hash`], as missing since `now`, where the table has a column for that; a
    /// history gets a version that says so. Rows that are marked already, or were written at `before` or later, stay as they are.
    ///
    /// What was marked is added to `merged`, also when an error ended it; doing it again marks the rest.
    pub async fn mark_missing(
        &self,
        missing: &HashSet<u64>,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some(mark) = &self.parts.mark else { return Ok(()) };
        let before = before.timestamp_micros();
        let concerns = |key: &str, stored: &StoredRow<'_>| {
            stored.stamps[1].is_none() && stored.stamps[0] < Some(before) && missing.contains(&key_hash(key))
        };
        let revision =
            Revision { stamps: vec![own::SYNCED_AT, mark], concerns: &concerns, change: RowChange::Mark(mark), run: now };
        revision.run(&self.parts, self.history.as_ref(), merged).await
    }

    /// Removes the rows that were past before `oldest`; of those that do not say when they are past, the ones that are missing since
    /// before then. A history keeps its versions: it lies by days, and whole days of it can expire in the store.
    ///
    /// `run` tells this run's writes from others'.
    pub async fn expire(&self, oldest: DateTime<Utc>, run: DateTime<Utc>, merged: &mut Merged) -> Result<(), Error> {
        let oldest = oldest.timestamp_micros();
        let concerns = |_: &str, stored: &StoredRow<'_>| first(stored.stamps).is_some_and(|passed| passed < oldest);
        let stamps = self.parts.passed_by.iter().chain(&self.parts.mark).map(String::as_str).collect();
        let revision = Revision { stamps, concerns: &concerns, change: RowChange::Remove, run };
        revision.run(&self.parts, self.history.as_ref(), merged).await
    }
}

fn first(stamps: &[Option<i64>]) -> Option<i64> {
    stamps.iter().copied().flatten().next()
}
