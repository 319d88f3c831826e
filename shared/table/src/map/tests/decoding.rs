//! A record is read once, from its text. The row is the one that its decoded value has, for any columns and any record.

use manifest::{Column, CursorKind, DataType, Harvest, JsonPath, json};
use proptest::prelude::*;
use serde_json::Value;

use super::super::reference::{ReferenceRow, row};
use super::*;

/// Paths of columns, of the cursor and of records of other resources. They meet each other in many ways.
fn path() -> impl Strategy<Value = JsonPath> {
    let step = prop_oneof![
        6 => "[.][a-c]",
        1 => Just("[0]".to_owned()),
        1 => Just("[1]".to_owned()),
        2 => Just("[*]".to_owned()),
        1 => "[.][.][a-c]",
    ];
    ("[a-c]", prop::collection::vec(step, 0..3))
        .prop_map(|(first, steps)| JsonPath::parse(&format!("$.{first}{}", steps.concat())).unwrap())
}

fn columns() -> impl Strategy<Value = Vec<Column>> {
    let column = (path(), prop::sample::select(DataType::ALL.to_vec()), prop::bool::weighted(0.3));
    prop::collection::vec(column, 0..6).prop_map(|columns| {
        let mut columns: Vec<Column> = columns
            .into_iter()
            .enumerate()
            .map(|(index, (path, data_type, list))| column_of(&format!("column_{index}"), path, data_type, list))
            .collect();
        columns.push(column_of("id", JsonPath::of_field("id"), DataType::Text, false));
        columns
    })
}

fn column_of(name: &str, path: JsonPath, data_type: DataType, list: bool) -> Column {
    Column { name: name.to_owned(), path, data_type, list, volatile: false, history_only: false, description: None }
}

/// The text of a value, in one of the ways in which an API may write it.
fn value_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,3})?([eE][+-]?[0-9])?",
        Just("18446744073709551617".to_owned()),
        Just("0.10000000000000000000001".to_owned()),
        "\"[a-z0-9 é]{0,6}\"",
        prop::sample::select(vec![
            r#""\u0000""#,
            r#""a\"b\\\/""#,
            r#""2026-11-21T10:00:00Z""#,
            r#""2026-11-21""#,
            r#""-1.50""#,
            r#""True""#,
            r#"{}"#,
            "[]",
        ])
        .prop_map(str::to_owned),
    ];
    // None of these can be decoded.
    let broken = prop::sample::select(vec!["1e400", r#""\ud83d""#, "NaN", "01"]).prop_map(str::to_owned);
    let scalar = prop_oneof![40 => scalar, 1 => broken];
    scalar.prop_recursive(4, 40, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(",")));
        prop_oneof![list, object_text(inner)]
    })
}

/// The text of an object. Its members have any order, and some names are there twice.
fn object_text(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "é", r"\u0061"]);
    prop::collection::vec((name, value, " ?"), 0..5).prop_map(|members| {
        let members = members.into_iter().map(|(name, value, space)| format!("\"{name}\":{space}{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn mapper(columns: Vec<Column>, cursor: Option<&(JsonPath, CursorKind)>, inner: &[JsonPath]) -> Mapper {
    let mut manifest = sales();
    let mut resource = manifest.resources.swap_remove(1);
    resource.columns = columns;
    resource.primary_key = vec!["id".into()];
    resource.partition.clear();
    resource.endpoint.incremental = cursor.and_then(|(path, kind)| {
        let incremental = resource.endpoint.incremental.clone()?;
        Some(manifest::Incremental { cursor_path: path.clone(), kind: *kind, ..incremental })
    });
    resource.harvest = inner.iter().map(|path| Harvest { resource: "other".into(), path: path.clone() }).collect();
    Mapper::new(&resource)
}

fn cursor() -> impl Strategy<Value = Option<(JsonPath, CursorKind)>> {
    prop::option::of((path(), prop::sample::select(vec![CursorKind::Instant, CursorKind::Number])))
}

/// Returns the record `{…}` with the key 1.
fn with_key(object: &str) -> String {
    let members = object.trim_start_matches('{');
    if members == "}" { r#"{"id":"1"}"#.into() } else { format!(r#"{{"id":"1",{members}"#) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the columns and the record are, the row and the records inside it are those of the decoded record. A record is undecodable
    /// if no value can hold it, for the same reason.
    #[test]
    fn a_text_has_the_row_of_its_value(
        columns in columns(),
        cursor in cursor(),
        inner in prop::collection::vec(path(), 0..3),
        object in object_text(value_text()),
    ) {
        let text = with_key(&object);
        let mapper = mapper(columns.clone(), cursor.as_ref(), &inner);
        let mapped = mapper.map_text(text.as_bytes());
        let value = match json::decode(text.as_bytes()) {
            Ok(value) => value,
            Err(reason) => {
                prop_assert_eq!(mapped, Err(reason));
                return Ok(());
            }
        };
        let mut mapped = mapped.unwrap();
        let found = mapped.rows.remove(0).unwrap();
        let expected = row(&columns, cursor.as_ref(), &value);
        let found_parts = ReferenceRow {
            cells: found.clone().into_owned().cells,
            extra: found.extra.as_deref().map(str::to_owned),
            issues: found.issues.clone(),
            cursor: found.cursor,
        };
        prop_assert_eq!(&found_parts, &expected, "{}", text);
        // The same value written in any other way is the same row.
        prop_assert_eq!(mapper.map(value.clone()), vec![Ok(found.into_owned())]);
        let mut found: Vec<(usize, Value)> = Vec::new();
        for (position, text) in &mapped.inner {
            found.push((*position, json::decode(text.as_bytes()).unwrap()));
        }
        found.sort_by_key(|(position, _)| *position);
        let expected = inner.iter().enumerate().flat_map(|(position, path)| {
            path.all(&value).into_iter().filter(|found| found.is_object()).map(move |found| (position, found.clone()))
        });
        prop_assert_eq!(found, expected.collect::<Vec<_>>(), "{}", text);
    }
}

#[test]
fn the_order_of_members_does_not_matter_at_any_depth() {
    let columns = vec![
        column_of("id", JsonPath::of_field("id"), DataType::Text, false),
        column_of("a", JsonPath::of_field("a"), DataType::Json, false),
    ];
    let mapper = mapper(columns, None, &[]);
    let fingerprint = |text: &str| mapper.map_text(text.as_bytes()).unwrap().rows.remove(0).unwrap().fingerprint;
    let first =
        fingerprint(r#"{"id":"1","a":{"x":1,"y":[{"p":1,"q":2}]},"extra":{"s":{"m":1,"n":2},"t":3},"more":1.50}"#);
    let other = fingerprint(
        "{ \"more\":15e-1, \"extra\":{\"t\":3,\"s\":{\"n\":2,\"m\":1}},\n\"a\":{\"y\":[{\"q\":2,\"p\":1}],\"x\":1},\"\\u0069d\":\"1\"}",
    );
    assert_eq!(first, other);
    assert_ne!(
        first,
        fingerprint(r#"{"id":"1","a":{"x":1,"y":[{"p":1,"q":2}]},"extra":{"s":{"m":1,"n":2},"t":3},"more":1.51}"#)
    );
    assert_ne!(fingerprint(r#"{"id":1}"#), fingerprint(r#"{"id":"1"}"#));
}
