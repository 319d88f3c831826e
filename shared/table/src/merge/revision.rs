//! A change of stored rows, wherever they are in the table: they are removed, or marked as vanished.
//!
//! No part is deleted. A part that has such rows is rewritten by the same compare-and-swap as in a merge, and started again after a write
//! conflict. It keeps its number and its seal, even if no row is left in it: the inserts into a partition go through its last part (see
//! `partition`), and another part must not become the last one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow_array::BooleanArray;
use chrono::{DateTime, Utc};
use lake::{Attempt, ListedObject, retry_on_conflict};
use tokio::sync::Mutex;

use super::batch::Batch;
use super::concurrent::run_concurrently;
use super::context::TableContext;
use super::merged::Merged;
use super::newest::Recency;
use super::part::{Part, PartName, PartWrite, StoredRow, list_parts, with_time};
use super::versions::{NewVersion, RecordVersions, ReplacedVersion};
use crate::error::Error;
use crate::map::engine_columns;

/// The number of rows whose versions are recorded together: at 10 KB each they take 20 MB of memory.
const MAX_RECORDED_ROWS: usize = 2000;

/// A change of some stored rows.
pub(super) struct Revision<'r> {
    /// The columns of times that `selects` gets.
    pub(super) time_columns: Vec<&'r str>,
    /// The keys of the parts that have such rows. `None` for all parts.
    pub(super) parts: Option<&'r HashSet<&'r str>>,
    /// Whether the row with this key is changed.
    pub(super) selects: &'r dyn Fn(&str, &StoredRow<'_>) -> bool,
    pub(super) change: RowChange<'r>,
    /// The time of the change, which also tells the writes of this run from those of others.
    pub(super) time: DateTime<Utc>,
}

/// The change of a row.
#[derive(Clone, Copy)]
pub(super) enum RowChange<'r> {
    /// The row is removed. A history keeps its versions.
    Remove,
    /// The column of this name says that the row has vanished at the time of the change, and a history gets a version that says so.
    MarkVanished(&'r str),
}

impl Revision<'_> {
    /// Changes every part of `table`. The counts are added to `merged`, also before an error. Another call then changes the rest.
    pub(super) async fn run(
        &self,
        table: &TableContext<'_>,
        history: Option<&dyn RecordVersions>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let rewrites = &Mutex::default();
        let has_rows = |name: &PartName| self.parts.is_none_or(|parts| parts.contains(name.key.as_str()));
        let parts = list_parts(table).await?.into_iter().filter(|(name, _)| has_rows(name));
        let parts = parts.map(|(name, listed)| async move {
            let mut counts = Merged::default();
            let revision = PartRevision { table, history, revision: self, rewrites, name };
            let outcome = revision.run(listed, &mut counts).await;
            (counts, outcome)
        });
        run_concurrently(parts, merged).await
    }
}

/// The revision of one part.
struct PartRevision<'p> {
    table: &'p TableContext<'p>,
    history: Option<&'p dyn RecordVersions>,
    revision: &'p Revision<'p>,
    /// Lets one part be rewritten at a time. A revision rewrites any part of the table, and most of them are full.
    rewrites: &'p Mutex<()>,
    name: PartName,
}

impl PartRevision<'_> {
    async fn run(&self, listed: ListedObject, merged: &mut Merged) -> Result<(), Error> {
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

    /// Changes the part once. Returns `false` after a write conflict.
    async fn attempt(&self, listed: &ListedObject, merged: &mut Merged) -> Result<bool, Error> {
        let (table, revision) = (self.table, self.revision);
        let Some(part) = Part::open(table, self.name.clone(), listed).await? else { return Ok(true) };
        let mut positions = BTreeSet::new();
        part.scan(table, &revision.time_columns, |key, stored| {
            if (revision.selects)(key, &stored) {
                positions.insert(stored.position);
            }
        })
        .await?;
        if positions.is_empty() {
            return Ok(true);
        }
        let _rewrite = self.rewrites.lock().await;
        let encoded = match revision.change {
            RowChange::Remove => part.encode_removal(table, &positions, revision.time).await?,
            RowChange::MarkVanished(column) => {
                self.record_marks(&part, &positions, column, merged).await?;
                part.encode_marks(table, &positions, column, revision.time).await?
            }
        };
        let write = PartWrite { name: &self.name, part: encoded, updated: 0 };
        let is_written = write.replace(table, &part, merged).await?;
        if is_written {
            match revision.change {
                RowChange::Remove => merged.removed += positions.len() as u64,
                RowChange::MarkVanished(_) => merged.vanished += positions.len() as u64,
            }
        }
        Ok(is_written)
    }

    /// Lets the history record the versions of the rows at `positions` with their mark in `column`, before the table has them.
    async fn record_marks(
        &self,
        part: &Part,
        positions: &BTreeSet<u64>,
        column: &str,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let Some(history) = self.history else { return Ok(()) };
        let (table, time) = (self.table, self.revision.time);
        let mut keys = Vec::with_capacity(positions.len());
        let mut fingerprints = Vec::with_capacity(positions.len());
        let mut replaced = Vec::with_capacity(positions.len());
        part.scan(table, &[engine_columns::SYNCED_AT, engine_columns::FIRST_SEEN_AT], |key, stored| {
            if positions.contains(&stored.position) {
                let value = |column: usize| stored.times[column].unwrap_or_default();
                keys.push(key.to_owned());
                fingerprints.push(stored.fingerprint);
                replaced.push(ReplacedVersion { synced_at: value(0), first_seen_at: value(1) });
            }
        })
        .await?;
        let positions: Vec<u64> = positions.iter().copied().collect();
        for (chunk, chunk_positions) in positions.chunks(MAX_RECORDED_ROWS).enumerate() {
            let range = chunk * MAX_RECORDED_ROWS..chunk * MAX_RECORDED_ROWS + chunk_positions.len();
            let rows = part.read_rows(table, &chunk_positions.iter().copied().collect()).await?;
            let all: BooleanArray = std::iter::repeat_n(Some(true), rows.num_rows()).collect();
            let batch = Batch {
                rows: with_time(&rows, &all, &[engine_columns::SYNCED_AT, column], time)?,
                keys: keys[range.clone()].to_vec(),
                fingerprints: fingerprints[range.clone()].to_vec(),
                recency: vec![Recency { read_at: time.timestamp_micros(), cursor: None }; chunk_positions.len()],
                partitions: BTreeMap::new(),
                repeated: 0,
                updates_only: HashSet::new(),
                merged_at: time,
            };
            let versions = (0..).zip(&replaced[range]);
            let versions: Vec<NewVersion> =
                versions.map(|(row, replaced)| NewVersion { row, replaces: Some(*replaced) }).collect();
            history.record(&batch, &versions, merged).await?;
        }
        Ok(())
    }
}
