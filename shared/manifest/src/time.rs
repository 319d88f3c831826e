//! Instants and days, as the APIs write them and as the lake stores them (UTC, microseconds).

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant in UTC.
pub type Instant = DateTime<Utc>;

/// Reads an instant: RFC 3339 with any offset; or without a zone, taken as UTC, with `T` or a space; or a
/// day alone, its midnight. `None` for anything else: a guess at `01/02/2026` would be wrong half the time.
pub fn parse_instant(text: &str) -> Option<Instant> {
    let text = text.trim();
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

/// Reads a day written `YYYY-MM-DD`, four digits of year.
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    (text.len() == 10).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// Writes an instant to the second with `Z`, the one form that both See Tickets and Ticketmaster take
/// (Ticketmaster answers 400 DIS1015 to milliseconds or a missing `Z`).
pub fn format_seconds(instant: Instant) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes an instant as the report and the state hold it: RFC 3339, UTC, with what fraction it has.
pub fn format_instant(instant: Instant) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The instant `seconds` after 1970; `None` for one that no calendar has.
pub fn from_seconds(seconds: i64) -> Option<Instant> {
    DateTime::from_timestamp(seconds, 0)
}

/// A range of time in whole seconds since 1970, both ends inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first second; `None`: from the beginning.
    pub from: Option<i64>,
    /// The last second; `None`: to the end.
    pub to: Option<i64>,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { from: None, to: None };

    /// The range between two instants, the seconds of both included.
    pub fn between(from: Instant, to: Instant) -> Self {
        Self { from: Some(from.timestamp()), to: Some(to.timestamp()) }
    }

    /// Whether `second` lies in it.
    pub fn contains(&self, second: i64) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second <= to)
    }
}

impl std::fmt::Display for TimeRange {
    /// `2026-11-21T00:00:00Z/..`: RFC 3339, `..` for an open end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |end: Option<i64>| end.and_then(from_seconds).map_or_else(|| "..".to_owned(), format_seconds);
        write!(f, "{}/{}", end(self.from), end(self.to))
    }
}

/// Where the time of day comes from. Everything that is stored or decided by the time asks one of these, so that a test can say what time it is.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> Instant;
}

/// The machine's own clock.
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
    fn every_stated_form_finds_its_day() {
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

    #[test]
    fn ambiguous_and_broken_texts_are_not_guessed() {
        for text in ["", "01/02/2024", "2024-13-01", "yesterday", "24-01-01", "2024-1-1", "1717243800"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
