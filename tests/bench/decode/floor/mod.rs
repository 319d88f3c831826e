//! The least that rows can cost with `serde_json`: structs with a field for each column, and Parquet of their columns.
//!
//! A text is a part of the page where it has no escapes. What the engine does beside is left out: no key, fingerprint, evidence or
//! partition, no `_extra` and `_issues`, no second object, and a page that does not fit ends the program.

mod events;
mod sales;

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Deserialize;

use super::Source;
use super::pages::Pages;

/// A text of a page. A type of its own, since `serde` borrows no text inside an `Option` otherwise.
#[derive(Debug, Deserialize)]
struct Text<'p>(#[serde(borrow)] Cow<'p, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Decodes all pages; gives how many records they have.
pub(crate) fn decode(source: Source, pages: &Pages) -> usize {
    let count = match source {
        Source::Sales => sales::count,
        Source::Events => events::count,
    };
    pages.bodies.iter().map(|body| count(body)).sum()
}

/// Writes the records of all pages as one Parquet file; gives its size.
pub(crate) fn write(source: Source, pages: &Pages) -> usize {
    let columns = match source {
        Source::Sales => sales::columns,
        Source::Events => events::columns,
    };
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    for body in &pages.bodies {
        let batch = columns(body);
        let writer = writer.get_or_insert_with(|| {
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.clone())).expect("a writer in memory")
        });
        writer.write(&batch).expect("memory takes all");
    }
    writer.map_or(0, |writer| writer.into_inner().expect("memory takes all").len())
}

/// A column with its name.
type Column = (&'static str, ArrayRef);

/// A batch of columns that may all have no value.
fn batch(columns: impl IntoIterator<Item = Column>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("equal lengths")
}

fn texts<'s, R>(rows: &'s [R], text: impl Fn(&'s R) -> &'s Option<Text<'s>>) -> ArrayRef {
    array(rows.iter().map(|row| text(row).as_ref().map(Text::as_str)).collect::<StringArray>())
}

fn doubles<R>(rows: &[R], double: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    array(rows.iter().map(double).collect::<Float64Array>())
}

fn integers<R>(rows: &[R], integer: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    array(rows.iter().map(integer).collect::<Int64Array>())
}

fn flags<R>(rows: &[R], flag: impl Fn(&R) -> Option<bool>) -> ArrayRef {
    array(rows.iter().map(flag).collect::<BooleanArray>())
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
