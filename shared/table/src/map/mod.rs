//! From a JSON record to a row: typed by the manifest's columns, what does not fit kept aside, nothing dropped.

mod convert;
mod explode;
mod extra;
pub mod infer;
mod partition;

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use self::extra::Named;
use manifest::Cursor;
use manifest::{Column, CursorKind, DataType, JsonPath, Level, PartitionField, RECORD_KEY, Resource};

/// The engine's own columns, after the manifest's.
pub mod own {
    /// When this version of the row was written.
    pub const SYNCED_AT: &str = "synced_at";
    /// When the row's key was first written.
    pub const FIRST_SEEN_AT: &str = "first_seen_at";
    /// 64-bit hash of what the record says, volatile columns aside: equal means unchanged.
    pub const FINGERPRINT: &str = "_fingerprint";
    /// JSON: what the record has and the manifest does not name.
    pub const EXTRA: &str = "_extra";
    /// JSON: by column, what did not fit its type.
    pub const ISSUES: &str = "_issues";
}

/// Digits of a decimal, and those of them after the point: dlt's default.
pub const DECIMAL: (u8, i8) = (38, 9);

/// One value of a row, as its column's type holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// Text, or JSON's compact text.
    Text(String),
    /// Double.
    Double(f64),
    /// Bool.
    Bool(bool),
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
    /// Bigint.
    Bigint(i64),
    /// In units of 10⁻⁹.
    Decimal(i128),
    /// Of one type; null elements are left out.
    List(Vec<Self>),
}

/// A record as the lake holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The primary key's values as one text.
    pub key: String,
    /// The folder below the resource's, `sale_day=2026-11-21`; empty for a resource in one folder.
    pub partition: String,
    /// One for each of the manifest's columns, in order.
    pub cells: Vec<Cell>,
    /// See [`own::FINGERPRINT`].
    pub fingerprint: i64,
    /// See [`own::EXTRA`].
    pub extra: Option<String>,
    /// See [`own::ISSUES`].
    pub issues: Option<String>,
    /// The incremental cursor's value.
    pub cursor: Option<Cursor>,
}

/// A record that has no place in the lake.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// As the API gave it.
    pub record: Value,
    /// Why.
    pub reason: String,
}

/// Maps the records of one resource.
#[derive(Debug)]
pub struct Mapper {
    columns: Vec<Column>,
    partitions: Vec<PartitionField>,
    explode: Vec<Vec<Level>>,
    cursor: Option<(JsonPath, CursorKind)>,
    /// The column that takes the whole record's hash, where no key tells records apart.
    record_key: Option<usize>,
    named: Named,
    key: Vec<usize>,
    partition: Vec<usize>,
}

impl Mapper {
    /// A mapper for `resource`.
    pub fn new(resource: &Resource) -> Self {
        let position = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let mut named = Named::default();
        for column in &resource.columns {
            named.add(&column.path);
        }
        if !resource.explode.is_empty() {
            named.add(&JsonPath::of_field(explode::LEAF));
        }
        let incremental = resource.endpoint.incremental.as_ref();
        Self {
            columns: resource.columns.clone(),
            partitions: resource.partition.clone(),
            explode: resource.explode.clone(),
            cursor: incremental.map(|incremental| (incremental.cursor_path.clone(), incremental.kind)),
            record_key: resource.primary_key.iter().find(|key| *key == RECORD_KEY).and_then(position),
            named,
            key: resource.primary_key.iter().filter_map(position).collect(),
            partition: resource.partition.iter().filter_map(|field| position(&field.from)).collect(),
        }
    }

    /// The record's rows: one, or one a leaf where the resource explodes its records.
    pub fn map(&self, record: Value) -> Vec<Result<Row, Rejection>> {
        if !record.is_object() {
            return vec![Err(Rejection { reason: "the record is no JSON object".into(), record })];
        }
        if self.explode.is_empty() {
            return vec![self.row(record)];
        }
        match explode::explode(&self.explode, &record) {
            Some(records) => records.into_iter().map(|record| self.row(record)).collect(),
            None => {
                let ways: Vec<&str> =
                    self.explode.iter().filter_map(|way| way.first()).map(|level| level.name.as_str()).collect();
                vec![Err(Rejection { reason: format!("the record has none of {}", ways.join(", ")), record })]
            }
        }
    }

    fn row(&self, record: Value) -> Result<Row, Rejection> {
        let mut issues = Map::new();
        let mut cells: Vec<Cell> = self.columns.iter().map(|column| cell(column, &record, &mut issues)).collect();
        if let Some(position) = self.record_key {
            // A map's members are sorted, so that equal records have one text.
            cells[position] = Cell::Text(format!("{:032x}", xxh3_128(record.to_string().as_bytes())));
        }
        let key = match self.key(&cells) {
            Ok(key) => key,
            Err(reason) => return Err(Rejection { record, reason }),
        };
        let partition = match self.partition(&cells) {
            Ok(partition) => partition,
            Err(reason) => return Err(Rejection { record, reason }),
        };
        let extra = self.named.rest(&record).map(|rest| rest.to_string());
        let issues = (!issues.is_empty()).then(|| Value::Object(issues).to_string());
        let cursor = self.cursor.as_ref().and_then(|(path, kind)| Cursor::of(path.first(&record)?, *kind));
        let fingerprint = self.fingerprint(&cells, extra.as_deref(), issues.as_deref());
        Ok(Row { key, partition, cells, fingerprint, extra, issues, cursor })
    }

