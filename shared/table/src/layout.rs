//! How a resource's table is laid out: `_state/<source>/<resource>/layout.json`.
//!
//! The layout is written before the first row, so that two first runs cannot lay one table out in two ways. Columns may come, go and be
//! widened: every column that a row was ever written with stays in the layout, and so in every part.

use std::collections::BTreeMap;

use arrow_schema::{DataType as ArrowType, Field};
use lake::{Document, JsonContent, Store};
use manifest::{Column, DataType, Fault, Faults, PartitionField, Resource};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::format::Format;
use crate::map;

/// What is stored of a table's layout. Format, key and partition decide where a row lies: they cannot change while rows lie there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLayout {
    format: String,
    primary_key: Vec<String>,
    partition: Vec<String>,
    /// Every column that the table ever had, with its type.
    columns: BTreeMap<String, String>,
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
    /// The store's, and one for a layout that is damaged or of another version.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str) -> Result<Self, Error> {
        let document = Document::load(store, format!("_state/{source}/{resource}/layout.json")).await?;
        Ok(Self { document })
    }

    /// Every column that the table ever had, with the name of its type.
    pub fn columns(&self) -> BTreeMap<String, String> {
        self.document.value().map(|stored| stored.columns.clone()).unwrap_or_default()
    }

    /// Checks whether rows of `resource` in `format` can be merged into what is stored.
    ///
    /// # Errors
    ///
    /// Every column and every setting that stands against it.
    pub fn check(&self, resource: &Resource, format: Format) -> Result<(), Faults> {
        changed(self.document.value(), resource, format).map(|_| ())
    }

    /// Takes the table for `resource` in `format`, before rows are written. Gives the columns that are stored and that the manifest
    /// no longer has.
    ///
    /// # Errors
    ///
    /// As [`Layout::check`], and the store's.
    pub async fn claim(&mut self, resource: &Resource, format: Format) -> Result<Vec<Field>, Error> {
        self.document.update(|stored| changed(stored, resource, format).map_err(Error::from)).await?;
        let stored = self.document.value().into_iter().flat_map(|stored| &stored.columns);
        let retired = stored.filter(|(name, _)| {
            let marks = resource.vanished.as_ref().is_some_and(|vanished| vanished.column == **name);
            !marks && !resource.columns.iter().any(|column| column.name == **name)
        });
        Ok(retired.filter_map(|(name, type_name)| Some(Field::new(name, arrow_type(type_name)?, true))).collect())
    }
}

/// The layout with `resource` and `format` taken into it; `None` when it says so already.
fn changed(
    stored: Option<&StoredLayout>,
    resource: &Resource,
    format: Format,
) -> Result<Option<StoredLayout>, Faults> {
    let partition = |field: &PartitionField| format!("{}={}({})", field.name, field.transform, field.from);
    let declared = StoredLayout {
        format: format.name().into(),
        primary_key: resource.primary_key.clone(),
        partition: resource.partition.iter().map(partition).collect(),
        columns: declared_columns(resource),
    };
    let Some(stored) = stored else { return Ok(Some(declared)) };
    let mut faults = layout_faults(stored, &declared, resource);
    let mut columns = stored.columns.clone();
    for (name, is) in declared.columns {
        let was = columns.entry(name.clone()).or_insert_with(|| is.clone());
        if *was == is || widens(was, &is) {
            *was = is;
        } else {
            let message = format!(
                "is stored as {was}, and {is} cannot hold all of that: give the new type's column another name"
            );
            faults.push(Fault::new(format!("{}.columns.{name}", resource.name), message));
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    Ok((columns != stored.columns).then(|| StoredLayout { columns, ..stored.clone() }))
}

/// The columns that rows of `resource` have, with the names of their types.
fn declared_columns(resource: &Resource) -> BTreeMap<String, String> {
    let columns = resource.columns.iter().map(|column| (column.name.clone(), type_name(column)));
    let vanished = resource.vanished.iter();
    let mark = vanished.map(|vanished| (vanished.column.clone(), DataType::Timestamp.name().to_owned()));
    columns.chain(mark).collect()
}

/// The settings that differ. Rows that lie there by another key or in other folders would not be found, and would be stored twice.
fn layout_faults(stored: &StoredLayout, declared: &StoredLayout, resource: &Resource) -> Vec<Fault> {
    let mut faults = Vec::new();
    if stored.format != declared.format {
        let message = format!("the table is stored as {}: use that, or another lake", stored.format);
        faults.push(Fault::new("format", message));
    }
    for (name, was, is) in [
        ("primary_key", &stored.primary_key, &declared.primary_key),
        ("partition", &stored.partition, &declared.partition),
    ] {
        if was != is {
            let (was, is) = (was.join(", "), is.join(", "));
            let message =
                format!("the table is stored by [{was}], the manifest now says [{is}]: keep it, or use another lake");
            faults.push(Fault::new(format!("{}.{name}", resource.name), message));
        }
    }
    faults
}

/// The prefix of a list column's type name: `list of text`.
const LIST_OF: &str = "list of ";

/// The name that the layout has for a column's type: `text`, `list of text`.
fn type_name(column: &Column) -> String {
    if column.list { format!("{LIST_OF}{}", column.data_type.name()) } else { column.data_type.name().into() }
}

/// Whether every value of type `was` is one of type `is`. A bigint beyond 2^53 is rounded as a double; prices are not that large. A
/// date is no timestamp: over the parts that still have dates, DuckDB takes midnight in the reader's own zone.
fn widens(was: &str, is: &str) -> bool {
    matches!(
        (was, is),
        ("text", "json")
            | ("bigint", "double" | "decimal")
            | ("json" | "bigint" | "double" | "bool" | "date" | "timestamp" | "decimal", "text")
    )
}

/// The Arrow type of a column in a part; `None` for a type that this build does not know.
fn arrow_type(type_name: &str) -> Option<ArrowType> {
    match type_name.strip_prefix(LIST_OF) {
        Some(element) => Some(map::list_of(map::arrow_type(DataType::parse(element)?))),
        None => Some(map::arrow_type(DataType::parse(type_name)?)),
    }
}
