//! A row and its cells.

use std::borrow::Cow;

use bytes::Bytes;
use manifest::Cursor;
use serde_json::{Value, json};

/// One value of a row, of the type that its column has. A text lies in the record's own text, if it is written there as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'r> {
    /// No value.
    Null,
    /// A text, or any JSON value as compact JSON.
    Text(Cow<'r, str>),
    /// A 64-bit floating point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// An instant, in microseconds since 1970 in UTC.
    Timestamp(i64),
    /// A day, in days since 1970.
    Date(i32),
    /// A 64-bit signed integer.
    Bigint(i64),
    /// A decimal, in units of 10⁻⁹.
    Decimal(i128),
    /// A list of values of one type. It has no null elements.
    List(Vec<Self>),
}

impl Cell<'_> {
    /// Returns the cell with texts of its own.
    fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Double(value) => Cell::Double(value),
            Self::Bool(value) => Cell::Bool(value),
            Self::Timestamp(value) => Cell::Timestamp(value),
            Self::Date(value) => Cell::Date(value),
            Self::Bigint(value) => Cell::Bigint(value),
            Self::Decimal(value) => Cell::Decimal(value),
            Self::List(cells) => Cell::List(cells.into_iter().map(Cell::into_owned).collect()),
        }
    }
}

/// A record as the table holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'r> {
    /// The values of the primary key as one text, written by [`join_key`].
    pub key: String,
    /// The partition, as in `sale_month=2026-11`. It is empty if the table has only one.
    pub partition: String,
    /// The values of the manifest's columns, in their order.
    pub cells: Vec<Cell<'r>>,
    /// The value of the column [`engine_columns::FINGERPRINT`](super::engine_columns::FINGERPRINT).
    pub fingerprint: i64,
    /// The value of the column [`engine_columns::EXTRA`](super::engine_columns::EXTRA).
    pub extra: Option<Cow<'r, str>>,
    /// The value of the column [`engine_columns::ISSUES`](super::engine_columns::ISSUES).
    pub issues: Option<String>,
    /// The value of the resource's cursor in the record. It is `None` if the resource or the record has none.
    pub cursor: Option<Cursor>,
}

impl Row<'_> {
    /// Returns the row with texts of its own.
    pub fn into_owned(self) -> Row<'static> {
        Row {
            key: self.key,
            partition: self.partition,
            cells: self.cells.into_iter().map(Cell::into_owned).collect(),
            fingerprint: self.fingerprint,
            extra: self.extra.map(|extra| Cow::Owned(extra.into_owned())),
            issues: self.issues,
            cursor: self.cursor,
        }
    }
}

/// A record that becomes rows.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedRecord<'r> {
    /// The rows: one, or one for each leaf if the resource explodes its records.
    pub rows: Vec<Result<Row<'r>, Rejection>>,
    /// The texts of the objects that lie inside the record and belong to other resources, each with the position of its path in the
    /// `harvest` of the resource.
    pub inner: Vec<(usize, Cow<'r, str>)>,
}

/// A record that cannot become a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The record as the API sent it.
    pub record: RejectedContent,
    /// The reason why the record cannot become a row.
    pub reason: String,
    /// The key that the row would have, as in [`Row::key`]. `None` if the record does not show it.
    pub key: Option<String>,
}

/// The content of a record that cannot become a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RejectedContent {
    /// The value of a record that can be decoded.
    Value(Value),
    /// The bytes of a record that cannot be decoded.
    Undecodable(Bytes),
}

impl RejectedContent {
    /// Returns the record's JSON text, or the bytes of a record that is none.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Value(record) => Bytes::from(record.to_string()),
            Self::Undecodable(bytes) => bytes.clone(),
        }
    }
}

impl From<Value> for RejectedContent {
    fn from(record: Value) -> Self {
        Self::Value(record)
    }
}

/// Joins the values of a key into one text. Several values are written as a JSON list, so that no two keys have the same text.
pub fn join_key(mut values: Vec<String>) -> String {
    match values.len() {
        1 => values.remove(0),
        _ => json!(values).to_string(),
    }
}
