//! The body of a response: its records as texts, and the rest of it as a value.
//!
//! A body is read once. A record is found by the brackets around it and is not decoded here, so that one record that cannot be decoded keeps
//! none of the others from being read.

use std::collections::BTreeMap;

use bytes::Bytes;
use manifest::json::{Malformed, Reader as JsonReader};
use manifest::path::Step;
use manifest::{JsonPath, json};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::record::Record;

/// How deep a selector with `..` looks for records.
const MAX_DEPTH: usize = 100;

/// The body of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseBody<'b>(&'b Bytes);

/// A body whose records were taken out.
#[derive(Debug)]
pub(crate) struct SplitBody {
    /// The body without its records: an empty list is where they were.
    pub(crate) rest: Value,
    pub(crate) records: Vec<Record>,
}

/// How a body is split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'s> {
    /// Where the records are.
    pub(crate) selector: &'s JsonPath,
    /// Whether the values of records in a list stay in the rest of the body, too.
    pub(crate) keeps_elements: bool,
}

impl<'b> ResponseBody<'b> {
    /// The body with these bytes. Nothing is read yet.
    pub(crate) fn new(bytes: &'b Bytes) -> Self {
        Self(bytes)
    }

    /// Returns the whole body as a value. A value that cannot be decoded is a string with its text.
    ///
    /// # Errors
    ///
    /// As [`ResponseBody::split`].
    pub(crate) fn value(self) -> Result<Value, String> {
        self.read(|text| {
            read_whole(text, |reader| reader.skip_value())?;
            Ok(json::decode_leniently(text))
        })
    }

    /// Takes the records out of the body.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or not a whole JSON text. A list or an object with values that are not JSON is read.
    pub(crate) fn split(self, selection: Selection<'_>) -> Result<SplitBody, String> {
        self.read(|text| {
            let mut splitter = Splitter { bytes: self.0, text, selection, records: Vec::new() };
            let rest = read_whole(text, |reader| splitter.take(reader, selection.selector.steps()))?;
            Ok(SplitBody { rest, records: splitter.records })
        })
    }

    /// Calls `read` with the body as a JSON text. Every value is at the same place in it as in the bytes.
    fn read<T>(self, read: impl Fn(&str) -> Result<T, Malformed>) -> Result<T, String> {
        let strict = match std::str::from_utf8(self.0) {
            Ok(text) => match read(text) {
                Ok(value) => return Ok(value),
                Err(Malformed) => serde_json::from_str::<&RawValue>(text).err().map(|error| error.to_string()),
            },
            Err(error) => Some(error.to_string()),
        };
        let masked = mask(self.0).and_then(|text| read(&text).ok());
        masked.ok_or_else(|| format!("no JSON: {}", strict.unwrap_or_default()))
    }
}

/// Reads `text` by `read`, which reads one value, to its end.
fn read_whole<'t, T>(
    text: &'t str,
    read: impl FnOnce(&mut JsonReader<'t>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = JsonReader::new(text).with_any_levels();
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Takes the records out of one body.
struct Splitter<'s> {
    bytes: &'s Bytes,
    /// The body as a JSON text.
    text: &'s str,
    selection: Selection<'s>,
    records: Vec<Record>,
}

impl<'s> Splitter<'s> {
    /// Takes the records at the end of `steps` out of the next value, and returns the rest of it.
    fn take(&mut self, reader: &mut JsonReader<'s>, steps: &[Step]) -> Result<Value, Malformed> {
        let Some((step, steps_below)) = steps.split_first() else { return self.take_here(reader) };
        match step {
            Step::Field(name) if reader.is_object_next()? => self.take_from_member(reader, name, steps_below),
            Step::Index(_) | Step::All if reader.is_list_next()? => self.take_from_elements(reader, step, steps_below),
            Step::Deep => {
                let text = reader.skip_value()?;
                let mut places = Vec::new();
                find_places(text, steps, 0, &mut places);
                self.selection.keeps_elements = false;
                for place in places {
                    read_whole(place, |reader| self.take_here(reader))?;
                }
                Ok(json::decode_leniently(text))
            }
            Step::Field(_) | Step::Index(_) | Step::All => Ok(json::decode_leniently(reader.skip_value()?)),
        }
    }

    /// Takes the records out of the member `wanted` of the next value, which is an object. Of several members of one name the last counts.
    fn take_from_member(
        &mut self,
        reader: &mut JsonReader<'s>,
        wanted: &str,
        steps: &[Step],
    ) -> Result<Value, Malformed> {
        let (mut rest, before) = (Map::new(), self.records.len());
        reader.next_value()?;
        while let Some(name) = reader.next_member()? {
            let name = name.unescape()?;
            let member = if name == wanted {
                self.records.truncate(before);
                self.take(reader, steps)?
            } else {
                json::decode_leniently(reader.skip_value()?)
            };
            rest.insert(name.into_owned(), member);
        }
        Ok(Value::Object(rest))
    }

