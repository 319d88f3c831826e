//! Records as texts: a page waits as the bytes that came, and each record is decoded when it is needed.
//!
//! A page of 200 events is 2.3 MB of text and 10 MB of values, in a hundred thousand allocations. A dozen pages are on their way at a time;
//! one record is decoded at a time.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use manifest::JsonPath;
use manifest::path::Step;

/// A record of a page.
#[derive(Clone, Debug)]
pub enum Record {
    /// The record's JSON text: a slice of its page's bytes, which are kept as long as any of its records. An allocation for each record
    /// would leave the heap in pieces that no page fits in.
    Text(Bytes),
    /// The record's value, which was decoded with its page.
    Value(Value),
}

impl Record {
    /// Returns the record's value. A record with a number beyond a double's range has none: its text is returned as a string, which no
    /// table takes, so that it is rejected and kept.
    pub fn value(&self) -> Cow<'_, Value> {
        match self {
            Self::Text(text) => Cow::Owned(decode(text)),
            Self::Value(value) => Cow::Borrowed(value),
        }
    }

    /// Returns what [`Record::value`] returns, without a copy.
    pub fn into_value(self) -> Value {
        match self {
            Self::Text(text) => decode(&text),
            Self::Value(value) => value,
        }
    }

    /// Returns the first value at `path`; the rest of the record is not decoded.
    pub fn at(&self, path: &JsonPath) -> Option<Value> {
        match self {
            Self::Text(text) if !path.is_many() => {
                ValueAt(path.steps()).deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()?
            }
            record => path.first(&record.value()).cloned(),
        }
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => text == other,
            _ => self.value() == other.value(),
        }
    }
}

fn decode(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(text).into_owned()))
}

/// Decodes a response except for the list at `path`. Returns the response with an empty list there, and the elements of the list as texts.
///
/// # Errors
///
/// The response is not JSON.
pub(crate) fn envelope(body: &Bytes, path: &JsonPath) -> Result<(Value, Vec<Record>), serde_json::Error> {
    let mut records = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let rest = Envelope { page: body, steps: path.steps(), records: &mut records }.deserialize(&mut reader)?;
    reader.end()?;
    Ok((rest, records))
}

/// Decodes a value and takes out the list at the end of `steps`.
struct Envelope<'s> {
    page: &'s Bytes,
    steps: &'s [Step],
    records: &'s mut Vec<Record>,
}

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut rest = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = match self.steps.split_first() {
                Some((Step::Field(field), steps)) if *field == name => {
                    members.next_value_seed(Envelope { page: self.page, steps, records: self.records })?
                }
                _ => members.next_value()?,
            };
            rest.insert(name, value);
        }
        Ok(Value::Object(rest))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let Some((step, steps)) = self.steps.split_first() else {
            while let Some(text) = elements.next_element::<&RawValue>()? {
                self.records.push(Record::Text(self.page.slice_ref(text.get().as_bytes())));
            }
            return Ok(Value::Array(Vec::new()));
        };
        let mut rest = Vec::new();
        loop {
            let next = match step {
                Step::Index(index) if *index == rest.len() => {
                    elements.next_element_seed(Envelope { page: self.page, steps, records: self.records })?
                }
                _ => elements.next_element()?,
            };
            match next {
                Some(value) => rest.push(value),
                None => return Ok(Value::Array(rest)),
            }
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// Decodes the value at the end of some steps and skips the rest.
struct ValueAt<'s>(&'s [Step]);

impl<'de> DeserializeSeed<'de> for ValueAt<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueAt<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let wanted = match self.0.split_first() {
            Some((Step::Field(field), steps)) => Some((field.as_str(), steps)),
            _ => None,
        };
        let mut found = None;
        while let Some(is_wanted) = members.next_key_seed(NameIs(wanted.map_or("", |(field, _)| field)))? {
            match wanted {
                Some((_, steps)) if is_wanted => found = members.next_value_seed(ValueAt(steps))?,
                _ => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        if let Some((Step::Index(index), steps)) = self.0.split_first() {
            for _ in 0..*index {
                if elements.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = elements.next_element_seed(ValueAt(steps))?.flatten();
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }
}

/// Compares the name of a member with a wanted one, without copying it.
struct NameIs<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        JsonPath::parse(text).unwrap()
    }

    #[test]
    fn the_list_is_taken_out_and_the_rest_stays() {
        let body =
            json!({"a": [{"b": [1.5, {"c": null}], "d": "x"}, 7], "page": {"total": 2, "more": true, "low": -1}});
        let bytes = Bytes::from(serde_json::to_vec(&body).unwrap());
        let (rest, records) = envelope(&bytes, &path("a[0].b")).unwrap();
        assert_eq!(records, [Record::Value(json!(1.5)), Record::Value(json!({"c": null}))]);
        assert_eq!(rest, json!({"a": [{"b": [], "d": "x"}, 7], "page": {"total": 2, "more": true, "low": -1}}));
        for absent in ["x", "a[5].b", "a[1].b", "page.total"] {
            assert_eq!(envelope(&bytes, &path(absent)).unwrap(), (body.clone(), vec![]), "{absent}");
        }
        assert!(envelope(&Bytes::from("{\"a\": [1, 2}"), &path("a")).is_err());
        assert!(envelope(&Bytes::from("[1] x"), &path("$")).is_err());
    }

    #[test]
    fn a_path_finds_the_same_in_a_text_as_in_a_value() {
        let record =
            json!({"id": "1", "dates": {"start": {"at": "t"}, "x": 1}, "list": [{"n": 1}, {"n": [2]}], "none": null});
        let text = Record::Text(serde_json::to_vec(&record).unwrap().into());
        for name in ["id", "dates.start.at", "dates.start", "list[1].n", "list[2].n", "list[*].n", "id.x", "none", "$"]
        {
            assert_eq!(text.at(&path(name)), path(name).first(&record).cloned(), "{name}");
        }
    }

    #[test]
    fn a_record_that_no_value_can_hold_stays_a_text() {
        let (_, records) = envelope(&Bytes::from(r#"[{"id": 1e999}]"#), &path("$")).unwrap();
        assert_eq!(records[0].value().as_ref(), &json!(r#"{"id": 1e999}"#));
    }
}
