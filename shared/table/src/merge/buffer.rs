//! The rows that wait for a merge, as columns.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, new_null_array};
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};

use super::batch::Batch;
use super::column_builder::ColumnBuilder;
use super::context::TableContext;
use super::newest::Recency;
use super::part::CursorColumn;
use crate::error::Error;
use crate::map::Row;

/// About how many bytes of memory a row takes in addition to its texts and its key.
const ROW_BYTES: usize = 136;

/// The rows of one table that wait for a merge.
#[derive(Debug)]
pub struct Buffer {
    schema: SchemaRef,
    /// The column with the cursor, if there is one.
    cursor_column: Option<String>,
    /// The builders of the manifest's columns.
    columns: Vec<ColumnBuilder>,
    fingerprints: Int64Builder,
    extra: StringBuilder,
    issues: StringBuilder,
    /// The key of each row.
    keys: Vec<String>,
    /// When each row was read, in microseconds since 1970.
    read_at: Vec<i64>,
    /// The positions of each partition's rows.
    partitions: BTreeMap<String, Vec<u32>>,
    /// The positions of the rows that are not inserted.
    updates_only: HashSet<u32>,
    /// About how many bytes of memory the rows take.
    bytes: usize,
}

impl Buffer {
    /// Creates a buffer for rows of `table`.
    pub(super) fn new(table: &TableContext<'_>) -> Self {
        let columns = table.row_schema.fields().iter().take(table.manifest_columns);
        Self {
            schema: Arc::clone(&table.row_schema),
            cursor_column: table.cursor_column.clone(),
            columns: columns.map(|field| ColumnBuilder::new(field.data_type())).collect(),
            fingerprints: Int64Builder::new(),
            extra: StringBuilder::new(),
            issues: StringBuilder::new(),
            keys: Vec::new(),
            read_at: Vec::new(),
            partitions: BTreeMap::new(),
            updates_only: HashSet::new(),
            bytes: 0,
        }
    }

    /// Adds a row that only updates the stored row with its key: if there is none, it is not inserted.
    pub fn push_update(&mut self, row: Row<'_>, read_at: DateTime<Utc>) {
        self.updates_only.insert(self.next_position());
        self.push(row, read_at);
    }

    /// Returns the position of the next row.
    fn next_position(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// Gives the buffer the columns of `table`, which has more of them than before. They are null in the rows so far.
    pub(super) fn set_columns(&mut self, table: &TableContext<'_>) {
        let names = self.schema.fields().iter().map(|field| field.name().clone());
        let mut known: HashMap<String, ColumnBuilder> = names.zip(self.columns.drain(..)).collect();
        let rows = self.keys.len();
        let fields = table.row_schema.fields().iter().take(table.manifest_columns);
        self.columns = fields
            .map(|field| match known.remove(field.name()) {
                Some(column) => column,
                None => ColumnBuilder::of_nulls(field.data_type(), rows),
            })
            .collect();
        self.schema = Arc::clone(&table.row_schema);
        self.cursor_column.clone_from(&table.cursor_column);
    }

    /// Adds a row. `read_at` is the time when the request that brought it was sent.
    pub fn push(&mut self, row: Row<'_>, read_at: DateTime<Utc>) {
        self.bytes += ROW_BYTES + row.key.len();
        for (column, cell) in self.columns.iter_mut().zip(row.cells) {
            self.bytes += column.push(cell);
        }
        self.fingerprints.append_value(row.fingerprint);
        self.bytes += row.extra.as_deref().map_or(0, str::len) + row.issues.as_deref().map_or(0, str::len);
        self.extra.append_option(row.extra);
        self.issues.append_option(row.issues);
        let position = self.next_position();
        self.partitions.entry(row.partition).or_default().push(position);
        self.keys.push(row.key);
        self.read_at.push(read_at.timestamp_micros());
    }

    /// Returns about how many bytes of memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the rows for a merge at `merged_at`, and leaves the buffer empty. Returns `None` if there are no rows. If several rows of a
    /// partition have the same key, only the newest one is to be merged.
    pub(super) fn take_batch(&mut self, merged_at: DateTime<Utc>) -> Result<Option<Batch>, Error> {
        let keys = std::mem::take(&mut self.keys);
        let read_at = std::mem::take(&mut self.read_at);
        let mut partitions = std::mem::take(&mut self.partitions);
        let updates_only = std::mem::take(&mut self.updates_only);
        self.bytes = 0;
        if keys.is_empty() {
            return Ok(None);
        }
        let (rows, fingerprints) = self.finish_columns(&read_at)?;
        let recency = self.recency(&rows, &read_at);
        let is_newer = |row: u32, earlier: u32| {
            let now = merged_at.timestamp_micros();
            recency[row as usize].replaces(recency[earlier as usize], now)
        };
        let repeated = partitions.values_mut().map(|positions| remove_repeated_keys(positions, &keys, is_newer)).sum();
        Ok(Some(Batch { rows, keys, fingerprints, recency, partitions, repeated, updates_only, merged_at }))
    }

    /// Returns how new each of the rows is.
    fn recency(&self, rows: &RecordBatch, read_at: &[i64]) -> Vec<Recency> {
        let cursors =
            self.cursor_column.as_ref().and_then(|name| rows.column_by_name(name)).and_then(CursorColumn::new);
        let cursor = |row: usize| cursors.as_ref().and_then(|cursors| cursors.value(row));
        read_at.iter().enumerate().map(|(row, &read_at)| Recency { read_at, cursor: cursor(row) }).collect()
    }

    /// Returns the columns of the rows, and their fingerprints once more.
    fn finish_columns(&mut self, read_at: &[i64]) -> Result<(RecordBatch, Vec<i64>), Error> {
        let row_count = read_at.len();
        let times = TimestampMicrosecondArray::from_iter_values(read_at.iter().copied());
        let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
        let fingerprints = self.fingerprints.finish();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            columns.push(column.finish(field)?);
        }
        columns.extend([Arc::clone(&times), times, Arc::new(fingerprints.clone())]);
        columns.extend([Arc::new(self.extra.finish()) as ArrayRef, Arc::new(self.issues.finish())]);
        // The API has these rows, so the column that says since when a row has vanished is null.
        let other_fields = self.schema.fields().iter().skip(columns.len());
        let nulls: Vec<ArrayRef> = other_fields.map(|field| new_null_array(field.data_type(), row_count)).collect();
        columns.extend(nulls);
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| Error::arrow(&error))?;
        Ok((rows, fingerprints.values().to_vec()))
    }
}

/// Removes the positions of rows whose key a newer row has, and returns how many there were. `is_newer` says whether a row is newer than
/// one that came before it.
fn remove_repeated_keys(positions: &mut Vec<u32>, keys: &[String], is_newer: impl Fn(u32, u32) -> bool) -> u64 {
    let key = |position: u32| keys[position as usize].as_str();
    let mut newest: HashMap<&str, u32> = HashMap::with_capacity(positions.len());
    for &position in &*positions {
        let kept = newest.entry(key(position)).or_insert(position);
        if is_newer(position, *kept) {
            *kept = position;
        }
    }
    let count = positions.len();
    positions.retain(|&position| newest[key(position)] == position);
    (count - positions.len()) as u64
}
