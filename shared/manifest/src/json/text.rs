//! Texts within a JSON text: where they end, and which characters their escapes stand for.

use std::borrow::Cow;

use super::malformed::Malformed;

/// A text as it is written in JSON, without its quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'t> {
    written: &'t str,
    has_escapes: bool,
}

impl<'t> Text<'t> {
    /// Reads the text that begins at `begin`, after its quotation mark. Returns it with the position after it; `None` if it has no end, or
    /// has control characters or escapes that JSON does not know.
    #[inline]
    pub(super) fn read(json: &'t str, begin: usize) -> Option<(Self, usize)> {
        let bytes = json.as_bytes();
        let (mut position, mut has_escapes) = (begin, false);
        loop {
            position = special(bytes, position);
            match *bytes.get(position)? {
                b'"' => return Some((Self { written: &json[begin..position], has_escapes }, position + 1)),
                b'\\' => {
                    has_escapes = true;
                    position += match bytes.get(position + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' => code_unit(bytes.get(position..)?).map(|_| 6)?,
                        _ => return None,
                    };
                }
                _ => return None,
            }
        }
    }

    /// Returns whether characters are written as escapes.
    #[inline]
    pub fn has_escapes(self) -> bool {
        self.has_escapes
    }

    /// Returns the text that is meant.
    ///
    /// # Errors
    ///
    /// An escape is half of a surrogate pair, which is no character.
    #[inline]
    pub fn unescape(self) -> Result<Cow<'t, str>, Malformed> {
        if self.has_escapes { self.unescape_all().map(Cow::Owned) } else { Ok(Cow::Borrowed(self.written)) }
    }

    /// Returns the text that is meant, character by character.
    fn unescape_all(self) -> Result<String, Malformed> {
        let mut text = String::with_capacity(self.written.len());
        let mut rest = self.written;
        while let Some(position) = rest.find('\\') {
            text.push_str(&rest[..position]);
            let (character, length) = escaped(&rest.as_bytes()[position..]).ok_or(Malformed)?;
            text.push(character);
            rest = &rest[position + length..];
        }
        text.push_str(rest);
        Ok(text)
    }
}

/// Writes `text` to `json` with quotation marks, and with the escapes that JSON asks for: those of `serde_json`.
pub fn write_text(text: &str, json: &mut String) {
    json.push('"');
    let mut rest = text;
    while let Some(position) = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        json.push_str(&rest[..position]);
        match rest.as_bytes()[position] {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            0x08 => json.push_str("\\b"),
            0x0c => json.push_str("\\f"),
            control => {
                json.push_str("\\u00");
                json.push(if control < 0x10 { '0' } else { '1' });
                json.extend(char::from_digit(u32::from(control & 0xf), 16));
            }
        }
        rest = &rest[position + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

/// Returns the position of the next quotation mark, backslash or control character from `position` on, or the end of `bytes`. It looks at
/// eight bytes at a time: most of a record are texts.
fn special(bytes: &[u8], mut position: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    /// Marks each byte that is 0. The lowest mark is right.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    while let Some(chunk) = bytes.get(position..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = quotes | backslashes | controls;
        if found != 0 {
            return position + found.trailing_zeros() as usize / 8;
        }
        position += 8;
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let rest = bytes.get(position..).unwrap_or_default();
    position + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Returns the character that the escape at the beginning of `text` stands for, and the length of the escape; `None` for half of a surrogate
/// pair.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = code_unit(text)?;
            let units = [unit, text.get(6..).and_then(code_unit).unwrap_or_default()];
            let is_pair = matches!(unit, 0xD800..=0xDBFF);
            let character = char::decode_utf16(units).next()?.ok()?;
            return Some((character, if is_pair { 12 } else { 6 }));
        }
        other => char::from(*other),
    };
    Some((character, 2))
}

/// Returns the UTF-16 code unit of the escape `\u` at the beginning of `text`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some((unit << 4) | u16::try_from(digit).ok()?)
    })
}
