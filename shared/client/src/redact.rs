//! Removes secrets from texts, in whatever encoding the other side repeats them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Stands where a secret stood.
const REDACTED: &str = "***";
/// A shorter secret is removed from errors and logs, but not from records: a key of three letters is in half of all words.
const MIN_LENGTH_IN_RECORDS: usize = 8;

/// The characters that RFC 3986 encodes.
const RFC_3986: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters that JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &RFC_3986.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// The characters that a form encodes.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// Replaces secrets by `***` wherever they are: plain, percent-encoded, or escaped for JSON or HTML.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Every form of every secret, the longest first: one secret can be a part of another one.
    forms: Vec<String>,
}

impl Redactor {
    /// Adds a secret to remove. An empty one changes nothing.
    pub fn add(&mut self, secret: &str) {
        for form in forms(secret) {
            if !form.is_empty() && !self.forms.contains(&form) {
                self.forms.push(form);
            }
        }
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Returns `text` without the secrets.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if text.contains(form) {
                text = Cow::Owned(text.replace(form, REDACTED));
            }
        }
        text
    }

    /// Returns the body of a successful response without the secrets; the same bytes if it does not hold any. Secrets of fewer than
    /// 8 bytes stay.
    pub fn clean_body(&self, body: Bytes) -> Bytes {
        let is_found =
            |form: &String| form.len() >= MIN_LENGTH_IN_RECORDS && memmem::find(&body, form.as_bytes()).is_some();
        if !self.forms.iter().any(is_found) {
            return body;
        }
        Bytes::from(self.clean(&String::from_utf8_lossy(&body)).into_owned())
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// Returns the forms in which `secret` can be repeated. Most secrets are of letters and digits, and have one form.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for set in [NON_ALPHANUMERIC, RFC_3986, COMPONENT, FORM] {
        let encoded = utf8_percent_encode(secret, set).to_string();
        for encoded in [encoded.replace("%20", "+"), encoded] {
            forms.push(lower_case_hex(&encoded));
            forms.push(encoded);
        }
    }
    let json = Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    // PHP escapes slashes; Go and Gson escape characters that mean something in HTML.
    forms.push(json.replace('/', "\\/"));
    forms.push(escape_unicode(&json));
    forms.push(json);
    forms.push(escape_html(secret));
    forms
}

/// Returns a percent-encoded text with the hexadecimal digits `a` to `f` in lower case.
fn lower_case_hex(encoded: &str) -> String {
    let mut text = String::with_capacity(encoded.len());
    let mut digits = 0;
    for character in encoded.chars() {
        text.push(if digits > 0 { character.to_ascii_lowercase() } else { character });
        digits = if character == '%' { 2_u8 } else { digits.saturating_sub(1) };
    }
    text
}

/// Returns a JSON text with `\u00xx` for the characters that mean something in HTML, and for those that are not ASCII.
fn escape_unicode(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && !matches!(character, '<' | '>' | '&' | '=' | '\'') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

/// Returns `text` as an HTML page shows it.
fn escape_html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.iter().for_each(|secret| redactor.add(secret));
        redactor
    }

    #[test]
    fn every_form_of_a_secret_is_removed() {
        let redactor = redactor(&["a+b/\"c\"= l-ü.<long"]);
        for text in [
            "x a+b/\"c\"= l-ü.<long y",
            "?apikey=a%2Bb%2F%22c%22%3D+l-%C3%BC.%3Clong&b",
            "?apikey=a%2bb%2f%22c%22%3d%20l-%c3%bc.%3clong&b",
            "?apikey=a%2Bb%2F%22c%22%3D%20l%2D%C3%BC%2E%3Clong&b",
            r#"{"id": "a+b/\"c\"= l-ü.<long"}"#,
            r#"{"id": "a+b\/\"c\"= l-ü.<long"}"#,
            r#"{"id": "a+b/\"c\"\u003d l-\u00fc.\u003clong"}"#,
            "<b>a+b/&quot;c&quot;= l-ü.&lt;long</b>",
        ] {
            let cleaned = redactor.clean(text);
            assert!(cleaned.contains(REDACTED) && !cleaned.contains("long"), "{cleaned}");
            assert_eq!(redactor.clean_body(Bytes::from(text)), cleaned.as_bytes());
        }
        assert_eq!(format!("{redactor:?}"), "Redactor");
    }

    #[test]
    fn a_secret_that_is_a_part_of_another_one_leaves_nothing_of_it() {
        let redactor = redactor(&["client", "client-of-mine"]);
        assert_eq!(redactor.clean("client-of-mine and client"), "*** and ***");
    }

    #[test]
    fn a_short_secret_stays_in_records_and_an_empty_one_changes_nothing() {
        let redactor = redactor(&["abc", ""]);
        let body = Bytes::from_static(b"{\"name\": \"abc\"}");
        assert_eq!(redactor.clean_body(body.clone()), body);
        assert_eq!(redactor.clean("bad key abc"), "bad key ***");
    }

    #[test]
    fn a_secret_of_letters_and_digits_has_one_form() {
        assert_eq!(redactor(&["a1B2c3"]).forms.len(), 1);
    }
}
