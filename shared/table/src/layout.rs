//! The layout of a table: its format, key, partitions and columns, in the document `_state/<source>/<resource>/layout.json`.
//!
//! The layout is written before the first row, so that two first runs cannot write one table in two layouts. Columns may be added, retired
//! and widened. Every column that a row was ever written with stays in the layout, and so in every part.
//!
//! A column that is found in records is added before the first of them is mapped, and has its type for good. So runs at the same time agree
//! on it.

use std::collections::BTreeMap;

use arrow_schema::{DataType as ArrowType, Field};
use lake::{Document, JsonContent, Store};
use manifest::name::is_same_name;
use manifest::{Column, DataType, Fault, Faults, PartitionField, Resource};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::format::Format;
use crate::map;
use crate::map::infer::{self, FoundFields};

/// What the document holds. Format, key and partitions decide where a row is stored. They cannot change while rows are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLayout {
    /// The name of the format.
    format: String,
    /// The columns of the primary key.
    primary_key: Vec<String>,
    /// The levels of partitions, as in `sale_month=month(date)`.
    partition: Vec<String>,
    /// The name of the type of every column of the table, retired ones included, by the name of the column.
    columns: BTreeMap<String, String>,
    /// The name of the type of every column of the history alone, retired ones included, by the name of the column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    history_columns: BTreeMap<String, String>,
    /// Whether rows may be stored. Before that, columns were found in records that were not stored yet, and a manifest with another key or
    /// other partitions may still take the table. A layout without this member is that of stored rows.
    #[serde(default = "has_rows_by_default")]
    has_rows: bool,
}

fn has_rows_by_default() -> bool {
    true
}

impl StoredLayout {
    /// Returns the name of the type of a column of the table or of its history.
    fn column_type(&self, name: &str) -> Option<&str> {
        self.columns.get(name).or_else(|| self.history_columns.get(name)).map(String::as_str)
    }

    /// Returns the name of another column of the table or of its history that differs from `name` in the case of letters alone.
    fn other_case(&self, name: &str) -> Option<&str> {
        let mut names = self.columns.keys().chain(self.history_columns.keys());
        names.find(|other| *other != name && is_same_name(other, name)).map(String::as_str)
    }
}

impl JsonContent for StoredLayout {
    const NAME: &'static str = "layout";
    const VERSION: u64 = 1;
}

/// The layout of one resource's table in one lake.
#[derive(Debug)]
pub struct Layout<'s> {
    document: Document<'s, StoredLayout>,
}

