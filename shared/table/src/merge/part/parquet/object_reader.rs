//! The reader that the Parquet library uses to read an object of the lake.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use lake::Object;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// The number of bytes that are read first from the end of an object. They hold the footer of all but the largest parts.
const FOOTER_GUESS_BYTES: u64 = 64 << 10;

/// Two ranges with at most this many bytes between them are read as one: the bytes arrive faster than another response begins.
const MAX_GAP_BYTES: u64 = 64 << 10;

/// Reads ranges of an object for the Parquet library.
pub(super) struct ObjectReader {
    pub(super) object: Arc<dyn Object>,
    /// The footer, if it was read before.
    pub(super) metadata: Option<Arc<ParquetMetaData>>,
}

impl ObjectReader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        self.object.read(range).await.map_err(|error| ParquetError::External(Box::new(error)))
    }

    async fn read_metadata(&self) -> Result<Arc<ParquetMetaData>, ParquetError> {
        let size = self.object.size();
        let mut footer = ParquetMetaDataReader::new();
        let mut begin = size.saturating_sub(FOOTER_GUESS_BYTES);
        loop {
            let tail = self.read(begin..size).await?;
            match footer.try_parse_sized(&tail, size) {
                Ok(()) => return footer.finish().map(Arc::new),
                Err(ParquetError::NeedMoreData(needed)) if begin > 0 => {
                    begin = size.saturating_sub(needed as u64);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.read(range).boxed()
    }

    /// Reads all ranges at the same time, and near ones together. So the columns of a row group take one wait, and one request if all of
    /// them are wanted.
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let reader = &*self;
        async move {
            let merged = merge_ranges(&ranges);
            let bytes = try_join_all(merged.iter().map(|range| reader.read(range.clone()))).await?;
            let slice = |range: &Range<u64>| {
                let position = merged.partition_point(|merged| merged.end < range.end);
                let begin = (range.start - merged[position].start) as usize;
                bytes[position].slice(begin..begin + (range.end - range.start) as usize)
            };
            Ok(ranges.iter().map(slice).collect())
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            match &self.metadata {
                Some(metadata) => Ok(Arc::clone(metadata)),
                None => self.read_metadata().await,
            }
        }
        .boxed()
    }
}

/// Returns the fewest ranges that cover `ranges`, with gaps of up to [`MAX_GAP_BYTES`] in them, in their order.
fn merge_ranges(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end + MAX_GAP_BYTES => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_read_together_and_far_ones_apart() {
        let far = 10 * MAX_GAP_BYTES;
        assert_eq!(
            merge_ranges(&[far..far + 1, 0..10, 10..20, 20 + MAX_GAP_BYTES..30 + MAX_GAP_BYTES]),
            [0..30 + MAX_GAP_BYTES, far..far + 1]
        );
        assert_eq!(merge_ranges(&[0..far, 5..10, 2 * far..3 * far]), [0..far, 2 * far..3 * far]);
        assert_eq!(merge_ranges(&[]), []);
    }
}
