//! Records of changing shapes, over several runs: no value is lost, and no column changes.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use manifest::name::is_same_name;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::rows::{Row, text, types};
use super::Feed;

/// Names that differ in case, that the engine uses, or that are those of variants.
const NAMES: [&str; 9] = ["a", "A", "b", "Bb", "bB", "_c", "synced_at", "a__v_double", "A__V_text"];

fn value() -> impl Strategy<Value = Value> {
    let long = |text: &'static str| manifest::json::decode(text.as_bytes()).unwrap();
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => (-3_i64..3).prop_map(Value::from),
        2 => prop::sample::select(vec![0.5, -1.25, 1e300, 7.0]).prop_map(Value::from),
        1 => prop::sample::select(vec![long("9007199254740993"), long("18446744073709551617"), long("0.12345678901234567890123")]),
        4 => prop::sample::select(vec!["", "x", "5", "true", "n/a", "1.5", "null", "[1]"]).prop_map(Value::from),
        1 => prop::sample::select(vec![json!([]), json!([1, null]), json!({}), json!({"p": {"q": "r"}})]),
    ]
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    let fields = prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), value(), 0..6);
    fields.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Whether the row has the value of the field `name`, in a column or in `_extra`.
fn has_value(row: &Row, name: &str, value: &Value) -> bool {
    let is_empty = value.is_null() || *value == json!([]) || *value == json!({});
    let extra = text(row.get("_extra"));
    let extra: Value = manifest::json::decode(extra.as_bytes()).unwrap();
    let is_column = |column: &str| {
        let variants = ["bool", "bigint", "double", "text", "json"].map(|data_type| format!("{name}__v_{data_type}"));
        is_same_name(column, name) || variants.iter().any(|variant| is_same_name(column, variant))
    };
    let cells = row.iter().filter(|(column, _)| is_column(column));
    is_empty || extra.get(name) == Some(value) || cells.into_iter().any(|(_, cell)| is_equal(cell, value))
}

/// Whether a cell means `value`, in the notation of any type.
fn is_equal(cell: &Value, value: &Value) -> bool {
    let (cell, value_text) = (text(Some(cell)), text(Some(value)));
    let number = |text: &str| text.parse::<f64>().ok();
    let is_same_number = value.as_str().is_none_or(|text| number(text).is_some())
        && manifest::number::double(&value_text).is_some()
        && number(&cell) == number(&value_text);
    cell == value_text || is_same_number || manifest::json::decode(cell.as_bytes()).as_ref() == Ok(value)
}

/// Whether all columns of `before` are among those of `after`, and no two differ in case alone.
fn only_grew(before: &BTreeMap<String, DataType>, after: &BTreeMap<String, DataType>) -> bool {
    let distinct = after.keys().all(|name| after.keys().filter(|other| is_same_name(name, other)).count() == 1);
    distinct && before.iter().all(|(name, data_type)| after.get(name) == Some(data_type))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_value_is_lost_and_no_column_changes(
        runs in prop::collection::vec(prop::collection::vec(record(), 1..8), 1..5),
        format in prop::sample::select(vec!["parquet", "json"]),
    ) {
        let feed = Feed::start(format, &json!({}));
        let mut columns = BTreeMap::new();
        let mut latest: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for records in runs {
            let with_id = |(id, mut record): (usize, Map<String, Value>)| {
                record.insert("id".into(), id.to_string().into());
                record
            };
            let records: Vec<Map<String, Value>> = records.into_iter().enumerate().map(with_id).collect();
            latest.extend(records.iter().map(|record| (text(record.get("id")), record.clone())));
            let records: Vec<Value> = records.into_iter().map(Value::Object).collect();
            feed.run(&records);
            let rows = feed.mine.rows("things");
            prop_assert_eq!(rows.len(), latest.len());
            for row in &rows {
                let record = &latest[&text(row.get("id"))];
                for (name, value) in record {
                    prop_assert!(has_value(row, name, value), "{}: {} of {:?} is not in {:?}", format, name, record, row);
                }
            }
            if format == "parquet" {
                let after = types(&feed.mine.lake, "mine/things");
                prop_assert!(only_grew(&columns, &after), "{columns:?} {after:?}");
                columns = after;
            }
            // The same records are the same rows.
            let report = feed.run(&records);
            prop_assert_eq!(&report["records"]["unchanged"], records.len(), "{}", report);
        }
    }
}
