//! Parts as Parquet: zstd, timestamps in microseconds UTC, the seal in the footer's key-value metadata.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::error::Error;
use crate::map::own;
use crate::store::{Object, StoreError};

/// Says in the footer that the part takes no more rows.
const SEALED: &str = "ticketlake.sealed";
/// Constant, so that another version of the library writes the same bytes for the same rows.
const CREATED_BY: &str = "ticketlake";
/// Read at once from the end: holds the footer of all but the largest parts.
const FOOTER_GUESS: u64 = 64 << 10;
/// Ranges no further apart are read as one: these bytes come faster than another answer begins.
const GAP_BYTES: u64 = 64 << 10;
/// Rows decoded at once.
const READ_ROWS: usize = 4096;
/// A row group is closed at this many bytes, so that neither writing nor reading holds more.
const ROW_GROUP_BYTES: usize = 16 << 20;

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
    pub(super) fn schema(&self, _key: &str) -> Result<SchemaRef, Error> {
        Ok(Arc::clone(self.0.schema()))
    }

    /// The part's rows in order; with `columns`, those alone.
    pub(super) fn batches<'p>(
        &self,
        key: &'p str,
        object: &Arc<dyn Object>,
        columns: Option<&[&str]>,
    ) -> Result<BoxStream<'p, Result<RecordBatch, Error>>, Error> {
        let reader = Reader { object: Arc::clone(object), metadata: Some(Arc::clone(self.0.metadata())) };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.0.clone()).with_batch_size(READ_ROWS);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let stream = builder.build().map_err(|error| unreadable(key, error))?;
        Ok(stream.map_err(move |error| unreadable(key, error)).boxed())
    }
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

/// Writes one part in memory.
#[derive(Debug)]
pub(super) struct Sink(ArrowWriter<Vec<u8>>);

impl Sink {
    pub(super) fn new(schema: &SchemaRef, key: &[String]) -> Result<Self, Error> {
        let level = ZstdLevel::try_new(3).map_err(|error| internal(&error))?;
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk);
        // Values that never repeat gain nothing from a dictionary.
        for name in key.iter().map(String::as_str).chain([own::FINGERPRINT]) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
        }
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties.build()));
        writer.map(Self).map_err(|error| internal(&error))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.0.write(batch).map_err(|error| internal(&error))
    }

    /// Bytes so far; of the open row group, what it will be about.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes_written() + self.0.in_progress_size()
    }

    pub(super) fn finish(mut self, sealed: bool) -> Result<Bytes, Error> {
        if sealed {
            self.0.append_key_value_metadata(KeyValue::new(SEALED.to_owned(), "true".to_owned()));
        }
        self.0.into_inner().map(Bytes::from).map_err(|error| internal(&error))
    }
}

fn internal(error: &ParquetError) -> Error {
    Error::Runtime(format!("rows could not be written as Parquet: {error}"))
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
