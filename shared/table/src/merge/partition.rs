//! The merge of one partition: compare with the keys stored there, write what is new or changed, begin again when another writer was
//! first.
//!
//! All inserts into a partition go through one compare-and-swap: on its last part while that one is open, else on the creation of the next.
//! That holds because a part's seal is written with the part and never taken back: a writer that read it sealed makes the next part, which
//! only one can; a writer that read it open fails to replace it once it is sealed. Deciding by the part's size instead would let one
//! writer, with another target or after a rewrite made the part smaller, insert into it while another makes the next.

use std::collections::{HashMap, HashSet};

use lake::{Attempt, Precondition, WriteOutcome, retry_on_conflict};
use manifest::WriteDisposition;

use super::buffer::Batch;
use super::merged::Merged;
use super::name::Name;
use super::part::{self, Part};
use super::parts::TableParts;
use super::versions::{NewVersion, RecordVersions, Recorded};
use super::writer::Rewrite;
use crate::error::Error;
use crate::map::own;

/// The merge of rows of one batch into one partition.
pub(super) struct PartitionMerge<'m> {
    table: &'m TableParts<'m>,
    folder: String,
    batch: &'m Batch,
    /// Who records versions before they are written, and those that are recorded.
    recorder: Option<(&'m dyn RecordVersions, &'m Recorded)>,
}

/// What a partition holds of some rows.
struct Comparison {
    /// The last part, and those before it with a stored version that differs: by its position, the row that replaces it. The others are
    /// not kept, since a footer takes a megabyte where there are a hundred columns.
    parts: Vec<(Part, HashMap<u64, u32>)>,
    /// Rows with nothing to write.
    settled: HashSet<u32>,
    /// Rows that replace a version, with its `synced_at` and `first_seen_at` (0 where there is no history).
    replaced: HashMap<u32, (i64, i64)>,
}

impl<'m> PartitionMerge<'m> {
    /// The merge of `batch` into `partition` of `table`.
    pub(super) fn new(table: &'m TableParts<'m>, partition: &str, batch: &'m Batch) -> Self {
        Self { table, folder: table.folder(partition), batch, recorder: None }
    }

    /// The same merge, which has `history` record versions that are not among `recorded` before they are written.
    pub(super) fn recording(mut self, history: &'m dyn RecordVersions, recorded: &'m Recorded) -> Self {
        self.recorder = Some((history, recorded));
        self
    }

    /// Merges `rows` of the batch. What was written is counted, also before an error.
    pub(super) async fn run(&self, rows: &[u32], merged: &mut Merged) -> Result<(), Error> {
        let mut pending = rows.to_vec();
        retry_on_conflict(&self.folder, async || match self.attempt(&mut pending, merged).await {
            Err(error) if error.is_changed() => Ok(Attempt::Conflict),
            outcome => outcome,
        })
        .await
    }

