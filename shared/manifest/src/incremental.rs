//! How a run continues where the runs before it ended.

use chrono::TimeDelta;

use crate::cursor::{Cursor, CursorFormat, CursorKind};
use crate::path::JsonPath;

/// How a run continues where the runs before it ended: it requests records at or after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Incremental {
    /// Where a record holds its cursor.
    pub cursor_path: JsonPath,
    /// The kind of value that the cursor is.
    pub kind: CursorKind,
    /// Where the first run begins; `None` means at the API's first record.
    pub initial_value: Option<Cursor>,
    /// Where every run ends unless the request says so. If it is given, the watermark does not move.
    pub end_value: Option<Cursor>,
    /// How far before the watermark a run reads again, for records that change after they appear: in seconds for instants, in units for
    /// numbers.
    pub lag: u64,
    /// What happens to a record without a cursor.
    pub missing: CursorMissing,
    /// The order of the API's records by cursor, if it has one. Reading then stops where the records leave the range.
    pub row_order: Option<RowOrder>,
    /// Whether runs go backwards, towards lesser cursors (dlt's `last_value_func: min`).
    pub descending: bool,
    /// How a request writes `{incremental.*}`.
    pub format: CursorFormat,
    /// The query parameter that takes the start of the range, if no placeholder does (dlt's deprecated `start_param`).
    pub start_param: Option<String>,
    /// The query parameter that takes the end of the range, if no placeholder does (dlt's deprecated `end_param`).
    pub end_param: Option<String>,
}

/// What happens to a record without a cursor (dlt's `on_cursor_value_missing`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorMissing {
    /// The run ends with an error.
    Raise,
    /// The record is stored.
    Include,
    /// The record is skipped and counted.
    Exclude,
}

/// The order of an API's records by their cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The least cursor comes first.
    Asc,
    /// The greatest cursor comes first.
    Desc,
}

/// The greatest lag that [`Cursor::minus_lag`] subtracts. A time span of more seconds cannot be represented.
const MAX_LAG: i64 = i64::MAX / 1000;

impl Cursor {
    /// Returns the cursor that lies the lag before this one, or after it if runs go backwards. A cursor from which the lag cannot be
    /// subtracted is returned as it is.
    pub fn minus_lag(self, incremental: &Incremental) -> Self {
        let lag = i64::try_from(incremental.lag).unwrap_or(MAX_LAG);
        let lag = if incremental.descending { -lag } else { lag };
        match self {
            Self::Instant(instant) => Self::Instant(
                TimeDelta::try_seconds(lag).and_then(|lag| instant.checked_sub_signed(lag)).unwrap_or(instant),
            ),
            Self::Number(number) => Self::Number(number.saturating_sub(lag)),
        }
    }

    /// Returns the greater of the two cursors, or the lesser one if runs go backwards.
    pub fn furthest(self, other: Option<Self>, incremental: &Incremental) -> Self {
        match other {
            Some(other) if incremental.descending => self.min(other),
            Some(other) => self.max(other),
            None => self,
        }
    }
}
