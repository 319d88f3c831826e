//! Parts as JSON lines, compressed with gzip. The seal is in the file name of the gzip header, the one optional field that DuckDB's reader
//! accepts.

use std::fmt::Display;
use std::io::{BufReader, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_json::reader::ReaderBuilder;
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use lake::Version;
use xxhash_rust::xxh3::xxh3_64;

use super::batch_size::MAX_BATCH_ROWS;
use crate::error::Error;

/// The file name in the gzip header of a part that takes rows. It is as long as [`SEALED`], which replaces it when the size is known.
const OPEN: &str = "ticketlake-open--.jsonl";

/// The file name in the gzip header of a part that takes no more rows.
const SEALED: &str = "ticketlake-sealed.jsonl";

/// The time stamp of the gzip header, which no reader of a lake uses. It holds a hash of the version that the part replaced.
const TIME_STAMP: Range<usize> = 4..8;

/// The size of the gzip header before the file name, in bytes.
const HEADER_BYTES: usize = 10;

/// What Arrow's reader says of a column that the schema does not have.
const UNKNOWN_COLUMN: &str = "missing from schema";

/// Whether the part takes no more rows.
pub(super) fn is_sealed(key: &str, bytes: &Bytes) -> Result<bool, Error> {
    let decoder = GzDecoder::new(bytes.clone().reader());
    match decoder.header().and_then(|header| header.filename()) {
        Some(name) if [OPEN, SEALED].map(str::as_bytes).contains(&name) => Ok(name == SEALED.as_bytes()),
        _ => Err(Error::Part { key: key.to_owned(), detail: "ticketlake did not write it".into() }),
    }
}

/// Reads the rows in their order, with the types of `schema`: with these columns or, for `None`, with all. A column that the schema does
/// not have is an error if all are read, since a rewrite would lose it.
pub(super) fn read_batches<'p>(
    key: &'p str,
    bytes: &Bytes,
    schema: &SchemaRef,
    columns: Option<&[&str]>,
) -> Result<BoxStream<'p, Result<RecordBatch, Error>>, Error> {
    let damaged = move |detail: &dyn Display| Error::Part { key: key.to_owned(), detail: detail.to_string() };
    let json_schema = with_types(schema, offset_type);
    let read_schema = match columns {
        Some(columns) => {
            let fields = json_schema.fields().iter().filter(|field| columns.contains(&field.name().as_str())).cloned();
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
        None => json_schema,
    };
    let decoder: Box<dyn Read + Send> = Box::new(GzDecoder::new(bytes.clone().reader()));
    let reader = ReaderBuilder::new(read_schema)
        .with_batch_size(MAX_BATCH_ROWS)
        .with_strict_mode(columns.is_none())
        .with_coerce_primitive(true)
        .build(BufReader::new(decoder));
    let reader = reader.map_err(|error| damaged(&error))?;
    let schema = Arc::clone(schema);
    let batches = reader.map(move |batch| {
        let batch = batch.map_err(|error| match error.to_string() {
            text if text.contains(UNKNOWN_COLUMN) => damaged(&format!(
                "{text}: another run has added the column since this one read the table's layout, so start it again"
            )),
            text => damaged(&text),
        })?;
        let read_fields = batch.schema_ref().fields().iter();
        let fields = read_fields.filter_map(|field| schema.field_with_name(field.name()).ok().cloned());
        cast_columns(&batch, &Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    });
    Ok(stream::iter(batches).boxed())
}

/// Returns the schema with another type for each column, or for the elements of a list, for which `new_type` returns one.
fn with_types(schema: &Schema, new_type: fn(&DataType) -> Option<DataType>) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::List(element) => new_type(element.data_type())
                .map(|inner| DataType::List(Arc::new(element.as_ref().clone().with_data_type(inner)))),
            data_type => new_type(data_type),
        };
        match data_type {
            Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
            None => Arc::clone(field),
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the type of timestamps with the zone `+00:00` instead of `UTC`. Arrow's JSON reader and writer know offsets. They know names
/// only with a table of all zones of the world, a megabyte that a function does not need.
fn offset_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => Some(DataType::Timestamp(*unit, Some("+00:00".into()))),
        _ => None,
    }
}

/// Returns the type as which values are written. A decimal is written as text: DuckDB, like most readers of JSON, reads a number as a
/// double, and an amount loses digits even if the reader is told that it is a decimal.
fn written_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Decimal128(..) => Some(DataType::Utf8),
        data_type => offset_type(data_type),
    }
}

/// Returns the same values with the types of `schema`, which has the same columns.
fn cast_columns(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<_, _>>().map_err(|error| Error::arrow(&error))?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::arrow(&error))
}

/// Writes one part in memory.
pub(super) struct JsonLinesWriter(arrow_json::Writer<GzEncoder<Vec<u8>>, LineDelimited>);

impl std::fmt::Debug for JsonLinesWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLinesWriter").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl JsonLinesWriter {
    /// Creates a writer of an empty part.
    pub(super) fn new() -> Self {
        let encoder = GzBuilder::new().filename(OPEN).write(Vec::new(), Compression::default());
        Self(WriterBuilder::new().build(encoder))
    }

    /// Adds rows.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let rows = cast_columns(rows, &with_types(rows.schema_ref(), written_type))?;
        self.0.write(&rows).map_err(|error| Error::arrow(&error))
    }

    /// Returns how many bytes were written so far.
    pub(super) fn bytes(&self) -> usize {
        self.0.get_ref().get_ref().len()
    }

    /// Ends the part, and returns its bytes. `replaced` is the version that it replaces.
    pub(super) fn finish(mut self, is_sealed: bool, replaced: Option<&Version>) -> Result<Bytes, Error> {
        self.0.finish().map_err(|error| Error::arrow(&error))?;
        let compress_error = |error: std::io::Error| Error::Internal(format!("rows could not be compressed: {error}"));
        let mut encoder = self.0.into_inner();
        encoder.flush().map_err(compress_error)?;
        let mut bytes = encoder.finish().map_err(compress_error)?;
        if let Some(Version(replaced)) = replaced {
            let hash = xxh3_64(replaced.as_bytes()).to_le_bytes();
            bytes[TIME_STAMP].copy_from_slice(&hash[..TIME_STAMP.len()]);
        }
        if is_sealed {
            bytes[HEADER_BYTES..HEADER_BYTES + SEALED.len()].copy_from_slice(SEALED.as_bytes());
        }
        Ok(bytes.into())
    }
}
