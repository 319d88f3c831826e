//! The columns of a resource whose manifest declares none: the fields of its records.
//!
//! The type of a column is the one that holds the field's values in a sample of records and the values that the table has already. A
//! value that does not fit the type goes to `_issues`. A field that the sample does not show goes to `_extra`, until the sample of a later
//! run shows it.

use std::collections::BTreeMap;

use manifest::{Column, DataType, JsonPath, number};
use serde_json::Value;

/// The names that fields of records cannot have: the engine has columns of these names.
const RESERVED_NAMES: [&str; 3] = ["synced_at", "first_seen_at", "observed_date"];

/// Adds to `columns` the `stored` ones, which are the names of their types by their own names, and those that the records of `sample`
/// show.
pub fn columns<'v>(
    columns: &mut Vec<Column>,
    stored: &BTreeMap<String, String>,
    sample: impl Iterator<Item = &'v Value>,
) {
    let mut types: BTreeMap<String, DataType> =
        stored.iter().filter_map(|(name, data_type)| Some((name.clone(), DataType::parse(data_type)?))).collect();
    for (name, value) in sample.filter_map(Value::as_object).flatten() {
        // The names of the engine's own columns begin with `_`.
        if name.starts_with('_') {
            continue;
        }
        if let Some(sample_type) = type_of(value) {
            types.entry(name.clone()).and_modify(|known| *known = widen(*known, sample_type)).or_insert(sample_type);
        }
    }
    for (name, data_type) in types {
        // Some readers of Parquet take two names that differ only in case for the same column.
        let is_taken = RESERVED_NAMES.contains(&name.as_str())
            || columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name));
        if !is_taken {
            let path = JsonPath::of_field(&name);
            columns.push(Column {
                name,
                path,
                data_type,
                list: false,
                volatile: false,
                history_only: false,
                description: None,
            });
        }
    }
}

/// Returns the type of a value, or `None` if it is null.
fn type_of(value: &Value) -> Option<DataType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(DataType::Bool),
        Value::Number(number) if number.is_i64() => Some(DataType::Bigint),
        Value::Number(number) if number::double(number.as_str()).is_some() => Some(DataType::Double),
        // No numeric type of a column holds all of its digits.
        Value::Number(_) => Some(DataType::Text),
        Value::String(_) => Some(DataType::Text),
        Value::Array(_) | Value::Object(_) => Some(DataType::Json),
    }
}

/// Returns the type that holds the values of both types. A stored column of type `known` can be widened to it.
fn widen(known: DataType, other: DataType) -> DataType {
    match (known, other) {
        (known, other) if known == other => known,
        (DataType::Bigint, DataType::Double) => DataType::Double,
        (DataType::Double, DataType::Bigint) | (DataType::Json, _) => known,
        (DataType::Text, DataType::Json) => DataType::Json,
        _ => DataType::Text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_type_of_a_column_holds_all_values_of_the_sample() {
        let sample = [
            json!({"id": 1, "price": 10, "open": true, "tags": ["a"], "note": null, "mixed": 1, "_x": 1, "ID": 2}),
            json!({"id": 2, "price": 10.5, "venue": {"name": "x"}, "mixed": "one"}),
        ];
        let mut found = Vec::new();
        columns(&mut found, &[("price".to_owned(), "bigint".to_owned())].into(), sample.iter());
        let found: Vec<(&str, DataType)> =
            found.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        assert_eq!(
            found,
            [
                ("ID", DataType::Bigint),
                ("mixed", DataType::Text),
                ("open", DataType::Bool),
                ("price", DataType::Double),
                ("tags", DataType::Json),
                ("venue", DataType::Json),
            ]
        );
    }
}
