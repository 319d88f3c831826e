//! One value of a record, as a column takes it.

use std::borrow::Cow;

use manifest::json::{Malformed, Reader, Token, write_text};
use manifest::{Cursor, CursorKind, number};
use serde_json::Value;

/// One value of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue<'r> {
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(Cow<'r, str>),
    /// A text as it is meant.
    Text(Cow<'r, str>),
    /// The canonical text of an object or a list.
    Nested(Cow<'r, str>),
}

impl<'r> FieldValue<'r> {
    /// Reads the next value.
    pub(super) fn read(reader: &mut Reader<'r>) -> Result<Self, Malformed> {
        let Some(token) = reader.next_scalar()? else { return reader.canonical_value().map(Self::Nested) };
        match token {
            Token::Bool(value) => Ok(Self::Bool(value)),
            Token::Number(text) if number::is_finite(text) => Ok(Self::Number(Cow::Borrowed(text))),
            Token::Text(text) => text.unescape().map(Self::Text),
            Token::Null => Ok(Self::Null),
            Token::Number(_) | Token::Object | Token::List => Err(Malformed),
        }
    }

    /// Returns the value that was decoded.
    pub(super) fn of(value: &Value) -> FieldValue<'static> {
        match value {
            Value::Null => FieldValue::Null,
            Value::Bool(value) => FieldValue::Bool(*value),
            Value::Number(number) => FieldValue::Number(Cow::Owned(number.to_string())),
            Value::String(text) => FieldValue::Text(Cow::Owned(text.clone())),
            Value::Array(_) | Value::Object(_) => FieldValue::Nested(Cow::Owned(value.to_string())),
        }
    }

    /// Returns the value as canonical JSON.
    pub(super) fn json(&self) -> Cow<'r, str> {
        match self {
            Self::Null => Cow::Borrowed("null"),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Number(Cow::Borrowed(text)) => number::canonical(text),
            Self::Number(Cow::Owned(text)) => Cow::Owned(number::canonical(text).into_owned()),
            Self::Text(text) => {
                let mut json = String::with_capacity(text.len() + 2);
                write_text(text, &mut json);
                Cow::Owned(json)
            }
            Self::Nested(text) => text.clone(),
        }
    }

    /// Returns the cursor that the value is.
    pub(super) fn cursor(&self, kind: CursorKind) -> Option<Cursor> {
        match (self, kind) {
            (Self::Text(text), _) => Cursor::parse(text, kind),
            (Self::Number(text), CursorKind::Number) => number::canonical(text).parse().ok().map(Cursor::Number),
            _ => None,
        }
    }
}
