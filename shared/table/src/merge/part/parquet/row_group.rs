//! The bytes of one row group, read at the offsets that they have in their part.

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// The bytes of one row group. Offsets are those within its part.
pub(super) struct RowGroupBytes {
    /// The offset of the first byte.
    pub(super) begin: u64,
    pub(super) bytes: Bytes,
}

impl RowGroupBytes {
    fn bytes_from(&self, offset: u64) -> Result<Bytes, ParquetError> {
        let position = offset.checked_sub(self.begin).and_then(|position| usize::try_from(position).ok());
        match position.filter(|position| *position <= self.bytes.len()) {
            Some(position) => Ok(self.bytes.slice(position..)),
            None => Err(ParquetError::EOF(format!("offset {offset} is not in the row group"))),
        }
    }
}

impl Length for RowGroupBytes {
    fn len(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

impl ChunkReader for RowGroupBytes {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.bytes_from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.bytes_from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at offset {start} are not in the row group")));
        }
        Ok(bytes.slice(..length))
    }
}
