//! The scan of a part: the key, the fingerprint and the times of each row.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch};
use futures::TryStreamExt;

use super::cursor_column::CursorColumn;
use super::record_batch::key_text;
use super::stored::Part;
use super::time_column::TimeColumn;
use crate::error::Error;
use crate::map::{engine_columns, join_key};
use crate::merge::context::TableContext;

/// What a scan reads of a row, apart from its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredRow<'s> {
    pub(crate) fingerprint: i64,
    /// The position of the row in its part, from 0.
    pub(crate) position: u64,
    /// The values of the requested columns of times, in microseconds since 1970.
    pub(crate) times: &'s [Option<i64>],
}

impl Part {
    /// Calls `visit` with the key of every row and what else is read of it. `time_columns` are columns of timestamps or days. No other
    /// columns are read than these, the key and the fingerprint.
    pub(crate) async fn scan(
        &self,
        table: &TableContext<'_>,
        time_columns: &[&str],
        mut visit: impl FnMut(&str, StoredRow<'_>),
    ) -> Result<(), Error> {
        let key_columns = table.key_columns.iter().map(String::as_str);
        let columns: Vec<&str> =
            key_columns.chain([engine_columns::FINGERPRINT]).chain(time_columns.iter().copied()).collect();
        let mut batches = self.read_batches(&table.row_schema, Some(&columns))?;
        let mut position = 0;
        let mut times = vec![None; time_columns.len()];
        while let Some(batch) = batches.try_next().await? {
            let columns = ScannedColumns::new(self, table, &batch, time_columns)?;
            for row in 0..batch.num_rows() {
                let key = columns.key(row).ok_or_else(|| self.error("a key is null"))?;
                for (time, column) in times.iter_mut().zip(&columns.times) {
                    *time = column.as_ref().and_then(|column| column.value(row));
                }
                visit(&key, StoredRow { fingerprint: columns.fingerprints.value(row), position, times: &times });
                position += 1;
            }
        }
        Ok(())
    }

    /// Calls `visit` with the position of every row and what says how new it is. No other columns are read.
    pub(crate) async fn scan_times(
        &self,
        table: &TableContext<'_>,
        mut visit: impl FnMut(u64, StoredTimes),
    ) -> Result<(), Error> {
        let cursor_name = table.cursor_column.as_deref();
        let names = [engine_columns::SYNCED_AT, engine_columns::FIRST_SEEN_AT];
        let columns: Vec<&str> = names.into_iter().chain(cursor_name).collect();
        let mut batches = self.read_batches(&table.row_schema, Some(&columns))?;
        let mut position = 0;
        while let Some(batch) = batches.try_next().await? {
            let column = |name: &str| batch.column_by_name(name).and_then(TimeColumn::new);
            let times = names.map(column);
            // A part that was written before the manifest had the column does not have it.
            let cursors = cursor_name.and_then(|name| batch.column_by_name(name)).and_then(CursorColumn::new);
            for row in 0..batch.num_rows() {
                let [synced_at, first_seen_at] =
                    times.each_ref().map(|time| time.as_ref().and_then(|time| time.value(row)).unwrap_or_default());
                let cursor = cursors.as_ref().and_then(|cursors| cursors.value(row));
                visit(position, StoredTimes { synced_at, first_seen_at, cursor });
                position += 1;
            }
        }
        Ok(())
    }
}

/// What says how new a stored row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredTimes {
    /// When the row was read, in microseconds since 1970.
    pub(crate) synced_at: i64,
    /// When the key was first read, in microseconds since 1970.
    pub(crate) first_seen_at: i64,
    /// The cursor of the row, if the table has a column for it.
    pub(crate) cursor: Option<i64>,
}

/// The columns of a record batch that a scan reads.
struct ScannedColumns<'b> {
    keys: Vec<&'b ArrayRef>,
    fingerprints: &'b PrimitiveArray<Int64Type>,
    /// The columns of times; `None` for one that the part does not have.
    times: Vec<Option<TimeColumn<'b>>>,
}

impl<'b> ScannedColumns<'b> {
    fn new(
        part: &Part,
        table: &TableContext<'_>,
        batch: &'b RecordBatch,
        time_columns: &[&str],
    ) -> Result<Self, Error> {
        let missing = |name: &str| part.error(format!("it has no column `{name}`: it is not a part of this table"));
        let wrong_type = |name: &str, column: &ArrayRef| {
            part.error(format!("the column `{name}` has the type {}", column.data_type()))
        };
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));

        let keys = table.key_columns.iter().map(|name| column(name)).collect::<Result<_, _>>()?;
        let fingerprints = column(engine_columns::FINGERPRINT)?;
        let fingerprints =
            fingerprints.as_primitive_opt().ok_or_else(|| wrong_type(engine_columns::FINGERPRINT, fingerprints))?;
        let times = time_columns.iter().map(|name| match batch.column_by_name(name) {
            Some(column) => TimeColumn::new(column).map(Some).ok_or_else(|| wrong_type(name, column)),
            // A part that was written before the manifest had the column does not have it.
            None if table.is_nullable(name) => Ok(None),
            None => Err(missing(name)),
        });
        Ok(Self { keys, fingerprints, times: times.collect::<Result<_, _>>()? })
    }

    /// Returns the key of a row, or `None` if one of its values is null.
    fn key(&self, row: usize) -> Option<String> {
        let values: Option<Vec<String>> = self.keys.iter().map(|column| key_text(column, row)).collect();
        values.map(join_key)
    }
}
