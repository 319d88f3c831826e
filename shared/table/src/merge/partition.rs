//! The merge of a batch into one partition: compare its rows with the stored ones, write those that are new, or changed and newer, and
//! start again after a write conflict.
//!
//! All inserts into a partition go through one compare-and-swap: on its last part while that is open, and on the creation of the next part
//! when it is sealed. This holds because the seal is written with the part and never removed. A writer that read the part as sealed creates
//! the next one, which only one writer can. A writer that read it as open cannot replace it once it is sealed. If the size of the part
//! decided instead, one writer could insert into it while another creates the next one: a writer with a larger target size, or one that
//! finds the part smaller after a removal.

use std::collections::{HashMap, HashSet};

use lake::{Attempt, retry_on_conflict};
use manifest::WriteDisposition;

use super::batch::Batch;
use super::context::TableContext;
use super::hashes::key_hash;
use super::merged::Merged;
use super::newest::Recency;
use super::part::{Part, PartName, PartWrite, StoredTimes, Upserts, encode_new_part, sort_rows};
use super::versions::{NewVersion, RecordVersions, RecordedRows, ReplacedVersion};
use crate::error::Error;

/// The merge of rows of one batch into one partition.
pub(super) struct PartitionMerge<'m> {
    table: &'m TableContext<'m>,
    /// The prefix of the keys of the partition's parts.
    prefix: String,
    batch: &'m Batch,
    /// The hashes of the keys whose rows other readings are removing or marking. `None` if there are none.
    removals: Option<&'m HashSet<u64>>,
    /// What records versions before they are written, and the rows whose versions are recorded.
    recorder: Option<(&'m dyn RecordVersions, &'m RecordedRows)>,
}

/// What a partition has stored of some rows.
#[derive(Default)]
struct Comparison {
    /// The last part, and the parts before it that have an update. The others are dropped, since a footer takes a megabyte of memory for a
    /// table with a hundred columns.
    parts: Vec<ComparedPart>,
    /// The rows that are not to be written: those that are equal to the stored ones, or older.
    unchanged: HashSet<u32>,
    /// The stored versions that rows replace.
    replaced: HashMap<u32, ReplacedVersion>,
    /// The rows that confirm the stored ones: only the time of the stored row is written.
    confirmed: HashSet<u32>,
}

/// A stored part, and the rows that replace rows of it.
struct ComparedPart {
    part: Part,
    /// The row of the batch that replaces the stored row at a position.
    updates: HashMap<u64, u32>,
    /// The row of the batch that confirms the stored row at a position.
    confirmed: HashMap<u64, u32>,
}

impl ComparedPart {
    /// Whether stored rows of the part are written anew.
    fn is_changed(&self) -> bool {
        !self.updates.is_empty() || !self.confirmed.is_empty()
    }
}

impl<'m> PartitionMerge<'m> {
    /// Creates a merge of `batch` into `partition` of `table`.
    pub(super) fn new(table: &'m TableContext<'m>, partition: &str, batch: &'m Batch) -> Self {
        Self { table, prefix: table.partition_prefix(partition), batch, removals: None, recorder: None }
    }

    /// Writes rows also if they are equal to the stored ones, if their keys are among `removals`, by their hashes. Other readings are
    /// removing or marking these rows: see the module `readings`.
    pub(super) fn beside(mut self, removals: &'m HashSet<u64>) -> Self {
        self.removals = Some(removals).filter(|removals| !removals.is_empty());
        self
    }

    /// Lets `history` record the versions of rows that are not among `recorded`, before they are written.
    pub(super) fn with_history(mut self, history: &'m dyn RecordVersions, recorded: &'m RecordedRows) -> Self {
        self.recorder = Some((history, recorded));
        self
    }

    /// Merges `rows` of the batch. What was written is added to `merged`, also before an error.
    pub(super) async fn run(&self, rows: &[u32], merged: &mut Merged) -> Result<(), Error> {
        let mut pending = rows.to_vec();
        retry_on_conflict(&self.prefix, async || match self.attempt(&mut pending, merged).await {
            Err(error) if error.is_changed() => Ok(Attempt::Conflict),
            outcome => outcome,
        })
        .await
    }

