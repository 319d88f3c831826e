//! One part of a table, in either format: its name, reading it, and writing its next version.
//!
//! | module | what it holds |
//! |---|---|
//! | `name` | the key of a part |
//! | `stored` | a stored part, opened; its rows as record batches |
//! | `scan`, `time_column`, `cursor_column` | the keys, fingerprints, times and cursors of its rows |
//! | `rewrite`, `segment` | its next version: with inserts and updates, without removed rows, with marked rows |
//! | `order` | the order of the rows in a row group |
//! | `writer`, `write` | encoding a part; the conditional write into the lake |
//! | `parquet`, `json_lines`, `json_columns` | the formats |
//! | `record_batch`, `batch_size` | operations on record batches; how many rows one has |

mod batch_size;
mod cursor_column;
mod json_columns;
mod json_lines;
mod name;
mod order;
mod parquet;
mod record_batch;
mod rewrite;
mod scan;
mod segment;
mod stored;
mod time_column;
mod write;
mod writer;

pub(super) use self::cursor_column::CursorColumn;
pub(super) use self::name::{PartName, list_parts};
pub(super) use self::order::sort_rows;
pub(super) use self::record_batch::{key_text, with_time};
pub(super) use self::rewrite::{Upserts, encode_new_part};
pub(super) use self::scan::{StoredRow, StoredTimes};
pub(super) use self::stored::Part;
pub use self::time_column::first_moment;
pub(super) use self::write::PartWrite;
