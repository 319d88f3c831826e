//! The rows that wait for a merge, as columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, new_null_array};
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};

use super::batch::Batch;
use super::column_builder::ColumnBuilder;
use crate::error::Error;
use crate::map::Row;

/// About how many bytes of memory a row takes in addition to its texts and its key.
const ROW_BYTES: usize = 128;

/// The rows of one table that wait for a merge.
#[derive(Debug)]
pub struct Buffer {
    schema: SchemaRef,
    /// The builders of the manifest's columns.
    columns: Vec<ColumnBuilder>,
    fingerprints: Int64Builder,
    extra: StringBuilder,
    issues: StringBuilder,
    /// The key of each row.
    keys: Vec<String>,
    /// The positions of each partition's rows.
    partitions: BTreeMap<String, Vec<u32>>,
    /// About how many bytes of memory the rows take.
    bytes: usize,
}

impl Buffer {
    /// Creates a buffer for rows of `schema`, whose first `manifest_columns` columns are those of the manifest.
    pub(super) fn new(schema: &SchemaRef, manifest_columns: usize) -> Self {
        let columns = schema.fields().iter().take(manifest_columns);
        Self {
            schema: Arc::clone(schema),
            columns: columns.map(|field| ColumnBuilder::new(field.data_type())).collect(),
            fingerprints: Int64Builder::new(),
            extra: StringBuilder::new(),
            issues: StringBuilder::new(),
            keys: Vec::new(),
            partitions: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.bytes += ROW_BYTES + row.key.len();
        for (column, cell) in self.columns.iter_mut().zip(row.cells) {
            self.bytes += column.push(cell);
        }
        self.fingerprints.append_value(row.fingerprint);
        self.bytes += row.extra.as_deref().map_or(0, str::len) + row.issues.as_deref().map_or(0, str::len);
        self.extra.append_option(row.extra);
        self.issues.append_option(row.issues);
        let position = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.partitions.entry(row.partition).or_default().push(position);
        self.keys.push(row.key);
    }

    /// Returns about how many bytes of memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the rows, with `synced_at` as the time of their merge, and leaves the buffer empty. Returns `None` if there are no rows.
    /// If several rows of a partition have the same key, only the last one is to be merged.
    pub(super) fn take_batch(&mut self, synced_at: DateTime<Utc>) -> Result<Option<Batch>, Error> {
        let keys = std::mem::take(&mut self.keys);
        let mut partitions = std::mem::take(&mut self.partitions);
        self.bytes = 0;
        if keys.is_empty() {
            return Ok(None);
        }
        let (rows, fingerprints) = self.finish_columns(keys.len(), synced_at)?;
        let repeated = partitions.values_mut().map(|positions| remove_repeated_keys(positions, &keys)).sum();
        Ok(Some(Batch { rows, keys, fingerprints, partitions, repeated, synced_at }))
    }

    /// Returns the columns of the rows, and their fingerprints once more.
    fn finish_columns(&mut self, row_count: usize, synced_at: DateTime<Utc>) -> Result<(RecordBatch, Vec<i64>), Error> {
        let times = TimestampMicrosecondArray::from_value(synced_at.timestamp_micros(), row_count);
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

/// Removes the positions of rows whose key a later row has, and returns how many there were.
fn remove_repeated_keys(positions: &mut Vec<u32>, keys: &[String]) -> u64 {
    let key = |position: u32| keys[position as usize].as_str();
    let last: HashMap<&str, u32> = positions.iter().map(|&position| (key(position), position)).collect();
    let count = positions.len();
    positions.retain(|&position| last[key(position)] == position);
    (count - positions.len()) as u64
}
