//! The table of one resource in a lake.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::Field;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use lake::Store;
use manifest::time::{Clock, SystemClock};
use manifest::{Column, Resource, Transform, WriteDisposition};

use super::batch::Batch;
use super::buffer::Buffer;
use super::concurrent::{MAX_CONCURRENT, run_concurrently};
use super::context::TableContext;
use super::history::History;
use super::merged::Merged;
use super::partition::PartitionMerge;
use super::readings::Readings;
use super::versions::{NewVersion, RecordVersions, RecordedRows};
use crate::error::Error;
use crate::format::Format;
use crate::map;

/// The table of one resource in a lake.
#[derive(Debug)]
pub struct Table<'t> {
    pub(super) context: TableContext<'t>,
    /// The history of the table, if every version of its rows is kept.
    pub(super) history: Option<History<'t>>,
    /// The readings that may remove or mark rows.
    pub(super) readings: Readings<'t>,
    clock: &'t dyn Clock,
}

impl<'t> Table<'t> {
    /// Creates the table of `resource`, a resource of `source`, with parts of this format in `store`.
    pub fn new(store: &'t dyn Store, source: &str, resource: &Resource, format: Format) -> Self {
        let schema = map::schema(resource);
        let history_only = resource.columns.iter().filter(|column| column.history_only);
        let mut context = TableContext {
            store,
            root: format!("{source}/{}", resource.name),
            part_schema: Arc::clone(&schema),
            row_schema: schema,
            history_only: history_only.map(|column| column.name.clone()).collect(),
            manifest_columns: resource.columns.len(),
            finds_columns: resource.infer_columns,
            key_columns: resource.primary_key.clone(),
            sorted_by: resource
                .partition
                .iter()
                .filter(|field| is_time(field.transform))
                .map(|field| field.from.clone())
                .collect(),
            cursor_column: cursor_column(resource),
            vanished_column: resource.vanished.as_ref().map(|vanished| vanished.column.clone()),
            passed_by: resource.passed_by.clone(),
            write_disposition: resource.write_disposition,
            format,
            target_bytes: resource.part_bytes,
            memory: Arc::default(),
        };
        context.keep_retired_columns(&[]);
        let runs_key = format!("_state/{}/history.json", context.root);
        let history = resource.history.then(|| History::new(&context, runs_key));
        let readings = Readings::new(store, format!("_state/{}/readings.json", context.root));
        Self { context, history, readings, clock: &SystemClock }
    }

    /// Gives the table the columns of `resource`, its resource with more columns than before.
    pub fn set_columns(&mut self, resource: &Resource) {
        let schema = map::schema(resource);
        self.context.set_columns(&schema, resource.columns.len());
        self.context.cursor_column = cursor_column(resource);
        if let Some(history) = &mut self.history {
            history.set_columns(&self.context);
        }
    }

    /// Sets the clock that gives the time of a merge. The default is the machine's own.
    #[must_use]
    pub fn with_clock(mut self, clock: &'t dyn Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the size at which a part takes no more rows, in bytes as stored. The default is that of the manifest.
    #[must_use]
    pub fn with_target_bytes(mut self, target_bytes: usize) -> Self {
        self.context.target_bytes = target_bytes;
        self
    }

    /// Lets merges insert rows and update none.
    #[must_use]
    pub fn insert_only(mut self) -> Self {
        self.context.write_disposition = WriteDisposition::Append;
        self
    }

    /// Keeps `retired` columns, which the table has and the manifest does not, in the parts that are written. They are null in new rows.
    pub fn keep_retired_columns(&mut self, retired: &[Field]) {
        self.context.keep_retired_columns(retired);
        if let Some(history) = &mut self.history {
            history.keep_retired_columns(retired);
        }
    }

    /// Ends the merges of a run. `covered_since` is the start of a run that read everything: that run has read the versions that runs
    /// killed before it had recorded in the history and not written into the table.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        match &self.history {
            Some(history) => history.close(covered_since).await,
            None => Ok(()),
        }
    }

    /// Creates an empty buffer for rows of this table.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(&self.context)
    }

    /// Gives `buffer`, which was created before [`Table::set_columns`], the columns of this table. They are null in the rows so far.
    pub fn set_columns_of(&self, buffer: &mut Buffer) {
        buffer.set_columns(&self.context);
    }

    /// Merges the rows of `buffer` and leaves it empty. The counts are added to `merged`, also before an error. Then the rows that are not
    /// counted are not stored either, unless the response to a write got lost.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or does not fit the manifest.
    pub async fn merge(&self, buffer: &mut Buffer, merged: &mut Merged) -> Result<(), Error> {
        let Some(batch) = buffer.take_batch(self.clock.now())? else {
            return Ok(());
        };
        merged.unchanged += batch.repeated;
        let removals =
            if self.context.can_remove_rows() { self.readings.disturb_others().await? } else { HashSet::new() };
        let recorded = RecordedRows::default();
        if let Some(history) = &self.history {
            // All partitions are recorded in one write, since their versions share the partition of today in the history.
            let versions = self.new_versions(&batch, &removals).await?;
            history.record(&batch, &versions, merged).await?;
            recorded.add(&versions);
        }
        let (batch, recorded, removals) = (&batch, &recorded, &removals);
        let partitions = batch.partitions.iter().map(|(partition, rows)| async move {
            let mut counts = Merged::default();
            let mut merge = PartitionMerge::new(&self.context, partition, batch).beside(removals);
            if let Some(history) = &self.history {
                merge = merge.with_history(history, recorded);
            }
            let outcome = merge.run(rows, &mut counts).await;
            (counts, outcome)
        });
        run_concurrently(partitions, merged).await
    }

    /// Returns the versions that a merge of `batch` beside these `removals` will write, in the order of its rows.
    async fn new_versions(&self, batch: &Batch, removals: &HashSet<u64>) -> Result<Vec<NewVersion>, Error> {
        let mut versions = Vec::new();
        let mut found = stream::iter(&batch.partitions)
            .map(|(partition, rows)| {
                PartitionMerge::new(&self.context, partition, batch).beside(removals).new_versions(rows)
            })
            .buffer_unordered(MAX_CONCURRENT);
        while let Some(more) = found.try_next().await? {
            versions.extend(more);
        }
        versions.sort_unstable_by_key(|version| version.row);
        Ok(versions)
    }
}

/// Whether the partitions by `transform` are periods of time.
fn is_time(transform: Transform) -> bool {
    match transform {
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => true,
        Transform::Identity | Transform::Bucket(_) => false,
    }
}

/// Returns the column of `resource` with the cursor. `None` if no column has it, or if runs go backwards: then a smaller cursor is not
/// that of an older version.
fn cursor_column(resource: &Resource) -> Option<String> {
    let incremental = resource.endpoint.incremental.as_ref().filter(|incremental| !incremental.descending)?;
    let has_cursor = |column: &&Column| column.path == incremental.cursor_path && !column.list;
    resource.columns.iter().find(has_cursor).map(|column| column.name.clone())
}
