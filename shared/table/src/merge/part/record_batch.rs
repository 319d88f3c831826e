//! Operations on the columns of record batches.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::interleave::interleave;
use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::map::engine_columns;

/// Returns one value of a key as text, as [`crate::map`] writes it, or `None` if it is null or cannot be part of a key. A time is part of
/// a key only in a history; its null, which the first version of a row has, is an empty text.
pub(crate) fn key_text(column: &ArrayRef, row: usize) -> Option<String> {
    let is_null = column.is_null(row);
    match column.data_type() {
        DataType::Timestamp(..) if is_null => Some(String::new()),
        _ if is_null => None,
        DataType::Timestamp(..) => Some(column.as_primitive::<TimestampMicrosecondType>().value(row).to_string()),
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Date32 => Some(column.as_primitive::<Date32Type>().value(row).to_string()),
        _ => None,
    }
}

/// Returns the rows with the columns of `schema`, in their order and with their types. A column that the rows do not have is null.
///
/// The layout has made sure that a stored type which differs is a narrower one. But another run may have widened the column since, and a
/// rewrite would narrow what that run wrote. So the type is checked here, where the part's version is compared when it is written.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) if can_widen(column.data_type(), field.data_type()) => {
            cast_with_options(column, field.data_type(), &options).map_err(|error| Error::arrow(&error))
        }
        Some(column) => {
            let (name, stored, declared) = (field.name(), column.data_type(), field.data_type());
            let message = format!(
                "is stored as {stored}, and {declared} cannot hold all of its values: a run with another manifest widened it meanwhile"
            );
            Err(Error::configuration(format!("columns.{name}"), message))
        }
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::arrow(&error))
}

/// Whether [`crate::layout`] lets a manifest widen a column from the type `stored` to the type `declared`.
fn can_widen(stored: &DataType, declared: &DataType) -> bool {
    match declared {
        DataType::Utf8 => !stored.is_nested(),
        DataType::Float64 | DataType::Decimal128(..) => *stored == DataType::Int64,
        _ => false,
    }
}

/// Returns the rows with the time `time` in the columns `names` of those that are `chosen`.
pub(crate) fn with_time(
    rows: &RecordBatch,
    chosen: &BooleanArray,
    names: &[&str],
    time: DateTime<Utc>,
) -> Result<RecordBatch, Error> {
    let times = TimestampMicrosecondArray::from_value(time.timestamp_micros(), rows.num_rows()).with_timezone("UTC");
    let sources: Vec<(usize, usize)> = (0..rows.num_rows()).map(|row| (usize::from(chosen.value(row)), row)).collect();
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
        if !names.contains(&field.name().as_str()) {
            return Ok(Arc::clone(column));
        }
        interleave(&[column.as_ref(), &times], &sources).map_err(|error| Error::arrow(&error))
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Error::arrow(&error))
}

/// Returns the rows with later times of reading: for each row, `read_at` has the time when it was read again, if it was. Every time that is
/// replaced becomes later, by a microsecond at least, so that the row differs from the stored one.
pub(super) fn with_later_times(
    rows: &RecordBatch,
    read_at: impl Fn(usize) -> Option<i64>,
) -> Result<RecordBatch, Error> {
    let read_at: Vec<Option<i64>> = (0..rows.num_rows()).map(read_at).collect();
    let synced_at = rows.schema_ref().index_of(engine_columns::SYNCED_AT).ok();
    let Some(position) = synced_at.filter(|_| read_at.iter().any(Option::is_some)) else { return Ok(rows.clone()) };
    let mut columns = rows.columns().to_vec();
    let stored = columns[position].as_primitive::<TimestampMicrosecondType>();
    let times = stored.values().iter().zip(&read_at).map(|(stored, read_at)| match read_at {
        Some(read_at) => (*read_at).max(stored + 1),
        None => *stored,
    });
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    columns[position] = Arc::new(times);
    RecordBatch::try_new(rows.schema(), columns).map_err(|error| Error::arrow(&error))
}

/// Returns rows of `old` and `new`: for each row, `sources` has 0 for the old or 1 for the new batch, and the position there. The time when
/// a key was first written stays that of `old`.
pub(super) fn update_rows(
    old: &RecordBatch,
    new: &RecordBatch,
    sources: &[(usize, usize)],
) -> Result<RecordBatch, Error> {
    let schema = old.schema();
    let columns = schema.fields().iter().zip(old.columns().iter().zip(new.columns())).map(|(field, (old, new))| {
        if field.name() == engine_columns::FIRST_SEEN_AT {
            return Ok(Arc::clone(old));
        }
        interleave(&[old.as_ref(), new.as_ref()], sources).map_err(|error| Error::arrow(&error))
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Error::arrow(&error))
}
