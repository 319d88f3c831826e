//! Parts as JSON lines, gzip; the seal in the gzip header's file name, the one optional field that DuckDB's reader takes.

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
use xxhash_rust::xxh3::xxh3_64;

use super::buffer::internal;
use crate::error::Error;
use lake::Version;

/// The header's file name, of one length either way so that the seal can be set when the size is known.
const OPEN: &str = "ticketlake-open--.jsonl";
const SEALED: &str = "ticketlake-sealed.jsonl";
/// A gzip header's time stamp, which no reader of a lake looks at: a hash of the version that was there before.
const MODIFIED: Range<usize> = 4..8;
/// A gzip header's fixed fields, before the file name.
const HEADER_BYTES: usize = 10;
/// Rows decoded at once.
const READ_ROWS: usize = 4096;

/// Whether the part takes no more rows.
pub(super) fn sealed(key: &str, bytes: &Bytes) -> Result<bool, Error> {
    let decoder = GzDecoder::new(bytes.clone().reader());
    match decoder.header().and_then(|header| header.filename()) {
        Some(name) if [OPEN, SEALED].map(str::as_bytes).contains(&name) => Ok(name == SEALED.as_bytes()),
        _ => Err(Error::Part { key: key.to_owned(), detail: "it is not written by ticketlake".into() }),
    }
}

/// The part's rows in order, as `schema`; with `columns`, those alone. A column that the schema does not name is an error:
/// it would be lost in a rewrite.
pub(super) fn batches<'p>(
    key: &'p str,
    bytes: &Bytes,
    schema: &SchemaRef,
    columns: Option<&[&str]>,
) -> Result<BoxStream<'p, Result<RecordBatch, Error>>, Error> {
    let fault = move |detail: &dyn std::fmt::Display| Error::Part { key: key.to_owned(), detail: detail.to_string() };
    let whole = columns.is_none();
    let (wanted, stored) = (Arc::clone(schema), retyped(schema, offset));
    let schema = match columns {
        Some(columns) => {
            let fields = stored.fields().iter().filter(|field| columns.contains(&field.name().as_str())).cloned();
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
        None => stored,
    };
    let decoder: Box<dyn Read + Send> = Box::new(GzDecoder::new(bytes.clone().reader()));
    let reader = ReaderBuilder::new(schema)
        .with_batch_size(READ_ROWS)
        .with_strict_mode(whole)
        .with_coerce_primitive(true)
        .build(BufReader::new(decoder));
    let reader = reader.map_err(|error| fault(&error))?;
    let batches = reader.map(move |batch| {
        let batch = batch.map_err(|error| fault(&error))?;
        let fields =
            batch.schema_ref().fields().iter().filter_map(|field| wanted.field_with_name(field.name()).ok().cloned());
        relabel(&batch, &Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    });
    Ok(stream::iter(batches).boxed())
}

/// The schema with other types for the columns, or their elements, that `to` knows.
fn retyped(schema: &Schema, to: fn(&DataType) -> Option<DataType>) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::List(element) => to(element.data_type())
                .map(|inner| DataType::List(Arc::new(element.as_ref().clone().with_data_type(inner)))),
            data_type => to(data_type),
        };
        data_type
            .map_or_else(|| Arc::clone(field), |data_type| Arc::new(field.as_ref().clone().with_data_type(data_type)))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// `UTC` as `+00:00`: Arrow's JSON reader and writer know offsets, and names only with a table of all the world's zones, a
/// megabyte that a function does not need.
fn offset(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => Some(DataType::Timestamp(*unit, Some("+00:00".into()))),
        _ => None,
    }
}

/// As a value is written. A decimal is text: DuckDB, like most readers of JSON, takes a number for a double, and an amount
/// loses digits even where the reader is told that it is a decimal.
fn written(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Decimal128(..) => Some(DataType::Utf8),
        data_type => offset(data_type),
    }
}

/// The same values in another schema's types.
fn relabel(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<_, _>>().map_err(|error| internal(&error))?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| internal(&error))
}

/// Writes one part in memory.
pub(super) struct Sink(arrow_json::Writer<GzEncoder<Vec<u8>>, LineDelimited>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sink").field(&self.bytes()).finish()
    }
}

impl Sink {
    pub(super) fn new() -> Self {
        let encoder = GzBuilder::new().filename(OPEN).write(Vec::new(), Compression::default());
        Self(WriterBuilder::new().build(encoder))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = relabel(batch, &retyped(batch.schema_ref(), written))?;
        self.0.write(&batch).map_err(|error| internal(&error))
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.0.get_ref().get_ref().len()
    }

    pub(super) fn finish(mut self, sealed: bool, replaces: Option<&Version>) -> Result<Bytes, Error> {
        self.0.finish().map_err(|error| internal(&error))?;
        let broken = |error: std::io::Error| Error::Internal(format!("rows could not be compressed: {error}"));
        let mut encoder = self.0.into_inner();
        encoder.flush().map_err(broken)?;
        let mut bytes = encoder.finish().map_err(broken)?;
        if let Some(Version(replaced)) = replaces {
            let hash = xxh3_64(replaced.as_bytes()).to_le_bytes();
            bytes[MODIFIED].copy_from_slice(&hash[..MODIFIED.len()]);
        }
        if sealed {
            bytes[HEADER_BYTES..HEADER_BYTES + SEALED.len()].copy_from_slice(SEALED.as_bytes());
        }
        Ok(bytes.into())
    }
}
