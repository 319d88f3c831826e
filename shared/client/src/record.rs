//! Records as texts: a page waits as the bytes that came, and each record is decoded when it is needed.
//!
//! A page of 200 events is 2.3 MB of text and 10 MB of values, in a hundred thousand allocations. A dozen pages are on their way at a time;
//! one record is decoded at a time. A record that cannot be decoded is one record that is rejected, and the others of its page are read.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use manifest::path::Step;
use manifest::{JsonPath, json};

/// A record of a page.
#[derive(Clone, Debug)]
pub enum Record {
    /// The record's JSON text: a slice of its page's bytes, which are kept as long as any of its records. An allocation for each record
    /// would leave the heap in pieces that no page fits in.
    Text(Bytes),
    /// A value that stands for a record without a text, in tests.
    Value(Value),
}

impl Record {
    /// Decodes the record.
    ///
    /// # Errors
    ///
    /// The reason why no value can hold the record.
    pub fn decode(&self) -> Result<Cow<'_, Value>, String> {
        match self {
            Self::Text(text) => json::decode(text).map(Cow::Owned),
            Self::Value(value) => Ok(Cow::Borrowed(value)),
        }
    }

    /// Returns the record's value. A record that no value can hold is a string with its text.
    pub fn value(&self) -> Cow<'_, Value> {
        self.decode().unwrap_or_else(|_| Cow::Owned(Value::String(String::from_utf8_lossy(&self.text()).into_owned())))
    }

    /// Returns the record as the API sent it.
    pub fn text(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone(),
            Self::Value(value) => Bytes::from(value.to_string()),
        }
    }

    /// Returns the first value at `path`; the rest of the record is not decoded.
    pub fn at(&self, path: &JsonPath) -> Option<Value> {
        match self {
            Self::Text(text) if !path.is_many() && !path.steps().is_empty() => {
                let mut value =
                    ValueAt(path.steps()).deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()??;
                json::make_canonical(&mut value).is_ok().then_some(value)
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
        let record = Record::Text(Bytes::from_static(br#"{"id": 1e999}"#));
        assert_eq!(record.value().as_ref(), &json!(r#"{"id": 1e999}"#));
        assert!(record.decode().unwrap_err().contains("the number 1e+999 is beyond"));
        assert_eq!(record.text(), r#"{"id": 1e999}"#);
    }
}