    /// Takes the records out of those elements of the next value, which is a list, that `step` names.
    fn take_from_elements(
        &mut self,
        reader: &mut JsonReader<'s>,
        step: &Step,
        steps: &[Step],
    ) -> Result<Value, Malformed> {
        let mut rest = Vec::new();
        reader.next_value()?;
        while reader.has_element()? {
            let is_wanted = !matches!(step, Step::Index(index) if *index != rest.len());
            rest.push(if is_wanted { self.take(reader, steps)? } else { json::decode_leniently(reader.skip_value()?) });
        }
        Ok(Value::Array(rest))
    }

    /// Takes the records at the place of the selector: the elements of a list, or the only record. Null is no record.
    fn take_here(&mut self, reader: &mut JsonReader<'s>) -> Result<Value, Malformed> {
        let Selection { selector, keeps_elements } = self.selection;
        if reader.is_list_next()? {
            let mut rest = Vec::new();
            reader.next_value()?;
            while reader.has_element()? {
                let element = reader.skip_value()?;
                self.add_record(element);
                if keeps_elements {
                    rest.push(json::decode_leniently(element));
                }
            }
            return Ok(Value::Array(rest));
        }
        let text = reader.skip_value()?;
        if text == "null" {
            return Ok(Value::Null);
        }
        self.add_record(text);
        if selector.is_many() && !keeps_elements {
            return Ok(Value::Null);
        }
        Ok(json::decode_leniently(text))
    }

    /// Adds the record whose text is `text`, a part of the body.
    fn add_record(&mut self, text: &str) {
        let start = (text.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.records.push(Record::Text(self.bytes.slice(start..start + text.len())));
    }
}

/// Adds the places at the end of `steps` in `text` to `found`, in the order in which a value has them.
fn find_places<'t>(text: &'t str, steps: &[Step], depth: usize, found: &mut Vec<&'t str>) {
    let Some((step, steps_below)) = steps.split_first() else {
        found.push(text);
        return;
    };
    if depth > MAX_DEPTH {
        return;
    }
    let is_deep = *step == Step::Deep;
    if is_deep {
        find_places(text, steps_below, depth, found);
    }
    let steps_of_child = if is_deep { steps } else { steps_below };
    for (position, element) in json::elements(text).into_iter().flatten().enumerate() {
        if is_deep || *step == Step::All || *step == Step::Index(position) {
            find_places(element, steps_of_child, depth + 1, found);
        }
    }
    // Of several members of one name the last counts.
    let members: BTreeMap<_, _> = json::members(text).into_iter().flatten().collect();
    for (name, member) in members {
        if is_deep || matches!(step, Step::Field(field) if *field == name) {
            find_places(member, steps_of_child, depth + 1, found);
        }
    }
}

/// Returns a body that is a list or an object with a placeholder of the same length in the place of everything in it that is not JSON:
/// bytes that are not UTF-8, control characters and halves of surrogate pairs in texts, and words such as `NaN`. Returns `None` for any
/// other body, and for one whose last text does not end.
fn mask(bytes: &[u8]) -> Option<String> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(first, b'{' | b'[') {
        return None;
    }
    let mut masked = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        masked.extend_from_slice(chunk.valid().as_bytes());
        masked.resize(masked.len() + chunk.invalid().len(), b'?');
    }
    let mut position = 0;
    while position < masked.len() {
        position = match masked[position] {
            b'"' => mask_text(&mut masked, position + 1)?,
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => position + 1,
            _ => mask_word(&mut masked, position),
        };
    }
    String::from_utf8(masked).ok()
}

/// Masks the text that begins at `position`, after its quotation mark. Returns the position after the text, or `None` if it has no end.
fn mask_text(masked: &mut [u8], mut position: usize) -> Option<usize> {
    loop {
        match *masked.get(position)? {
            b'"' => return Some(position + 1),
            b'\\' => {
                let (length, is_valid) = escape(&masked[position..]);
                if !is_valid {
                    masked[position..position + length].fill(b'?');
                }
                position += length;
            }
            byte => {
                if byte < 0x20 {
                    masked[position] = b'?';
                }
                position += 1;
            }
        }
    }
}

