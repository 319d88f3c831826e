use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn redactor(secrets: &[&str]) -> Redactor {
    let mut redactor = Redactor::default();
    secrets.iter().for_each(|secret| redactor.add(secret));
    redactor
}

/// A way to write a text.
type Encoder = fn(&str) -> String;

/// How clients and servers write a text into another one. Each text that it makes decodes to the same text.
const ENCODERS: [(&str, Encoder); 14] = [
    ("plain", str::to_owned),
    ("percent", |text| percent(text, |byte| byte.is_ascii_alphanumeric(), "%02X")),
    ("percent, lower case", |text| {
        percent(text, |byte| b"-._~".contains(&byte) || byte.is_ascii_alphanumeric(), "%02x")
    }),
    ("percent, all", |text| percent(text, |_| false, "%02X")),
    ("form", |text| {
        String::from_utf8(crate::encode::encode_form([("", text)].into_iter()).slice(1..).to_vec()).unwrap()
    }),
    ("JSON", |text| inner(&Value::from(text).to_string())),
    ("JSON, PHP", |text| unicode(&inner(&Value::from(text).to_string()).replace('/', "\\/"), |c| !c.is_ascii(), false)),
    ("JSON, .NET", |text| unicode(&inner(&Value::from(text).to_string()), |c| "+<>&'=".contains(c), true)),
    ("JSON, all", |text| unicode(text, |_| true, false)),
    ("HTML", |text| {
        html(text, |c| match c {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '"' => "&quot;".into(),
            '\'' => "&#39;".into(),
            c => c.to_string(),
        })
    }),
    ("HTML, decimal", |text| html(text, |c| format!("&#{};", u32::from(c)))),
    ("HTML, hexadecimal", |text| html(text, |c| format!("&#x{:X};", u32::from(c)))),
    ("base64", |text| base64::engine::general_purpose::STANDARD.encode(text)),
    ("base64, URL", |text| URL_SAFE_NO_PAD.encode(text)),
];