    /// Returns the versions that a merge of `rows` would write.
    pub(super) async fn new_versions(self, rows: &[u32]) -> Result<Vec<NewVersion>, Error> {
        retry_on_conflict(&self.prefix, async || match self.compare(rows).await {
            Ok(Comparison { unchanged, replaced, confirmed, .. }) => {
                let is_new = |row: &u32| replaced.contains_key(row) || !self.batch.updates_only.contains(row);
                let new_rows = rows.iter().filter(|row| !unchanged.contains(row) && !confirmed.contains(row));
                let new_rows = new_rows.filter(|row| is_new(row));
                let versions = new_rows.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() });
                Ok(Attempt::Done(versions.collect()))
            }
            Err(error) if error.is_changed() => Ok(Attempt::Conflict),
            Err(error) => Err(error),
        })
        .await
    }

    /// Merges the `pending` rows once. What is written is counted and removed from `pending` immediately, so that the next attempt after a
    /// write conflict repeats only the rest.
    async fn attempt(&self, pending: &mut Vec<u32>, merged: &mut Merged) -> Result<Attempt<()>, Error> {
        let Comparison { parts, unchanged, replaced, confirmed } = self.compare(pending).await?;
        merged.unchanged += unchanged.len() as u64;
        pending.retain(|row| !unchanged.contains(row));
        let is_stored = |row: &u32| replaced.contains_key(row) || confirmed.contains(row);
        pending.retain(|row| is_stored(row) || !self.batch.updates_only.contains(row));
        let written: Vec<u32> = pending.iter().copied().filter(|row| !confirmed.contains(row)).collect();
        self.record_versions(&written, &replaced, merged).await?;
        let mut inserts: Vec<u32> = written.into_iter().filter(|row| !replaced.contains_key(row)).collect();
        sort_rows(self.table, &self.batch.rows, &mut inserts)?;

        let last = parts.len().checked_sub(1);
        for (position, compared) in parts.iter().enumerate() {
            let takes_inserts = Some(position) == last && !compared.part.is_sealed;
            let added: &[u32] = if takes_inserts { &inserts } else { &[] };
            if !compared.is_changed() && added.is_empty() {
                continue;
            }
            let Some(written) = self.rewrite_part(compared, added, merged).await? else {
                return Ok(Attempt::Conflict);
            };
            inserts.retain(|row| !written.contains(row));
            pending.retain(|row| !written.contains(row));
        }
        let mut number = parts.last().map_or(0, |compared| compared.part.name.number + 1);
        while !inserts.is_empty() {
            let Some(count) = self.create_part(number, &inserts, merged).await? else {
                return Ok(Attempt::Conflict);
            };
            let written: HashSet<u32> = inserts.drain(..count).collect();
            pending.retain(|row| !written.contains(row));
            number += 1;
        }
        Ok(Attempt::Done(()))
    }

    /// Compares `rows` with the stored ones.
    async fn compare(&self, rows: &[u32]) -> Result<Comparison, Error> {
        let table = self.table;
        let mut comparison = Comparison::default();
        let rows_by_key: HashMap<&str, u32> =
            rows.iter().map(|&row| (self.batch.keys[row as usize].as_str(), row)).collect();
        let time_columns: Vec<&str> = table.vanished_column.as_deref().into_iter().collect();
        for listed in table.store.list(&format!("{}/part-", self.prefix)).await? {
            let Some(name) = PartName::parse_in_format(&self.prefix, &listed.key, table.format)? else { continue };
            let Some(part) = Part::open(table, name, &listed).await? else { continue };
            let (mut updates, mut confirmed) = (HashMap::new(), HashMap::new());
            part.scan(table, &time_columns, |key, stored| {
                let Some(&row) = rows_by_key.get(key) else { return };
                // The API has the row again, so an update removes the mark that it has vanished.
                let has_vanished = stored.times.first().is_some_and(Option::is_some);
                let differs = has_vanished || self.batch.fingerprints[row as usize] != stored.fingerprint;
                if differs && table.write_disposition != WriteDisposition::Append {
                    updates.insert(stored.position, row);
                } else {
                    comparison.unchanged.insert(row);
                }
                if self.removals.is_some_and(|removals| removals.contains(&key_hash(key))) {
                    confirmed.insert(stored.position, row);
                }
            })
            .await?;
            if !updates.is_empty() {
                self.keep_newer_rows(&part, &mut updates, &mut comparison).await?;
            }
            confirmed.retain(|_, row| comparison.unchanged.remove(row));
            comparison.confirmed.extend(confirmed.values());
            comparison.parts.pop_if(|compared| !compared.is_changed());
            comparison.parts.push(ComparedPart { part, updates, confirmed });
        }
        Ok(comparison)
    }

    /// Keeps those of `updates` that are newer than the stored rows which they would replace. The others are unchanged.
    async fn keep_newer_rows(
        &self,
        part: &Part,
        updates: &mut HashMap<u64, u32>,
        comparison: &mut Comparison,
    ) -> Result<(), Error> {
        let now = self.batch.merged_at.timestamp_micros();
        part.scan_times(self.table, |position, stored| {
            let Some(&row) = updates.get(&position) else { return };
            let StoredTimes { synced_at, first_seen_at, cursor } = stored;
            if self.batch.recency[row as usize].replaces(Recency { read_at: synced_at, cursor }, now) {
                comparison.replaced.insert(row, ReplacedVersion { synced_at, first_seen_at });
            } else {
                updates.remove(&position);
                comparison.unchanged.insert(row);
            }
        })
        .await
    }

    /// Lets the history record the versions that the `pending` rows will be, without those that are recorded.
    async fn record_versions(
        &self,
        pending: &[u32],
        replaced: &HashMap<u32, ReplacedVersion>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some((history, recorded)) = self.recorder else { return Ok(()) };
        let versions: Vec<NewVersion> = {
            let recorded_rows = recorded.lock();
            let other_rows = pending.iter().filter(|row| !recorded_rows.contains(row));
            other_rows.map(|row| NewVersion { row: *row, replaces: replaced.get(row).copied() }).collect()
        };
        history.record(self.batch, &versions, merged).await?;
        recorded.add(&versions);
        Ok(())
    }

    /// Writes a stored part with its updates and as many of `inserts` as it takes. Returns the rows that were written, or `None` after a
    /// write conflict.
    async fn rewrite_part(
        &self,
        compared: &ComparedPart,
        inserts: &[u32],
        merged: &mut Merged,
    ) -> Result<Option<HashSet<u32>>, Error> {
        let (table, ComparedPart { part, updates, confirmed }) = (self.table, compared);
        let _memory = table.memory.reserve(part.object.size()).await;
        let encoder = table.memory.reserve_encoder().await;
        let upserts = Upserts { updates, confirmed, inserts };
        let encoded = part.encode_upserts(table, self.batch, &upserts).await?;
        drop(encoder);
        let written = updates.values().chain(confirmed.values()).chain(&inserts[..encoded.inserted]);
        let written: HashSet<u32> = written.copied().collect();
        let write = PartWrite { name: &part.name, part: encoded, updated: updates.len() };
        let is_written = write.replace(table, part, merged).await?;
        if is_written {
            merged.unchanged += confirmed.len() as u64;
        }
        Ok(is_written.then_some(written))
    }

    /// Creates the part with this number with as many of `inserts` as it takes. Returns their count, or `None` after a write conflict.
    async fn create_part(&self, number: u32, inserts: &[u32], merged: &mut Merged) -> Result<Option<usize>, Error> {
        let encoded = encode_new_part(self.table, self.batch, inserts)?;
        let count = encoded.inserted;
        let name = PartName::new(&self.prefix, number, self.table.format);
        let write = PartWrite { name: &name, part: encoded, updated: 0 };
        Ok(write.create(self.table, merged).await?.then_some(count))
    }
}
