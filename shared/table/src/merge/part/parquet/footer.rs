//! The footer of a Parquet part, and reading the rows that it describes.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lake::Object;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::RowGroupMetaData;

use super::metadata::{SEALED, read_error};
use super::object_reader::ObjectReader;
use crate::error::Error;
use crate::merge::part::batch_size::{BATCH_BYTES, MAX_BATCH_ROWS, batch_rows};

/// The footer of a Parquet part.
#[derive(Clone, Debug)]
pub(crate) struct Footer(ArrowReaderMetadata);

impl Footer {
    /// Reads the footer of `object`. `key` is for messages.
    pub(crate) async fn read(key: &str, object: &Arc<dyn Object>) -> Result<Self, Error> {
        let mut reader = ObjectReader { object: Arc::clone(object), metadata: None };
        let metadata = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await;
        metadata.map(Self).map_err(|error| read_error(key, error))
    }

    /// Whether the part takes no more rows.
    pub(crate) fn is_sealed(&self) -> bool {
        let entries = self.0.metadata().file_metadata().key_value_metadata();
        entries.is_some_and(|entries| entries.iter().any(|entry| entry.key == SEALED))
    }

    /// Returns the columns of the part.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    /// Returns the row groups of the part, in their order.
    pub(crate) fn row_groups(&self) -> &[RowGroupMetaData] {
        self.0.metadata().row_groups()
    }

    /// Reads the rows of `object` in their order: those of the row group at the position `group`, or all for `None`, with these columns or,
    /// for `None`, with all.
    pub(crate) fn read_batches<'p>(
        &self,
        key: &'p str,
        object: &Arc<dyn Object>,
        columns: Option<&[&str]>,
        group: Option<usize>,
    ) -> Result<BoxStream<'p, Result<RecordBatch, Error>>, Error> {
        let reader = ObjectReader { object: Arc::clone(object), metadata: Some(Arc::clone(self.0.metadata())) };
        let rows = if columns.is_some() { MAX_BATCH_ROWS } else { batch_rows(self.row_bytes()) };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.0.clone()).with_batch_size(rows);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Some(group) = group {
            builder = builder.with_row_groups(vec![group]);
        }
        let stream = builder.build().map_err(|error| read_error(key, error))?;
        Ok(stream.map_err(move |error| read_error(key, error)).boxed())
    }

    /// Returns the average size of a row in bytes, without compression. A footer with a negative size is damaged; its rows count as large.
    fn row_bytes(&self) -> usize {
        let sum = |value: fn(&RowGroupMetaData) -> i64| self.row_groups().iter().map(value).sum::<i64>();
        let (bytes, rows) = (sum(RowGroupMetaData::total_byte_size), sum(RowGroupMetaData::num_rows));
        usize::try_from(bytes / rows.max(1)).unwrap_or(BATCH_BYTES)
    }
}
