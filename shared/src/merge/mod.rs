//! From rows to stored parts: the one write primitive.
//!
//! Rows gather in a [`Buffer`] until it is worth a write, then each partition's rows are compared with the keys stored
//! there and what is new or changed is written (`partition`). Nothing here knows which API the rows came from.

mod buffer;
mod distinct;
mod history;
mod jsonl;
mod name;
mod parquet;
mod part;
mod partition;
mod removal;
mod revision;
mod rewriting;
mod writer;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};

pub use self::buffer::Buffer;
use self::history::{History, NewVersion};
pub(crate) use self::history::{OBSERVED, REPLACES};
pub(crate) use self::part::first_moment;
pub use self::removal::key_hash;
use self::rewriting::Rewriting;
use crate::error::Error;
use crate::manifest::{Resource, WriteDisposition};
use crate::map;
use crate::request::Format;
use crate::store::Store;

/// Partitions merged at once: their reads and writes wait for the store side by side.
const AT_ONCE: usize = 8;

/// One resource's table in a lake.
#[derive(Debug)]
pub struct Table<'t> {
    store: &'t dyn Store,
    /// The folder of its partitions, `see_tickets/sales`.
    root: String,
    /// Of the rows that come.
    schema: SchemaRef,
    /// Of the parts: the same, then the columns that the manifest has no more.
    stored: SchemaRef,
    /// How many of the columns are the manifest's.
    columns: usize,
    key: Vec<String>,
    /// The column that says since when a row is missing, if the table has one.
    mark: Option<String>,
    /// The columns that say when a row is past, the first that has a value.
    passed_by: Vec<String>,
    disposition: WriteDisposition,
    format: Format,
    target_bytes: usize,
    /// How much of its parts is rewritten at once.
    rewriting: Arc<Rewriting>,
    /// Where every version is kept beside, if it is.
    history: Option<Box<History<'t>>>,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows whose key was not stored.
    pub new: u64,
    /// Rows that replaced a stored version.
    pub changed: u64,
    /// Rows that said what was stored already, or (`append`) whose key was.
    pub unchanged: u64,
    /// Rows taken out because a complete extraction did not have their key, or because they are kept no longer.
    pub removed: u64,
    /// Rows marked because a complete extraction did not have their key.
    pub vanished: u64,
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes_written: u64,
}

impl std::ops::AddAssign for Merged {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.vanished += other.vanished;
        self.objects += other.objects;
        self.bytes_written += other.bytes_written;
    }
}

impl<'t> Table<'t> {
    /// The table of `resource`, a resource of `source`.
    pub fn new(store: &'t dyn Store, source: &str, resource: &Resource, format: Format) -> Self {
        let schema = map::schema(resource);
        let mut table = Self {
            store,
            root: format!("{source}/{}", resource.name),
            stored: Arc::clone(&schema),
            schema,
            columns: resource.columns.len(),
            key: resource.primary_key.clone(),
            mark: resource.vanished.as_ref().map(|vanished| vanished.column.clone()),
            passed_by: resource.passed_by.clone(),
            disposition: resource.write_disposition,
            format,
            target_bytes: resource.part_bytes,
            rewriting: Arc::default(),
            history: None,
        };
        if resource.history {
            table.history = Some(Box::new(History::of(&table)));
        }
        table
    }

    /// The same table with another size of parts, in bytes as stored.
    pub fn with_target_bytes(mut self, target_bytes: usize) -> Self {
        self.target_bytes = target_bytes;
        self
    }

    /// The same table, whose stored versions stay as they are.
    pub fn insert_only(mut self) -> Self {
        self.disposition = WriteDisposition::Append;
        self
    }

    /// Keeps `retired` columns of what is stored, null in new rows.
    pub fn retain(&mut self, retired: Vec<Field>) {
        let fields = self.schema.fields().iter().cloned().chain(retired.iter().cloned().map(Arc::new));
        self.stored = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        if let Some(history) = &mut self.history {
            history.retain(retired);
        }
    }

    /// Ends a run's merges. `covered_since` is the start of a run that read everything there is: what runs killed
    /// before it left half written, it has met again.
    pub async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        match &self.history {
            Some(history) => history.close(covered_since).await,
            None => Ok(()),
        }
    }

    /// The size at which a row group is closed: a rewrite decodes the row groups that it touches, and holds one at a time.
    fn group_bytes(&self) -> usize {
        (self.target_bytes / 2).min(16 << 20)
    }

    /// Whether rows may lack the column `name`.
    fn is_nullable(&self, name: &str) -> bool {
        self.stored.field_with_name(name).is_ok_and(Field::is_nullable)
    }

    /// An empty buffer for this table's rows.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(&self.schema, self.columns)
    }

    /// Merges what `buffer` holds and leaves it empty. What landed is added to `merged`, also when an error ended the merge: then the
    /// rows that are not in it are not stored either, but for a write whose answer was lost.
    pub async fn merge(&self, buffer: &mut Buffer, merged: &mut Merged) -> Result<(), Error> {
        let Some(batch) = buffer.take(Utc::now())? else {
            return Ok(());
        };
        merged.unchanged += batch.repeated;
        let recorded = Recorded::default();
        if let Some(history) = &self.history {
            // Before any partition is written, and in one write for all: they share the day's folder of the history.
            let mut versions = Vec::new();
            let mut found = stream::iter(&batch.partitions)
                .map(|(folder, rows)| partition::new_versions(self, folder, &batch, rows))
                .buffer_unordered(AT_ONCE);
            while let Some(more) = found.try_next().await? {
                versions.extend(more);
            }
            versions.sort_unstable_by_key(|version| version.row);
            history.record(&batch, &versions, merged).await?;
            recorded.add(&versions);
        }
        let (batch, recorded) = (&batch, &recorded);
        let partitions = batch.partitions.iter().map(|(folder, rows)| async move {
            let mut landed = Merged::default();
            let outcome = partition::merge(self, folder, batch, rows, Some(recorded), &mut landed).await;
            (landed, outcome)
        });
        side_by_side(partitions, merged).await
    }
}

/// Does each piece of `work`, some at once, and counts what they did. After an error no other begins, but those under way are waited
/// for: what they write would go uncounted.
async fn side_by_side<W>(work: impl Iterator<Item = W>, merged: &mut Merged) -> Result<(), Error>
where
    W: Future<Output = (Merged, Result<(), Error>)>,
{
    let failed = AtomicBool::new(false);
    let mut done = stream::iter(work.take_while(|_| !failed.load(Ordering::Relaxed))).buffer_unordered(AT_ONCE);
    let mut outcome = Ok(());
    while let Some((landed, one)) = done.next().await {
        *merged += landed;
        failed.fetch_or(one.is_err(), Ordering::Relaxed);
        outcome = outcome.and(one);
    }
    outcome
}

/// The rows of a batch whose versions are in the history.
#[derive(Debug, Default)]
struct Recorded(Mutex<HashSet<u32>>);

impl Recorded {
    fn rows(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, versions: &[NewVersion]) {
        self.rows().extend(versions.iter().map(|version| version.row));
    }
}

#[cfg(test)]
mod tests;
