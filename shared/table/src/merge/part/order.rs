//! The order of the rows in a row group: by the columns whose times decide about the partition, then by the key.
//!
//! A reader that filters by a time or by the key skips the row groups whose statistics leave out the value. Only rows that are encoded
//! together are sorted: row groups that are copied stay as they are.

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_select::concat::concat;
use arrow_select::take::take;

use crate::error::Error;
use crate::merge::context::TableContext;

/// A row of one of two record batches: 0 for the first or 1 for the second, and the position there.
pub(super) type RowSource = (usize, usize);

/// Sorts `rows`, which are positions in `batch`.
pub(crate) fn sort_rows(table: &TableContext<'_>, batch: &RecordBatch, rows: &mut Vec<u32>) -> Result<(), Error> {
    let positions = UInt32Array::from(std::mem::take(rows));
    let columns = order_columns(table, batch).map(|column| take(column, &positions, None));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(|error| Error::arrow(&error))?;
    let order = sorted_positions(columns)?;
    *rows = order.values().iter().map(|&index| positions.value(index as usize)).collect();
    Ok(())
}

/// Returns all rows of `old` and the rows of `new` at the positions `inserts` in their common order. The rows of `new` keep the order of
/// `inserts`, which are sorted. The batches have the same columns.
pub(super) fn merge_rows(
    table: &TableContext<'_>,
    old: &RecordBatch,
    new: &RecordBatch,
    inserts: &[u32],
) -> Result<Vec<RowSource>, Error> {
    let positions = UInt32Array::from(inserts.to_vec());
    let columns = order_columns(table, old).zip(order_columns(table, new)).map(|(old, new)| {
        let new = take(new, &positions, None)?;
        concat(&[old.as_ref(), new.as_ref()])
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(|error| Error::arrow(&error))?;
    let order = sorted_positions(columns)?;
    let mut inserts = inserts.iter();
    let sources = order.values().iter().filter_map(|&index| {
        let index = index as usize;
        if index < old.num_rows() { Some((0, index)) } else { inserts.next().map(|&row| (1, row as usize)) }
    });
    Ok(sources.collect())
}

/// Returns the columns that decide about the order.
fn order_columns<'b>(table: &'b TableContext<'_>, batch: &'b RecordBatch) -> impl Iterator<Item = &'b ArrayRef> {
    let names = table.sorted_by.iter().chain(&table.key_columns);
    names.filter_map(|name| batch.column_by_name(name))
}

/// Returns the positions of the rows with these columns in their order.
fn sorted_positions(columns: Vec<ArrayRef>) -> Result<UInt32Array, Error> {
    let columns: Vec<SortColumn> = columns.into_iter().map(|values| SortColumn { values, options: None }).collect();
    lexsort_to_indices(&columns, None).map_err(|error| Error::arrow(&error))
}