    /// Those of `rows` that the table does not have as they are, with what each would replace.
    pub(super) async fn new_versions(self, rows: &[u32]) -> Result<Vec<NewVersion>, Error> {
        retry_on_conflict(&self.folder, async || match self.compare(rows, true).await {
            Ok(Comparison { settled, replaced, .. }) => {
                let new = rows.iter().filter(|row| !settled.contains(row));
                let versions = new.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() });
                Ok(Attempt::Done(versions.collect()))
            }
            Err(error) if error.is_changed() => Ok(Attempt::Conflict),
            Err(error) => Err(error),
        })
        .await
    }

    /// Compares `rows` with what is stored; `with_stamps`: with the times of the versions that they would replace.
    async fn compare(&self, rows: &[u32], with_stamps: bool) -> Result<Comparison, Error> {
        let (table, batch) = (self.table, self.batch);
        let mut parts: Vec<(Part, HashMap<u64, u32>)> = Vec::new();
        let mut settled = HashSet::new();
        let mut replaced = HashMap::new();
        let wanted: HashMap<&str, u32> = rows.iter().map(|&row| (batch.keys[row as usize].as_str(), row)).collect();
        let mut stamps = Vec::new();
        if with_stamps {
            stamps.extend([own::SYNCED_AT, own::FIRST_SEEN_AT]);
        }
        stamps.extend(table.mark.as_deref());
        for listed in table.store.list(&format!("{}/part-", self.folder)).await? {
            let Some(name) = Name::of(table.format, &self.folder, &listed.key)? else { continue };
            let Some(part) = Part::open(table, name, &listed).await? else { continue };
            let mut updates = HashMap::new();
            part.scan(table, &stamps, |key, stored| {
                let Some(&row) = wanted.get(key) else { return };
                // A row that had vanished is there again, and its mark is removed.
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

    /// One pass over the partition. What is written is counted and taken from `pending` at once, so that a conflict later in the pass
    /// repeats only the rest.
    async fn attempt(&self, pending: &mut Vec<u32>, merged: &mut Merged) -> Result<Attempt<()>, Error> {
        let table = self.table;
        let Comparison { parts, settled, replaced } = self.compare(pending, self.recorder.is_some()).await?;
        merged.unchanged += settled.len() as u64;
        pending.retain(|row| !settled.contains(row));
        self.record_versions(pending, &replaced, merged).await?;
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
            let rewrite = part.rewrite(table, self.batch, updates, added).await?;
            drop(turn);
            let written: HashSet<u32> = updates.values().chain(&added[..rewrite.inserted]).copied().collect();
            let write = PartWrite { name: &part.name, rewrite, updated: updates.len() };
            if !write.replace(table, part, merged).await? {
                return Ok(Attempt::Conflict);
            }
            inserts.retain(|row| !written.contains(row));
            pending.retain(|row| !written.contains(row));
        }
        let mut number = parts.last().map_or(0, |(part, _)| part.name.number + 1);
        while !inserts.is_empty() {
            let rewrite = part::begin(table, self.batch, &inserts)?;
            let count = rewrite.inserted;
            let name = Name::new(&self.folder, number, table.format);
            if !(PartWrite { name: &name, rewrite, updated: 0 }).create(table, merged).await? {
                return Ok(Attempt::Conflict);
            }
            let written: HashSet<u32> = inserts.drain(..count).collect();
            pending.retain(|row| !written.contains(row));
            number += 1;
        }
        Ok(Attempt::Done(()))
    }

    /// Has the versions that `pending` rows will be recorded, but for those that are.
    async fn record_versions(
        &self,
        pending: &[u32],
        replaced: &HashMap<u32, (i64, i64)>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some((history, recorded)) = self.recorder else { return Ok(()) };
        let versions: Vec<NewVersion> = {
            let known = recorded.rows();
            let unknown = pending.iter().filter(|row| !known.contains(row));
            unknown.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() }).collect()
        };
        history.record(self.batch, &versions, merged).await?;
        recorded.add(&versions);
        Ok(())
    }
}

/// A part that is about to be written.
pub(super) struct PartWrite<'w> {
    pub(super) name: &'w Name,
    pub(super) rewrite: Rewrite,
    /// How many stored rows the write replaces.
    pub(super) updated: usize,
}

impl PartWrite<'_> {
    /// Writes the part in the place of `part` and counts it; `false` when another writer was first.
    pub(super) async fn replace(self, table: &TableParts<'_>, part: &Part, merged: &mut Merged) -> Result<bool, Error> {
        self.write(table, Precondition::Is(part.object.version().clone()), merged).await
    }

    /// Writes the part where there is none and counts it; `false` when another writer was first.
    async fn create(self, table: &TableParts<'_>, merged: &mut Merged) -> Result<bool, Error> {
        self.write(table, Precondition::Absent, merged).await
    }

    async fn write(
        self,
        table: &TableParts<'_>,
        precondition: Precondition,
        merged: &mut Merged,
    ) -> Result<bool, Error> {
        let Rewrite { bytes, inserted, sealed } = self.rewrite;
        let size = bytes.len();
        if table.store.put(&self.name.key, bytes, precondition).await? == WriteOutcome::Conflict {
            return Ok(false);
        }
        let rows = inserted + self.updated;
        tracing::debug!(key = self.name.key, size_bytes = size, rows, sealed, "wrote a part");
        *merged += Merged {
            new: inserted as u64,
            changed: self.updated as u64,
            objects: 1,
            bytes_written: size as u64,
            ..Merged::default()
        };
        Ok(true)
    }
}
