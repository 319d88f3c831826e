//! The laws of reading JSON, beside those of `serde_json`.

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

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

/// JSON texts, and texts that are nearly JSON: with spaces, escapes, numbers in any notation, members in any order, repeated names, and
/// something broken in some of them.
fn texts() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        Just("0e99999999999".to_owned()),
        Just("01".to_owned()),
        Just("-".to_owned()),
        Just("NaN".to_owned()),
        written_text(),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        let space = "[ \n]?";
        let elements = prop::collection::vec((space, inner.clone()), 0..6).prop_map(|elements| {
            elements.into_iter().map(|(space, value)| space + &value).collect::<Vec<_>>().join(",")
        });
        let members = prop::collection::vec((member_name(), space, inner), 0..6).prop_map(|members| {
            let members = members.into_iter().map(|(name, space, value)| format!("{name}:{space}{value}{space}"));
            members.collect::<Vec<_>>().join(",")
        });
        let end = prop_oneof![20 => Just(""), 1 => Just(","), 1 => Just("]"), 1 => Just(" 1")];
        prop_oneof![
            (elements, end.clone()).prop_map(|(elements, end)| format!("[{elements}{end}]")),
            (members, end).prop_map(|(members, end)| format!("{{{members}{end}}}")),
        ]
    })
}

/// A text as JSON has it, or nearly.
fn written_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[ -!#-\\[\\]-~äß東😀]{0,12}",
        2 => prop::sample::select(vec!["\\n", "\\\\", "\\\"", "\\/", "\\u00e9", "\\u0000", "\\ud83d\\ude00", "\\u001f", "\\b"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["\\ud83d", "\\udc00", "\\x41", "\t", "\\u12", "\\ud83dx", "\\ud83d\\ud83d"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A member's name: often the same one.
fn member_name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-d]".prop_map(|name| format!("\"{name}\"")), 1 => written_text()]
}

/// Returns the canonical text of a whole JSON text.
fn canonical(text: &str) -> Result<Cow<'_, str>, Malformed> {
    let mut reader = Reader::new(text);
    let canonical = reader.canonical_value()?;
    reader.end()?;
    Ok(canonical)
}

/// Returns whether an object in `text` has two members of one name.
fn has_repeated_names(text: &str) -> bool {
    let members = members(text).unwrap_or_default();
    let names: std::collections::BTreeSet<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    let elements = elements(text).unwrap_or_default();
    names.len() < members.len() || members.iter().map(|(_, member)| *member).chain(elements).any(has_repeated_names)
}

proptest! {
    /// The reader reads the texts that `serde_json` decodes, and no others. It makes the same canonical text of them.
    #[test]
    fn a_text_has_the_canonical_text_of_its_value(text in texts()) {
        match decode(text.as_bytes()) {
            Ok(value) if !has_repeated_names(&text) => {
                let expected = value.to_string();
                let found = canonical(&text);
                prop_assert_eq!(found.as_deref(), Ok(expected.as_str()));
                prop_assert_eq!(canonical(&expected), Ok(Cow::Borrowed(expected.as_str())));
            }
            _ => prop_assert_eq!(canonical(&text), Err(Malformed)),
        }
    }

    /// A value is passed if its grammar is that of JSON, as `serde_json` passes it.
    #[test]
    fn a_value_is_skipped_if_its_grammar_is_right(text in texts()) {
        let mut reader = Reader::new(&text);
        let skipped = reader.skip_value().ok().filter(|_| reader.end().is_ok());
        prop_assert_eq!(skipped, serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get));
    }
}

#[test]
fn a_value_of_many_levels_is_skipped_only_by_a_reader_of_any() {
    for levels in [1, 63, 64, 65, 127, 128, 200, 10_000] {
        let text = format!(
            "{}{}",
            r#"[{"a":"#.repeat(levels / 2) + &"[".repeat(levels % 2),
            "]".repeat(levels % 2) + &"}]".repeat(levels / 2)
        )
        .replace(":}", ":1}");
        assert_eq!(Reader::new(&text).with_any_levels().skip_value(), Ok(text.as_str()), "{levels}");
        assert_eq!(Reader::new(&text).skip_value().is_ok(), levels <= MAX_LEVELS, "{levels}");
        assert_eq!(decode(text.as_bytes()).is_ok(), levels <= MAX_LEVELS, "{levels}");
    }
}
