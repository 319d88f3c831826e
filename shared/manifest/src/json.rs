//! JSON texts, without loss: read token by token ([`Reader`]), or decoded as values. What a value cannot hold is an error, or stays a text.

mod canonical;
mod malformed;
mod reader;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

use serde_json::Value;

pub use self::canonical::write_object;
pub use self::malformed::Malformed;
pub use self::reader::{MAX_LEVELS, Reader, Token, elements, members};
pub use self::text::{Text, write_text};
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

/// Returns the canonical text of a JSON text: that of its value. Of several members of one name the last one counts.
///
/// # Errors
///
/// As [`decode`].
pub fn canonical(text: &[u8]) -> Result<Cow<'_, str>, String> {
    let read = |text| {
        let mut reader = Reader::new(text);
        let canonical = reader.canonical_value()?;
        reader.end().map(|()| canonical)
    };
    match std::str::from_utf8(text).map_err(|_| Malformed).and_then(read) {
        Ok(canonical) => Ok(canonical),
        Err(Malformed) => Ok(Cow::Owned(decode(text)?.to_string())),
    }
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
            let text = number.as_str();
            if !number::is_finite(text) {
                let shown = text.get(..40).map_or_else(|| text.to_owned(), |start| format!("{start}…"));
                return Err(format!("the number {shown} is beyond the range of a 64-bit floating point number"));
            }
            if let Cow::Owned(canonical) = number::canonical(text) {
                *number = canonical.parse().map_err(|_| format!("the number {canonical} is no JSON"))?;
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
            let decoded = members.into_iter().map(|(name, member)| (name.into_owned(), lenient(member, depth + 1)));
            return Value::Object(decoded.collect());
        }
        if let Some(elements) = elements(text) {
            return Value::Array(elements.into_iter().map(|element| lenient(element, depth + 1)).collect());
        }
    }
    Value::String(text.to_owned())
}
