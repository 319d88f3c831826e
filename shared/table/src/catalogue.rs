//! The tables that the resources of a manifest have in the lake, as a catalogue declares them: names, columns and partitions.

use arrow_schema::DataType as ArrowType;
use manifest::{Manifest, Resource, Transform};

use crate::map::{self, engine_columns};
use crate::merge::{OBSERVED, REPLACES};

/// The definition of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// The name of the source.
    pub source: String,
    /// The name of the resource, with `_history` at its end for the table of a history.
    pub name: String,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// The columns, in the order of the stored file.
    pub columns: Vec<Column>,
    /// The levels of partitions, the outermost folder first.
    pub partitions: Vec<Partition>,
    /// Whether the table has further columns that are found in the records, because the manifest declares none.
    pub has_inferred_columns: bool,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name of the column in the stored file.
    pub name: String,
    /// Athena's name for the type of the column.
    pub data_type: String,
    /// The meaning of the column. It is empty if the name says it all.
    pub description: String,
}

/// One level of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The name of the partition, which is the part of its folder before the `=`.
    pub name: String,
    /// The function from the row to the partition's value.
    pub transform: Transform,
}

/// Returns every table of `manifest`, in the order of its resources. The table of a history follows the table that it belongs to.
pub fn tables(manifest: &Manifest) -> Vec<TableDefinition> {
    let with_history = |resource: &Resource| {
        let mut table = resource_table(manifest, resource);
        let history = resource.history.then(|| history_table(&table));
        let is_history_only =
            |name: &str| resource.columns.iter().any(|column| column.history_only && column.name == name);
        table.columns.retain(|column| !is_history_only(&column.name));
        std::iter::once(table).chain(history)
    };
    manifest.resources.iter().flat_map(with_history).collect()
}

/// Returns the table of a resource, also with the columns that only its history has.
fn resource_table(manifest: &Manifest, resource: &Resource) -> TableDefinition {
    let schema = map::schema(resource);
    let columns = schema.fields().iter().map(|field| {
        let declared = resource.columns.iter().find(|column| column.name == *field.name());
        let description = declared
            .and_then(|column| column.description.as_deref())
            .unwrap_or_else(|| describe_own_column(resource, field.name()));
        Column {
            name: field.name().clone(),
            data_type: athena_type(field.data_type()),
            description: description.to_owned(),
        }
    });
    let levels = resource.partition.iter();
    TableDefinition {
        source: manifest.name.clone(),
        name: resource.name.clone(),
        key: resource.primary_key.clone(),
        columns: columns.collect(),
        partitions: levels.map(|level| Partition { name: level.name.clone(), transform: level.transform }).collect(),
        has_inferred_columns: resource.infer_columns,
    }
}

/// Returns the table of the history of `table`.
fn history_table(table: &TableDefinition) -> TableDefinition {
    let mut history = table.clone();
    history.name.push_str("_history");
    history.key.push(engine_columns::FINGERPRINT.to_owned());
    history.key.push(REPLACES.to_owned());
    history.columns.push(Column {
        name: REPLACES.to_owned(),
        data_type: "timestamp".to_owned(),
        description: "synced_at of the version that this one replaced; null for a key's first".to_owned(),
    });
    history.partitions = vec![Partition { name: OBSERVED.to_owned(), transform: Transform::Day }];
    history
}

/// Returns the description of a column that the manifest does not declare.
fn describe_own_column(resource: &Resource, name: &str) -> &'static str {
    match name {
        _ if resource.vanished.as_ref().is_some_and(|vanished| vanished.column == name) => {
            "UTC; since when complete readings have not had it; null while they do"
        }
        engine_columns::SYNCED_AT => "UTC; when this version of the row was read",
        engine_columns::FIRST_SEEN_AT => "UTC; when the row's key was first read",
        engine_columns::FINGERPRINT => "hash of what the record says: equal means unchanged",
        engine_columns::EXTRA => "JSON; what the record has and no column names",
        engine_columns::ISSUES => "JSON; by column, what did not fit its type",
        _ => "",
    }
}

/// Returns Athena's name for a type (Amazon Athena user guide, "Data types in Amazon Athena").
fn athena_type(arrow: &ArrowType) -> String {
    match arrow {
        ArrowType::Float64 => "double".to_owned(),
        ArrowType::Boolean => "boolean".to_owned(),
        ArrowType::Timestamp(..) => "timestamp".to_owned(),
        ArrowType::Date32 => "date".to_owned(),
        ArrowType::Int64 => "bigint".to_owned(),
        ArrowType::Decimal128(digits, scale) => format!("decimal({digits},{scale})"),
        ArrowType::List(element) => format!("array<{}>", athena_type(element.data_type())),
        _ => "string".to_owned(),
    }
}
