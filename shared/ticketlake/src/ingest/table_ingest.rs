//! The ingestion into one table: maps, buffers and merges records, and counts them.

use bytes::Bytes;
use manifest::{Column, Resource};
use table::Layout;
use table::map::infer::{self, FoundFields};
use table::map::{MappedRecord, Mapper, Rejection};
use table::merge::{Buffer, Merged, Table};
use table::rejected::RejectedRecords;

use super::counts::IngestCounts;
use crate::context::RunContext;
use crate::error::Error;
use crate::report::RecordCounts;

/// The ingestion of one run into the table of one resource.
#[derive(Debug)]
pub(super) struct TableIngest<'i> {
    pub(super) ctx: &'i RunContext<'i>,
    /// The resource, with the columns that were found in records if the manifest declares none.
    pub(super) resource: Resource,
    pub(super) mapper: Mapper,
    pub(super) table: Table<'i>,
    pub(super) buffer: Buffer,
    pub(super) rejected: RejectedRecords<'i>,
    pub(super) layout: Layout<'i>,
    pub(super) merged: Merged,
    /// The number of records received.
    pub(super) received: u64,
    /// The number of rejected records.
    pub(super) rejections: u64,
    /// The number of excluded records.
    pub(super) excluded: u64,
}

impl<'i> TableIngest<'i> {
    /// Creates the ingestion into the table of `resource`, whose stored layout is `layout`.
    pub(super) fn new(ctx: &'i RunContext<'i>, resource: &Resource, layout: Layout<'i>) -> Self {
        let mut resource = resource.clone();
        if resource.infer_columns {
            resource.columns = infer::columns(&resource, &layout.columns());
        }
        let table = table(ctx, &resource);
        Self {
            ctx,
            mapper: Mapper::new(&resource),
            buffer: table.buffer(),
            table,
            rejected: RejectedRecords::new(ctx.store, &ctx.manifest.name, &resource.name),
            layout,
            resource,
            merged: Merged::default(),
            received: 0,
            rejections: 0,
            excluded: 0,
        }
    }

    /// Maps the record `text`. Columns that are found in records are added for what it has. `following` are the records after it on its page,
    /// which decide about the types of these columns as well.
    ///
    /// # Errors
    ///
    /// The error of the store. The inner error is the reason why the record cannot be decoded.
    pub(super) async fn map<'t>(
        &mut self,
        text: &'t [u8],
        following: impl Iterator<Item = Bytes> + Clone,
    ) -> Result<Result<MappedRecord<'t>, String>, Error> {
        let mut mapped = self.mapper.map_text(text);
        while let Some(mut found) = mapped.as_ref().ok().and_then(|mapped| self.found_fields(mapped)) {
            following.clone().for_each(|text| self.find_fields(&text, &mut found));
            if !self.add_columns(&found).await? {
                break;
            }
            mapped = self.mapper.map_text(text);
        }
        Ok(mapped)
    }

    /// Returns what the record has that needs a new column; `None` if nothing does.
    fn found_fields(&self, mapped: &MappedRecord<'_>) -> Option<FoundFields> {
        if !self.resource.infer_columns {
            return None;
        }
        let rows = mapped.rows.iter().flatten();
        let mut found = FoundFields::default();
        rows.filter(|row| row.extra.is_some() || row.issues.is_some()).for_each(|row| found.add(row));
        self.layout.needs_columns(&self.resource, &found).then_some(found)
    }

    /// Adds to `found` what the record `text` has that has no column.
    pub(super) fn find_fields(&self, text: &[u8], found: &mut FoundFields) {
        let rows = self.mapper.map_text(text).map(|mapped| mapped.rows).unwrap_or_default();
        rows.iter().flatten().for_each(|row| found.add(row));
    }

    /// Adds the columns that `found` needs to the layout, and those of the layout to the table. Returns whether the table has new ones.
    pub(super) async fn add_columns(&mut self, found: &FoundFields) -> Result<bool, Error> {
        self.layout.add_columns(&self.resource, self.ctx.request.format, found).await?;
        Ok(self.take_columns())
    }

    /// Adds the columns of the layout to the table. Returns whether the table has new ones.
    fn take_columns(&mut self) -> bool {
        let columns = infer::columns(&self.resource, &self.layout.columns());
        if columns == self.resource.columns {
            return false;
        }
        let is_new = |column: &&Column| !self.resource.columns.contains(column);
        let new: Vec<&str> = columns.iter().filter(is_new).map(|column| column.name.as_str()).collect();
        tracing::info!(resource = self.resource.name, columns = new.join(", "), "columns were found in the records");
        self.resource.columns = columns;
        self.mapper = Mapper::new(&self.resource);
        self.table.set_columns(&self.resource);
        self.table.keep_retired_columns(&self.layout.retired_columns(&self.resource));
        self.table.set_columns_of(&mut self.buffer);
        true
    }

    /// Stores a record that cannot become a row under `_rejected`.
    pub(super) async fn reject(&mut self, rejection: &Rejection, request: &str) -> Result<(), Error> {
        self.rejections += 1;
        if let Some(bytes) = self.rejected.keep(rejection, request, self.ctx.now()).await? {
            tracing::warn!(reason = rejection.reason, "a record cannot become a row; kept under _rejected");
            self.merged += Merged { objects: 1, bytes_written: bytes, ..Merged::default() };
        }
        Ok(())
    }

    /// Claims the table's layout before rows are written. Columns that the manifest no longer declares are kept in rewritten parts.
    pub(super) async fn claim(&mut self) -> Result<(), Error> {
        if self.resource.infer_columns {
            // Another run may have added columns, and stored rows with them.
            self.layout.refresh().await?;
            self.take_columns();
        }
        let retired = self.layout.claim(&self.resource, self.ctx.request.format).await?;
        self.table.keep_retired_columns(&retired);
        Ok(())
    }

    /// Merges the buffered rows.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.bytes() > 0 {
            self.claim().await?;
            self.table.merge(&mut self.buffer, &mut self.merged).await?;
        }
        Ok(())
    }

    /// Returns the counts of what was stored so far.
    pub(super) fn counts(&self) -> IngestCounts {
        IngestCounts {
            records: RecordCounts {
                received: self.received,
                new: self.merged.new,
                changed: self.merged.changed,
                unchanged: self.merged.unchanged,
                rejected: self.rejections,
                excluded: self.excluded,
                removed: self.merged.removed,
                vanished: self.merged.vanished,
            },
            harvested: Vec::new(),
            conflicts: Vec::new(),
            objects: self.merged.objects,
            bytes_written: self.merged.bytes_written,
        }
    }
}

/// Returns the table of `resource`. A replay of rejected records inserts rows and updates none.
pub(super) fn table<'i>(ctx: &'i RunContext<'i>, resource: &Resource) -> Table<'i> {
    let table = Table::new(ctx.store, &ctx.manifest.name, resource, ctx.request.format).with_clock(ctx.clock());
    if ctx.request.replay_rejected { table.insert_only() } else { table }
}
