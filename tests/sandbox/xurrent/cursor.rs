//! Places in an order, as a page's links carry them.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::query::Sort;
use crate::clock;

/// A value that records are ordered by. What has none comes last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(String),
    None,
}

impl Key {
    /// The key of a field's value: an instant for a time, the name for a reference.
    pub(super) fn of(field: &str, value: &Value) -> Self {
        let text = value.as_str().or_else(|| value["name"].as_str());
        match (value.as_i64(), text) {
            (Some(number), _) => Self::Number(number),
            (None, Some(text)) if field.ends_with("_at") => clock::instant_ms(text).map_or(Self::None, Self::Number),
            (None, Some(text)) => Self::Text(text.to_owned()),
            (None, None) => Self::None,
        }
    }
}

/// A record's place in an order: the place stays where it is when the record moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) keys: Vec<Key>,
    pub(super) id: u64,
}

impl Cursor {
    /// Which of two comes first; equals come in the order of their ids.
    pub(super) fn compare(&self, other: &Self, sort: &[Sort]) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys).zip(sort);
        let by_key = keys.map(|((one, other), sort)| if sort.descending { other.cmp(one) } else { one.cmp(other) });
        by_key.fold(Ordering::Equal, Ordering::then).then(self.id.cmp(&other.id))
    }

    /// The cursor as a parameter: nothing that a client could read or make up.
    pub(super) fn text(&self, sort: &[Sort]) -> String {
        let keys = self.keys.iter().map(|key| match key {
            Key::Number(number) => json!(number),
            Key::Text(text) => json!(text),
            Key::None => Value::Null,
        });
        let value = json!([order(sort), keys.collect::<Vec<_>>(), self.id]);
        value.to_string().bytes().map(|byte| format!("{:02x}", byte ^ MASK)).collect()
    }

    /// The cursor that is a parameter of a request in the same order.
    pub(super) fn parse(text: &str, sort: &[Sort]) -> Option<Self> {
        let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let bytes: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| Some(digits(at)? ^ MASK)).collect::<Option<Vec<u8>>>()?;
        let (given, keys, id): (String, Vec<Value>, u64) = serde_json::from_slice(&bytes).ok()?;
        let key = |value: &Value| match value {
            Value::Null => Key::None,
            Value::String(text) => Key::Text(text.clone()),
            number => Key::Number(number.as_i64().unwrap_or_default()),
        };
        (given == order(sort)).then(|| Self { keys: keys.iter().map(key).collect(), id })
    }
}

const MASK: u8 = 0x5a;

fn order(sort: &[Sort]) -> String {
    let one = |sort: &Sort| format!("{}{}", if sort.descending { "-" } else { "" }, sort.field);
    sort.iter().map(one).collect::<Vec<_>>().join(",")
}
