//! Records as texts: a page waits as the bytes that came, and each record is decoded when it is needed.
//!
//! A page of 200 events is 2.3 MB of text and 10 MB of values, in a hundred thousand allocations. A dozen pages are on their way at a time;
//! one record is decoded at a time. A record that cannot be decoded is one record that is rejected, and the others of its page are read.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use manifest::json::{Malformed, Reader};
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
                let text = std::str::from_utf8(text).ok()?;
                let mut reader = Reader::new(text);
                let found = text_at(&mut reader, path.steps()).and_then(|found| reader.end().map(|()| found));
                json::decode(found.ok()??.as_bytes()).ok()
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

/// Passes the next value, and returns the text at the end of `steps` in it. Of several members of one name the last counts.
fn text_at<'t>(reader: &mut Reader<'t>, steps: &[Step]) -> Result<Option<&'t str>, Malformed> {
    let Some((step, steps_below)) = steps.split_first() else { return reader.skip_value().map(Some) };
    let mut found = None;
    match step {
        Step::Field(field) if reader.is_object_next()? => {
            reader.next_value()?;
            while let Some(name) = reader.next_member()? {
                if name.unescape()? == *field {
                    found = text_at(reader, steps_below)?;
                } else {
                    reader.skip_value()?;
                }
            }
        }
        Step::Index(index) if reader.is_list_next()? => {
            reader.next_value()?;
            let mut position = 0;
            while reader.has_element()? {
                if position == *index {
                    found = text_at(reader, steps_below)?;
                } else {
                    reader.skip_value()?;
                }
                position += 1;
            }
        }
        _ => _ = reader.skip_value()?,
    }
    Ok(found)
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
