//! Instants and days, as APIs write them and as the lake stores them (in UTC, in microseconds).

use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// An instant in UTC.
pub type Instant = DateTime<Utc>;

/// Reads an instant. The text is RFC 3339 with any offset; or a time without a zone, which is taken as UTC, with `T` or a space; or a
/// day, which stands for its midnight. Any other text is `None`, because a guess at `01/02/2026` would often be wrong.
pub fn parse_instant(text: &str) -> Option<Instant> {
    let text = text.trim();
    if let Some(instant) = parse_usual_instant(text.as_bytes()) {
        return Some(instant);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(instant) = NaiveDateTime::parse_from_str(text, format) {
            return Some(instant.and_utc());
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%#z"] {
        if let Ok(instant) = DateTime::parse_from_str(text, format) {
            return Some(instant.to_utc());
        }
    }
    parse_day(text).map(|day| day.and_time(NaiveTime::MIN).and_utc())
}

/// Reads an instant in the forms that nearly all records have, without asking which of all forms it is: `2026-11-21T10:00:00`, with a
/// space or a `T` in it, and a `Z` or no zone at its end. Any other text is `None`.
fn parse_usual_instant(text: &[u8]) -> Option<Instant> {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let &[_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', _, _, b':', _, _] = text else { return None };
    let number = |range: Range<usize>| {
        text[range]
            .iter()
            .try_fold(0, |number: u32, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(number(0..4)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    Some(day.and_hms_opt(number(11..13)?, number(14..16)?, number(17..19)?)?.and_utc())
}

/// Reads a day that is written as `YYYY-MM-DD`, with four digits for the year. Any other text is `None`.
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    (text.len() == 10).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// Writes an instant to the second with `Z`: the one form that both See Tickets and Ticketmaster accept. Ticketmaster responds with a
/// status 400 (DIS1015) to milliseconds and to a missing `Z`.
pub fn format_seconds(instant: Instant) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes an instant as the report and the state hold it: RFC 3339 in UTC, with a fraction of the second only if there is one.
pub fn format_instant(instant: Instant) -> String {
    match usual_date(instant.date_naive()) {
        Some((year, month, day)) if instant.nanosecond() == 0 => {
            let (hour, minute, second) = (instant.hour(), instant.minute(), instant.second());
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
        }
        _ => instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}

/// Writes the day of an instant: `2026-11-21`.
pub fn format_day(instant: Instant) -> String {
    match usual_date(instant.date_naive()) {
        Some((year, month, day)) => format!("{year:04}-{month:02}-{day:02}"),
        None => instant.format("%Y-%m-%d").to_string(),
    }
}

/// Returns the year, the month and the day of a date whose year has four digits.
fn usual_date(date: NaiveDate) -> Option<(i32, u32, u32)> {
    (0..=9999).contains(&date.year()).then(|| (date.year(), date.month(), date.day()))
}

/// The instant `seconds` seconds after 1970 began; `None` if it is out of the calendar's range.
pub fn from_seconds(seconds: i64) -> Option<Instant> {
    DateTime::from_timestamp(seconds, 0)
}

/// A range of time in whole seconds since 1970. Both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first second; `None` means that the range has no beginning.
    pub from: Option<i64>,
    /// The last second; `None` means that the range has no end.
    pub to: Option<i64>,
}

impl TimeRange {
    /// The range of all seconds.
    pub const ALL: Self = Self { from: None, to: None };

    /// The range from the second of `from` to the second of `to`.
    pub fn between(from: Instant, to: Instant) -> Self {
        Self { from: Some(from.timestamp()), to: Some(to.timestamp()) }
    }

    /// Returns whether `second` lies in the range.
    pub fn contains(&self, second: i64) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second <= to)
    }
}

impl std::fmt::Display for TimeRange {
    /// Writes both ends in RFC 3339, with `..` for an open one: `2026-11-21T00:00:00Z/..`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |end: Option<i64>| end.and_then(from_seconds).map_or_else(|| "..".to_owned(), format_seconds);
        write!(f, "{}/{}", end(self.from), end(self.to))
    }
}

/// A source of the current time. Everything that is stored or decided by the current time uses one, so that a test can choose the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time.
    fn now(&self) -> Instant;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Utc::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_any_known_form_is_its_instant() {
        for (text, expected) in [
            ("2024-06-01T12:30:00Z", "2024-06-01T12:30:00Z"),
            ("2024-06-01T23:30:00-05:00", "2024-06-02T04:30:00Z"),
            ("2024-06-01T12:30:00.250Z", "2024-06-01T12:30:00.250Z"),
            ("2024-06-01T12:30:00", "2024-06-01T12:30:00Z"),
            ("2024-06-01 12:30:00", "2024-06-01T12:30:00Z"),
            ("2024-06-01 12:30:00+0200", "2024-06-01T10:30:00Z"),
            ("2024-06-01", "2024-06-01T00:00:00Z"),
        ] {
            assert_eq!(parse_instant(text).map(format_instant).as_deref(), Some(expected), "{text}");
        }
    }

    /// The quick ways to read and to write an instant are those of all others.
    #[test]
    fn usual_instants_are_read_and_written_as_all_are() {
        for seconds in
            [-62_167_219_200, -62_135_596_801, -1, 0, 951_782_400, 1_700_000_001, 253_402_300_799, 253_402_300_800]
        {
            let instant = from_seconds(seconds).unwrap();
            assert_eq!(format_instant(instant), instant.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            assert_eq!(format_day(instant), instant.format("%Y-%m-%d").to_string());
            assert_eq!(
                DateTime::parse_from_rfc3339(&format_instant(instant)).ok(),
                parse_instant(&format_instant(instant)).map(Into::into)
            );
        }
        for text in ["2026-02-29T00:00:00Z", "2026-01-01T24:00:00", "2026-01-01T00:60:00Z", "2026-13-01 00:00:00"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
        assert!(parse_instant("2016-12-31T23:59:60Z").is_some());
    }

    #[test]
    fn an_ambiguous_or_broken_text_is_no_instant() {
        for text in ["", "01/02/2024", "2024-13-01", "yesterday", "24-01-01", "2024-1-1", "1717243800"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
