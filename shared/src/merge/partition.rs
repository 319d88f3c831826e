//! The merge of one partition: compare with the keys stored there, write what is new or changed, start again when somebody
//! else was there first.
//!
//! All inserts into a partition go through one compare-and-swap: on its last part while that one is open, else on the
//! creation of the next. That holds because a part's seal is written with the part and never taken back: a writer that
//! read it sealed makes the next part, which only one can; a writer that read it open fails to replace it once it is sealed.
//! Deciding by the part's size instead would let one writer, with another target or after a rewrite made the part smaller,
//! insert into it while another makes the next.

use std::collections::{HashMap, HashSet};

use super::buffer::Batch;
use super::history::NewVersion;
use super::name::Name;
use super::part::{self, Part};
use super::writer::Rewrite;
use super::{Merged, Recorded, Table};
use crate::error::Error;
use crate::manifest::WriteDisposition;
use crate::map::own;
use crate::store::{Kind, Put, StoreError, When, wait_after_conflict};

/// Lost races after which something else must be wrong.
pub(super) const MOST_CONFLICTS: u32 = 100;

/// Merges `rows` of `batch` into `folder` of `table`.
///
/// With a history, versions that are not among `recorded` are written there first. What landed is counted, also before an error.
pub(super) async fn merge(
    table: &Table<'_>,
    folder: &str,
    batch: &Batch,
    rows: &[u32],
    recorded: Option<&Recorded>,
    merged: &mut Merged,
) -> Result<(), Error> {
    let folder = place(table, folder);
    let mut pending = rows.to_vec();
    for lost in 0..MOST_CONFLICTS {
        match attempt(table, &folder, batch, &mut pending, recorded, merged).await {
            Ok(Attempt::Done) => return Ok(()),
            Ok(Attempt::Conflict) => {}
            Err(Error::Store(StoreError { kind: Kind::Changed, .. })) => {}
            Err(error) => return Err(error),
        }
        tracing::debug!(folder, lost, "another writer was first; merging again");
        wait_after_conflict(lost).await;
    }
    Err(too_many_conflicts(folder))
}

/// The error after [`MOST_CONFLICTS`].
pub(super) fn too_many_conflicts(place: String) -> Error {
    let detail = format!("another writer was first {MOST_CONFLICTS} times");
    Error::Store(StoreError { kind: Kind::Other, operation: "write", place, detail })
}

/// Those of `rows` that the table does not have as they are, with what each would replace.
pub(super) async fn new_versions(
    table: &Table<'_>,
    folder: &str,
    batch: &Batch,
    rows: &[u32],
) -> Result<Vec<NewVersion>, Error> {
    let mut lost = 0;
    loop {
        match compare(table, &place(table, folder), batch, rows).await {
            Ok(Comparison { settled, replaced, .. }) => {
                let new = rows.iter().filter(|row| !settled.contains(row));
                return Ok(new.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() }).collect());
            }
            Err(Error::Store(StoreError { kind: Kind::Changed, .. })) if lost < MOST_CONFLICTS => lost += 1,
            Err(error) => return Err(error),
        }
        wait_after_conflict(lost).await;
    }
}

fn place(table: &Table<'_>, folder: &str) -> String {
    if folder.is_empty() { table.root.clone() } else { format!("{}/{folder}", table.root) }
}

/// What a partition holds of some rows.
struct Comparison {
    /// The last part, and those before it with a stored version that differs: its position, and the row that replaces it. The others
    /// are let go, since a footer takes a megabyte where there are a hundred columns.
    parts: Vec<(Part, HashMap<u64, u32>)>,
    /// Rows with nothing to write.
    settled: HashSet<u32>,
    /// Rows that replace a version: its `synced_at` and `first_seen_at` (0 where no history wants them).
    replaced: HashMap<u32, (i64, i64)>,
}