impl<'s> Layout<'s> {
    /// Reads the layout of the table of `resource`, a resource of `source`.
    ///
    /// # Errors
    ///
    /// The error of the store, or one for a layout that is damaged or has another version.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str) -> Result<Self, Error> {
        let document = Document::load(store, format!("_state/{source}/{resource}/layout.json")).await?;
        Ok(Self { document })
    }

    /// Returns the name of the type of every column that the table ever had, by the name of the column.
    pub fn columns(&self) -> BTreeMap<String, String> {
        self.document.value().map(|stored| stored.columns.clone()).unwrap_or_default()
    }

    /// Whether `found`, which rows of `resource` have, needs columns that the layout does not have.
    pub fn needs_columns(&self, resource: &Resource, found: &FoundFields) -> bool {
        static NO_COLUMNS: BTreeMap<String, String> = BTreeMap::new();
        let stored = self.document.value().map_or(&NO_COLUMNS, |stored| &stored.columns);
        !found.new_columns(stored, resource).is_empty()
    }

    /// Adds the columns that `found` needs, which rows of `resource` in this format have. This must happen before the rows are mapped to the
    /// columns.
    ///
    /// # Errors
    ///
    /// Every setting that does not fit the stored table, or the error of the store.
    pub async fn add_columns(&mut self, resource: &Resource, format: Format, found: &FoundFields) -> Result<(), Error> {
        self.document.update(|stored| with_columns(stored, resource, format, found).map_err(Error::from)).await?;
        Ok(())
    }

    /// Reads the layout again, with the columns that other runs have added.
    ///
    /// # Errors
    ///
    /// As [`Layout::load`].
    pub async fn refresh(&mut self) -> Result<(), Error> {
        Ok(self.document.refresh().await?)
    }

    /// Checks whether rows of `resource` can be merged into the table in this format. Nothing is written.
    ///
    /// # Errors
    ///
    /// Every column and every setting that does not fit the stored table.
    pub fn check(&self, resource: &Resource, format: Format) -> Result<(), Faults> {
        next_layout(self.document.value(), resource, format).map(|_| ())
    }

    /// Writes the layout of `resource` in this format, unless it is stored already. This must happen before rows are written. Returns the
    /// retired columns: those that the table has and the manifest does not.
    ///
    /// # Errors
    ///
    /// Every column and every setting that does not fit the stored table, or the error of the store.
    pub async fn claim(&mut self, resource: &Resource, format: Format) -> Result<Vec<Field>, Error> {
        self.document.update(|stored| next_layout(stored, resource, format).map_err(Error::from)).await?;
        Ok(self.retired_columns(resource))
    }

    /// Returns the columns that the table has and `resource` does not.
    pub fn retired_columns(&self, resource: &Resource) -> Vec<Field> {
        let stored = self.document.value().into_iter().flat_map(|stored| &stored.columns);
        let retired = stored.filter(|(name, _)| {
            let is_vanished_column = resource.vanished.as_ref().is_some_and(|vanished| vanished.column == **name);
            let is_declared = |column: &Column| column.name == **name && !column.history_only;
            !is_vanished_column && !resource.columns.iter().any(is_declared)
        });
        retired.filter_map(|(name, type_name)| Some(Field::new(name, arrow_type(type_name)?, true))).collect()
    }
}

/// Returns the layout that rows of `resource` in this format need, or `None` if it is the stored one.
fn next_layout(
    stored: Option<&StoredLayout>,
    resource: &Resource,
    format: Format,
) -> Result<Option<StoredLayout>, Faults> {
    let declared = declared_layout(resource, format);
    let Some(stored) = stored else { return Ok(Some(declared)) };
    if !stored.has_rows && !resource.infer_columns {
        return Ok(Some(declared));
    }
    let mut faults = if stored.has_rows { setting_faults(stored, &declared, resource) } else { Vec::new() };
    let declared_columns = declared.columns.iter().chain(&declared.history_columns);
    faults.extend(declared_columns.filter_map(|(name, declared_type)| {
        let message = column_fault(stored, resource, name, declared_type)?;
        Some(Fault::new(format!("{}.columns.{name}", resource.name), message))
    }));
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let columns_of = |stored: &BTreeMap<String, String>, declared: &BTreeMap<String, String>| {
        stored.iter().chain(declared).map(|(name, data_type)| (name.clone(), data_type.clone())).collect()
    };
    let next = StoredLayout {
        columns: columns_of(&stored.columns, &declared.columns),
        history_columns: columns_of(&stored.history_columns, &declared.history_columns),
        ..declared
    };
    Ok((next != *stored).then_some(next))
}

/// Returns the reason why a table with the layout `stored` cannot have the column `name` with this type, if there is one.
fn column_fault(stored: &StoredLayout, resource: &Resource, name: &str, declared_type: &str) -> Option<String> {
    if let Some(other) = stored.other_case(name) {
        return Some(format!(
            "differs from the stored column `{other}` in the case of letters alone, so Athena, Glue and DuckDB take them for one: name it `{other}`"
        ));
    }
    let stored_type = stored.column_type(name)?;
    let can_change = !infer::is_inferred(name, resource) && can_widen(stored_type, declared_type);
    (stored_type != declared_type && !can_change).then(|| {
        format!(
            "is stored as {stored_type}, and {declared_type} cannot hold all of its values: give the column with the new type another name"
        )
    })
}

