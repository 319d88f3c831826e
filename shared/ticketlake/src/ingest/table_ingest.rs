//! The ingestion into one table: maps, buffers and merges records, and counts them.

use manifest::Resource;
use table::Layout;
use table::map::{Mapper, Rejection};
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
    /// The resource, with the columns that were inferred if the manifest declares none.
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
        let table = table(ctx, resource);
        Self {
            ctx,
            mapper: Mapper::new(resource),
            buffer: table.buffer(),
            table,
            rejected: RejectedRecords::new(ctx.store, &ctx.manifest.name, &resource.name),
            layout,
            resource: resource.clone(),
            merged: Merged::default(),
            received: 0,
            rejections: 0,
            excluded: 0,
        }
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
