//! The writer of a Parquet part: row groups of its own, and row groups of another part, copied as they are.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use lake::{Object, Version};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::column_order::write_type_defined_order;
use super::metadata::{REPLACES, SEALED, read_error};
use super::row_group::RowGroupBytes;
use crate::error::Error;
use crate::map::engine_columns;

/// The writer that the file names, in the form that the format specifies: `NAME version VERSION (build HASH)`. Spark ignores the statistics
/// of texts in a file whose writer it cannot parse. A package has no hash of its build, so that the library that encodes the file stands
/// there, without its version: another version of it writes the same bytes for the same rows.
const CREATED_BY: &str = concat!("ticketlake version ", env!("CARGO_PKG_VERSION"), " (build parquet-rs)");

const ZSTD_LEVEL: i32 = 3;

/// The largest size of a page or a dictionary before compression, in bytes. A column holds as much in memory while it is written: eight
/// parts of a table with a hundred columns would hold 800 times the default of 1 MiB.
const MAX_PAGE_BYTES: usize = 256 << 10;

/// Writes one part in memory.
pub(crate) struct ParquetWriter {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The columns of the row group that takes rows, if there is one.
    open_group: Option<Vec<ArrowColumnWriter>>,
    /// The size in bytes at which a row group is closed, so that neither a writer nor a reader holds more.
    group_bytes: usize,
}

impl std::fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl ParquetWriter {
    /// Creates a writer of a part with about `size` bytes.
    pub(crate) fn new(
        schema: &SchemaRef,
        key_columns: &[String],
        group_bytes: usize,
        size: usize,
    ) -> Result<Self, Error> {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| write_error(&error))?;
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_data_page_size_limit(MAX_PAGE_BYTES)
            .set_dictionary_page_size_limit(MAX_PAGE_BYTES)
            // A copied row group would come without the index of its pages, and a file has that for all row groups or for none.
            .set_offset_index_disabled(true);
        // Values that never repeat gain nothing from a dictionary.
        for name in key_columns.iter().map(String::as_str).chain([engine_columns::FINGERPRINT]) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
        }
        // Every type of a column follows from Parquet's own schema, and the copy as an Arrow schema would be a seventh of a small part.
        let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::with_capacity(size), Arc::clone(schema), options);
        let parts = writer.and_then(ArrowWriter::into_serialized_writer);
        let (file, factory) = parts.map_err(|error| write_error(&error))?;
        Ok(Self { file, factory, schema: Arc::clone(schema), open_group: None, group_bytes })
    }

    /// Adds rows, which have the schema of the part.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        self.encode(rows).map_err(|error| write_error(&error))
    }

    fn encode(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut columns = match self.open_group.take() {
            Some(columns) => columns,
            None => self.factory.create_column_writers(self.file.flushed_row_groups().len())?,
        };
        let mut writers = columns.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            for (leaf, writer) in compute_leaves(field, column)?.iter().zip(&mut writers) {
                writer.write(leaf)?;
            }
        }
        let bytes: usize = columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        self.open_group = Some(columns);
        if bytes >= self.group_bytes { self.close_group() } else { Ok(()) }
    }

    fn close_group(&mut self) -> Result<(), ParquetError> {
        let Some(columns) = self.open_group.take() else { return Ok(()) };
        let mut group = self.file.next_row_group()?;
        for column in columns {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close().map(|_| ())
    }

    /// Adds a row group of the part at `object` without decoding it. That part must have the same schema as this one.
    pub(crate) async fn copy_row_group(
        &mut self,
        key: &str,
        object: &Arc<dyn Object>,
        group: &RowGroupMetaData,
    ) -> Result<(), Error> {
        let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
        let begin = ranges.clone().map(|(start, _)| start).min().unwrap_or_default();
        let end = ranges.map(|(start, length)| start + length).max().unwrap_or_default();
        let bytes = RowGroupBytes { begin, bytes: object.read(begin..end).await? };
        self.append_row_group(&bytes, group).map_err(|error| read_error(key, error))
    }

    fn append_row_group(&mut self, bytes: &RowGroupBytes, group: &RowGroupMetaData) -> Result<(), ParquetError> {
        self.close_group()?;
        let mut copy = self.file.next_row_group()?;
        let rows_written = u64::try_from(group.num_rows()).unwrap_or_default();
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: column.byte_range().1,
                rows_written,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            copy.append_column(bytes, close)?;
        }
        copy.close().map(|_| ())
    }

    /// Returns how many bytes the part has so far, with an estimate for the row group that takes rows.
    pub(crate) fn bytes(&self) -> usize {
        let open: usize = self.open_group.iter().flatten().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        self.file.bytes_written() + open
    }

    /// Ends the part, and returns its bytes. `replaced` is the version that it replaces.
    pub(crate) fn finish(mut self, is_sealed: bool, replaced: Option<&Version>) -> Result<Bytes, Error> {
        if let Some(Version(replaced)) = replaced {
            self.file.append_key_value_metadata(KeyValue::new(REPLACES.to_owned(), replaced.clone()));
        }
        if is_sealed {
            self.file.append_key_value_metadata(KeyValue::new(SEALED.to_owned(), "true".to_owned()));
        }
        let columns = self.file.schema_descr().num_columns();
        let bytes = self.close_group().and_then(|()| self.file.into_inner()).and_then(|mut bytes| {
            write_type_defined_order(&mut bytes, columns)?;
            Ok(Bytes::from(bytes))
        });
        bytes.map_err(|error| write_error(&error))
    }
}

fn write_error(error: &ParquetError) -> Error {
    Error::Internal(format!("rows could not be written as Parquet: {error}"))
}
