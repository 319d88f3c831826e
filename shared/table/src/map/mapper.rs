//! The mapper of one resource's records.

use manifest::{Column, Cursor, CursorKind, DataType, JsonPath, Level, PartitionField, RECORD_KEY, Resource};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::explode::{self, explode};
use super::extra::NamedPaths;
use super::fingerprint::{FingerprintContent, fingerprint};
use super::row::{Cell, Rejection, Row, join_key};
use super::{convert, partition};

/// Maps the records of one resource to rows.
#[derive(Debug)]
pub struct Mapper {
    columns: Vec<Column>,
    /// The levels of partitions, the outermost folder first.
    partition_fields: Vec<PartitionField>,
    /// For each level of partitions, the position of its column.
    partition_positions: Vec<usize>,
    /// The positions of the primary key's columns.
    key_positions: Vec<usize>,
    /// The position of the column that holds a hash of the whole record, if the resource has no primary key.
    record_hash_position: Option<usize>,
    /// The trees that a record may be; see [`explode()`].
    trees: Vec<Vec<Level>>,
    /// The path and the kind of the resource's cursor.
    cursor: Option<(JsonPath, CursorKind)>,
    /// The places in a record that have a column.
    named_paths: NamedPaths,
}

impl Mapper {
    /// Creates a mapper for the records of `resource`.
    pub fn new(resource: &Resource) -> Self {
        let position = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let mut named_paths = NamedPaths::default();
        for column in &resource.columns {
            named_paths.add(&column.path);
        }
        if !resource.explode.is_empty() {
            named_paths.add(&JsonPath::of_field(explode::LEAF));
        }
        let incremental = resource.endpoint.incremental.as_ref();
        Self {
            columns: resource.columns.clone(),
            partition_fields: resource.partition.clone(),
            partition_positions: resource.partition.iter().filter_map(|field| position(&field.from)).collect(),
            key_positions: resource.primary_key.iter().filter_map(position).collect(),
            record_hash_position: resource.primary_key.iter().find(|key| *key == RECORD_KEY).and_then(position),
            trees: resource.explode.clone(),
            cursor: incremental.map(|incremental| (incremental.cursor_path.clone(), incremental.kind)),
            named_paths,
        }
    }

    /// Returns the rows of a record: one, or one for each leaf if the resource explodes its records.
    pub fn map(&self, record: Value) -> Vec<Result<Row, Rejection>> {
        if !record.is_object() {
            return vec![Err(Rejection {
                reason: "the record is no JSON object".into(),
                record: record.into(),
                key: None,
            })];
        }
        if self.trees.is_empty() {
            return vec![self.map_object(record)];
        }
        match explode(&self.trees, &record) {
            Some(records) => records.into_iter().map(|record| self.map_object(record)).collect(),
            None => {
                let roots = self.trees.iter().filter_map(|tree| tree.first()).map(|level| level.name.as_str());
                let roots: Vec<&str> = roots.collect();
                let reason = format!("the record has none of {}", roots.join(", "));
                vec![Err(Rejection { reason, record: record.into(), key: None })]
            }
        }
    }

    /// Returns the row of a record that is an object.
    fn map_object(&self, record: Value) -> Result<Row, Rejection> {
        let mut issues = Map::new();
        let mut cells: Vec<Cell> = self.columns.iter().map(|column| cell(column, &record, &mut issues)).collect();
        if let Some(position) = self.record_hash_position {
            // The members of an object are sorted, so that equal records have the same text.
            cells[position] = Cell::Text(format!("{:032x}", xxh3_128(record.to_string().as_bytes())));
        }
        let key = match self.key(&cells) {
            Ok(key) => key,
            Err(reason) => return Err(Rejection { record: record.into(), reason, key: None }),
        };
        let partition = match self.partition(&cells) {
            Ok(partition) => partition,
            Err(reason) => return Err(Rejection { record: record.into(), reason, key: Some(key) }),
        };
        let extra = self.named_paths.unnamed_values(&record).map(|values| values.to_string());
        let issues = (!issues.is_empty()).then(|| Value::Object(issues).to_string());
        let cursor = self.cursor.as_ref().and_then(|(path, kind)| Cursor::from_value(path.first(&record)?, *kind));
        let content = FingerprintContent {
            columns: &self.columns,
            cells: &cells,
            retyped_keys: &self.retyped_keys(&record),
            extra: extra.as_deref(),
            issues: issues.as_deref(),
        };
        let fingerprint = fingerprint(&content);
        Ok(Row { key, partition, cells, fingerprint, extra, issues, cursor })
    }

