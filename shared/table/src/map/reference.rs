//! The meaning of the mapping, for tests: a row is found value by value in the decoded record. The decoder must make the same row of the
//! record's text.

use std::collections::BTreeMap;

use manifest::path::Step;
use manifest::{Column, Cursor, CursorKind, JsonPath};
use serde_json::{Map, Value};

use super::Cell;
use super::convert;
use super::field_value::FieldValue;

/// The parts of a row that follow from its record.
#[derive(Debug, PartialEq)]
pub(super) struct ReferenceRow {
    pub(super) cells: Vec<Cell<'static>>,
    pub(super) extra: Option<String>,
    pub(super) issues: Option<String>,
    pub(super) cursor: Option<Cursor>,
}

/// Returns the row of `record` with these columns and this cursor.
pub(super) fn row(columns: &[Column], cursor: Option<&(JsonPath, CursorKind)>, record: &Value) -> ReferenceRow {
    let mut issues = Map::new();
    let cells = columns.iter().map(|column| cell(column, record, &mut issues)).collect();
    let mut named = NamedPaths::default();
    columns.iter().for_each(|column| named.add(&column.path));
    ReferenceRow {
        cells,
        extra: named.unnamed_values(record).map(|values| values.to_string()),
        issues: (!issues.is_empty()).then(|| Value::Object(issues).to_string()),
        cursor: cursor.and_then(|(path, kind)| Cursor::from_value(path.first(record)?, *kind)),
    }
}

fn cell(column: &Column, record: &Value, issues: &mut Map<String, Value>) -> Cell<'static> {
    if column.list {
        return list_cell(column, record, issues);
    }
    let Some(value) = column.path.first(record).filter(|value| !value.is_null()) else {
        return Cell::Null;
    };
    convert::cell(column.data_type, &FieldValue::of(value)).unwrap_or_else(|| {
        issues.insert(column.name.clone(), value.clone());
        Cell::Null
    })
}

fn list_cell(column: &Column, record: &Value, issues: &mut Map<String, Value>) -> Cell<'static> {
    let (mut cells, mut misfits) = (Vec::new(), Vec::new());
    for value in column.path.all(record).into_iter().filter(|value| !value.is_null()) {
        match convert::cell(column.data_type, &FieldValue::of(value)) {
            Some(cell) => cells.push(cell),
            None => misfits.push(value.clone()),
        }
    }
    if !misfits.is_empty() {
        issues.insert(column.name.clone(), Value::Array(misfits));
    }
    if cells.is_empty() { Cell::Null } else { Cell::List(cells) }
}

/// The places in a record that columns name.
#[derive(Default)]
struct NamedPaths {
    is_named: bool,
    fields: BTreeMap<String, Self>,
    indexes: BTreeMap<usize, Self>,
    all_elements: Option<Box<Self>>,
}

impl NamedPaths {
    fn add(&mut self, path: &JsonPath) {
        let mut node = self;
        for step in path.steps() {
            node = match step {
                Step::Field(name) => node.fields.entry(name.clone()).or_default(),
                Step::Index(index) => node.indexes.entry(*index).or_default(),
                Step::All => node.all_elements.get_or_insert_default(),
                Step::Deep => return,
            };
        }
        node.is_named = true;
    }

    fn unnamed_values(&self, value: &Value) -> Option<Value> {
        match value {
            _ if self.is_named => None,
            Value::Null => None,
            Value::Object(members) => self.unnamed_members(members),
            Value::Array(elements) => self.unnamed_elements(elements),
            scalar => Some(scalar.clone()),
        }
    }

    fn unnamed_members(&self, members: &Map<String, Value>) -> Option<Value> {
        let unnamed = members.iter().filter_map(|(name, member)| {
            let unnamed = match self.fields.get(name) {
                Some(named) => named.unnamed_values(member),
                None => non_empty(member),
            };
            Some((name.clone(), unnamed?))
        });
        let unnamed: Map<String, Value> = unnamed.collect();
        (!unnamed.is_empty()).then_some(Value::Object(unnamed))
    }

    fn unnamed_elements(&self, elements: &[Value]) -> Option<Value> {
        let unnamed = elements.iter().enumerate().map(|(index, element)| {
            let mut unnamed = non_empty(element)?;
            for named in [self.indexes.get(&index), self.all_elements.as_deref()].into_iter().flatten() {
                unnamed = named.unnamed_values(&unnamed)?;
            }
            Some(unnamed)
        });
        let unnamed: Vec<Option<Value>> = unnamed.collect();
        let has_some = unnamed.iter().any(Option::is_some);
        has_some.then(|| Value::Array(unnamed.into_iter().map(Option::unwrap_or_default).collect()))
    }
}

fn non_empty(value: &Value) -> Option<Value> {
    let is_empty = match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| value.clone())
}
