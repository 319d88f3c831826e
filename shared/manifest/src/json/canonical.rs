//! The canonical text of a JSON value: compact, with sorted members, and with one notation for each number and each character. Values that
//! are equal have the same canonical text, in whatever order and notation the API writes them.

use std::borrow::Cow;

use super::malformed::Malformed;
use super::reader::{Reader, Token};
use super::text::write_text;
use crate::number;

impl<'t> Reader<'t> {
    /// Reads the next value, and returns its canonical text. That is a part of the text that is read if the value is written so there.
    ///
    /// # Errors
    ///
    /// There is no such value: it has half of a surrogate pair, a number that readers of JSON take for infinite, or two members of one name.
    pub fn canonical_value(&mut self) -> Result<Cow<'t, str>, Malformed> {
        let (start, levels) = (self.value_position()?, self.levels());
        self.take_spaces();
        if is_canonical(self)? && !self.take_spaces() {
            return Ok(Cow::Borrowed(self.text_since(start)));
        }
        self.go_back(start, levels);
        let mut canonical = String::new();
        write_canonical(self, &mut canonical)?;
        Ok(Cow::Owned(canonical))
    }
}

/// Passes the next value, and returns whether all in it but spaces is canonical. It stops at the first thing that is not.
fn is_canonical(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.next_value()? {
        Token::Null | Token::Bool(_) => Ok(true),
        Token::Number(text) if !number::is_finite(text) => Err(Malformed),
        Token::Number(text) => Ok(matches!(number::canonical(text), Cow::Borrowed(_))),
        Token::Text(text) => Ok(!text.has_escapes()),
        Token::List => {
            while reader.has_element()? {
                if !is_canonical(reader)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Token::Object => {
            let mut last = None;
            while let Some(name) = reader.next_member()? {
                if name.has_escapes() {
                    return Ok(false);
                }
                let name = name.unescape()?;
                if last.is_some_and(|last: Cow<'_, str>| last >= name) || !is_canonical(reader)? {
                    return Ok(false);
                }
                last = Some(name);
            }
            Ok(true)
        }
    }
}

/// Reads the next value, and writes its canonical text.
fn write_canonical(reader: &mut Reader<'_>, canonical: &mut String) -> Result<(), Malformed> {
    match reader.next_value()? {
        Token::Null => canonical.push_str("null"),
        Token::Bool(value) => canonical.push_str(if value { "true" } else { "false" }),
        Token::Number(text) if !number::is_finite(text) => return Err(Malformed),
        Token::Number(text) => canonical.push_str(&number::canonical(text)),
        Token::Text(text) => write_text(&text.unescape()?, canonical),
        Token::List => {
            canonical.push('[');
            let start = canonical.len();
            while reader.has_element()? {
                if canonical.len() > start {
                    canonical.push(',');
                }
                write_canonical(reader, canonical)?;
            }
            canonical.push(']');
        }
        Token::Object => {
            let mut members = Vec::new();
            let start = canonical.len();
            while let Some(name) = reader.next_member()? {
                let name = name.unescape()?;
                let value = canonical.len();
                write_canonical(reader, canonical)?;
                members.push((name, value..canonical.len()));
            }
            let values = canonical.split_off(start);
            let members =
                members.into_iter().map(|(name, value)| (name, &values[value.start - start..value.end - start]));
            write_object(members.collect(), canonical)?;
        }
    }
    Ok(())
}

/// Writes an object with these members, whose values are canonical texts.
///
/// # Errors
///
/// Two of them have one name.
pub fn write_object(mut members: Vec<(Cow<'_, str>, &str)>, canonical: &mut String) -> Result<(), Malformed> {
    members.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
    if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Malformed);
    }
    canonical.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            canonical.push(',');
        }
        write_text(name, canonical);
        canonical.push(':');
        canonical.push_str(value);
    }
    canonical.push('}');
    Ok(())
}
