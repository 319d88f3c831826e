//! A change of rows that are stored, wherever they lie in the table: they are taken out, or marked as missing.
//!
//! Nothing is deleted. A part that holds such rows is rewritten, by the compare-and-swap of every other write, and a conflict begins
//! that part again. It keeps its number and its seal, even when no row is left in it: inserts go through a partition's last part (see
//! `partition`), which must not become another one.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::BooleanArray;
use chrono::{DateTime, Utc};
use lake::{Attempt, Listed, retry_on_conflict};
use tokio::sync::Mutex;

use super::buffer::Batch;
use super::concurrent::run_side_by_side;
use super::history::History;
use super::merged::Merged;
use super::name::{Name, list_parts};
use super::part::{Part, StoredRow, stamped};
use super::partition::PartWrite;
use super::parts::TableParts;
use super::versions::{NewVersion, RecordVersions};
use crate::error::Error;
use crate::map::own;

/// Rows whose versions go into the history at a time: at 10 KB each, 20 MB.
const VERSIONS_AT_ONCE: usize = 2000;

/// A change of some stored rows.
pub(super) struct Revision<'r> {
    /// The columns of times that decide which rows are changed.
    pub(super) stamps: Vec<&'r str>,
    /// Whether a row is changed, by its key and these columns.
    pub(super) concerns: &'r dyn Fn(&str, &StoredRow<'_>) -> bool,
    pub(super) change: RowChange<'r>,
    /// The time that tells this run's writes from those of others.
    pub(super) run: DateTime<Utc>,
}

/// How a row is changed.
#[derive(Clone, Copy)]
pub(super) enum RowChange<'r> {
    /// The row is removed. A history keeps its versions.
    Remove,
    /// The column of this name says that the row has vanished at `run`, and the history gets a version that says so.
    Mark(&'r str),
}

/// The revision of one part.
struct PartRevision<'p> {
    table: &'p TableParts<'p>,
    history: Option<&'p History<'p>>,
    revision: &'p Revision<'p>,
    /// One part is rewritten at a time: unlike a merge's, it may be any part of the table, and most of them are full.
    turn: &'p Mutex<()>,
    name: Name,
}

impl Revision<'_> {
    /// Changes every part of `table`. What was done is added to `merged`, also when an error ended it; doing it again does the rest.
    pub(super) async fn run(
        &self,
        table: &TableParts<'_>,
        history: Option<&History<'_>>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let turn = &Mutex::default();
        let parts = list_parts(table).await?.into_iter().map(|(name, listed)| async move {
            let mut done = Merged::default();
            let part = PartRevision { table, history, revision: self, turn, name };
            let outcome = part.run(listed, &mut done).await;
            (done, outcome)
        });
        run_side_by_side(parts, merged).await
    }
}

impl PartRevision<'_> {
    async fn run(&self, listed: Listed, merged: &mut Merged) -> Result<(), Error> {
        let key = &self.name.key;
        let mut found = Some(listed);
        retry_on_conflict(key, async || {
            let Some(listed) = found.take() else { return Ok(Attempt::Done(())) };
            match self.attempt(&listed, merged).await {
                Ok(true) => return Ok(Attempt::Done(())),
                Ok(false) => {}
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error),
            }
            found = self.table.store.list(key).await?.into_iter().find(|listed| listed.key == *key);
            Ok(Attempt::Conflict)
        })
        .await
    }

    /// One pass over the part; `false` when another writer was first.
    async fn attempt(&self, listed: &Listed, merged: &mut Merged) -> Result<bool, Error> {
        let (table, revision) = (self.table, self.revision);
        let Some(part) = Part::open(table, self.name.clone(), listed).await? else { return Ok(true) };
        let mut positions = BTreeSet::new();
        part.scan(table, &revision.stamps, |key, stored| {
            if (revision.concerns)(key, &stored) {
                positions.insert(stored.position);
            }
        })
        .await?;
        if positions.is_empty() {
            return Ok(true);
        }
        let _turn = self.turn.lock().await;
        let rewrite = match revision.change {
            RowChange::Remove => part.without(table, &positions, revision.run).await?,
            RowChange::Mark(mark) => {
                self.record(&part, &positions, mark, merged).await?;
                part.marking(table, &positions, mark, revision.run).await?
            }
        };
        let write = PartWrite { name: &self.name, rewrite, updated: 0 };
        let written = write.replace(table, &part, merged).await?;
        if written {
            match revision.change {
                RowChange::Remove => merged.removed += positions.len() as u64,
                RowChange::Mark(_) => merged.vanished += positions.len() as u64,
            }
        }
        Ok(written)
    }

    /// Records the versions that the rows at `positions` will be, before the table has them.
    async fn record(
        &self,
        part: &Part,
        positions: &BTreeSet<u64>,
        mark: &str,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some(history) = self.history else { return Ok(()) };
        let (table, at) = (self.table, self.revision.run);
        let mut keys = Vec::with_capacity(positions.len());
        let mut fingerprints = Vec::with_capacity(positions.len());
        let mut replaces = Vec::with_capacity(positions.len());
        part.scan(table, &[own::SYNCED_AT, own::FIRST_SEEN_AT], |key, stored| {
            if positions.contains(&stored.position) {
                let stamp = |which: usize| stored.stamps[which].unwrap_or_default();
                keys.push(key.to_owned());
                fingerprints.push(stored.fingerprint);
                replaces.push((stamp(0), stamp(1)));
            }
        })
        .await?;
        let positions: Vec<u64> = positions.iter().copied().collect();
        for (chunk, at_once) in positions.chunks(VERSIONS_AT_ONCE).enumerate() {
            let range = chunk * VERSIONS_AT_ONCE..chunk * VERSIONS_AT_ONCE + at_once.len();
            let rows = part.rows(table, &at_once.iter().copied().collect()).await?;
            let all: BooleanArray = std::iter::repeat_n(Some(true), rows.num_rows()).collect();
            let batch = Batch {
                rows: stamped(&rows, &all, &[own::SYNCED_AT, mark], at)?,
                keys: keys[range.clone()].to_vec(),
                fingerprints: fingerprints[range.clone()].to_vec(),
                partitions: BTreeMap::new(),
                repeated: 0,
                written: at,
            };
            let versions =
                (0..).zip(&replaces[range]).map(|(row, replaces)| NewVersion { row, replaces: Some(*replaces) });
            history.record(&batch, &versions.collect::<Vec<_>>(), merged).await?;
        }
        Ok(())
    }
}
