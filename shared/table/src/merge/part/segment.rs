//! The plan of a rewrite: which row groups of a part are copied, and which are decoded.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use parquet::file::metadata::RowGroupMetaData;

use super::json_columns::other_columns;
use super::stored::{Content, Part};
use crate::error::Error;
use crate::merge::context::TableContext;

/// Inserts join the last row group of a part while it is smaller than this share of a full one: 1 MiB of 4. Each merge decodes and
/// encodes it again, which for 4 MiB in each of 16 partitions took two thirds of a run's time.
const SMALL_GROUP_DIVISOR: usize = 4;

/// A piece of a part that is rewritten.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment {
    /// The row group at this position, which is copied as it is.
    CopiedGroup(usize),
    /// The row group at this position, which is decoded.
    DecodedGroup(usize),
    /// The row group at this position, which is decoded and sorted together with the inserts.
    OpenGroup(usize),
    /// All rows of a part without row groups, which are decoded.
    AllRows,
}

impl Part {
    /// Divides the part into segments. A row group is copied if no row at a position in `changed` is in it and its columns are those of
    /// `schema`. If there are inserts, the last one is decoded while it is small, so that many small merges do not leave as many row
    /// groups.
    pub(super) fn segments(
        &self,
        table: &TableContext<'_>,
        schema: &SchemaRef,
        changed: &BTreeSet<u64>,
        has_inserts: bool,
    ) -> Vec<Segment> {
        let Content::Parquet(footer) = &self.content else { return vec![Segment::AllRows] };
        let has_same_columns = footer.schema().fields() == schema.fields();
        let groups = footer.row_groups();
        let small = i64::try_from(table.row_group_bytes() / SMALL_GROUP_DIVISOR).unwrap_or(i64::MAX);
        let mut begin = 0;
        let mut segments = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let end = begin + row_count(group);
            let takes_inserts = has_inserts && index + 1 == groups.len() && group.compressed_size() < small;
            let is_copied = has_same_columns && !takes_inserts && changed.range(begin..end).next().is_none();
            segments.push(match (is_copied, takes_inserts) {
                (true, _) => Segment::CopiedGroup(index),
                (false, false) => Segment::DecodedGroup(index),
                (false, true) => Segment::OpenGroup(index),
            });
            begin = end;
        }
        segments
    }

    /// Returns the schema of the next version of the part: the columns of the table, then those that only this part has. So a rewrite
    /// loses no column.
    pub(super) fn next_schema(&self, table: &TableContext<'_>) -> Result<SchemaRef, Error> {
        let is_unknown = |field: &&FieldRef| table.part_schema.field_with_name(field.name()).is_err();
        let other_fields: Vec<Field> = match &self.content {
            Content::Parquet(footer) => {
                let unknown = footer.schema().fields().iter().filter(is_unknown);
                unknown.map(|field| field.as_ref().clone().with_nullable(true)).collect()
            }
            Content::JsonLines(bytes) if table.finds_columns => {
                other_columns(&self.name.key, bytes, &table.part_schema)?
            }
            Content::JsonLines(_) => Vec::new(),
        };
        if other_fields.is_empty() {
            return Ok(Arc::clone(&table.part_schema));
        }
        let fields = table.part_schema.fields().iter().cloned().chain(other_fields.into_iter().map(Arc::new));
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// Returns the schema of the part as it is.
    pub(super) fn current_schema(&self, table: &TableContext<'_>) -> Result<SchemaRef, Error> {
        match &self.content {
            Content::Parquet(footer) => Ok(Arc::new(Schema::new(footer.schema().fields().clone()))),
            Content::JsonLines(_) => self.next_schema(table),
        }
    }
}

/// Returns the number of rows in a row group.
pub(super) fn row_count(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or_default()
}
