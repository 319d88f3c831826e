//! Columns of a resource whose manifest declares none: its records' own fields.
//!
//! A field's type is what its values are in a sample of records, widened by what the table holds already. A value that does not fit
//! is kept in `_issues`, a field that the sample lacks in `_extra`, until a later run's sample shows it.

use std::collections::BTreeMap;

use serde_json::Value;

use manifest::{Column, DataType, JsonPath};

/// Adds to `columns` those that are `stored`, by name and type, and those that `sample` shows.
pub fn columns<'v>(
    columns: &mut Vec<Column>,
    stored: &BTreeMap<String, String>,
    sample: impl Iterator<Item = &'v Value>,
) {
    let mut types: BTreeMap<String, DataType> =
        stored.iter().filter_map(|(name, data_type)| Some((name.clone(), DataType::parse(data_type)?))).collect();
    for (name, value) in sample.filter_map(Value::as_object).flatten() {
        if let Some(seen) = of(value).filter(|_| !name.starts_with('_')) {
            types.entry(name.clone()).and_modify(|known| *known = widened(*known, seen)).or_insert(seen);
        }
    }
    for (name, data_type) in types {
        // Readers of Parquet tell no columns apart by case; the engine's own names are taken.
        let taken = ["synced_at", "first_seen_at", "observed_date"].contains(&name.as_str())
            || columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name));
        if !taken {
            let path = JsonPath::of_field(&name);
            columns.push(Column { name, path, data_type, list: false, volatile: false, description: None });
        }
    }
}

/// The type of a value; `None`: it says nothing.
fn of(value: &Value) -> Option<DataType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(DataType::Bool),
        Value::Number(number) if number.is_i64() => Some(DataType::Bigint),
        Value::Number(_) => Some(DataType::Double),
        Value::String(_) => Some(DataType::Text),
        Value::Array(_) | Value::Object(_) => Some(DataType::Json),
    }
}

/// The type that holds the values of both, among those that a stored column can be widened to.
fn widened(known: DataType, seen: DataType) -> DataType {
    match (known, seen) {
        (known, seen) if known == seen => known,
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
    fn a_field_is_as_wide_as_its_values() {
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
