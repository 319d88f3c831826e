//! Every version of a row, kept once: the table `<resource>_history` with the partitions `observed_date=…`.
//!
//! A version is recorded here before it replaces the previous one in the table, so that a run which is killed between the two writes loses
//! none. A version is identified by its key, its fingerprint, and the `synced_at` of the version that it replaced (`_replaces`). So a run
//! that reads the same change after a crash finds the version here, and does not record it twice.
//!
//! That may be on another day, which is another partition. So a run adds itself to a document with the day on which it began to record
//! (`open_runs`), and removes itself at its end, when the table has all versions that it recorded. A run that stays in the document was
//! killed. All partitions from its day on are then searched, not only that of today.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use manifest::{DataType, WriteDisposition};

use super::batch::Batch;
use super::context::TableContext;
use super::merged::Merged;
use super::open_runs::OpenRuns;
use super::part::{Part, PartName, key_text};
use super::partition::PartitionMerge;
use super::versions::{NewVersion, RecordVersions};
use crate::error::Error;
use crate::map::{self, engine_columns, join_key};

/// The column with the `synced_at` of the version that this one replaced. It is null for the first version of a key.
pub(crate) const REPLACES: &str = "_replaces";

/// The name of a history's partitions. Their value is the day on which the versions were recorded.
pub(crate) const OBSERVED: &str = "observed_date";

/// The history of one table.
#[derive(Debug)]
pub(super) struct History<'t> {
    pub(super) context: TableContext<'t>,
    open_runs: OpenRuns<'t>,
}

impl<'t> History<'t> {
    /// Creates the history of `table`. The document at `runs_key` has the runs that are writing into it.
    pub(super) fn new(table: &TableContext<'t>, runs_key: String) -> Self {
        let schema = with_replaces(&table.row_schema);
        let key_columns = table.key_columns.iter().map(String::as_str).chain([engine_columns::FINGERPRINT, REPLACES]);
        Self {
            open_runs: OpenRuns::new(table.store, runs_key),
            context: TableContext {
                root: format!("{}_history", table.root),
                part_schema: Arc::clone(&schema),
                row_schema: schema,
                history_only: Vec::new(),
                key_columns: key_columns.map(str::to_owned).collect(),
                // A version says whether the row had vanished. The version itself never vanishes.
                vanished_column: None,
                cursor_column: None,
                passed_by: Vec::new(),
                write_disposition: WriteDisposition::Append,
                memory: Arc::default(),
                ..table.clone()
            },
        }
    }

    /// Gives the history the columns of `table`.
    pub(super) fn set_columns(&mut self, table: &TableContext<'_>) {
        self.context.set_columns(&with_replaces(&table.row_schema), table.manifest_columns);
    }

    /// Keeps `retired` columns in the parts that are written.
    pub(super) fn keep_retired_columns(&mut self, retired: &[Field]) {
        self.context.keep_retired_columns(retired);
    }

