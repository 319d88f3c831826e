//! Where pages become rows, and rows parts: map and merge of one run, and what to count.

use std::collections::HashSet;

use crate::error::Error;
use crate::fetch::paginate::Page;
use crate::manifest::{Manifest, Resource};
use crate::map::{Mapper, Rejection};
use crate::merge::{Buffer, Merged, Table, key_hash};
use crate::rejected::Rejected;
use crate::report::Report;
use crate::request::Request;
use crate::run::Progress;
use crate::state::State;
use crate::store::Store;
use crate::time::Instant;

/// Rows are merged when they take about this much memory, in bytes.
const FLUSH_BYTES: usize = 24 << 20;

/// What a slice should have and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records that the API says the slice has, by its last page.
    pub(crate) total: Option<u64>,
    keys: HashSet<u64>,
    /// Records that no key tells apart: rejected ones, and those that were exploded.
    others: u64,
}

impl Tally {
    /// Distinct records received.
    pub(crate) fn distinct(&self) -> u64 {
        self.keys.len() as u64 + self.others
    }

    /// Whether they are as many as the API says there are.
    pub(crate) fn is_whole(&self) -> bool {
        self.total.is_none_or(|total| self.distinct() >= total)
    }
}

/// The map and merge of one run.
pub(crate) struct Landing<'l> {
    mapper: Mapper<'l>,
    table: Table<'l>,
    buffer: Buffer,
    rejected: Rejected<'l>,
    pub(crate) state: State<'l>,
    resource: &'l Resource,
    request: &'l Request,
    progress: &'l dyn Progress,
    merged: Merged,
    received: u64,
    refused: u64,
    /// The newest cursor of all rows.
    pub(crate) newest: Option<Instant>,
}

impl<'l> Landing<'l> {
    /// A landing of `resource`'s pages in `store`.
    pub(crate) fn new(
        store: &'l dyn Store,
        request: &'l Request,
        manifest: &'l Manifest,
        resource: &'l Resource,
        state: State<'l>,
        progress: &'l dyn Progress,
    ) -> Self {
        let table = Table::new(store, &manifest.name, resource, request.format);
        let table = if request.replay_rejected { table.insert_only() } else { table };
        Self {
            mapper: Mapper::new(resource),
            buffer: table.buffer(),
            table,
            rejected: Rejected::new(store, &manifest.name, &resource.name),
            state,
            resource,
            request,
            progress,
            merged: Merged::default(),
            received: 0,
            refused: 0,
            newest: None,
        }
    }

    /// Maps a page and buffers its rows; merges when there are enough.
    pub(crate) async fn page(&mut self, page: Page, tally: &mut Tally) -> Result<(), Error> {
        tally.total = page.total.or(tally.total);
        for record in page.records {
            self.received += 1;
            let rows = self.mapper.map(record);
            if !self.resource.explode.is_empty() {
                tally.others += 1;
            }
            for row in rows {
                match row {
                    Ok(row) => {
                        if self.resource.explode.is_empty() {
                            tally.keys.insert(key_hash(&row.key));
                        }
                        self.newest = self.newest.max(row.cursor);
                        self.buffer.push(row);
                    }
                    Err(rejection) => {
                        tally.others += u64::from(self.resource.explode.is_empty());
                        self.reject(&rejection, &page.request).await?;
                    }
                }
            }
        }
        self.progress.page(self.received, tally.total);
        if self.buffer.bytes() >= FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends the run's merges; see [`Table::close`].
    pub(crate) async fn close(&self, covered_since: Option<Instant>) -> Result<(), Error> {
        self.table.close(covered_since).await
    }

    /// Maps every rejected record anew. What still has no place stays where it is; what has one is inserted, unless its key is
    /// stored already: that version came later.
    pub(crate) async fn replay(&mut self) -> Result<(), Error> {
        for key in self.rejected.keys().await? {
            let record = self.rejected.record(&key).await?;
            self.received += 1;
            for row in self.mapper.map(record) {
                match row {
                    Ok(row) => self.buffer.push(row),
                    Err(rejection) => {
                        self.refused += 1;
                        tracing::info!(key, reason = rejection.reason, "the record still has no place");
                    }
                }
            }
            if self.buffer.bytes() >= FLUSH_BYTES {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    async fn reject(&mut self, rejection: &Rejection, request: &str) -> Result<(), Error> {
        self.refused += 1;
        if let Some(bytes) = self.rejected.keep(rejection, request).await? {
            tracing::warn!(reason = rejection.reason, "a record has no place; kept under _rejected");
            self.merged += Merged { objects: 1, bytes_written: bytes, ..Merged::default() };
        }
        Ok(())
    }

    /// Merges what is buffered.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.bytes() > 0 {
            let retired = self.state.claim(self.resource, self.request.format).await?;
            self.table.retain(retired);
            self.table.merge(&mut self.buffer, &mut self.merged).await?;
        }
        Ok(())
    }

    /// Writes what was counted into `report`.
    pub(crate) fn count(&self, report: &mut Report) {
        report.records.received = self.received;
        report.records.new = self.merged.new;
        report.records.changed = self.merged.changed;
        report.records.unchanged = self.merged.unchanged;
        report.records.rejected = self.refused;
        report.objects = self.merged.objects;
        report.bytes_written = self.merged.bytes_written;
    }
}
