//! Where secrets are replaced in a JSON text, so that it stays one.

use std::ops::Range;

use super::REDACTED;

/// Stands where a number or a word stood.
const REDACTED_VALUE: &str = "\"***\"";

/// Returns the parts of `text` to replace so that nothing of `secrets` is left, in order. A part of a string never begins or ends inside an
/// escape, and a number with a secret in it is replaced as a whole.
pub(super) fn replacements(text: &[u8], secrets: Vec<Range<usize>>) -> Vec<(Range<usize>, &'static str)> {
    let mut replacements = Vec::with_capacity(secrets.len());
    let mut secrets = secrets.into_iter();
    let mut next = secrets.next();
    let mut position = 0;
    while let (Some(secret), true) = (&next, position < text.len()) {
        let token = next_token(text, position);
        if secret.start >= token.range.end {
            position = token.range.end;
            continue;
        }
        let part = secret.start.max(token.range.start)..secret.end.min(token.range.end);
        match token.kind {
            TokenKind::String => {
                let inner = token.range.start + 1..token.range.end - 1;
                let clipped = part.start.max(inner.start)..part.end.min(inner.end);
                if !clipped.is_empty() {
                    push_part(&mut replacements, whole_escapes(text, inner, clipped));
                }
            }
            TokenKind::Word if replacements.last().is_none_or(|(last, _)| *last != token.range) => {
                replacements.push((token.range.clone(), REDACTED_VALUE));
            }
            TokenKind::Word | TokenKind::Sign => {}
        }
        if secret.end > token.range.end {
            position = token.range.end;
        } else {
            next = secrets.next();
        }
    }
    replacements
}

/// Adds a part of a string. It may overlap the part before it, which was made longer.
fn push_part(replacements: &mut Vec<(Range<usize>, &'static str)>, part: Range<usize>) {
    match replacements.last_mut() {
        Some((last, _)) if part.start < last.end => last.end = last.end.max(part.end),
        _ => replacements.push((part, REDACTED)),
    }
}

/// A token of a JSON text.
struct Token {
    kind: TokenKind,
    range: Range<usize>,
}

/// The kind of a token.
enum TokenKind {
    /// A string with its quotation marks.
    String,
    /// A number or a word.
    Word,
    /// A bracket, a comma, a colon or a space, or a string without an end.
    Sign,
}

/// Returns the token at `position`.
fn next_token(text: &[u8], position: usize) -> Token {
    let is_sign = |byte: &u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':') || byte.is_ascii_whitespace();
    match text[position] {
        b'"' => {
            let mut end = position + 1;
            while end < text.len() && text[end] != b'"' {
                end += if text[end] == b'\\' { 2 } else { 1 };
            }
            if end < text.len() {
                Token { kind: TokenKind::String, range: position..end + 1 }
            } else {
                Token { kind: TokenKind::Word, range: position..text.len() }
            }
        }
        byte if is_sign(&byte) => Token { kind: TokenKind::Sign, range: position..position + 1 },
        _ => {
            let length = text[position..].iter().position(|byte| is_sign(byte) || *byte == b'"');
            let end = length.map_or(text.len(), |length| position + length);
            Token { kind: TokenKind::Word, range: position..end }
        }
    }
}

/// Returns `part` with the whole of the escapes in which it begins and ends. `inner` is the text between the quotation marks.
fn whole_escapes(text: &[u8], inner: Range<usize>, part: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = part;
    let mut position = inner.start;
    while position < inner.end && position < end {
        let length = match (text[position], text.get(position + 1)) {
            (b'\\', Some(b'u')) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        let escape_end = inner.end.min(position + length);
        if position < start && start < escape_end {
            start = position;
        }
        if position < end && end < escape_end {
            end = escape_end;
        }
        position = escape_end;
    }
    start..end
}