/// Returns the layout with the columns that `found` needs, or `None` if it is the stored one.
fn with_columns(
    stored: Option<&StoredLayout>,
    resource: &Resource,
    format: Format,
    found: &FoundFields,
) -> Result<Option<StoredLayout>, Faults> {
    let declared = declared_layout(resource, format);
    if let Some(stored) = stored.filter(|stored| stored.has_rows) {
        let faults = setting_faults(stored, &declared, resource);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
    }
    let mut next = stored.cloned().unwrap_or(StoredLayout { has_rows: false, ..declared });
    let new = found.new_columns(&next.columns, resource);
    next.columns.extend(new.iter().map(|(name, data_type)| (name.clone(), data_type.name().to_owned())));
    Ok((!new.is_empty()).then_some(next))
}

/// Returns the layout that the manifest declares.
fn declared_layout(resource: &Resource, format: Format) -> StoredLayout {
    let partition = |field: &PartitionField| format!("{}={}({})", field.name, field.transform, field.from);
    let columns = |history_only: bool| {
        let columns = resource.columns.iter().filter(move |column| column.history_only == history_only);
        columns.map(|column| (column.name.clone(), type_name(column)))
    };
    let vanished_column = resource.vanished.iter().map(|vanished| vanished.column.clone());
    let vanished_column = vanished_column.map(|name| (name, DataType::Timestamp.name().to_owned()));
    StoredLayout {
        format: format.name().into(),
        primary_key: resource.primary_key.clone(),
        partition: resource.partition.iter().map(partition).collect(),
        columns: columns(false).chain(vanished_column).collect(),
        history_columns: columns(true).collect(),
        has_rows: true,
    }
}

/// Returns the settings that differ. With another key or other partitions, the merge would not find the stored rows, and they would be
/// stored twice.
fn setting_faults(stored: &StoredLayout, declared: &StoredLayout, resource: &Resource) -> Vec<Fault> {
    let mut faults = Vec::new();
    if stored.format != declared.format {
        let message = format!("the table is stored as {}: use that, or another lake", stored.format);
        faults.push(Fault::new("format", message));
    }
    for (name, stored, declared) in [
        ("primary_key", &stored.primary_key, &declared.primary_key),
        ("partition", &stored.partition, &declared.partition),
    ] {
        if stored != declared {
            let (stored, declared) = (stored.join(", "), declared.join(", "));
            let message = format!(
                "the table is stored by [{stored}], the manifest now says [{declared}]: keep it, or use another lake"
            );
            faults.push(Fault::new(format!("{}.{name}", resource.name), message));
        }
    }
    faults
}

/// The start of the type name of a list, as in `list of text`.
const LIST_OF: &str = "list of ";

/// Returns the name of a column's type, as in `text` or `list of text`.
fn type_name(column: &Column) -> String {
    if column.list { format!("{LIST_OF}{}", column.data_type.name()) } else { column.data_type.name().into() }
}

/// Whether every value of the type `stored` is also a value of the type `declared`. A bigint beyond 2^53 is rounded as a double; prices are
/// not that large. A date does not become a timestamp: in parts that still have dates, DuckDB reads midnight in the reader's own zone.
fn can_widen(stored: &str, declared: &str) -> bool {
    matches!(
        (stored, declared),
        ("text", "json")
            | ("bigint", "double" | "decimal")
            | ("json" | "bigint" | "double" | "bool" | "date" | "timestamp" | "decimal", "text")
    )
}

/// Returns the Arrow type of a column in a part, or `None` for a type that this build does not know.
fn arrow_type(type_name: &str) -> Option<ArrowType> {
    match type_name.strip_prefix(LIST_OF) {
        Some(element) => Some(map::list_of(map::arrow_type(DataType::parse(element)?))),
        None => Some(map::arrow_type(DataType::parse(type_name)?)),
    }
}

#[cfg(test)]
mod tests;
