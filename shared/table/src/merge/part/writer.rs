//! The writer of a part, in either format.

use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use lake::{Object, Version};
use parquet::file::metadata::RowGroupMetaData;

use super::batch_size::batch_rows;
use super::json_lines::JsonLinesWriter;
use super::order::{RowSource, merge_rows};
use super::parquet::ParquetWriter;
use crate::error::Error;
use crate::format::Format;
use crate::merge::context::TableContext;

/// A part that was encoded in memory.
#[derive(Debug)]
pub(crate) struct EncodedPart {
    pub(crate) bytes: Bytes,
    /// The number of rows that were inserted. Those that came last may not have fitted.
    pub(crate) inserted: usize,
    /// Whether the part takes no more rows.
    pub(crate) is_sealed: bool,
}

/// Writes a part in memory, in either format.
#[derive(Debug)]
pub(super) struct PartWriter {
    format: FormatWriter,
    inserted: usize,
    /// Whether inserts have filled the part to its target size. This stays true when the part gets smaller again, as it does when a row group
    /// ends and is compressed.
    is_full: bool,
}

#[derive(Debug)]
enum FormatWriter {
    Parquet(Box<ParquetWriter>),
    JsonLines(Box<JsonLinesWriter>),
}

impl PartWriter {
    /// Creates a writer of a part with about `size` bytes.
    pub(super) fn new(
        format: Format,
        schema: &SchemaRef,
        table: &TableContext<'_>,
        size: usize,
    ) -> Result<Self, Error> {
        let format = match format {
            Format::Parquet => {
                let writer = ParquetWriter::new(schema, &table.key_columns, table.row_group_bytes(), size)?;
                FormatWriter::Parquet(Box::new(writer))
            }
            Format::Json => FormatWriter::JsonLines(Box::new(JsonLinesWriter::new())),
        };
        Ok(Self { format, inserted: 0, is_full: false })
    }

    /// Adds rows of the part's schema.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        match &mut self.format {
            FormatWriter::Parquet(writer) => writer.write(rows),
            FormatWriter::JsonLines(writer) => writer.write(rows),
        }
    }

    /// Adds a row group of the stored part at `object` as it is. Only Parquet has row groups.
    pub(super) async fn copy_row_group(
        &mut self,
        key: &str,
        object: &Arc<dyn Object>,
        group: &RowGroupMetaData,
    ) -> Result<(), Error> {
        match &mut self.format {
            FormatWriter::Parquet(writer) => writer.copy_row_group(key, object, group).await,
            FormatWriter::JsonLines(_) => Err(Error::Internal(format!("{key}: JSON lines have no row groups"))),
        }
    }

    /// Adds the first ones of the rows of `batch` at the positions `inserts`, as many as the target size in bytes allows.
    pub(super) fn insert(&mut self, batch: &RecordBatch, inserts: &[u32], target_bytes: usize) -> Result<(), Error> {
        // The size of the part is compared with the target after each chunk.
        let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        for positions in inserts.chunks(batch_rows(row_bytes)) {
            let rows = take_record_batch(batch, &UInt32Array::from(positions.to_vec()));
            self.write(&rows.map_err(|error| Error::arrow(&error))?)?;
            self.inserted += positions.len();
            if self.has_been_filled(target_bytes) {
                break;
            }
        }
        Ok(())
    }

    /// Adds the rows of `old` and the first ones of the rows of `batch` at the positions `inserts`, as many as the table's target size
    /// allows, in the order of the table. The inserts are sorted.
    pub(super) fn insert_among(
        &mut self,
        table: &TableContext<'_>,
        old: &RecordBatch,
        batch: &RecordBatch,
        inserts: &[u32],
    ) -> Result<(), Error> {
        let row_bytes = (old.get_array_memory_size() / old.num_rows().max(1)).max(1);
        for sources in merge_rows(table, old, batch, inserts)?.chunks(batch_rows(row_bytes)) {
            let is_full = self.has_been_filled(table.target_bytes);
            // The stored rows stay, whatever the size.
            let taken: Vec<RowSource> =
                sources.iter().copied().filter(|(source, _)| *source == 0 || !is_full).collect();
            if !taken.is_empty() {
                let rows = interleave_record_batch(&[old, batch], &taken).map_err(|error| Error::arrow(&error))?;
                self.write(&rows)?;
                self.inserted += taken.iter().filter(|(source, _)| *source == 1).count();
            }
        }
        Ok(())
    }

    /// Ends the part. It takes no more rows later if `is_sealed`.
    ///
    /// `replaced`, the version that this one replaces, is written into the part. S3 identifies a version by its bytes alone, and a writer
    /// whose response got lost may write the same rows again. A write that arrives late could then take the part for the version that it
    /// read.
    pub(super) fn finish(self, is_sealed: bool, replaced: Option<&Version>) -> Result<EncodedPart, Error> {
        let bytes = match self.format {
            FormatWriter::Parquet(writer) => writer.finish(is_sealed, replaced)?,
            FormatWriter::JsonLines(writer) => writer.finish(is_sealed, replaced)?,
        };
        Ok(EncodedPart { bytes, inserted: self.inserted, is_sealed })
    }

    /// Returns whether the part has at least `target_bytes`, now or after an earlier insert. It takes no more rows then.
    pub(super) fn has_been_filled(&mut self, target_bytes: usize) -> bool {
        self.is_full = self.is_full || self.bytes() >= target_bytes;
        self.is_full
    }

    /// Returns about how many bytes the part has so far.
    fn bytes(&self) -> usize {
        match &self.format {
            FormatWriter::Parquet(writer) => writer.bytes(),
            FormatWriter::JsonLines(writer) => writer.bytes(),
        }
    }
}