async fn compare(table: &Table<'_>, folder: &str, batch: &Batch, rows: &[u32]) -> Result<Comparison, Error> {
    let mut parts: Vec<(Part, HashMap<u64, u32>)> = Vec::new();
    let mut settled = HashSet::new();
    let mut replaced = HashMap::new();
    let wanted: HashMap<&str, u32> = rows.iter().map(|&row| (batch.keys[row as usize].as_str(), row)).collect();
    let mut stamps = Vec::new();
    if table.history.is_some() {
        stamps.extend([own::SYNCED_AT, own::FIRST_SEEN_AT]);
    }
    stamps.extend(table.mark.as_deref());
    for listed in table.store.list(&format!("{folder}/part-")).await? {
        let Some(name) = Name::of(table, folder, &listed.key)? else { continue };
        let Some(part) = Part::open(table, name, &listed).await? else { continue };
        let mut updates = HashMap::new();
        part.scan(table, &stamps, |key, stored| {
            let Some(&row) = wanted.get(key) else { return };
            // One that was missing is there again, and its mark goes.
            let marked = table.mark.is_some() && stored.stamps.last().is_some_and(Option::is_some);
            let differs = marked || batch.fingerprints[row as usize] != stored.fingerprint;
            if differs && table.disposition != WriteDisposition::Append {
                updates.insert(stored.position, row);
                let stamp = |which: usize| stored.stamps.get(which).copied().flatten().unwrap_or_default();
                replaced.insert(row, (stamp(0), stamp(1)));
            } else {
                settled.insert(row);
            }
        })
        .await?;
        parts.pop_if(|(_, updates)| updates.is_empty());
        parts.push((part, updates));
    }
    Ok(Comparison { parts, settled, replaced })
}

enum Attempt {
    Done,
    Conflict,
}

/// One pass over the partition. What lands is counted and taken from `pending` at once, so that a conflict later in the pass
/// repeats only what did not.
async fn attempt(
    table: &Table<'_>,
    folder: &str,
    batch: &Batch,
    pending: &mut Vec<u32>,
    recorded: Option<&Recorded>,
    merged: &mut Merged,
) -> Result<Attempt, Error> {
    let Comparison { parts, settled, replaced } = compare(table, folder, batch, pending).await?;
    merged.unchanged += settled.len() as u64;
    pending.retain(|row| !settled.contains(row));
    if let (Some(history), Some(recorded)) = (&table.history, recorded) {
        let versions: Vec<NewVersion> = {
            let known = recorded.rows();
            let unknown = pending.iter().filter(|row| !known.contains(row));
            unknown.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() }).collect()
        };
        history.record(batch, &versions, merged).await?;
        recorded.add(&versions);
    }
    let mut inserts: Vec<u32> = pending.iter().copied().filter(|row| !replaced.contains_key(row)).collect();

    let last = parts.len().checked_sub(1);
    for (position, (part, updates)) in parts.iter().enumerate() {
        let open = Some(position) == last && !part.sealed;
        let added: &[u32] = if open { &inserts } else { &[] };
        if updates.is_empty() && added.is_empty() {
            continue;
        }
        let _share = table.rewriting.share(part.object.size()).await;
        let turn = table.rewriting.turn().await;
        let rewrite = part.rewrite(table, batch, updates, added).await?;
        drop(turn);
        let landed: HashSet<u32> = updates.values().chain(&added[..rewrite.inserted]).copied().collect();
        let when = When::Is(part.object.version().clone());
        if !write(table, &part.name, rewrite, when, updates.len(), merged).await? {
            return Ok(Attempt::Conflict);
        }
        inserts.retain(|row| !landed.contains(row));
        pending.retain(|row| !landed.contains(row));
    }
    let mut number = parts.last().map_or(0, |(part, _)| part.name.number + 1);
    while !inserts.is_empty() {
        let rewrite = part::begin(table, batch, &inserts)?;
        let count = rewrite.inserted;
        if !write(table, &Name::new(folder, number, table.format), rewrite, When::Absent, 0, merged).await? {
            return Ok(Attempt::Conflict);
        }
        let landed: HashSet<u32> = inserts.drain(..count).collect();
        pending.retain(|row| !landed.contains(row));
        number += 1;
    }
    Ok(Attempt::Done)
}

/// Writes a part and counts it; false when somebody else was first.
pub(super) async fn write(
    table: &Table<'_>,
    name: &Name,
    rewrite: Rewrite,
    when: When,
    changed: usize,
    merged: &mut Merged,
) -> Result<bool, Error> {
    let size = rewrite.bytes.len();
    if table.store.put(&name.key, rewrite.bytes, when).await? == Put::Conflict {
        return Ok(false);
    }
    tracing::debug!(
        key = name.key,
        size_bytes = size,
        rows = rewrite.inserted + changed,
        sealed = rewrite.sealed,
        "wrote a part"
    );
    *merged += Merged {
        new: rewrite.inserted as u64,
        changed: changed as u64,
        objects: 1,
        bytes_written: size as u64,
        ..Merged::default()
    };
    Ok(true)
}
