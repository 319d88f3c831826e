//! The parts of one table: where they lie in the lake, and how they are laid out.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use lake::Store;
use manifest::WriteDisposition;

use super::rewriting::Rewriting;
use crate::format::Format;

/// Where and how the parts of one table lie. It is what every read and write of a part has in common.
#[derive(Clone, Debug)]
pub(super) struct TableParts<'t> {
    pub(super) store: &'t dyn Store,
    /// The folder of the table's partitions, `see_tickets/sales`.
    pub(super) root: String,
    /// The schema of the rows that are merged.
    pub(super) schema: SchemaRef,
    /// The schema of the parts: the same columns, then those that the manifest no longer has.
    pub(super) stored: SchemaRef,
    /// How many of the columns are the manifest's.
    pub(super) columns: usize,
    /// The columns of the primary key.
    pub(super) key: Vec<String>,
    /// The column that says since when a row has vanished, if the table has one.
    pub(super) mark: Option<String>,
    /// The columns that say when a row is past; the first that has a value counts.
    pub(super) passed_by: Vec<String>,
    pub(super) disposition: WriteDisposition,
    pub(super) format: Format,
    /// The size from which on a part takes no more rows, in bytes as stored.
    pub(super) target_bytes: usize,
    /// How much of the parts is rewritten at a time.
    pub(super) rewriting: Arc<Rewriting>,
}

impl TableParts<'_> {
    /// Keeps `retired` columns of what is stored; they are null in new rows.
    pub(super) fn retain(&mut self, retired: &[Field]) {
        let fields = self.schema.fields().iter().cloned().chain(retired.iter().cloned().map(Arc::new));
        self.stored = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    }

    /// The size at which a row group is closed: a rewrite decodes the row groups that it touches, and holds one at a time.
    pub(super) fn group_bytes(&self) -> usize {
        (self.target_bytes / 2).min(16 << 20)
    }

    /// Whether rows may lack the column `name`.
    pub(super) fn is_nullable(&self, name: &str) -> bool {
        self.stored.field_with_name(name).is_ok_and(Field::is_nullable)
    }

    /// The key of the folder of a partition; `partition` is empty for a table in one folder.
    pub(super) fn folder(&self, partition: &str) -> String {
        if partition.is_empty() { self.root.clone() } else { format!("{}/{partition}", self.root) }
    }
}
