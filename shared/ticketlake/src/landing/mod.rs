//! Where pages become rows, and rows parts: map and merge of one run, and what to count.

mod absence;
mod harvest;
mod siblings;
mod tally;

use std::collections::HashSet;

use serde_json::Value;

pub(crate) use self::harvest::Harvesting;
use self::siblings::Siblings;
pub(crate) use self::tally::Tally;
use manifest::Cursor;
use crate::error::Error;
use client::paginate::Page;
use manifest::{CursorKind, CursorMissing, Manifest, Resource, WriteDisposition};
use table::map::{Mapper, Rejection, Row, infer};
use table::merge::{Buffer, Merged, Table, key_hash};
use crate::plan::Slice;
use table::rejected::Rejected;
use crate::report::Report;
use crate::request::Request;
use crate::run::{Progress, Stored};
use crate::state::State;
use lake::Store;
use manifest::time::Instant;

/// Rows are merged when they take about this much memory, in bytes. A third more is reserved for them, and the rest of a run takes 60 MB.
const FLUSH_BYTES: usize = 10 << 20;

/// Whether everything that was handed over so far is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// It is.
    Yes,
    /// Some of it is buffered.
    No,
}

/// The map and merge of one run.
pub(crate) struct Landing<'l> {
    store: &'l dyn Store,
    manifest: &'l Manifest,
    mapper: Mapper,
    table: Table<'l>,
    buffer: Buffer,
    rejected: Rejected<'l>,
    pub(crate) state: State<'l>,
    /// With the columns that were found, where the manifest declares none.
    resource: Resource,
    /// Whether its columns are still to be found.
    unlearned: bool,
    request: &'l Request,
    progress: &'l dyn Progress,
    siblings: Option<Siblings>,
    /// Hashes of all keys that were read, where what was not is taken out or marked at the end.
    pub(crate) seen: Option<HashSet<u64>>,
    /// Rows that were past before this are kept no longer.
    oldest: Option<Instant>,
    /// The places of the columns that say when a row is past.
    passed_by: Vec<usize>,
    merged: Merged,
    received: u64,
    refused: u64,
    excluded: u64,
    /// Whether rows of slices that are whole were thrown away: then nothing may be said to be stored.
    pub(crate) discarded: bool,
    /// The furthest cursor of all rows.
    pub(crate) newest: Option<Cursor>,
    /// By the parent's record: how far its whole slices have come.
    pub(crate) reached: Vec<(String, Cursor)>,
    /// What is taken out of the records for other tables.
    pub(crate) harvests: Vec<Harvesting<'l>>,
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
        let (mapper, table) = Self::table(store, request, manifest, resource);
        Self {
            store,
            manifest,
            mapper,
            buffer: table.buffer(),
            table,
            rejected: Rejected::new(store, &manifest.name, &resource.name),
            state,
            resource: resource.clone(),
            unlearned: resource.infer_columns,
            request,
            progress,
            siblings: Siblings::of(resource),
            seen: (resource.write_disposition == WriteDisposition::Replace).then(HashSet::new),
            oldest: absence::oldest(request, resource),
            passed_by: absence::places(resource),
            merged: Merged::default(),
            received: 0,
            refused: 0,
            excluded: 0,
            discarded: false,
            newest: None,
            reached: Vec::new(),
            harvests: Vec::new(),
        }
    }

    fn table(store: &'l dyn Store, request: &Request, manifest: &Manifest, resource: &Resource) -> (Mapper, Table<'l>) {
        let table = Table::new(store, &manifest.name, resource, request.format);
        let table = if request.replay_rejected { table.insert_only() } else { table };
        (Mapper::new(resource), table)
    }

    /// The tables beside its own.
    pub(crate) fn stored(&self) -> Stored<'l> {
        Stored::new(self.store, self.manifest, self.request)
    }

    /// Whether the columns are still to be found, with [`Landing::learn`].
    pub(crate) fn needs_sample(&self) -> bool {
        self.unlearned
    }

    /// Finds the columns in `sample` and in what is stored, if they are to be found.
    pub(crate) fn learn<'v>(&mut self, sample: impl Iterator<Item = &'v Value>) {
        if !std::mem::take(&mut self.unlearned) {
            return;
        }
        infer::columns(&mut self.resource.columns, &self.state.columns(), sample);
        (self.mapper, self.table) = Self::table(self.store, self.request, self.manifest, &self.resource);
        self.buffer = self.table.buffer();
    }

    /// Maps a page and buffers its rows; merges when there are enough.
    pub(crate) async fn page(&mut self, page: Page, slice: &Slice, tally: &mut Tally) -> Result<Flushed, Error> {
        tally.count(page.total);
        for record in page.records {
            self.received += 1;
            let mut record = record.into_value();
            if let Value::Object(members) = &mut record {
                members.extend(slice.stamp.clone());
            }
            for harvest in &mut self.harvests {
                harvest.take(&record, &page.request).await?;
            }
            let rows = self.mapper.map(record);
            if !self.resource.explode.is_empty() {
                tally.add_other();
            }
            for row in rows {
                match row {
                    Ok(row) => self.row(row, &page.request, slice, tally)?,
                    Err(rejection) => {
                        if self.resource.explode.is_empty() {
                            tally.add_other();
                        }
                        self.reject(&rejection, &page.request).await?;
                    }
                }
            }
        }
        self.progress.page(self.received, tally.total);
        let harvested: usize = self.harvests.iter().map(Harvesting::bytes).sum();
        if self.buffer.bytes() + harvested < FLUSH_BYTES {
            return Ok(Flushed::No);
        }
        self.flush().await?;
        Ok(Flushed::Yes)
    }

    /// Counts a row and buffers it.
    fn row(&mut self, row: Row, request: &str, slice: &Slice, tally: &mut Tally) -> Result<(), Error> {
        let wrong = |detail: String| Error::Decode {
            source_name: self.manifest.name.clone(),
            request: request.to_owned(),
            detail,
        };
        if let Some(incremental) = &self.resource.endpoint.incremental {
            match (row.cursor, incremental.missing) {
                (Some(cursor), _) if slice.ends_before(cursor, incremental) => {
                    tally.add_other();
                    return Ok(());
                }
                (Some(cursor), _) => {
                    self.newest = Some(cursor.further(self.newest, incremental));
                    tally.newest = Some(cursor.further(tally.newest, incremental));
                }
                (None, CursorMissing::Include) => {}
                (None, CursorMissing::Exclude) => {
                    self.excluded += 1;
                    tally.add_other();
                    return Ok(());
                }
                (None, CursorMissing::Raise) => {
                    let path = &incremental.cursor_path;
                    let kind = match incremental.kind {
                        CursorKind::Instant => "day or instant (for numbers, give `initial_value: 0`)",
                        CursorKind::Number => "whole number",
                    };
                    return Err(wrong(format!(
                        "the record {} has no cursor at `{path}`, no {kind}; say what to do with such a one: `on_cursor_value_missing: include` or `exclude`",
                        row.key
                    )));
                }
            }
        }
        if let Some(clash) = self.siblings.as_mut().and_then(|siblings| siblings.clash(&row, slice)) {
            // By this key they are rows of a wrong table, and once stored they would keep the right one from its place.
            self.buffer = self.table.buffer();
            self.discarded = true;
            self.reached.clear();
            return Err(wrong(clash));
        }
        let hash = key_hash(&row.key);
        if self.resource.explode.is_empty() {
            tally.add(&row.key);
        }
        if let Some(seen) = &mut self.seen {
            seen.insert(hash);
        }
        if self.is_kept_no_longer(&row) {
            self.excluded += 1;
            return Ok(());
        }
        self.buffer.push(row);
        Ok(())
    }

    /// Ends the run's merges; see [`Table::close`].
    pub(crate) async fn close(&self, covered_since: Option<Instant>) -> Result<(), Error> {
        self.table.close(covered_since).await
    }

    /// Maps every rejected record anew. What still has no place stays where it is; what has one is inserted, unless its key is
    /// stored already: that version came later.
    pub(crate) async fn replay(&mut self) -> Result<(), Error> {
        self.learn(std::iter::empty());
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
            let retired = self.state.claim(&self.resource, self.request.format).await?;
            self.table.retain(retired);
            self.table.merge(&mut self.buffer, &mut self.merged).await?;
        }
        for harvest in &mut self.harvests {
            harvest.flush().await?;
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
        report.records.excluded = self.excluded;
        report.records.removed = self.merged.removed;
        report.records.vanished = self.merged.vanished;
        report.objects = self.merged.objects;
        report.bytes_written = self.merged.bytes_written;
        for harvest in &self.harvests {
            let mut of = Report::default();
            harvest.count(&mut of);
            report.harvested.insert(harvest.resource().to_owned(), of.records);
            report.objects += of.objects;
            report.bytes_written += of.bytes_written;
        }
    }
}