    fn key(&self, cells: &[Cell]) -> Result<String, String> {
        let mut parts = Vec::with_capacity(self.key.len());
        for &position in &self.key {
            let name = &self.columns[position].name;
            match &cells[position] {
                Cell::Null => return Err(format!("the key `{name}` is missing or does not fit its type")),
                Cell::Text(text) if text.is_empty() => return Err(format!("the key `{name}` is empty")),
                Cell::Text(text) => parts.push(text.clone()),
                Cell::Bigint(number) => parts.push(number.to_string()),
                Cell::Date(days) => parts.push(days.to_string()),
                _ => return Err(format!("the key `{name}` has a type that is no key's")),
            }
        }
        Ok(join_key(parts))
    }

    fn partition(&self, cells: &[Cell]) -> Result<String, String> {
        let mut folders = Vec::with_capacity(self.partition.len());
        for (field, &position) in self.partitions.iter().zip(&self.partition) {
            let value = partition::value(field.transform, &cells[position]).ok_or_else(|| {
                let (from, transform) = (&field.from, field.transform);
                format!("`{from}` is missing or has no {transform}, so the record has no partition `{}`", field.name)
            })?;
            folders.push(format!("{}={value}", field.name));
        }
        Ok(folders.join("/"))
    }

    /// Absent values are left out and names are in it, so that a column added to the manifest changes nothing until a
    /// record has a value for it.
    fn fingerprint(&self, cells: &[Cell], extra: Option<&str>, issues: Option<&str>) -> i64 {
        let mut hash = Xxh3::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            if !column.volatile && *cell != Cell::Null {
                feed(&mut hash, column.name.as_bytes());
                digest(&mut hash, cell);
            }
        }
        for (name, text) in [(own::EXTRA, extra), (own::ISSUES, issues)] {
            if let Some(text) = text {
                feed(&mut hash, name.as_bytes());
                feed(&mut hash, text.as_bytes());
            }
        }
        hash.digest().cast_signed()
    }
}

/// The values of a key as one text; several are written as a JSON list, so that no two keys read alike.
pub fn join_key(mut parts: Vec<String>) -> String {
    match parts.len() {
        1 => parts.remove(0),
        _ => json!(parts).to_string(),
    }
}

fn cell(column: &Column, record: &Value, issues: &mut Map<String, Value>) -> Cell {
    if !column.list {
        let Some(value) = column.path.first(record).filter(|value| !value.is_null()) else {
            return Cell::Null;
        };
        return convert::cell(column.data_type, value).unwrap_or_else(|| {
            issues.insert(column.name.clone(), value.clone());
            Cell::Null
        });
    }
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

/// Length first, so that `ab`,`c` and `a`,`bc` differ.
fn feed(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn digest(hash: &mut Xxh3, cell: &Cell) {
    match cell {
        Cell::Null => feed(hash, b""),
        Cell::Text(text) => feed(hash, text.as_bytes()),
        Cell::Double(number) => feed(hash, &number.to_le_bytes()),
        Cell::Bool(value) => feed(hash, &[u8::from(*value)]),
        Cell::Timestamp(number) | Cell::Bigint(number) => feed(hash, &number.to_le_bytes()),
        Cell::Date(days) => feed(hash, &days.to_le_bytes()),
        Cell::Decimal(number) => feed(hash, &number.to_le_bytes()),
        Cell::List(cells) => {
            hash.update(&(cells.len() as u64).to_le_bytes());
            cells.iter().for_each(|cell| digest(hash, cell));
        }
    }
}

/// The stored table's schema: the manifest's columns, then the engine's own, the one for vanished records last.
pub fn schema(resource: &Resource) -> SchemaRef {
    let mut fields: Vec<Field> = resource
        .columns
        .iter()
        .map(|column| {
            let arrow = arrow_type(column.data_type);
            let arrow = if column.list { list_of(arrow) } else { arrow };
            Field::new(&column.name, arrow, !resource.primary_key.contains(&column.name))
        })
        .collect();
    let instant = arrow_type(DataType::Timestamp);
    fields.push(Field::new(own::SYNCED_AT, instant.clone(), false));
    fields.push(Field::new(own::FIRST_SEEN_AT, instant.clone(), false));
    fields.push(Field::new(own::FINGERPRINT, ArrowType::Int64, false));
    fields.push(Field::new(own::EXTRA, ArrowType::Utf8, true));
    fields.push(Field::new(own::ISSUES, ArrowType::Utf8, true));
    // No part of what the record says, and so of no fingerprint.
    fields.extend(resource.vanished.iter().map(|vanished| Field::new(&vanished.column, instant.clone(), true)));
    Arc::new(Schema::new(fields))
}

/// How a list of a type is stored.
pub fn list_of(element: ArrowType) -> ArrowType {
    ArrowType::List(Arc::new(Field::new("element", element, true)))
}

/// How a type is stored.
pub fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Text | DataType::Json => ArrowType::Utf8,
        DataType::Double => ArrowType::Float64,
        DataType::Bool => ArrowType::Boolean,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date => ArrowType::Date32,
        DataType::Bigint => ArrowType::Int64,
        DataType::Decimal => ArrowType::Decimal128(DECIMAL.0, DECIMAL.1),
    }
}

#[cfg(test)]
mod tests;
