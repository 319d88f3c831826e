//! The writer of a part, whatever its format.

use std::sync::Arc;

use ::parquet::file::metadata::RowGroupMetaData;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use bytes::Bytes;

use super::buffer::internal;
use super::parts::TableParts;
use super::{jsonl, parquet};
use crate::error::Error;
use crate::format::Format;
use lake::{Object, Version};

/// What a part will be after a write.
#[derive(Debug)]
pub(super) struct Rewrite {
    pub(super) bytes: Bytes,
    /// How many of the inserts went in.
    pub(super) inserted: usize,
    pub(super) sealed: bool,
}

/// Writes a part of either format.
#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    inserted: usize,
}

#[derive(Debug)]
enum Sink {
    Parquet(Box<parquet::Sink>),
    Json(Box<jsonl::Sink>),
}

impl Writer {
    /// Of a part of about `size` bytes.
    pub(super) fn new(format: Format, schema: &SchemaRef, table: &TableParts<'_>, size: usize) -> Result<Self, Error> {
        let sink = match format {
            Format::Parquet => {
                Sink::Parquet(Box::new(parquet::Sink::new(schema, &table.key, table.group_bytes(), size)?))
            }
            Format::Json => Sink::Json(Box::new(jsonl::Sink::new())),
        };
        Ok(Self { sink, inserted: 0 })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Parquet(sink) => sink.write(batch),
            Sink::Json(sink) => sink.write(batch),
        }
    }

    /// Adds a row group of a stored part as it is; only Parquet has them.
    pub(super) async fn copy(
        &mut self,
        key: &str,
        object: &Arc<dyn Object>,
        group: &RowGroupMetaData,
    ) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Parquet(sink) => sink.copy(key, object, group).await,
            Sink::Json(_) => Err(Error::Internal(format!("{key}: a row group in a part of JSON lines"))),
        }
    }

    fn bytes(&self) -> usize {
        match &self.sink {
            Sink::Parquet(sink) => sink.bytes(),
            Sink::Json(sink) => sink.bytes(),
        }
    }

    /// Adds as many of `inserts`, rows of `incoming`, as the target size allows.
    pub(super) fn fill(mut self, incoming: &RecordBatch, inserts: &[u32], target: usize) -> Result<Self, Error> {
        // The part's size is looked at between.
        let row_bytes = incoming.get_array_memory_size() / incoming.num_rows().max(1);
        for rows in inserts.chunks(parquet::rows_in_a_batch(row_bytes)) {
            let rows_taken =
                take_record_batch(incoming, &UInt32Array::from(rows.to_vec())).map_err(|error| internal(&error))?;
            self.write(&rows_taken)?;
            self.inserted += rows.len();
            if self.bytes() >= target {
                break;
            }
        }
        Ok(self)
    }

    /// What `replaces` names goes into the part. S3 tells versions apart by their bytes alone, and a writer whose answer was
    /// lost may write the same rows again: without it, a write that arrives late could take the part for the version it read.
    pub(super) fn finish(self, sealed: bool, target: usize, replaces: Option<&Version>) -> Result<Rewrite, Error> {
        let sealed = sealed || self.bytes() >= target;
        let bytes = match self.sink {
            Sink::Parquet(sink) => sink.finish(sealed, replaces)?,
            Sink::Json(sink) => sink.finish(sealed, replaces)?,
        };
        Ok(Rewrite { bytes, inserted: self.inserted, sealed })
    }
}
