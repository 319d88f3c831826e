//! How a run continues where the runs before it ended.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use crate::cursor::{Cursor, CursorFormat, CursorKind};
use crate::path::JsonPath;
use crate::time;

/// How a run continues where the runs before it ended: it requests records at or after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Incremental {
    /// Where a record holds its cursor.
    pub cursor_path: JsonPath,
    /// The kind of value that the cursor is.
    pub kind: CursorKind,
    /// Where the first run begins; `None` means at the API's first record.
    pub initial_value: Option<Cursor>,
    /// Where every run ends unless the request says so. If it is given, runs add nothing to the coverage.
    pub end_value: Option<Cursor>,
    /// How far before the end of what was read a run reads again, for records that change after they appear: in seconds for instants, in
    /// units for numbers.
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

/// The number of seconds in a day.
const DAY_SECONDS: u64 = 86_400;

impl Incremental {
    /// Returns the least distance between two cursors that every API can tell apart: a day if requests name days, a second for other
    /// instants, and 1 for numbers. It is in the unit of [`Incremental::lag`].
    pub fn resolution(&self) -> u64 {
        match (self.kind, self.format) {
            (CursorKind::Instant, CursorFormat::Date) => DAY_SECONDS,
            (CursorKind::Instant, _) | (CursorKind::Number, _) => 1,
        }
    }
}

impl Cursor {
    /// Returns the cursor that lies the lag before this one, or after it if runs go backwards. The lag is at least the resolution: an API may
    /// return only what lies after the start of a range, and a record that comes later may have the same cursor. A cursor from which the
    /// lag cannot be subtracted is returned as it is.
    pub fn minus_lag(self, incremental: &Incremental) -> Self {
        self.back(incremental.lag.max(incremental.resolution()), incremental)
    }

    /// Returns the cursor that lies `distance` before this one, or after it if runs go backwards.
    fn back(self, distance: u64, incremental: &Incremental) -> Self {
        let distance = i64::try_from(distance).unwrap_or(MAX_LAG);
        if incremental.descending { self.plus(distance) } else { self.plus(-distance) }
    }

    /// Returns the cursor plus `distance` seconds or units. A cursor to which it cannot be added is returned as it is.
    fn plus(self, distance: i64) -> Self {
        match self {
            Self::Instant(instant) => {
                let distance = TimeDelta::try_seconds(distance);
                Self::Instant(distance.and_then(|distance| instant.checked_add_signed(distance)).unwrap_or(instant))
            }
            Self::Number(number) => Self::Number(number.saturating_add(distance)),
        }
    }

    /// Returns the end of a range as a request holds it. The end does not belong to the range, and the request must return everything
    /// before it. An end within a second or a day is therefore moved to the end of that second or day. If runs go backwards, the end is the
    /// least cursor of the range and belongs to it, so that it is moved by the resolution.
    pub fn format_end(self, incremental: &Incremental) -> Value {
        let resolution = i64::try_from(incremental.resolution()).unwrap_or(1);
        if incremental.descending {
            return self.plus(-resolution).format(incremental.format);
        }
        let formatted = self.format(incremental.format);
        let is_before = Self::from_request(&formatted, incremental).is_some_and(|sent| sent < self);
        if is_before { self.plus(resolution).format(incremental.format) } else { formatted }
    }

    /// Reads a cursor as a request holds it.
    fn from_request(sent: &Value, incremental: &Incremental) -> Option<Self> {
        match (incremental.kind, incremental.format) {
            (CursorKind::Instant, CursorFormat::Epoch) => time::from_seconds(sent.as_i64()?).map(Self::Instant),
            (CursorKind::Instant, CursorFormat::EpochMs) => {
                DateTime::from_timestamp_millis(sent.as_i64()?).map(Self::Instant)
            }
            (kind, _) => Self::from_value(sent, kind),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn incremental(format: CursorFormat, descending: bool) -> Incremental {
        Incremental {
            cursor_path: JsonPath::parse("at").unwrap(),
            kind: CursorKind::Instant,
            initial_value: None,
            end_value: None,
            lag: 0,
            missing: CursorMissing::Raise,
            row_order: None,
            descending,
            format,
            start_param: None,
            end_param: None,
        }
    }

    /// Whether the API takes an end as inclusive or exclusive, and whether it knows seconds or days.
    #[test]
    fn an_end_is_sent_so_that_everything_before_it_is_returned() {
        use CursorFormat::{Date, Epoch, EpochMs, Rfc3339};
        for (end, format, sent) in [
            ("2026-10-08T00:00:00Z", Rfc3339, "\"2026-10-08T00:00:00Z\""),
            ("2026-10-08T00:00:00.5Z", Rfc3339, "\"2026-10-08T00:00:01Z\""),
            ("2026-10-08T00:00:00Z", Date, "\"2026-10-08\""),
            ("2026-10-08T12:00:00Z", Date, "\"2026-10-09\""),
            ("2026-10-08T00:00:00.5Z", Epoch, "1791417601"),
            ("2026-10-08T00:00:00.5Z", EpochMs, "1791417600500"),
        ] {
            let cursor = Cursor::parse(end, CursorKind::Instant).unwrap();
            assert_eq!(cursor.format_end(&incremental(format, false)).to_string(), sent, "{end} {format:?}");
        }
        let cursor = Cursor::parse("2026-10-08T00:00:00.5Z", CursorKind::Instant).unwrap();
        assert_eq!(cursor.format_end(&incremental(Rfc3339, true)), "2026-10-07T23:59:59Z");
    }

    #[test]
    fn a_lag_is_at_least_the_resolution() {
        let cursor = Cursor::parse("2026-10-08T00:00:00Z", CursorKind::Instant).unwrap();
        for (format, lag, before) in [
            (CursorFormat::Rfc3339, 0, "2026-10-07T23:59:59Z"),
            (CursorFormat::Rfc3339, 60, "2026-10-07T23:59:00Z"),
            (CursorFormat::Date, 60, "2026-10-07T00:00:00Z"),
        ] {
            let incremental = Incremental { lag, ..incremental(format, false) };
            assert_eq!(cursor.minus_lag(&incremental).to_string(), before);
        }
        assert_eq!(cursor.minus_lag(&incremental(CursorFormat::Rfc3339, true)).to_string(), "2026-10-08T00:00:01Z");
    }
}
