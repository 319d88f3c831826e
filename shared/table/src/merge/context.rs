//! What every operation on the parts of one table needs.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use lake::Store;
use manifest::WriteDisposition;

use super::memory::RewriteMemory;
use crate::format::Format;

/// The largest size of a row group, in bytes as stored. A rewrite holds one decoded row group at a time, and a reader skips those whose
/// statistics leave out what it looks for: a full part of 32 MiB has eight. Each takes about 4 KB in the footer, a thousandth.
const MAX_ROW_GROUP_BYTES: usize = 4 << 20;

/// The store and the settings of one table, which every operation on its parts needs.
#[derive(Clone, Debug)]
pub(super) struct TableContext<'t> {
    pub(super) store: &'t dyn Store,
    /// The prefix of the keys of all parts, as in `see_tickets/sales`.
    pub(super) root: String,
    /// The schema of the rows that are merged.
    pub(super) row_schema: SchemaRef,
    /// The schema of the parts that are written: the columns of the rows without those of the history alone, then the retired ones, which
    /// the manifest no longer has.
    pub(super) part_schema: SchemaRef,
    /// The columns of the rows that only the history has.
    pub(super) history_only: Vec<String>,
    /// The number of the manifest's columns. They are the first ones of the schemas.
    pub(super) manifest_columns: usize,
    /// Whether columns are found in records, so that another run may add some at any time.
    pub(super) finds_columns: bool,
    /// The columns of the primary key.
    pub(super) key_columns: Vec<String>,
    /// The columns whose times decide about the partition. Rows are sorted by them, then by the key.
    pub(super) sorted_by: Vec<String>,
    /// The column with the cursor, if it grows with each version of a row or stays as it is.
    pub(super) cursor_column: Option<String>,
    /// The column that says since when a row has vanished, if the table has it.
    pub(super) vanished_column: Option<String>,
    /// The columns that say when a row is past. The first one with a value counts.
    pub(super) passed_by: Vec<String>,
    pub(super) write_disposition: WriteDisposition,
    pub(super) format: Format,
    /// The size at which a part takes no more rows, in bytes as stored.
    pub(super) target_bytes: usize,
    /// The limit for parts that are rewritten at the same time.
    pub(super) memory: Arc<RewriteMemory>,
}

impl TableContext<'_> {
    /// Gives the table the columns of `schema`, of which the first `manifest_columns` are those of the manifest. Retired columns are set anew.
    pub(super) fn set_columns(&mut self, schema: &SchemaRef, manifest_columns: usize) {
        self.row_schema = Arc::clone(schema);
        self.manifest_columns = manifest_columns;
        self.keep_retired_columns(&[]);
    }

    /// Keeps `retired` columns in the parts that are written. They are null in the rows that are merged.
    pub(super) fn keep_retired_columns(&mut self, retired: &[Field]) {
        let fields = self.row_schema.fields().iter().filter(|field| !self.history_only.contains(field.name())).cloned();
        let mut fields: Vec<FieldRef> = fields.collect();
        for field in retired {
            // A column that the table has from before and that is now of the history alone is retired in the table, and not in the history.
            if !fields.iter().any(|other| other.name() == field.name()) {
                fields.push(Arc::new(field.clone()));
            }
        }
        self.part_schema = Arc::new(Schema::new(fields));
    }

    /// Returns the size in bytes at which a row group is closed. A rewrite decodes the row groups that it changes, so that smaller ones
    /// cost less.
    pub(super) fn row_group_bytes(&self) -> usize {
        (self.target_bytes / 2).min(MAX_ROW_GROUP_BYTES)
    }

    /// Whether a reading of the table removes or marks the rows that it did not receive.
    pub(super) fn can_remove_rows(&self) -> bool {
        self.write_disposition == WriteDisposition::Replace || self.vanished_column.is_some()
    }

    /// Whether the table has a column `name` that may be null.
    pub(super) fn is_nullable(&self, name: &str) -> bool {
        self.part_schema.field_with_name(name).is_ok_and(Field::is_nullable)
    }

    /// Returns the prefix of the keys of a partition's parts, without the `/` at its end. `partition` is empty for a table with only one.
    pub(super) fn partition_prefix(&self, partition: &str) -> String {
        if partition.is_empty() { self.root.clone() } else { format!("{}/{partition}", self.root) }
    }
}
