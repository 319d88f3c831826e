//! How far an incremental resource has come: an instant or a number.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::{self, Instant};
use crate::{CursorFormat, CursorKind, Incremental};

/// A cursor's value. Values of one resource are all of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// A moment.
    Instant(Instant),
    /// A whole number.
    Number(i64),
}

impl Cursor {
    /// The cursor of kind `kind` in `value`; `None` when it holds none.
    pub fn of(value: &Value, kind: CursorKind) -> Option<Self> {
        match (kind, value) {
            (CursorKind::Instant, Value::String(text)) => time::parse_instant(text).map(Self::Instant),
            (CursorKind::Number, Value::Number(number)) => number.as_i64().map(Self::Number),
            (CursorKind::Number, Value::String(text)) => text.parse().ok().map(Self::Number),
            _ => None,
        }
    }

    /// The cursor that `text`, as [`Cursor`] displays it, stands for.
    pub fn parse(text: &str, kind: CursorKind) -> Option<Self> {
        Self::of(&Value::from(text), kind)
    }

    /// The moment, if it is one.
    pub fn instant(self) -> Option<Instant> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Number(_) => None,
        }
    }

    /// So many seconds or units before it (after it, where the cursor goes down).
    pub fn less_lag(self, incremental: &Incremental) -> Self {
        let lag = i64::try_from(incremental.lag).unwrap_or(i64::MAX / 1000);
        let lag = if incremental.descending { -lag } else { lag };
        match self {
            Self::Instant(instant) => Self::Instant(
                TimeDelta::try_seconds(lag).and_then(|lag| instant.checked_sub_signed(lag)).unwrap_or(instant),
            ),
            Self::Number(number) => Self::Number(number.saturating_sub(lag)),
        }
    }

    /// As a request holds it.
    pub fn written(self, format: CursorFormat) -> Value {
        match (self, format) {
            (Self::Number(number), _) => number.into(),
            (Self::Instant(instant), CursorFormat::Rfc3339) => time::format_seconds(instant).into(),
            (Self::Instant(instant), CursorFormat::Date) => instant.format("%Y-%m-%d").to_string().into(),
            (Self::Instant(instant), CursorFormat::Epoch) => instant.timestamp().into(),
            (Self::Instant(instant), CursorFormat::EpochMs) => instant.timestamp_millis().into(),
        }
    }

    /// The one of the two that is further, in the direction of `incremental`.
    pub fn further(self, other: Option<Self>, incremental: &Incremental) -> Self {
        match other {
            Some(other) if incremental.descending => self.min(other),
            Some(other) => self.max(other),
            None => self,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => f.write_str(&time::format_instant(*instant)),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