/// Returns the length of the escape at the beginning of `text`, and whether it stands for a character.
fn escape(text: &[u8]) -> (usize, bool) {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match (text.get(1), unit(text)) {
        (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => (2, true),
        (_, Some(0xD800..=0xDBFF)) => match unit(&text[6..]) {
            Some(0xDC00..=0xDFFF) => (12, true),
            _ => (6, false),
        },
        (_, Some(0xDC00..=0xDFFF)) => (6, false),
        (_, Some(_)) => (6, true),
        _ => (1, false),
    }
}

/// Puts a number in the place of the words at `position` if they are not a JSON value. Returns the position after them.
fn mask_word(masked: &mut [u8], position: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':');
    let end = masked[position..].iter().position(ends).map_or(masked.len(), |length| position + length);
    if serde_json::from_slice::<&RawValue>(&masked[position..end]).is_err() {
        masked[position..end].fill(b' ');
        masked[position] = b'0';
    }
    end
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        JsonPath::parse(text).unwrap()
    }

    fn split(body: &Bytes, selector: &str) -> (Value, Vec<String>) {
        let selector = path(selector);
        let SplitBody { rest, records } =
            ResponseBody::new(body).split(Selection { selector: &selector, keeps_elements: false }).unwrap();
        let texts = records.iter().map(|record| String::from_utf8_lossy(&record.text()).into_owned());
        (rest, texts.collect())
    }

    #[test]
    fn the_records_are_taken_out_and_the_rest_stays() {
        let body = json!({"a": [{"b": [1.5, {"c": null}], "d": "x"}, 7], "page": {"total": 2, "low": -1}, "n": null});
        let bytes = Bytes::from(body.to_string());
        let (rest, records) = split(&bytes, "a[0].b");
        assert_eq!(records, ["1.5", r#"{"c":null}"#]);
        assert_eq!(rest, json!({"a": [{"b": [], "d": "x"}, 7], "page": {"total": 2, "low": -1}, "n": null}));
        for absent in ["x", "a[5].b", "a[1].b", "n"] {
            assert_eq!(split(&bytes, absent), (body.clone(), vec![]), "{absent}");
        }
        assert_eq!(split(&bytes, "page").1, [r#"{"low":-1,"total":2}"#]);
        assert_eq!(split(&bytes, "$").1, [body.to_string()]);
        for broken in [r#"{"a": [1, 2}"#, "[1] x", r#"{"a": [1, 2"#, r#"{"a": "b"#, "<html>", "OK", ""] {
            let (bytes, selector) = (Bytes::from(broken), path("a"));
            let selection = Selection { selector: &selector, keeps_elements: false };
            assert!(ResponseBody::new(&bytes).value().is_err(), "{broken}");
            assert!(ResponseBody::new(&bytes).split(selection).is_err(), "{broken}");
        }
    }

    /// A selector finds the same in texts as in the decoded body.
    #[test]
    fn every_selector_finds_the_same_as_in_a_value() {
        let body =
            json!({"a": [{"b": [{"i": 1}, {"i": 2}]}, {"b": null}, {"b": {"i": 3}}, {"c": [{"b": [4]}]}], "b": [5]});
        let bytes = Bytes::from(body.to_string());
        for selector in ["a[*].b", "a[*]", "a[*].b[*]", "$..b", "$..b[*]", "$..i", "b", "a[0].b[1]", "a[*].c[*].b"] {
            let mut expected = Vec::new();
            for found in path(selector).all(&body) {
                match found {
                    Value::Array(elements) => expected.extend(elements.iter().map(Value::to_string)),
                    Value::Null => {}
                    record => expected.push(record.to_string()),
                }
            }
            let (rest, records) = split(&bytes, selector);
            assert_eq!(records, expected, "{selector}");
            assert!(path(selector).is_in(&rest), "{selector}");
        }
    }

    #[test]
    fn a_bad_record_leaves_the_others_as_they_are() {
        let nested = format!(r#"{{"n": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)).into_bytes();
        for bad in [
            br#"{"s": "\ud83d"}"#.as_slice(),
            br#"{"\udc00": 1}"#,
            br#"{"x": 1e400}"#,
            br#"{"x": [NaN, -Infinity, undefined]}"#,
            br#"{"x": 'a b'}"#,
            b"{\"s\": \"caf\xE9\"}",
            b"{\"s\": \"a\x00b\nc\"}",
            br#"{"s": "\x41"}"#,
            &nested,
        ] {
            for selector in ["data", "$..data", "data[*]"] {
                let body = [br#"{"data":[{"id":1},"#, bad, br#",{"id":"\u00e9"}],"next":"2"}"#].concat();
                let (rest, records) = split(&Bytes::from(body), selector);
                assert_eq!(rest["next"], "2");
                assert_eq!(records.len(), 3, "{records:?}");
                assert_eq!((records[0].as_str(), records[2].as_str()), (r#"{"id":1}"#, r#"{"id":"\u00e9"}"#));
                assert_eq!(records[1], String::from_utf8_lossy(bad));
            }
        }
    }
}