    /// Ends this run; see [`OpenRuns::close`].
    pub(super) async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        self.open_runs.close(covered_since).await
    }

    /// Returns the rows of `batch` that are stored in a partition from `first_day` on, and before that of `today`.
    async fn find_recorded(
        &self,
        batch: &Batch,
        first_day: NaiveDate,
        today: NaiveDate,
    ) -> Result<HashSet<u32>, Error> {
        let rows_by_key: HashMap<&str, u32> = batch.keys.iter().map(String::as_str).zip(0..).collect();
        let mut recorded = HashSet::new();
        for listed in self.context.store.list(&format!("{}/{OBSERVED}=", self.context.root)).await? {
            let Some((prefix, _)) = listed.key.rsplit_once('/') else { continue };
            let day = prefix.rsplit_once('=').and_then(|(_, day)| day.parse::<NaiveDate>().ok());
            let (Some(day), Some(name)) = (day, PartName::parse(prefix, &listed.key)) else { continue };
            if day < first_day || day >= today {
                continue;
            }
            if let Some(part) = Part::open(&self.context, name, &listed).await? {
                part.scan(&self.context, &[], |key, _| recorded.extend(rows_by_key.get(key).copied())).await?;
            }
        }
        Ok(recorded)
    }

    /// Returns `versions`, which are rows of `batch`, as rows of the history.
    fn to_batch(&self, batch: &Batch, versions: &[NewVersion]) -> Result<Batch, Error> {
        let rows = self.to_rows(batch, versions)?;
        let fingerprints: Vec<i64> = versions.iter().map(|version| batch.fingerprints[version.row as usize]).collect();
        let keys = (0..versions.len()).map(|row| {
            let key_columns = self.context.key_columns.iter();
            let values = key_columns.map(|name| rows.column_by_name(name).and_then(|column| key_text(column, row)));
            let values: Option<Vec<String>> = values.collect();
            values.map(join_key).ok_or_else(|| Error::Internal("a key of the history is null".into()))
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Batch {
            keys,
            rows,
            fingerprints,
            recency: versions.iter().map(|version| batch.recency[version.row as usize]).collect(),
            partitions: BTreeMap::new(),
            repeated: 0,
            updates_only: HashSet::new(),
            merged_at: batch.merged_at,
        })
    }

    /// Returns the columns of [`History::to_batch`].
    fn to_rows(&self, batch: &Batch, versions: &[NewVersion]) -> Result<RecordBatch, Error> {
        let rows = if versions.iter().map(|version| version.row).eq(0..batch.keys.len() as u32) {
            // In a first run every row is a new version, and a copy would take as much memory again.
            batch.rows.clone()
        } else {
            let positions = UInt32Array::from_iter_values(versions.iter().map(|version| version.row));
            take_record_batch(&batch.rows, &positions).map_err(|error| Error::arrow(&error))?
        };
        let first_seen = versions.iter().map(|version| {
            let read_at = batch.recency[version.row as usize].read_at;
            Some(version.replaces.map_or(read_at, |replaced| replaced.first_seen_at))
        });
        let replaces = versions.iter().map(|version| version.replaces.map(|replaced| replaced.synced_at));
        let column = |times: TimestampMicrosecondArray| Arc::new(times.with_timezone("UTC")) as ArrayRef;
        let mut columns = rows.columns().to_vec();
        if let Ok(position) = batch.rows.schema_ref().index_of(engine_columns::FIRST_SEEN_AT) {
            columns[position] = column(first_seen.collect());
        }
        columns.push(column(replaces.collect()));
        RecordBatch::try_new(Arc::clone(&self.context.row_schema), columns).map_err(|error| Error::arrow(&error))
    }
}

/// Returns the schema of a history of rows with `schema`.
fn with_replaces(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().cloned();
    let replaces = Field::new(REPLACES, map::arrow_type(DataType::Timestamp), true);
    Arc::new(Schema::new(fields.chain([Arc::new(replaces)]).collect::<Vec<_>>()))
}

#[async_trait(?Send)]
impl RecordVersions for History<'_> {
    async fn record(&self, batch: &Batch, versions: &[NewVersion], merged: &mut Merged) -> Result<(), Error> {
        if versions.is_empty() {
            return Ok(());
        }
        let today = batch.merged_at.date_naive();
        let first_day = self.open_runs.register(today).await?;
        let batch = self.to_batch(batch, versions)?;
        let mut rows: Vec<u32> = (0..).take(versions.len()).collect();
        if first_day < today {
            let recorded = self.find_recorded(&batch, first_day, today).await?;
            rows.retain(|row| !recorded.contains(row));
        }
        let mut counts = Merged::default();
        let merge = PartitionMerge::new(&self.context, &format!("{OBSERVED}={today}"), &batch);
        let outcome = merge.run(&rows, &mut counts).await;
        *merged += Merged { objects: counts.objects, bytes_written: counts.bytes_written, ..Merged::default() };
        outcome
    }
}
