//! Removal of the rows that a complete extraction did not meet: dlt's write disposition `replace`.
//!
//! Nothing is deleted. A part that holds such rows is rewritten without them, by the compare-and-swap of every other write, and a
//! conflict begins that part again. It keeps its number and its seal, even when no row is left in it: inserts go through a
//! partition's last part (see [`super::partition`]), which must not become another one.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::name::Name;
use super::part::Part;
use super::partition::{self, MOST_CONFLICTS, too_many_conflicts};
use super::{Merged, Table, side_by_side};
use crate::error::Error;
use crate::map::own;
use crate::store::{Kind, Listed, StoreError, When, wait_after_conflict};

/// What [`Table::retain_only`] knows of a [`Row::key`](crate::map::Row::key): eight bytes, so that a run can remember millions. A
/// vanished row whose hash is that of one among a million others stays; of 10¹³ vanished rows that is less than one.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// What is to be kept.
struct Kept<'k> {
    seen: &'k HashSet<u64>,
    before: DateTime<Utc>,
    /// One part is rewritten at a time: unlike a merge's, it may be any part of the table, and most of them are full.
    turn: Mutex<()>,
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
        let mut parts = Vec::new();
        for listed in self.store.list(&format!("{}/", self.root)).await? {
            let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
            if let Some(name) = Name::of(self, folder, &listed.key)? {
                parts.push((name, listed));
            }
        }
        let kept = &Kept { seen, before, turn: Mutex::default() };
        let parts = parts.into_iter().map(|(name, listed)| async move {
            let mut removed = Merged::default();
            let outcome = retain(self, kept, name, listed, &mut removed).await;
            (removed, outcome)
        });
        side_by_side(parts, merged).await
    }
}

/// Removes what is not `kept` from one part.
async fn retain(
    table: &Table<'_>,
    kept: &Kept<'_>,
    name: Name,
    listed: Listed,
    merged: &mut Merged,
) -> Result<(), Error> {
    let mut found = Some(listed);
    for lost in 0..MOST_CONFLICTS {
        let Some(listed) = found else { return Ok(()) };
        match attempt(table, kept, &name, &listed, merged).await {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Error::Store(StoreError { kind: Kind::Changed, .. })) => {}
            Err(error) => return Err(error),
        }
        tracing::debug!(key = name.key, lost, "another writer was first; removing again");
        wait_after_conflict(lost).await;
        found = table.store.list(&name.key).await?.into_iter().find(|listed| listed.key == name.key);
    }
    Err(too_many_conflicts(name.key))
}

/// One pass over a part; false when somebody else was first.
async fn attempt(
    table: &Table<'_>,
    kept: &Kept<'_>,
    name: &Name,
    listed: &Listed,
    merged: &mut Merged,
) -> Result<bool, Error> {
    let Some(part) = Part::open(table, name.clone(), listed).await? else { return Ok(true) };
    let before = kept.before.timestamp_micros();
    let mut removed = BTreeSet::new();
    part.scan(table, &[own::SYNCED_AT], |key, stored| {
        if stored.stamps.0 < before && !kept.seen.contains(&key_hash(key)) {
            removed.insert(stored.position);
        }
    })
    .await?;
    if removed.is_empty() {
        return Ok(true);
    }
    let _turn = kept.turn.lock().await;
    let rewrite = part.without(table, &removed, kept.before).await?;
    let when = When::Is(part.object.version().clone());
    let written = partition::write(table, name, rewrite, when, 0, merged).await?;
    if written {
        merged.removed += removed.len() as u64;
    }
    Ok(written)
}
