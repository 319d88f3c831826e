//! One resource's table in a lake.

use std::sync::Arc;

use arrow_schema::Field;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use lake::Store;
use manifest::time::{Clock, SystemClock};
use manifest::{Resource, WriteDisposition};

use super::buffer::Buffer;
use super::concurrent::{MAX_CONCURRENT, run_side_by_side};
use super::history::History;
use super::merged::Merged;
use super::partition::PartitionMerge;
use super::parts::TableParts;
use super::versions::{RecordVersions, Recorded};
use crate::error::Error;
use crate::format::Format;
use crate::map;

/// One resource's table in a lake.
#[derive(Debug)]
pub struct Table<'t> {
    pub(super) parts: TableParts<'t>,
    /// The table's history, if every version is kept.
    pub(super) history: Option<History<'t>>,
    clock: &'t dyn Clock,
}

impl<'t> Table<'t> {
    /// The table of `resource`, a resource of `source`, in `store`.
    pub fn new(store: &'t dyn Store, source: &str, resource: &Resource, format: Format) -> Self {
        let schema = map::schema(resource);
        let parts = TableParts {
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
        };
        let folder = format!("{source}/{}", resource.name);
        let history = resource.history.then(|| History::new(&parts, format!("_state/{folder}/history.json")));
        Self { parts, history, clock: &SystemClock }
    }

    /// The same table with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: &'t dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same table with parts of another size, in bytes as stored.
    #[must_use]
    pub fn with_target_bytes(mut self, target_bytes: usize) -> Self {
        self.parts.target_bytes = target_bytes;
        self
    }

    /// The same table, whose stored versions stay as they are.
    #[must_use]
    pub fn insert_only(mut self) -> Self {
        self.parts.disposition = WriteDisposition::Append;
        self
    }

    /// Keeps `retired` columns of what is stored; they are null in new rows.
    pub fn retain(&mut self, retired: &[Field]) {
        self.parts.retain(retired);
        if let Some(history) = &mut self.history {
            history.retain(retired);
        }
    }

    /// Ends a run's merges. `covered_since` is the start of a run that read everything there is: the versions that runs killed before it
    /// left half written, it has met again.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        match &self.history {
            Some(history) => history.close(covered_since).await,
            None => Ok(()),
        }
    }

    /// An empty buffer for this table's rows.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(&self.parts.schema, self.parts.columns)
    }

    /// Merges the rows of `buffer` and leaves it empty. What was written is added to `merged`, also when an error ended the merge: then
    /// the rows that are not counted in it are not stored either, except for a write whose answer was lost.
    ///
    /// # Errors
    ///
    /// The store's, and those of parts that are damaged.
    pub async fn merge(&self, buffer: &mut Buffer, merged: &mut Merged) -> Result<(), Error> {
        let Some(batch) = buffer.take(self.clock.now())? else {
            return Ok(());
        };
        merged.unchanged += batch.repeated;
        let recorded = Recorded::default();
        if let Some(history) = &self.history {
            // Before any partition is written, and in one write for all: they share the day's folder of the history.
            let mut versions = Vec::new();
            let mut found = stream::iter(&batch.partitions)
                .map(|(partition, rows)| PartitionMerge::new(&self.parts, partition, &batch).new_versions(rows))
                .buffer_unordered(MAX_CONCURRENT);
            while let Some(more) = found.try_next().await? {
                versions.extend(more);
            }
            versions.sort_unstable_by_key(|version| version.row);
            history.record(&batch, &versions, merged).await?;
            recorded.add(&versions);
        }
        let (batch, recorded) = (&batch, &recorded);
        let partitions = batch.partitions.iter().map(|(partition, rows)| async move {
            let mut written = Merged::default();
            let mut merge = PartitionMerge::new(&self.parts, partition, batch);
            if let Some(history) = &self.history {
                merge = merge.recording(history, recorded);
            }
            let outcome = merge.run(rows, &mut written).await;
            (written, outcome)
        });
        run_side_by_side(partitions, merged).await
    }
}
