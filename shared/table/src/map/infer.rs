//! The columns of a resource whose manifest declares none: the fields of its records.
//!
//! A field gets a column when the first record with a value of it comes. The column's type holds all of the values that are known then: those
//! of the first records of a run, or those of a page. It never changes after that, since readers of the table rely on it. A value that it
//! cannot hold goes to a variant column, as in dlt: `price__v_double` has the doubles of a `price` that is a `bigint`.
//!
//! Readers such as Athena and DuckDB take names that differ in the case of letters for one. So fields with such names have one column, with
//! the name that came first. If a record has several of them, the column has one of the values, and `_extra` has the others.

use std::collections::{BTreeMap, BTreeSet};

use manifest::name::{engine_column, is_same_name};
use manifest::{Column, DataType, JsonPath, Resource, json, number};
use serde_json::Value;

use super::field_value::FieldValue;
use super::row::Row;

/// What is between the name of a column and the type of the values in a name of a variant, as in dlt.
const VARIANT: &str = "__v_";

/// The most columns of a table that are found in its records. Each takes memory while a part is written, and records whose fields have ever
/// new names, such as ids, would fill it. Further fields stay in `_extra`.
const MAX_COLUMNS: usize = 1000;

/// The types of the values that a field has.
#[derive(Clone, Debug, Default)]
struct FieldTypes {
    /// dlt's names of the types.
    names: BTreeSet<&'static str>,
    /// Whether one of the values is a whole number that a double would round.
    has_long_number: bool,
}

impl FieldTypes {
    /// Adds the type of a value, unless that is null.
    fn add(&mut self, value: &Value) {
        let value = FieldValue::of(value);
        if let FieldValue::Number(text) = &value {
            self.has_long_number |= number::double(text).is_none();
        }
        self.names.extend(type_of(&value).map(DataType::name));
    }

    /// Returns the narrowest type that holds all of the values.
    fn common(&self) -> DataType {
        let is_only =
            |types: &[DataType]| self.names.iter().all(|name| types.iter().any(|known| known.name() == *name));
        let has = |data_type: DataType| self.names.contains(data_type.name());
        match () {
            () if has(DataType::Json) => DataType::Json,
            () if is_only(&[DataType::Bool]) => DataType::Bool,
            () if is_only(&[DataType::Bigint]) => DataType::Bigint,
            () if is_only(&[DataType::Bigint, DataType::Double]) && !self.has_long_number => DataType::Double,
            () => DataType::Text,
        }
    }
}

/// What rows have that has no column.
#[derive(Clone, Debug, Default)]
pub struct FoundFields {
    /// The fields without a column, by their names. Those that differ in the case of letters are one.
    fields: BTreeMap<String, FieldTypes>,
    /// The types of the values that columns cannot hold, by the names of the columns.
    misfits: BTreeMap<String, FieldTypes>,
}

impl FoundFields {
    /// Adds what a row has in `_extra` and `_issues`.
    pub fn add(&mut self, row: &Row<'_>) {
        for (name, value) in members(row.extra.as_deref()) {
            let known = self.fields.keys().find(|known| is_same_name(known, &name)).cloned();
            self.fields.entry(known.unwrap_or(name)).or_default().add(&value);
        }
        for (name, value) in members(row.issues.as_deref()) {
            self.misfits.entry(name).or_default().add(&value);
        }
    }

    /// Returns the columns that are to be added to `stored`, the names of a table's columns with those of their types, so that the values
    /// have columns. `resource` is the resource of the table.
    pub fn new_columns(&self, stored: &BTreeMap<String, String>, resource: &Resource) -> BTreeMap<String, DataType> {
        let room = MAX_COLUMNS.saturating_sub(stored.len());
        let mut new = BTreeMap::new();
        if room == 0 {
            return new;
        }
        let is_taken = |name: &str| {
            let of_resource = resource.columns.iter().map(|column| &column.name);
            stored.keys().chain(of_resource).any(|known| is_same_name(known, name))
        };
        for (name, types) in &self.fields {
            if !types.names.is_empty() && !is_reserved(name, resource) && !is_taken(name) {
                new.insert(name.clone(), types.common());
            }
        }
        for (name, types) in self.misfits.iter().filter(|(name, _)| is_inferred(name, resource)) {
            for data_type in types.names.iter().filter_map(|name| DataType::parse(name)) {
                let variant = variant_name(name, data_type);
                if !is_taken(&variant) {
                    new.insert(variant, data_type);
                }
            }
        }
        new.into_iter().take(room).collect()
    }
}

