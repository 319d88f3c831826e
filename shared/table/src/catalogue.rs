//! The tables that a manifest's resources become in the lake, as a catalogue declares them: folders, columns and partitions.

use arrow_schema::DataType as ArrowType;

use manifest::{Manifest, Resource, Transform};
use crate::map::{self, own};
use crate::merge::{OBSERVED, REPLACES};

/// A table of the lake.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// The source's name.
    pub source: String,
    /// The resource's, with `_history` behind it where every version is kept.
    pub name: String,
    /// The columns that tell one row from another.
    pub key: Vec<String>,
    /// In the order of the stored file.
    pub columns: Vec<Column>,
    /// The folders' levels, outermost first.
    pub partitions: Vec<Partition>,
    /// Whether further columns are found in the records: where the manifest declares none.
    pub open: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As it is stored.
    pub name: String,
    /// Athena's name for its type.
    pub data_type: String,
    /// What it holds; empty where its name says it.
    pub description: String,
}

/// A level of folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The folder's name before the `=`.
    pub name: String,
    /// How its value follows from the row.
    pub transform: Transform,
}

/// Every table of `manifest`, in its order, each history behind its table.
pub fn of(manifest: &Manifest) -> Vec<TableDefinition> {
    let tables = |resource: &Resource| {
        let table = table(manifest, resource);
        let history = resource.history.then(|| history(&table));
        std::iter::once(table).chain(history)
    };
    manifest.resources.iter().flat_map(tables).collect()
}

fn table(manifest: &Manifest, resource: &Resource) -> TableDefinition {
    let schema = map::schema(resource);
    let columns = schema.fields().iter().map(|field| {
        let declared = resource.columns.iter().find(|column| column.name == *field.name());
        let description =
            declared.and_then(|column| column.description.as_deref()).unwrap_or_else(|| own(resource, field.name()));
        Column { name: field.name().clone(), data_type: athena(field.data_type()), description: description.to_owned() }
    });
    let levels = resource.partition.iter();
    TableDefinition {
        source: manifest.name.clone(),
        name: resource.name.clone(),
        key: resource.primary_key.clone(),
        columns: columns.collect(),
        partitions: levels.map(|level| Partition { name: level.name.clone(), transform: level.transform }).collect(),
        open: resource.infer_columns,
    }
}

fn history(table: &TableDefinition) -> TableDefinition {
    let mut history = table.clone();
    history.name.push_str("_history");
    history.key.push(own::FINGERPRINT.to_owned());
    history.key.push(REPLACES.to_owned());
    history.columns.push(Column {
        name: REPLACES.to_owned(),
        data_type: "timestamp".to_owned(),
        description: "synced_at of the version that this one replaced; null for a key's first".to_owned(),
    });
    history.partitions = vec![Partition { name: OBSERVED.to_owned(), transform: Transform::Day }];
    history
}

/// What a column of the engine's own holds.
fn own(resource: &Resource, name: &str) -> &'static str {
    match name {
        _ if resource.vanished.as_ref().is_some_and(|vanished| vanished.column == name) => {
            "UTC; since when complete readings have not had it; null while they do"
        }
        own::SYNCED_AT => "UTC; when this version of the row was written",
        own::FIRST_SEEN_AT => "UTC; when the row's key was first written",
        own::FINGERPRINT => "hash of what the record says: equal means unchanged",
        own::EXTRA => "JSON; what the record has and no column names",
        own::ISSUES => "JSON; by column, what did not fit its type",
        _ => "",
    }
}

/// Athena's name for a type (Amazon Athena user guide, "Data types in Amazon Athena").
fn athena(arrow: &ArrowType) -> String {
    match arrow {
        ArrowType::Float64 => "double".to_owned(),
        ArrowType::Boolean => "boolean".to_owned(),
        ArrowType::Timestamp(..) => "timestamp".to_owned(),
        ArrowType::Date32 => "date".to_owned(),
        ArrowType::Int64 => "bigint".to_owned(),
        ArrowType::Decimal128(digits, scale) => format!("decimal({digits},{scale})"),
        ArrowType::List(element) => format!("array<{}>", athena(element.data_type())),
        _ => "string".to_owned(),
    }
}
