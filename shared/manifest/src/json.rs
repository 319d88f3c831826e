//! JSON texts as values, without loss: what a value cannot hold is an error, or stays a text.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::number;

/// How deep [`decode_leniently`] looks for the places that cannot be decoded.
const MAX_LENIENT_DEPTH: usize = 100;

/// Decodes a JSON text. Its numbers keep all of their digits, and have their canonical texts ([`number::canonical`]).
///
/// # Errors
///
/// The reason why no value can hold the text: it is not UTF-8 or not JSON, it has half of a surrogate pair or more than 127 levels, or it
/// has a number that readers of JSON take for infinite.
pub fn decode(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let position = error.valid_up_to();
        format!("it is not UTF-8: the byte {position} is 0x{:02X}", text.get(position).copied().unwrap_or_default())
    })?;
    let mut value: Value = serde_json::from_str(text).map_err(|error| reason(&error.to_string()))?;
    make_canonical(&mut value)?;
    Ok(value)
}

/// Returns the reason why a text cannot be decoded, by the message of the decoder.
fn reason(message: &str) -> String {
    let meaning = if message.contains("surrogate") || message.contains("hex escape") {
        "a text has half of a surrogate pair"
    } else if message.contains("recursion limit") {
        "it has more than 127 levels"
    } else {
        "it is not JSON"
    };
    format!("{meaning}: {message}")
}

/// Gives every number in `value` its canonical text.
///
/// # Errors
///
/// A message for a number that readers of JSON take for infinite.
pub fn make_canonical(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Number(number) => {
            if !number::is_finite(number) {
                let text = number.as_str();
                let shown = text.get(..40).map_or_else(|| text.to_owned(), |start| format!("{start}…"));
                return Err(format!("the number {shown} is beyond the range of a 64-bit floating point number"));
            }
            if let Some(canonical) = number::canonical(number) {
                *number = canonical;
            }
            Ok(())
        }
        Value::Array(elements) => elements.iter_mut().try_for_each(make_canonical),
        Value::Object(members) => members.values_mut().try_for_each(make_canonical),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Decodes a JSON text. Each value inside it that cannot be decoded is a string with its JSON text, so that it is not taken for the absence
/// of a value.
pub fn decode_leniently(text: &str) -> Value {
    lenient(text, 0)
}

fn lenient(text: &str, depth: usize) -> Value {
    if let Ok(value) = decode(text.as_bytes()) {
        return value;
    }
    if depth < MAX_LENIENT_DEPTH {
        if let Some(members) = members(text) {
            let decoded = members.into_iter().map(|(name, member)| (name, lenient(member.get(), depth + 1)));
            return Value::Object(decoded.collect());
        }
        if let Some(elements) = elements(text) {
            return Value::Array(elements.into_iter().map(|element| lenient(element.get(), depth + 1)).collect());
        }
    }
    Value::String(text.to_owned())
}

/// Returns the members of a JSON object as texts; `None` for another value.
pub fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok())?
}

/// Returns the elements of a JSON list as texts; `None` for another value.
pub fn elements(text: &str) -> Option<Vec<&RawValue>> {
    text.trim_start().starts_with('[').then(|| serde_json::from_str(text).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_no_value_can_hold_is_an_error_with_the_reason() {
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (text, reason) in [
            (br#"{"a": "\ud83d"}"#.as_slice(), "half of a surrogate pair"),
            (b"{\"a\": \"caf\xE9\"}", "not UTF-8: the byte 10 is 0xE9"),
            (br#"{"a": [1e400]}"#, "the number 1e+400 is beyond"),
            (nested.as_bytes(), "more than 127 levels"),
            (b"{\"a\": \"\x00\"}", "control character"),
            (b"{\"a\": NaN}", "not JSON: expected"),
        ] {
            let message = decode(text).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
        assert_eq!(decode(br#"{"a": "\u0000", "b": 1.50}"#).unwrap(), json!({"a": "\0", "b": 1.5}));
    }

    #[test]
    fn only_what_cannot_be_decoded_stays_a_text() {
        let value = decode_leniently(r#"{"total": 5, "next": "\ud83d", "list": [1, 1e400, {"a": "\ud83d"}]}"#);
        let expected = json!({"total": 5, "next": r#""\ud83d""#, "list": [1, "1e400", {"a": r#""\ud83d""#}]});
        assert_eq!(value, expected);
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(decode_leniently(&nested).to_string().matches(r#""["#).count(), 1);
    }
}