    /// Returns the names of the key's columns that are texts and have a number or a boolean in `record`: `1` and `"1"` are one key, and
    /// their records are not the same.
    fn retyped_keys(&self, record: &Value) -> Vec<&str> {
        let columns = self.key_positions.iter().map(|&position| &self.columns[position]);
        let is_retyped = |column: &&Column| {
            column.data_type == DataType::Text
                && matches!(column.path.first(record), Some(Value::Number(_) | Value::Bool(_)))
        };
        columns.filter(is_retyped).map(|column| column.name.as_str()).collect()
    }

    /// Returns the key of the row with these cells, or the reason why it has none.
    fn key(&self, cells: &[Cell]) -> Result<String, String> {
        let mut values = Vec::with_capacity(self.key_positions.len());
        for &position in &self.key_positions {
            let name = &self.columns[position].name;
            match &cells[position] {
                Cell::Null => return Err(format!("the key `{name}` is missing or does not fit its type")),
                Cell::Text(text) if text.is_empty() => return Err(format!("the key `{name}` is empty")),
                Cell::Text(text) => values.push(text.clone()),
                Cell::Bigint(number) => values.push(number.to_string()),
                Cell::Date(days) => values.push(days.to_string()),
                _ => return Err(format!("the key `{name}` has a type that is no key's")),
            }
        }
        Ok(join_key(values))
    }

    /// Returns the partition of the row with these cells, or the reason why it has none.
    fn partition(&self, cells: &[Cell]) -> Result<String, String> {
        let mut levels = Vec::with_capacity(self.partition_positions.len());
        for (field, &position) in self.partition_fields.iter().zip(&self.partition_positions) {
            let value = partition::value(field.transform, &cells[position]).ok_or_else(|| {
                let (from, transform) = (&field.from, field.transform);
                format!("`{from}` is missing or has no {transform}, so the record has no partition `{}`", field.name)
            })?;
            levels.push(format!("{}={value}", field.name));
        }
        Ok(levels.join("/"))
    }
}

/// Returns the cell that `column` has for `record`. Values that do not fit the column's type are added to `issues`.
fn cell(column: &Column, record: &Value, issues: &mut Map<String, Value>) -> Cell {
    if column.list {
        return list_cell(column, record, issues);
    }
    let Some(value) = column.path.first(record).filter(|value| !value.is_null()) else {
        return Cell::Null;
    };
    convert::cell(column.data_type, value).unwrap_or_else(|| {
        issues.insert(column.name.clone(), value.clone());
        Cell::Null
    })
}

/// Returns the cell of a column that holds lists.
fn list_cell(column: &Column, record: &Value, issues: &mut Map<String, Value>) -> Cell {
    let mut cells = Vec::new();
    let mut misfits = Vec::new();
    for value in column.path.all(record).into_iter().filter(|value| !value.is_null()) {
        match convert::cell(column.data_type, value) {
            Some(cell) => cells.push(cell),
            None => misfits.push(value.clone()),
        }
    }
    if !misfits.is_empty() {
        issues.insert(column.name.clone(), Value::Array(misfits));
    }
    if cells.is_empty() { Cell::Null } else { Cell::List(cells) }
}