fn percent(text: &str, stays: impl Fn(u8) -> bool, form: &str) -> String {
    let encoded = text.bytes().map(|byte| match stays(byte) {
        true => char::from(byte).to_string(),
        false if form == "%02x" => format!("%{byte:02x}"),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

fn inner(json: &str) -> String {
    json[1..json.len() - 1].to_owned()
}

fn unicode(text: &str, is_escaped: impl Fn(char) -> bool, is_upper: bool) -> String {
    let mut encoded = String::new();
    for character in text.chars() {
        if !is_escaped(character) {
            encoded.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            encoded.push_str(&if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
        }
    }
    encoded
}

fn html(text: &str, encode: impl Fn(char) -> String) -> String {
    text.chars().map(encode).collect()
}

#[test]
fn every_form_of_a_secret_is_removed() {
    let redactor = redactor(&["a+b/\"c\"= l-ü.<long"]);
    for text in [
        "x a+b/\"c\"= l-ü.<long y",
        "?apikey=a%2Bb%2F%22c%22%3D+l-%C3%BC.%3Clong&b",
        "?apikey=a%2bb%2f%22c%22%3d%20l-%c3%bc.%3clong&b",
        r#"{"id": "a+b/\"c\"= l-ü.<long"}"#,
        r#"{"id": "a\u002Bb\/\"c\"\u003d l-\u00fc.\u003clong"}"#,
        "<b>a&plus;b&#x2F;&quot;c&#34;= l-ü.&lt;long</b>",
        r#"{"self": "https:\/\/x?apikey=a%2Bb%2F%22c%22%3D+l-%C3%BC.%3Clong"}"#,
    ] {
        let cleaned = redactor.clean(text);
        assert!(cleaned.contains(REDACTED) && !cleaned.contains("long"), "{cleaned}");
    }
    assert_eq!(format!("{redactor:?}"), "Redactor");
}

#[test]
fn basic_credentials_are_removed_with_and_without_padding() {
    let mut redactor = Redactor::default();
    redactor.add_basic("user", "s3cr3t-passw0rd");
    assert_eq!(redactor.clean("Basic dXNlcjpzM2NyM3QtcGFzc3cwcmQ= sent"), "Basic *** sent");
    assert_eq!(redactor.clean("Basic dXNlcjpzM2NyM3QtcGFzc3cwcmQ sent"), "Basic *** sent");
    assert_eq!(redactor.clean("Basic dXNlcjpzM2NyM3QtcGFzc3cwcmQ%3D sent"), "Basic ***%3D sent");
}

#[test]
fn a_secret_that_is_a_part_of_another_one_leaves_nothing_of_it() {
    let redactor = redactor(&["client", "client-of-mine"]);
    assert_eq!(redactor.clean("client-of-mine and client"), "*** and ***");
}

#[test]
fn a_short_secret_leaves_other_words_in_records_as_they_are() {
    let body = |text: &'static str| Bytes::from_static(text.as_bytes());
    for (secret, text, expected) in [
        (
            "ab12cd3",
            r#"{"self": "key=ab12cd3&x", "other": "ab12cd34"}"#,
            r#"{"self": "key=***&x", "other": "ab12cd34"}"#,
        ),
        ("acme", r#"{"name": "acme"}"#, r#"{"name": "acme"}"#),
        ("2026", r#"{"year": "2026"}"#, r#"{"year": "2026"}"#),
        ("abc", r#"{"name": "abc"}"#, r#"{"name": "abc"}"#),
        ("", r#"{"name": ""}"#, r#"{"name": ""}"#),
    ] {
        assert_eq!(redactor(&[secret]).clean_body(body(text)), expected);
    }
    assert_eq!(redactor(&["abc"]).clean("bad key abc"), "bad key ***");
}

#[test]
fn a_json_text_stays_one() {
    for (secret, text, expected) in [
        ("nabcdefgh", r#"{"a": "\nabcdefgh"}"#, r#"{"a": "***"}"#),
        ("12345678", r#"{"id": 1234567890, "s": "12345678"}"#, r#"{"id": "***", "s": "***"}"#),
        ("0e9abcdefg", r#"["\u00e9abcdefg!"]"#, r#"["***!"]"#),
        (r#"abcd", "efgh"#, r#"["abcd", "efgh"]"#, r#"["***", "***"]"#),
    ] {
        let cleaned = redactor(&[secret]).clean_body(Bytes::from_static(text.as_bytes()));
        assert_eq!(cleaned, expected);
    }
}

#[test]
fn a_secret_is_found_across_the_edges_of_chunks() {
    let secret = "abc/def+ghi=jkl";
    let escaped = unicode(secret, |_| true, true);
    for before in CHUNK_BYTES - 200..CHUNK_BYTES + 20 {
        let body = format!("{}{escaped}", "-".repeat(before));
        assert_eq!(redactor(&[secret]).clean(&body).len(), before + REDACTED.len());
    }
}

/// Characters of keys, and of the escapes of every encoding.
const KEY: &str = r#"[a-zA-Z0-9+/=_.~:;,!?@#$%&*<>"'\\ üß€-]{8,40}"#;

proptest! {
    /// A secret is found in up to three encodings, one inside the other.
    #[test]
    fn a_secret_is_removed_in_any_encoding(key in KEY, first in 0..14_usize, second in 0..12_usize, third in 0..12_usize) {
        let encoded = [first, second, third].iter().fold(key.clone(), |text, encoder| ENCODERS[*encoder].1(&text));
        let redactor = redactor(&[&key]);
        let names = [first, second, third].map(|encoder| ENCODERS[encoder].0);
        let text = format!("~before~ {encoded} ~after~");
        let cleaned = redactor.clean(&text);
        prop_assert!(cleaned.contains(REDACTED) && !cleaned.contains(&encoded), "{:?}: {} in {}", names, cleaned, text);
        prop_assert!(cleaned.starts_with('~') || key.contains('~'), "{:?}: {}", names, cleaned);

        // A body is JSON itself.
        let encoded = [first, second].iter().fold(key.clone(), |text, encoder| ENCODERS[*encoder].1(&text));
        let body = Bytes::from(Value::from(encoded.clone()).to_string());
        let cleaned = redactor.clean_body(body);
        let value: Value = serde_json::from_slice(&cleaned).unwrap();
        prop_assert!(!value.as_str().unwrap().contains(&encoded), "{:?}: {} in {}", names, value, encoded);
    }

    /// A body is JSON before and after, and what is no secret stays.
    #[test]
    fn a_body_without_a_secret_stays_as_it_is(key in "[a-z0-9]{8,20}", texts in prop::collection::vec(any::<String>(), 0..5)) {
        let body = Bytes::from(Value::from(texts.clone()).to_string());
        let cleaned = redactor(&[&key]).clean_body(body.clone());
        if !texts.concat().to_lowercase().contains(&key) {
            prop_assert_eq!(cleaned, body);
        }
    }
}
