//! Rows on their way to the store, as columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, FieldRef, SchemaRef};
use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::map::{Cell, DECIMAL, Row};

/// What a row costs beside its texts, about: its key's and its numbers' share.
const ROW_BYTES: usize = 128;

/// Rows of one table, not yet merged.
#[derive(Debug)]
pub struct Buffer {
    schema: SchemaRef,
    /// One for each of the manifest's columns.
    columns: Vec<Column>,
    fingerprints: Int64Builder,
    extra: StringBuilder,
    issues: StringBuilder,
    keys: Vec<String>,
    partitions: BTreeMap<String, Vec<u32>>,
    bytes: usize,
}

/// A buffer's rows, as they are merged.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: RecordBatch,
    /// By row.
    pub(super) keys: Vec<String>,
    /// By row.
    pub(super) fingerprints: Vec<i64>,
    /// By folder, its rows; each key once.
    pub(super) partitions: BTreeMap<String, Vec<u32>>,
    /// Rows left out because a later one has their key.
    pub(super) repeated: u64,
    /// The rows' `synced_at`.
    pub(super) written: DateTime<Utc>,
}

impl Buffer {
    /// For rows of `schema`, of which the first `columns` are the manifest's.
    pub(super) fn new(schema: &SchemaRef, columns: usize) -> Self {
        let columns = schema.fields().iter().take(columns);
        Self {
            schema: Arc::clone(schema),
            columns: columns.map(|field| Column::new(field.data_type())).collect(),
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

    /// About how much memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the rows out, stamped as written `now`; `None` when there are none. Of rows with one key the last stays.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Result<Option<Batch>, Error> {
        let keys = std::mem::take(&mut self.keys);
        let mut partitions = std::mem::take(&mut self.partitions);
        self.bytes = 0;
        if keys.is_empty() {
            return Ok(None);
        }
        let stamps: ArrayRef = Arc::new(
            arrow_array::TimestampMicrosecondArray::from_value(now.timestamp_micros(), keys.len()).with_timezone("UTC"),
        );
        let fingerprints = self.fingerprints.finish();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            columns.push(column.finish(field)?);
        }
        columns.extend([Arc::clone(&stamps), stamps, Arc::new(fingerprints.clone()) as ArrayRef]);
        columns.extend([Arc::new(self.extra.finish()) as ArrayRef, Arc::new(self.issues.finish())]);
        // What came is not missing.
        let unmarked = self.schema.fields().iter().skip(columns.len());
        let unmarked: Vec<ArrayRef> = unmarked.map(|field| new_null_array(field.data_type(), keys.len())).collect();
        columns.extend(unmarked);
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| internal(&error))?;
        let mut repeated = 0;
        for rows in partitions.values_mut() {
            let last: HashMap<&str, u32> = rows.iter().map(|&row| (keys[row as usize].as_str(), row)).collect();
            let before = rows.len();
            rows.retain(|row| last[keys[*row as usize].as_str()] == *row);
            repeated += (before - rows.len()) as u64;
        }
        let fingerprints = fingerprints.values().to_vec();
        Ok(Some(Batch { rows, keys, fingerprints, partitions, repeated, written: now }))
    }
}

/// A column being built; list columns hold their elements' column.
#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Bigint(Int64Builder),
    Decimal(Decimal128Builder),
    List { elements: Box<Self>, lengths: Vec<usize>, valid: Vec<bool> },
}

impl Column {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Timestamp(..) => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Int64 => Self::Bigint(Int64Builder::new()),
            DataType::Decimal128(..) => {
                Self::Decimal(Decimal128Builder::new().with_data_type(DataType::Decimal128(DECIMAL.0, DECIMAL.1)))
            }
            DataType::List(element) => {
                let elements = Box::new(Self::new(element.data_type()));
                Self::List { elements, lengths: Vec::new(), valid: Vec::new() }
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Adds a cell, null where it is of another type; gives its bytes.
    fn push(&mut self, cell: Cell) -> usize {
        match (self, cell) {
            (Self::Text(column), Cell::Text(text)) => {
                column.append_value(&text);
                return 4 + text.len();
            }
            (Self::Text(column), _) => column.append_null(),
            (Self::Double(column), Cell::Double(value)) => column.append_value(value),
            (Self::Double(column), _) => column.append_null(),
            (Self::Bool(column), Cell::Bool(value)) => column.append_value(value),
            (Self::Bool(column), _) => column.append_null(),
            (Self::Timestamp(column), Cell::Timestamp(value)) => column.append_value(value),
            (Self::Timestamp(column), _) => column.append_null(),
            (Self::Date(column), Cell::Date(value)) => column.append_value(value),
            (Self::Date(column), _) => column.append_null(),
            (Self::Bigint(column), Cell::Bigint(value)) => column.append_value(value),
            (Self::Bigint(column), _) => column.append_null(),
            (Self::Decimal(column), Cell::Decimal(value)) => column.append_value(value),
            (Self::Decimal(column), _) => column.append_null(),
            (Self::List { elements, lengths, valid }, Cell::List(cells)) => {
                lengths.push(cells.len());
                valid.push(true);
                return cells.into_iter().map(|cell| elements.push(cell)).sum();
            }
            (Self::List { lengths, valid, .. }, _) => {
                lengths.push(0);
                valid.push(false);
            }
        }
        8
    }

    fn finish(&mut self, field: &FieldRef) -> Result<ArrayRef, Error> {
        Ok(match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Double(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
            Self::Timestamp(column) => Arc::new(column.finish()),
            Self::Date(column) => Arc::new(column.finish()),
            Self::Bigint(column) => Arc::new(column.finish()),
            Self::Decimal(column) => Arc::new(column.finish()),
            Self::List { elements, lengths, valid } => {
                let DataType::List(element) = field.data_type() else {
                    return Err(Error::Internal(format!("column {} is no list", field.name())));
                };
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let nulls = std::mem::take(valid).into();
                let values = elements.finish(element)?;
                let list = ListArray::try_new(Arc::clone(element), offsets, values, Some(nulls));
                Arc::new(list.map_err(|error| internal(&error))?)
            }
        })
    }
}

/// An Arrow error that only a fault of ours can cause.
pub(super) fn internal(error: &arrow_schema::ArrowError) -> Error {
    Error::Internal(format!("rows could not be laid out as columns: {error}"))
}
