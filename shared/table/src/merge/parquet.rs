//! Parts as Parquet: zstd, timestamps in microseconds UTC, the seal in the footer's key-value metadata.
//!
//! A rewrite copies the row groups that it does not touch, compressed as they are.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::buf::Reader as Reading;
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::error::Error;
use crate::map::own;
use lake::{Object, StoreError, Version};

/// Says in the footer that the part takes no more rows.
const SEALED: &str = "ticketlake.sealed";
/// Says in the footer which version of the part was there before.
const REPLACES: &str = "ticketlake.replaces";
/// Constant, so that another version of the library writes the same bytes for the same rows.
const CREATED_BY: &str = "ticketlake";
/// Read at once from the end: holds the footer of all but the largest parts.
const FOOTER_GUESS: u64 = 64 << 10;
/// Ranges no further apart are read as one: these bytes come faster than another answer begins.
const GAP_BYTES: u64 = 64 << 10;
/// Rows decoded at once of a few columns.
const READ_ROWS: usize = 4096;
/// Bytes of a row's pages or dictionary, as they are before compression, that a column holds at once while it is written: a table of a
/// hundred columns, eight parts side by side, would hold 800 times the default of 1 MiB.
const PAGE_BYTES: usize = 256 << 10;

/// A part's footer.
#[derive(Clone, Debug)]
pub(super) struct Footer(ArrowReaderMetadata);

impl Footer {
    /// Reads the footer of `object`.
    pub(super) async fn read(key: &str, object: &Arc<dyn Object>) -> Result<Self, Error> {
        let mut reader = Reader { object: Arc::clone(object), metadata: None };
        let metadata = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await;
        metadata.map(Self).map_err(|error| unreadable(key, error))
    }

    /// Whether the part takes no more rows.
    pub(super) fn sealed(&self) -> bool {
        let entries = self.0.metadata().file_metadata().key_value_metadata();
        entries.is_some_and(|entries| entries.iter().any(|entry| entry.key == SEALED))
    }

    /// The columns that the part has.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    /// The part's row groups, in order.
    pub(super) fn groups(&self) -> &[RowGroupMetaData] {
        self.0.metadata().row_groups()
    }

    /// The rows in order; with `columns`, those alone; with `group`, those of that row group alone.
    pub(super) fn batches<'p>(
        &self,
        key: &'p str,
        object: &Arc<dyn Object>,
        columns: Option<&[&str]>,
        group: Option<usize>,
    ) -> Result<BoxStream<'p, Result<RecordBatch, Error>>, Error> {
        let reader = Reader { object: Arc::clone(object), metadata: Some(Arc::clone(self.0.metadata())) };
        let rows = columns.map_or_else(|| self.rows_at_once(), |_| READ_ROWS);
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.0.clone()).with_batch_size(rows);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Some(group) = group {
            builder = builder.with_row_groups(vec![group]);
        }
        let stream = builder.build().map_err(|error| unreadable(key, error))?;
        Ok(stream.map_err(move |error| unreadable(key, error)).boxed())
    }
}

impl Footer {
    /// Rows of all columns that are decoded at once.
    fn rows_at_once(&self) -> usize {
        let sum = |of: fn(&RowGroupMetaData) -> i64| self.groups().iter().map(of).sum::<i64>();
        let (bytes, rows) = (sum(RowGroupMetaData::total_byte_size), sum(RowGroupMetaData::num_rows));
        let row_bytes = usize::try_from(bytes / rows.max(1)).unwrap_or(usize::MAX);
        rows_in_a_batch(row_bytes)
    }
}

/// How many rows of about so many bytes are worked on at once: an event has 6 KB, and 4,096 of them are as much as a whole flush.
pub(super) fn rows_in_a_batch(row_bytes: usize) -> usize {
    const BATCH_BYTES: usize = 1 << 20;
    (BATCH_BYTES / row_bytes.max(1)).clamp(16, READ_ROWS)
}

/// A store's error comes back as itself, so that a changed part is told from a damaged one.
fn unreadable(key: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<StoreError>() {
            Ok(error) => Error::Store(*error),
            Err(source) => Error::Part { key: key.to_owned(), detail: source.to_string() },
        },
        error => Error::Part { key: key.to_owned(), detail: error.to_string() },
    }
}

/// Reads an object's ranges for the Parquet reader.
struct Reader {
    object: Arc<dyn Object>,
    metadata: Option<Arc<ParquetMetaData>>,
}

