//! Removes secrets from texts, in whatever encoding the other side repeats them.
//!
//! A text is not searched for every form that a secret can be written in, since there are too many. It is decoded instead, step by step, and
//! each decoded text is searched for the secret itself (`decoded`). What is found is replaced in the text as it came (`json_text`).

mod decoded;
mod json_text;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use memchr::memmem::Finder;

use self::decoded::Decoded;

/// Stands where a secret stood.
const REDACTED: &str = "***";
/// A secret of this length is removed from records wherever it is.
const MIN_LENGTH_ANYWHERE: usize = 8;
/// A shorter secret stays in records: three letters are in half of all words, and three digits are in half of all numbers.
const MIN_LENGTH_IN_RECORDS: usize = 4;
/// The bytes that are decoded at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// The most bytes that one byte of a secret is written with: three encodings, one inside the other.
const MAX_BYTES_PER_BYTE: usize = 24;

/// Replaces secrets by `***` wherever they are: plain, percent-encoded, in base64, escaped for JSON or HTML, and with up to three of these
/// encodings inside each other.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Vec<Form>,
}

/// One form of a secret that texts are searched for.
#[derive(Clone)]
struct Form {
    finder: Finder<'static>,
    /// Where in records the form is removed.
    in_records: InRecords,
    /// Whether the form is base64, after which there may be padding.
    is_base64: bool,
}

/// Where in records a form of a secret is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InRecords {
    Anywhere,
    /// Where no letter or digit is beside it.
    AsWord,
    Nowhere,
}

/// The kind of a text that secrets are removed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    /// A message, or the body of a response that is no success.
    Message,
    /// A body with records.
    Records,
}

impl Redactor {
    /// Adds a secret to remove. An empty one changes nothing.
    pub fn add(&mut self, secret: &str) {
        self.add_form(secret, false);
        self.add_base64(secret);
    }

    /// Adds what HTTP basic authentication makes of a user's name and password.
    pub fn add_basic(&mut self, username: &str, password: &str) {
        self.add_base64(&format!("{username}:{password}"));
    }

    fn add_base64(&mut self, text: &str) {
        self.add_form(&STANDARD_NO_PAD.encode(text), true);
        self.add_form(&URL_SAFE_NO_PAD.encode(text), true);
    }

    fn add_form(&mut self, text: &str, is_base64: bool) {
        if text.is_empty() || self.forms.iter().any(|form| form.finder.needle() == text.as_bytes()) {
            return;
        }
        let in_records = in_records(text);
        self.forms.push(Form { finder: Finder::new(text).into_owned(), in_records, is_base64 });
    }

    /// Returns `text` without the secrets.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let ranges = self.find(text.as_bytes(), TextKind::Message);
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        let replaced = replace(text.as_bytes(), ranges.into_iter().map(|range| (range, REDACTED)));
        Cow::Owned(String::from_utf8_lossy(&replaced).into_owned())
    }

    /// Returns the body of a successful response without the secrets; the same bytes if it does not hold any. The values of a JSON text
    /// around them stay as they are.
    ///
    /// A secret of four to seven bytes that mixes letters with digits or signs is removed where no letter or digit is beside it. A shorter
    /// one, and a word or a number of that length, stays: records would be falsified.
    pub fn clean_body(&self, body: Bytes) -> Bytes {
        let ranges = self.find(&body, TextKind::Records);
        if ranges.is_empty() {
            return body;
        }
        replace(&body, json_text::replacements(&body, ranges).into_iter()).into()
    }

    /// Returns a JSON text that is no record, such as a report, without the secrets. It is still the same kind of JSON text.
    pub fn clean_json(&self, text: &str) -> String {
        let ranges = self.find(text.as_bytes(), TextKind::Message);
        let replaced = replace(text.as_bytes(), json_text::replacements(text.as_bytes(), ranges).into_iter());
        String::from_utf8_lossy(&replaced).into_owned()
    }

    /// Finds the secrets in `text`, in order and apart from each other.
    fn find(&self, text: &[u8], kind: TextKind) -> Vec<Range<usize>> {
        let is_wanted = |form: &&Form| kind == TextKind::Message || form.in_records != InRecords::Nowhere;
        let forms: Vec<&Form> = self.forms.iter().filter(is_wanted).collect();
        let mut found = Vec::new();
        for form in &forms {
            find_form(form, kind, text, |range| found.push(range));
        }
        let longest = forms.iter().map(|form| form.finder.needle().len()).max().unwrap_or_default();
        if longest > 0 {
            let alphabet = decoded::Alphabet::of(forms.iter().map(|form| form.finder.needle()));
            let overlap = longest * MAX_BYTES_PER_BYTE;
            let step = CHUNK_BYTES.max(overlap);
            for start in (0..text.len()).step_by(step) {
                let chunk = &text[start..text.len().min(start + step + overlap)];
                decoded::for_each(chunk, &alphabet, &mut |decoded: &Decoded| {
                    for form in &forms {
                        find_form(form, kind, decoded.bytes(), |range| found.push(decoded.origin(range, start)));
                    }
                });
            }
        }
        merge(found)
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// Returns where in records a form with this text is removed.
fn in_records(text: &str) -> InRecords {
    let is_mixed = !text.chars().all(char::is_alphabetic) && !text.chars().all(char::is_numeric);
    match text.len() {
        MIN_LENGTH_ANYWHERE.. => InRecords::Anywhere,
        MIN_LENGTH_IN_RECORDS.. if is_mixed => InRecords::AsWord,
        _ => InRecords::Nowhere,
    }
}

/// Calls `found` with each place of `form` in `text`.
fn find_form(form: &Form, kind: TextKind, text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let length = form.finder.needle().len();
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    for start in form.finder.find_iter(text) {
        let mut end = start + length;
        let is_inside_word = is_letter(text[..start].last()) || is_letter(text.get(end));
        if kind == TextKind::Records && form.in_records == InRecords::AsWord && is_inside_word {
            continue;
        }
        while form.is_base64 && text.get(end) == Some(&b'=') {
            end += 1;
        }
        found(start..end);
    }
}

/// Returns the same places in order, those that touch each other as one.
fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Returns `text` with other texts in the place of some ranges, which are in order.
fn replace<'r>(text: &[u8], replacements: impl Iterator<Item = (Range<usize>, &'r str)>) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut end = 0;
    for (range, replacement) in replacements {
        replaced.extend_from_slice(&text[end..range.start]);
        replaced.extend_from_slice(replacement.as_bytes());
        end = range.end;
    }
    replaced.extend_from_slice(&text[end..]);
    replaced
}

#[cfg(test)]
mod tests;