/// Returns the members of a JSON object. A row without one has none.
fn members(object: Option<&str>) -> impl Iterator<Item = (String, Value)> {
    let value = object.and_then(|text| json::decode(text.as_bytes()).ok());
    let members = match value {
        Some(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    members.into_iter()
}

/// Returns the columns of `resource`, whose table has the `stored` ones: names of types by names of columns. Those of the manifest come
/// first, then those that were found in records, ordered by name.
pub fn columns(resource: &Resource, stored: &BTreeMap<String, String>) -> Vec<Column> {
    let mut columns: Vec<Column> =
        resource.columns.iter().filter(|column| !is_inferred(&column.name, resource)).cloned().collect();
    for (name, type_name) in stored {
        let Some(data_type) = DataType::parse(type_name) else { continue };
        let field = variant_of(name).map_or(name.as_str(), |(field, _)| field);
        let is_taken = columns.iter().any(|column| is_same_name(&column.name, name));
        if is_taken || is_reserved(field, resource) {
            continue;
        }
        let path = JsonPath::of_field(field);
        columns.push(Column {
            name: name.clone(),
            path,
            data_type,
            list: false,
            volatile: false,
            history_only: false,
            description: None,
        });
    }
    columns
}

/// Whether the column `name` of `resource` was found in records, or would be. The columns of the key and those of the parent were not.
pub fn is_inferred(name: &str, resource: &Resource) -> bool {
    resource.infer_columns && !name.starts_with('_') && !resource.primary_key.iter().any(|key| key == name)
}

/// Whether a field cannot have a column of its own name: the engine or the manifest uses it, or it is that of a variant.
fn is_reserved(name: &str, resource: &Resource) -> bool {
    let vanished = resource.vanished.iter().map(|vanished| &vanished.column);
    let mut names = resource.partition.iter().map(|level| &level.name).chain(vanished);
    name.starts_with('_')
        || engine_column(name).is_some()
        || variant_of(name).is_some()
        || names.any(|used| is_same_name(used, name))
}

/// Returns the name of the column with the values of type `data_type` that the column `name` cannot hold.
fn variant_name(name: &str, data_type: DataType) -> String {
    format!("{name}{VARIANT}{}", data_type.name())
}

/// Returns the column and the type that the variant column `name` is of, if it is the name of one, whatever the case of its letters.
pub(super) fn variant_of(name: &str) -> Option<(&str, DataType)> {
    let (position, _) = name.rmatch_indices("__").find(|(position, _)| {
        name.get(*position..*position + VARIANT.len()).is_some_and(|infix| infix.eq_ignore_ascii_case(VARIANT))
    })?;
    let data_type = DataType::parse(&name[position + VARIANT.len()..].to_ascii_lowercase())?;
    (position > 0).then_some((&name[..position], data_type))
}

/// Returns the type of a value, which holds it: a bool, bigint, double, text or json. `None` if it is null.
pub(super) fn type_of(value: &FieldValue<'_>) -> Option<DataType> {
    Some(match value {
        FieldValue::Null => return None,
        FieldValue::Bool(_) => DataType::Bool,
        FieldValue::Number(text) if number::canonical(text).parse::<i64>().is_ok() => DataType::Bigint,
        FieldValue::Number(text) if number::double(text).is_some() => DataType::Double,
        // No numeric type of a column holds all of its digits.
        FieldValue::Number(_) | FieldValue::Text(_) => DataType::Text,
        FieldValue::Nested(_) => DataType::Json,
    })
}

#[cfg(test)]
mod tests {
    use manifest::Manifest;
    use serde_json::json;

    use super::super::Mapper;
    use super::*;

    /// A resource without columns, whose key is `id`.
    fn resource() -> Resource {
        let text = "client: {base_url: 'https://x'}
resources:
  - name: things
    primary_key: id
    write_disposition: merge
    partition: [{name: bucket, from: id, transform: 'bucket[2]'}]
    endpoint: {data_selector: data, paginator: single_page}";
        Manifest::parse("test.yaml", text).unwrap_or_else(|faults| panic!("{faults}")).resources.remove(0)
    }

    fn stored(columns: &[(&str, &str)]) -> BTreeMap<String, String> {
        columns.iter().map(|(name, data_type)| ((*name).to_owned(), (*data_type).to_owned())).collect()
    }

    /// The columns that `records` add to a table with the `stored` ones.
    fn new_columns(stored: &BTreeMap<String, String>, records: &[Value]) -> Vec<(String, &'static str)> {
        let mut resource = resource();
        resource.columns = columns(&resource, stored);
        let mapper = Mapper::new(&resource);
        let mut found = FoundFields::default();
        for record in records {
            mapper.map(record.clone()).iter().for_each(|row| found.add(row.as_ref().unwrap()));
        }
        let new = found.new_columns(stored, &resource);
        new.into_iter().map(|(name, data_type)| (name, data_type.name())).collect()
    }

    #[test]
    fn a_new_column_has_the_type_that_holds_all_values() {
        let long = json::decode(b"9007199254740993").unwrap();
        for (values, expected) in [
            (vec![json!(1), json!(null)], "bigint"),
            (vec![json!(1), json!(1.5)], "double"),
            (vec![json!(1.5), long.clone()], "text"),
            (vec![long], "bigint"),
            (vec![json!(true), json!(false)], "bool"),
            (vec![json!(true), json!(1)], "text"),
            (vec![json!("a"), json!(1)], "text"),
            (vec![json!("a"), json!(["a"])], "json"),
            (vec![json!({"a": 1}), json!(1)], "json"),
            (vec![json::decode(b"0.12345678901234567890123").unwrap()], "text"),
        ] {
            let records: Vec<Value> = values.iter().map(|value| json!({"id": "a", "x": value})).collect();
            assert_eq!(new_columns(&stored(&[]), &records), [("x".to_owned(), expected)], "{values:?}");
        }
        assert_eq!(new_columns(&stored(&[]), &[json!({"id": "a", "x": null, "y": [], "z": {}})]), []);
    }

    #[test]
    fn a_value_that_a_stored_column_cannot_hold_opens_a_variant() {
        let stored = stored(&[("price", "bigint"), ("price__v_text", "text"), ("open", "bool"), ("note", "text")]);
        let record =
            |price: Value, open: Value, note: Value| json!({"id": "a", "price": price, "open": open, "note": note});
        let fitting = [record(json!(1), json!(true), json!("a")), record(json!("n/a"), json!("true"), json!(1.5))];
        assert_eq!(new_columns(&stored, &fitting), []);
        let others = [record(json!(1.5), json!(1), json!([1])), record(json!({"a": 1}), json!(null), json!(true))];
        let expected = [
            ("note__v_json", "json"),
            ("open__v_bigint", "bigint"),
            ("price__v_double", "double"),
            ("price__v_json", "json"),
        ];
        assert_eq!(new_columns(&stored, &others), expected.map(|(name, data_type)| (name.to_owned(), data_type)));
    }

    #[test]
    fn some_names_have_no_column() {
        let record = json!({
            "id": "a", "_x": 1, "Synced_At": 1, "BUCKET": 1, "price__v_double": 1.5, "x__V_Text": 1, "Venue": 1, "VENUE": 2,
            "__v_text": 1, "x__v_other": 1,
        });
        let expected = [("VENUE", "bigint"), ("__v_text", "bigint"), ("x__v_other", "bigint")];
        let expected = expected.iter().filter(|(name, _)| !name.starts_with('_'));
        let expected: Vec<_> = expected.map(|(name, data_type)| ((*name).to_owned(), *data_type)).collect();
        assert_eq!(new_columns(&stored(&[]), &[record]), expected);
        let stored = stored(&[("Venue", "text"), ("tags", "list of text")]);
        assert_eq!(new_columns(&stored, &[json!({"id": "a", "VENUE": 1, "venue": 2, "Tags": 1})]), []);
    }

    #[test]
    fn a_value_takes_the_first_column_that_holds_it() {
        let mut resource = resource();
        resource.columns =
            columns(&resource, &stored(&[("x", "bigint"), ("x__v_double", "double"), ("x__v_text", "text")]));
        let mapper = Mapper::new(&resource);
        let row = |record: Value| {
            let row = mapper.map(record).remove(0).unwrap();
            let cells = resource.columns.iter().zip(&row.cells).filter(|(_, cell)| **cell != super::super::Cell::Null);
            let cells = cells.map(|(column, cell)| format!("{}={cell:?}", column.name));
            (cells.collect::<Vec<_>>().join(" "), row.extra.map(|extra| extra.into_owned()), row.issues)
        };
        for (record, cells, extra, issues) in [
            (json!({"id": "a", "x": 1}), r#"id=Text("a") x=Bigint(1)"#, None, None),
            (json!({"id": "a", "x": "1"}), r#"id=Text("a") x=Bigint(1)"#, None, None),
            (json!({"id": "a", "x": 1.5}), r#"id=Text("a") x__v_double=Double(1.5)"#, None, None),
            (json!({"id": "a", "x": "n/a"}), r#"id=Text("a") x__v_text=Text("n/a")"#, None, None),
            (json!({"ID": "a", "X": "n/a"}), r#"id=Text("a") x__v_text=Text("n/a")"#, None, None),
            (json!({"id": "a", "x": [1]}), r#"id=Text("a")"#, None, Some(r#"{"x":[1]}"#)),
            (json!({"id": "a", "x": 1, "X": 2}), r#"id=Text("a") x=Bigint(1)"#, Some(r#"{"X":2}"#), None),
            (
                json!({"X": 2, "x": 1, "Id": "b", "id": "a"}),
                r#"id=Text("a") x=Bigint(1)"#,
                Some(r#"{"Id":"b","X":2}"#),
                None,
            ),
        ] {
            let expected = (cells.to_owned(), extra.map(str::to_owned), issues.map(str::to_owned));
            assert_eq!(row(record.clone()), expected, "{record}");
        }
    }
}
