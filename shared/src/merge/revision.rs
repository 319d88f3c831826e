//! A change of rows that are stored, wherever they lie in the table: they are taken out, or marked as missing.
//!
//! Nothing is deleted. A part that holds such rows is rewritten, by the compare-and-swap of every other write, and a conflict begins
//! that part again. It keeps its number and its seal, even when no row is left in it: inserts go through a partition's last part (see
//! [`super::partition`]), which must not become another one.

use std::collections::BTreeSet;

use arrow_array::BooleanArray;
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::buffer::Batch;
use super::history::{History, NewVersion};
use super::name::Name;
use super::part::{Part, StoredRow, stamped};
use super::partition::{self, MOST_CONFLICTS, too_many_conflicts};
use super::{Merged, Table, side_by_side};
use crate::error::Error;
use crate::map::own;
use crate::store::{Kind, Listed, StoreError, When, wait_after_conflict};

/// Rows whose versions go into the history at once: at 10 KB each, 20 MB.
const VERSIONS_AT_ONCE: usize = 2000;

/// What becomes of some rows.
pub(super) struct Revision<'r> {
    /// The columns that decide.
    pub(super) stamps: Vec<&'r str>,
    /// Whether it concerns a row, by its key and these.
    pub(super) concerns: &'r dyn Fn(&str, &StoredRow<'_>) -> bool,
    /// What becomes of it.
    pub(super) deed: Deed<'r>,
    /// What tells this run's writes from those of others.
    pub(super) run: DateTime<Utc>,
}

/// What becomes of a row.
#[derive(Clone, Copy)]
pub(super) enum Deed<'r> {
    /// It is taken out. A history keeps its versions.
    Removed,
    /// Its column of this name says that it is missing since `run`, and its history has a version that says so.
    Marked(&'r str),
}

impl Table<'_> {
    /// Every part of the table.
    pub(super) async fn parts(&self) -> Result<Vec<(Name, Listed)>, Error> {
        let mut parts = Vec::new();
        for listed in self.store.list(&format!("{}/", self.root)).await? {
            let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
            if let Some(name) = Name::of(self, folder, &listed.key)? {
                parts.push((name, listed));
            }
        }
        Ok(parts)
    }

    /// Carries out `revision` on every part. What was done is added to `merged`, also when an error ended it; doing it again does
    /// the rest.
    pub(super) async fn revise(&self, revision: &Revision<'_>, merged: &mut Merged) -> Result<(), Error> {
        // One part is rewritten at a time: unlike a merge's, it may be any part of the table, and most of them are full.
        let turn = &Mutex::default();
        let parts = self.parts().await?.into_iter().map(|(name, listed)| async move {
            let mut done = Merged::default();
            let outcome = revise(self, revision, turn, name, listed, &mut done).await;
            (done, outcome)
        });
        side_by_side(parts, merged).await
    }
}

/// Revises one part.
async fn revise(
    table: &Table<'_>,
    revision: &Revision<'_>,
    turn: &Mutex<()>,
    name: Name,
    listed: Listed,
    merged: &mut Merged,
) -> Result<(), Error> {
    let mut found = Some(listed);
    for lost in 0..MOST_CONFLICTS {
        let Some(listed) = found else { return Ok(()) };
        match attempt(table, revision, turn, &name, &listed, merged).await {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Error::Store(StoreError { kind: Kind::Changed, .. })) => {}
            Err(error) => return Err(error),
        }
        tracing::debug!(key = name.key, lost, "another writer was first; revising again");
        wait_after_conflict(lost).await;
        found = table.store.list(&name.key).await?.into_iter().find(|listed| listed.key == name.key);
    }
    Err(too_many_conflicts(name.key))
}

/// One pass over a part; false when somebody else was first.
async fn attempt(
    table: &Table<'_>,
    revision: &Revision<'_>,
    turn: &Mutex<()>,
    name: &Name,
    listed: &Listed,
    merged: &mut Merged,
) -> Result<bool, Error> {
    let Some(part) = Part::open(table, name.clone(), listed).await? else { return Ok(true) };
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
    let _turn = turn.lock().await;
    let rewrite = match revision.deed {
        Deed::Removed => part.without(table, &positions, revision.run).await?,
        Deed::Marked(mark) => {
            if let Some(history) = &table.history {
                record(table, history, &part, &positions, mark, revision.run, merged).await?;
            }
            part.marking(table, &positions, mark, revision.run).await?
        }
    };
    let when = When::Is(part.object.version().clone());
    let written = partition::write(table, name, rewrite, when, 0, merged).await?;
    if written {
        match revision.deed {
            Deed::Removed => merged.removed += positions.len() as u64,
            Deed::Marked(_) => merged.vanished += positions.len() as u64,
        }
    }
    Ok(written)
}

/// Writes the versions that the rows at `positions` will be into the history, before the table has them.
async fn record(
    table: &Table<'_>,
    history: &History<'_>,
    part: &Part,
    positions: &BTreeSet<u64>,
    mark: &str,
    at: DateTime<Utc>,
    merged: &mut Merged,
) -> Result<(), Error> {
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
    for (piece, at_once) in positions.chunks(VERSIONS_AT_ONCE).enumerate() {
        let range = piece * VERSIONS_AT_ONCE..piece * VERSIONS_AT_ONCE + at_once.len();
        let rows = part.rows(table, &at_once.iter().copied().collect()).await?;
        let all: BooleanArray = std::iter::repeat_n(Some(true), rows.num_rows()).collect();
        let batch = Batch {
            rows: stamped(&rows, &all, &[own::SYNCED_AT, mark], at)?,
            keys: keys[range.clone()].to_vec(),
            fingerprints: fingerprints[range.clone()].to_vec(),
            partitions: std::collections::BTreeMap::new(),
            repeated: 0,
            written: at,
        };
        let versions = (0..).zip(&replaces[range]).map(|(row, replaces)| NewVersion { row, replaces: Some(*replaces) });
        history.record(&batch, &versions.collect::<Vec<_>>(), merged).await?;
    }
    Ok(())
}
