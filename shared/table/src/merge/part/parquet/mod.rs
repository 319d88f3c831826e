//! Parts as Parquet: compressed with zstd, timestamps in microseconds in UTC, the seal in the key-value metadata of the footer.
//!
//! A rewrite copies the row groups that it does not change, compressed as they are.

mod column_order;
mod footer;
mod metadata;
mod object_reader;
mod row_group;
mod writer;

pub(super) use self::footer::Footer;
pub(super) use self::writer::ParquetWriter;
