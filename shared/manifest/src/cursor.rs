//! Cursors: the values that order a resource's records and say how far it has been read.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::{self, Instant};

/// The value of a cursor. All cursors of one resource are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// An instant in UTC.
    Instant(Instant),
    /// A whole number.
    Number(i64),
}

/// The kind of value that a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorKind {
    /// A day or an instant, read with [`crate::time::parse_instant`].
    Instant,
    /// A whole number: an id, or seconds since 1970.
    Number,
}

/// How a request writes an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CursorFormat {
    /// RFC 3339, to the second: `2026-11-21T10:00:00Z`.
    #[default]
    Rfc3339,
    /// The day: `2026-11-21`.
    Date,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
}

impl Cursor {
    /// Reads the cursor of kind `kind` from a record's value; `None` if the value is no such cursor.
    pub fn from_value(value: &Value, kind: CursorKind) -> Option<Self> {
        match (kind, value) {
            (CursorKind::Instant, Value::String(text)) => time::parse_instant(text).map(Self::Instant),
            (CursorKind::Number, Value::Number(number)) => number.as_i64().map(Self::Number),
            (CursorKind::Number, Value::String(text)) => text.parse().ok().map(Self::Number),
            _ => None,
        }
    }

    /// Reads the cursor of kind `kind` from a text as [`Cursor`] displays it; `None` if the text is no such cursor.
    pub fn parse(text: &str, kind: CursorKind) -> Option<Self> {
        Self::from_value(&Value::from(text), kind)
    }

    /// The instant; `None` if the cursor is a number.
    pub fn instant(self) -> Option<Instant> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Number(_) => None,
        }
    }

    /// Writes the cursor as a request holds it. `format` is how an instant is written.
    pub fn format(self, format: CursorFormat) -> Value {
        match (self, format) {
            (Self::Number(number), _) => number.into(),
            (Self::Instant(instant), CursorFormat::Rfc3339) => time::format_seconds(instant).into(),
            (Self::Instant(instant), CursorFormat::Date) => instant.format("%Y-%m-%d").to_string().into(),
            (Self::Instant(instant), CursorFormat::Epoch) => instant.timestamp().into(),
            (Self::Instant(instant), CursorFormat::EpochMs) => instant.timestamp_millis().into(),
        }
    }
}

impl fmt::Display for Cursor {
    /// Writes an instant in RFC 3339, and a number in digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => f.write_str(&time::format_instant(*instant)),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