impl Reader {
    async fn range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        self.object.read(range).await.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.range(range).boxed()
    }

    /// All at once, and neighbours together: the chunks of a row group are one wait, and one request where all are wanted.
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let reader = &*self;
        async move {
            let spans = spans(&ranges);
            let read = futures::future::try_join_all(spans.iter().map(|span| reader.range(span.clone()))).await?;
            let cut = |range: &Range<u64>| {
                let position = spans.partition_point(|span| span.end < range.end);
                let begin = (range.start - spans[position].start) as usize;
                read[position].slice(begin..begin + (range.end - range.start) as usize)
            };
            Ok(ranges.iter().map(cut).collect())
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            if let Some(metadata) = &self.metadata {
                return Ok(Arc::clone(metadata));
            }
            let size = self.object.size();
            let mut footer = ParquetMetaDataReader::new();
            let mut begin = size.saturating_sub(FOOTER_GUESS);
            loop {
                let tail = self.range(begin..size).await?;
                match footer.try_parse_sized(&tail, size) {
                    Ok(()) => return footer.finish().map(Arc::new),
                    Err(ParquetError::NeedMoreData(needed)) if begin > 0 => {
                        begin = size.saturating_sub(needed as u64);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        .boxed()
    }
}

/// The least ranges that cover `ranges`, with gaps of up to [`GAP_BYTES`].
fn spans(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let mut spans: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match spans.last_mut() {
            Some(span) if range.start <= span.end + GAP_BYTES => span.end = span.end.max(range.end),
            _ => spans.push(range),
        }
    }
    spans
}

/// Writes one part in memory: row groups of its own, and row groups of another part as they are.
pub(super) struct Sink {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The row group being filled.
    open: Option<Vec<ArrowColumnWriter>>,
    /// At which it is closed, so that neither writing nor reading holds more.
    group_bytes: usize,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Sink {
    /// A part of about `size` bytes.
    pub(super) fn new(schema: &SchemaRef, key: &[String], group_bytes: usize, size: usize) -> Result<Self, Error> {
        let level = ZstdLevel::try_new(3).map_err(|error| internal(&error))?;
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_dictionary_page_size_limit(PAGE_BYTES)
            // A copied row group would come without its pages' index, and a file has it for all or for none.
            .set_offset_index_disabled(true);
        // Values that never repeat gain nothing from a dictionary.
        for name in key.iter().map(String::as_str).chain([own::FINGERPRINT]) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
        }
        let writer = ArrowWriter::try_new(Vec::with_capacity(size), Arc::clone(schema), Some(properties.build()));
        let parts = writer.and_then(ArrowWriter::into_serialized_writer);
        let (file, factory) = parts.map_err(|error| internal(&error))?;
        Ok(Self { file, factory, schema: Arc::clone(schema), open: None, group_bytes })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.encode(batch).map_err(|error| internal(&error))
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let mut columns = match self.open.take() {
            Some(columns) => columns,
            None => self.factory.create_column_writers(self.file.flushed_row_groups().len())?,
        };
        let mut leaves = columns.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            for (leaf, writer) in compute_leaves(field, column)?.iter().zip(&mut leaves) {
                writer.write(leaf)?;
            }
        }
        let bytes: usize = columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        self.open = Some(columns);
        if bytes >= self.group_bytes { self.close_group() } else { Ok(()) }
    }

    fn close_group(&mut self) -> Result<(), ParquetError> {
        let Some(columns) = self.open.take() else { return Ok(()) };
        let mut group = self.file.next_row_group()?;
        for column in columns {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close().map(|_| ())
    }

    /// Adds a row group of the part at `object` without decoding it. The part must have this one's schema.
    pub(super) async fn copy(
        &mut self,
        key: &str,
        object: &Arc<dyn Object>,
        group: &RowGroupMetaData,
    ) -> Result<(), Error> {
        let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
        let (begin, end) =
            ranges.fold((u64::MAX, 0), |(begin, end), (start, length)| (begin.min(start), end.max(start + length)));
        let chunks = Chunks { begin, bytes: object.read(begin..end).await? };
        self.splice(&chunks, group).map_err(|error| unreadable(key, error))
    }

    fn splice(&mut self, chunks: &Chunks, group: &RowGroupMetaData) -> Result<(), ParquetError> {
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
            copy.append_column(chunks, close)?;
        }
        copy.close().map(|_| ())
    }

    /// Bytes so far; of the open row group, what it will be about.
    pub(super) fn bytes(&self) -> usize {
        let open: usize = self.open.iter().flatten().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        self.file.bytes_written() + open
    }

    pub(super) fn finish(mut self, sealed: bool, replaces: Option<&Version>) -> Result<Bytes, Error> {
        if let Some(Version(replaced)) = replaces {
            self.file.append_key_value_metadata(KeyValue::new(REPLACES.to_owned(), replaced.clone()));
        }
        if sealed {
            self.file.append_key_value_metadata(KeyValue::new(SEALED.to_owned(), "true".to_owned()));
        }
        let bytes = self.close_group().and_then(|()| self.file.into_inner());
        bytes.map(Bytes::from).map_err(|error| internal(&error))
    }
}

/// A stretch of a part, read at the part's own offsets.
struct Chunks {
    begin: u64,
    bytes: Bytes,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let at =
            start.checked_sub(self.begin).and_then(|at| usize::try_from(at).ok()).filter(|at| *at <= self.bytes.len());
        at.map(|at| self.bytes.slice(at..))
            .ok_or_else(|| ParquetError::EOF(format!("offset {start} is not in the row group")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunks {
    type T = Reading<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length <= bytes.len() {
            Ok(bytes.slice(..length))
        } else {
            Err(ParquetError::EOF(format!("{length} bytes at {start}")))
        }
    }
}

fn internal(error: &ParquetError) -> Error {
    Error::Internal(format!("rows could not be written as Parquet: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_strangers_apart() {
        let far = 10 * GAP_BYTES;
        assert_eq!(
            spans(&[far..far + 1, 0..10, 10..20, 20 + GAP_BYTES..30 + GAP_BYTES]),
            [0..30 + GAP_BYTES, far..far + 1]
        );
        assert_eq!(spans(&[0..far, 5..10, 2 * far..3 * far]), [0..far, 2 * far..3 * far]);
        assert_eq!(spans(&[]), []);
    }
}
