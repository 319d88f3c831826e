//! A column with the cursor of each row.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, PrimitiveArray, StringArray};
use manifest::time;

use super::time_column::TimeColumn;

/// A column of numbers, of times, or of texts that are times.
pub(in crate::merge) enum CursorColumn<'c> {
    Numbers(&'c PrimitiveArray<Int64Type>),
    Times(TimeColumn<'c>),
    Texts(&'c StringArray),
}

impl<'c> CursorColumn<'c> {
    /// Returns the column as one of cursors, or `None` if it has another type.
    pub(in crate::merge) fn new(column: &'c ArrayRef) -> Option<Self> {
        let numbers = column.as_primitive_opt().map(Self::Numbers);
        let texts = || column.as_string_opt().map(Self::Texts);
        numbers.or_else(|| TimeColumn::new(column).map(Self::Times)).or_else(texts)
    }

    /// Returns the cursor in a row: a number, or an instant in microseconds since 1970. `None` if the row has none.
    pub(in crate::merge) fn value(&self, row: usize) -> Option<i64> {
        match self {
            Self::Numbers(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Times(column) => column.value(row),
            Self::Texts(column) => {
                let text = column.is_valid(row).then(|| column.value(row))?;
                time::parse_instant(text).map(|instant| instant.timestamp_micros())
            }
        }
    }
}
