//! Ingests pages: maps, buffers and merges their records.
//!
//! Ingesting a page returns its records ([`PageRecords`]), which are evidence for the reader, and counts them.

mod counts;
mod flush_policy;
mod harvest;
mod infer_columns;
mod received;
mod removal;
mod retention;
mod sample;
mod siblings;
mod table_ingest;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use client::{Page, Record};
use manifest::time::Instant;
use manifest::{Cursor, CursorKind, CursorMissing, Incremental, Query, QueryId, WriteDisposition};
use serde_json::json;
use table::Layout;
use table::map::{RejectedContent, Rejection, Row};
use table::merge::key_hash;
use table::rejected::RejectedRecord;

pub use self::counts::{HarvestConflicts, IngestCounts};
use self::flush_policy::FlushPolicy;
use self::harvest::Harvested;
use self::received::{PageIdentities, RecordIdentity, overlap_key};
pub use self::removal::VanishedRows;
use self::retention::Retention;
use self::sample::Sample;
use self::siblings::Siblings;
use self::table_ingest::TableIngest;
use crate::context::{RunContext, resource};
use crate::error::Error;
use crate::evidence::{PageRecords, ReceivedRecord, RecordVersion};

/// The memory that is reserved for the fields of a parent in a record: an id and a name.
const PARENT_FIELDS_BYTES: usize = 64;

/// A page that was ingested.
#[derive(Debug)]
pub struct IngestedPage {
    /// The records of the page.
    pub records: PageRecords,
    /// Whether all rows that were ingested so far are stored.
    pub flushed: bool,
}

/// The ingestion of one run.
#[derive(Debug)]
pub struct Ingest<'i> {
    /// The table of the run's resource.
    target: TableIngest<'i>,
    /// The tables of the resources whose records lie inside those of the run's resource.
    harvests: Vec<Harvested<'i>>,
    /// The pages that wait until the columns are inferred. `None` if the columns are known.
    sample: Option<Sample>,
    siblings: Option<Siblings>,
    /// How records are identified for the evidence.
    identity: RecordIdentity,
    /// The hashes of all keys that were received. `None` if no row is removed or marked at the end.
    seen: Option<HashSet<u64>>,
    /// The number of rejected records whose keys are not known.
    unknown_keys: u64,
    retention: Retention<'i>,
    flush_policy: FlushPolicy,
    /// The start of the read: that of its first run, if it is resumed.
    begin: Instant,
    /// Whether buffered rows were discarded.
    discarded: bool,
}

/// The origin of the rows of a page.
struct PageSource<'p> {
    /// The request, for messages.
    request: &'p str,
    query: &'p Query,
    /// The id of the query, if keys are compared between queries.
    id: QueryId,
    /// When the request was sent.
    read_at: Instant,
}

/// Whether a row is stored.
enum RowClass {
    /// The row is stored.
    Wanted,
    /// The row lies beyond the range of the query.
    Beyond,
    /// The row has no cursor, and the manifest excludes such rows.
    Excluded,
}

impl<'i> Ingest<'i> {
    /// Creates the ingestion into the table of the run's resource, and into those of the resources inside its records (`harvest`). The read
    /// began at `begin`.
    ///
    /// # Errors
    ///
    /// The error of the store, or an error if a resource does not fit its stored table.
    pub async fn new(ctx: &'i RunContext<'i>, layout: Layout<'i>, begin: Instant) -> Result<Self, Error> {
        let mut ingest = Self {
            target: TableIngest::new(ctx, ctx.resource, layout),
            harvests: Vec::new(),
            sample: ctx.resource.infer_columns.then(Sample::default),
            siblings: Siblings::new(ctx.resource),
            identity: RecordIdentity::new(ctx.resource),
            seen: (ctx.resource.write_disposition == WriteDisposition::Replace).then(HashSet::new),
            unknown_keys: 0,
            retention: Retention::new(ctx, ctx.resource),
            flush_policy: FlushPolicy::new(&ctx.clients.settings, ctx.clients.clock.now()),
            begin,
            discarded: false,
        };
        for harvest in &ctx.resource.harvest {
            let target = resource(ctx.manifest, &harvest.resource)?;
            let layout = Layout::load(ctx.store, &ctx.manifest.name, &target.name).await?;
            layout.check(target, ctx.request.format)?;
            ingest.harvests.push(Harvested::new(TableIngest::new(ctx, target, layout)));
        }
        Ok(ingest)
    }

    /// Ingests a page of `query`. The buffered rows are merged when they are due.
    ///
    /// # Errors
    ///
    /// The error of the store, or an error for a record that the manifest forbids: one without a cursor, or with the key of a record of
    /// another parent.
    pub async fn page(&mut self, page: Page, query: &Arc<Query>) -> Result<IngestedPage, Error> {
        if self.sample.is_some() {
            let records = self.records_of(&page, query)?;
            let is_enough = self.sample.as_mut().is_some_and(|sample| sample.add(page, query));
            let flushed = if is_enough { self.infer_columns().await? } else { false };
            return Ok(IngestedPage { records, flushed });
        }
        self.store_page(page, query).await
    }

    /// Maps a page and buffers its rows. They are merged when they are due.
    async fn store_page(&mut self, page: Page, query: &Query) -> Result<IngestedPage, Error> {
        let mut records = self.begin_page(&page, query);
        let mut identities = self.identity.begin_page();
        let id = self.siblings.as_ref().map(|_| query.id()).unwrap_or_default();
        let read_at = self.target.ctx.clock.stored_time(page.read_at);
        let source = PageSource { request: &page.request, query, id, read_at };
        let mut page_records = page.records.into_iter();
        while let Some(record) = page_records.next() {
            self.target.received += 1;
            let text = with_parent_fields(record.text(), query);
            let following = page_records.as_slice().iter().map(|record| with_parent_fields(record.text(), query));
            let mapped = match self.target.map(&text, following).await? {
                Ok(mapped) => mapped,
                Err(reason) => {
                    let rejection = undecodable(&record, reason);
                    records.records.push(identities.of_rejection(&rejection));
                    self.remember_rejected(&rejection);
                    self.target.reject(&rejection, &page.request).await?;
                    continue;
                }
            };
            for (position, inner) in &mapped.inner {
                self.harvests[*position].ingest(inner, &page.request, read_at).await?;
            }
            self.harvests.iter_mut().for_each(Harvested::end_record);
            let text_hash = self.identity.text_hash(&text);
            self.add_exploded(text_hash, &mut identities, &mut records);
            for row in mapped.rows {
                match row {
                    Ok(row) => {
                        let received = identities.of_row(&row, text_hash);
                        self.store_row(row, received, &source, &mut records)?;
                    }
                    Err(rejection) => {
                        if !self.identity.is_exploded() {
                            records.records.push(identities.of_rejection(&rejection));
                        }
                        self.remember_rejected(&rejection);
                        self.target.reject(&rejection, &page.request).await?;
                    }
                }
            }
        }
        self.target.ctx.listener.page_read(self.target.received, page.total);
        let flushed = self.flush_if_due().await?;
        Ok(IngestedPage { records, flushed })
    }

    /// Returns the records of a page, without any record so far.
    fn begin_page(&self, page: &Page, query: &Query) -> PageRecords {
        let complete = |record: &Record| with_parent_fields(record.text(), query);
        let overlap = overlap_key(page.overlap.as_ref(), &self.target.mapper, self.identity, complete);
        PageRecords { overlap, ..PageRecords::default() }
    }

    /// Adds a record that becomes several rows. It counts once.
    fn add_exploded(&self, text_hash: Option<u64>, identities: &mut PageIdentities, records: &mut PageRecords) {
        if let Some(text_hash) = text_hash.filter(|_| self.identity.is_exploded()) {
            records.records.push(identities.of_text(text_hash));
        }
    }

    /// Returns the records of a page without storing them.
    fn records_of(&self, page: &Page, query: &Query) -> Result<PageRecords, Error> {
        let mut records = self.begin_page(page, query);
        let mut identities = self.identity.begin_page();
        for record in &page.records {
            let text = with_parent_fields(record.text(), query);
            let mapped = match self.target.mapper.map_text(&text) {
                Ok(mapped) => mapped,
                Err(reason) => {
                    records.records.push(identities.of_rejection(&undecodable(record, reason)));
                    continue;
                }
            };
            let text_hash = self.identity.text_hash(&text);
            self.add_exploded(text_hash, &mut identities, &mut records);
            for row in mapped.rows {
                match row {
                    Ok(row) => {
                        self.classify(&row, &page.request, query)?;
                        let received = identities.of_row(&row, text_hash);
                        self.observe(&row, received, &mut records);
                    }
                    Err(rejection) if !self.identity.is_exploded() => {
                        records.records.push(identities.of_rejection(&rejection));
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(records)
    }

    /// Counts a row and buffers it.
    fn store_row(
        &mut self,
        row: Row<'_>,
        received: ReceivedRecord,
        source: &PageSource<'_>,
        records: &mut PageRecords,
    ) -> Result<(), Error> {
        let class = self.classify(&row, source.request, source.query)?;
        let version = received.version;
        self.observe(&row, received, records);
        // A record that is not stored is in the API all the same, so that its stored row stays.
        if let Some(seen) = &mut self.seen {
            seen.insert(key_hash(&row.key));
        }
        match class {
            RowClass::Wanted => {}
            RowClass::Beyond => return Ok(()),
            RowClass::Excluded => {
                self.target.excluded += 1;
                return Ok(());
            }
        }
        if let Some(conflict) =
            self.siblings.as_mut().and_then(|siblings| siblings.conflict((&row.key, version), source.query, source.id))
        {
            // The buffered rows belong to a table with a wrong key. If they were stored, a table with another key could not replace it.
            self.target.buffer = self.target.table.buffer();
            self.discarded = true;
            return Err(self.decode_error(source.request, conflict));
        }
        if self.retention.is_expired(&row) {
            // A stored row that is not past yet becomes past by this version, and is removed then.
            self.target.excluded += 1;
            self.target.buffer.push_update(row, source.read_at);
            return Ok(());
        }
        self.target.buffer.push(row, source.read_at);
        Ok(())
    }

    /// Returns whether `row` is stored by `query`.
    fn classify(&self, row: &Row<'_>, request: &str, query: &Query) -> Result<RowClass, Error> {
        let Some(incremental) = &self.target.resource.endpoint.incremental else { return Ok(RowClass::Wanted) };
        match (row.cursor, incremental.missing) {
            (Some(cursor), _) if query.ends_before(cursor, incremental) => Ok(RowClass::Beyond),
            (Some(_), _) | (None, CursorMissing::Include) => Ok(RowClass::Wanted),
            (None, CursorMissing::Exclude) => Ok(RowClass::Excluded),
            (None, CursorMissing::Raise) => {
                let path = &incremental.cursor_path;
                let kind = match incremental.kind {
                    CursorKind::Instant => "day or instant (for numbers, give `initial_value: 0`)",
                    CursorKind::Number => "whole number",
                };
                Err(self.decode_error(request, format!(
                    "the record {} has no {kind} at `{path}`, which is the cursor; set `on_cursor_value_missing` to `include` or `exclude`",
                    row.key
                )))
            }
        }
    }

    /// Adds a record that became `row` to `records`.
    fn observe(&self, row: &Row<'_>, received: ReceivedRecord, records: &mut PageRecords) {
        if !self.identity.is_exploded() {
            records.records.push(received);
        }
        let incremental = self.target.resource.endpoint.incremental.as_ref();
        if let (Some(incremental), Some(cursor)) = (incremental, row.cursor)
            && !self.is_ahead(cursor, incremental)
        {
            records.newest = Some(cursor.furthest(records.newest, incremental));
        }
    }

    /// Returns whether the records of one query are compared with those of the others.
    pub fn remembers_siblings(&self) -> bool {
        self.siblings.is_some()
    }

    /// Remembers the records that an earlier run received from `query`.
    pub fn remember_siblings(&mut self, query: QueryId, records: impl Iterator<Item = (u64, RecordVersion)>) {
        if let Some(siblings) = &mut self.siblings {
            siblings.remember(query, records);
        }
    }

    /// Returns whether `cursor` lies after the start of the read. Such a cursor does not say how far the API's records reach: it is dated in
    /// the future, or its record was made while the run reads.
    fn is_ahead(&self, cursor: Cursor, incremental: &Incremental) -> bool {
        let began = self.target.ctx.clock.api_time(self.begin);
        !incremental.descending && cursor.instant().is_some_and(|instant| instant > began)
    }

    /// Returns an error about the content of a response.
    fn decode_error(&self, request: &str, detail: String) -> Error {
        Error::Client(client::Error::Decode {
            source_name: self.target.ctx.manifest.name.clone(),
            request: request.to_owned(),
            detail,
        })
    }

    /// Maps every rejected record again. Those that fit now are inserted, unless their key is stored already: that version is newer. The
    /// others stay rejected. The records that were rejected last come first, so that the newest version of a key is inserted.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn replay_rejected(&mut self) -> Result<(), Error> {
        self.infer_columns().await?;
        for key in self.target.rejected.keys().await?.into_iter().rev() {
            let RejectedRecord { record, rejected_at } = self.target.rejected.record(&key).await?;
            self.target.received += 1;
            let text = record.bytes();
            let mapped = match self.target.map(&text, std::iter::empty()).await? {
                Ok(mapped) => mapped,
                Err(reason) => {
                    self.target.rejections += 1;
                    tracing::info!(key, reason, "the record still cannot be decoded");
                    continue;
                }
            };
            for row in mapped.rows {
                match row {
                    Ok(row) => self.target.buffer.push(row, rejected_at),
                    Err(rejection) => {
                        self.target.rejections += 1;
                        tracing::info!(key, reason = rejection.reason, "the record still cannot become a row");
                    }
                }
            }
            self.flush_if_due().await?;
        }
        self.flush().await
    }

    /// Stores all rows that were ingested so far, also those of the sample.
    ///
    /// # Errors
    ///
    /// As [`Ingest::page`].
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.infer_columns().await?;
        self.flush().await
    }

    /// Merges all buffered rows if they are due. Returns whether they were.
    async fn flush_if_due(&mut self) -> Result<bool, Error> {
        let harvested: usize = self.harvests.iter().map(Harvested::bytes).sum();
        let bytes = self.target.buffer.bytes() + harvested;
        let is_due = self.flush_policy.is_due(bytes, self.target.ctx.clients.clock.now());
        if is_due {
            self.flush().await?;
        }
        Ok(is_due)
    }

    /// Merges all buffered rows. After an error, those that were not stored are discarded.
    async fn flush(&mut self) -> Result<(), Error> {
        let merged = self.merge_buffers().await;
        self.discarded |= merged.is_err();
        self.flush_policy.flushed(self.target.ctx.clients.clock.now());
        merged
    }

    /// Merges the buffered rows of each table.
    async fn merge_buffers(&mut self) -> Result<(), Error> {
        self.target.flush().await?;
        for harvest in &mut self.harvests {
            harvest.flush().await?;
        }
        Ok(())
    }

    /// Returns whether rows of complete queries were discarded. Then no progress may be saved.
    pub fn has_discarded(&self) -> bool {
        self.discarded
    }

    /// Returns the hashes of all keys that were received. `None` if they are not remembered.
    pub fn seen(&self) -> Option<&HashSet<u64>> {
        self.seen.as_ref()
    }

    /// Sets the keys that were received by earlier runs of the read. Keys are remembered unless `seen` is `None`.
    pub fn remember_keys(&mut self, seen: Option<HashSet<u64>>) {
        self.seen = seen;
    }

    /// Forgets the key with this hash. Returns whether it was remembered.
    pub fn forget_key(&mut self, hash: u64) -> bool {
        self.seen.as_mut().is_some_and(|seen| seen.remove(&hash))
    }

    /// Remembers the key with this hash. Returns whether it was remembered before.
    pub fn remember_key(&mut self, hash: u64) -> bool {
        self.seen.as_mut().is_some_and(|seen| !seen.insert(hash))
    }

    /// Returns the counts of what was stored so far.
    pub fn counts(&self) -> IngestCounts {
        let mut counts = self.target.counts();
        for harvest in &self.harvests {
            let within = harvest.counts();
            counts.conflicts.extend(harvest.conflicts());
            counts.harvested.push((harvest.resource().to_owned(), within.records));
            counts.objects += within.objects;
            counts.bytes_written += within.bytes_written;
        }
        counts
    }
}

/// Returns the rejection of a record that cannot be decoded, for this reason.
fn undecodable(record: &Record, reason: String) -> Rejection {
    Rejection { record: RejectedContent::Undecodable(record.text()), reason, key: None }
}

/// Returns the text of the record `text` with the fields of its parent (`include_from_parent`), if it is an object. They are its last
/// members, which count if the record has members of the same names.
fn with_parent_fields(text: Bytes, query: &Query) -> Bytes {
    let trimmed = text.trim_ascii();
    let Some(members) = trimmed.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")) else { return text };
    if query.parent_fields.is_empty() {
        return text;
    }
    let mut completed = Vec::with_capacity(text.len() + PARENT_FIELDS_BYTES);
    completed.push(b'{');
    completed.extend_from_slice(members);
    let mut needs_comma = !members.trim_ascii().is_empty();
    for (name, value) in &query.parent_fields {
        if std::mem::replace(&mut needs_comma, true) {
            completed.push(b',');
        }
        completed.extend_from_slice(json!(name).to_string().as_bytes());
        completed.push(b':');
        completed.extend_from_slice(value.to_string().as_bytes());
    }
    completed.push(b'}');
    completed.into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_fields_of_the_parent_are_members_of_the_record() {
        let mut query = Query::default();
        let completed =
            |text: &'static str, query: &Query| with_parent_fields(Bytes::from_static(text.as_bytes()), query);
        assert_eq!(completed(r#"{"id": 1}"#, &query), r#"{"id": 1}"#);
        query.parent_fields =
            [("_a_id".to_owned(), json!("x\"y")), ("_a_n".to_owned(), json!(1))].into_iter().collect();
        for text in [r#"{"id":1}"#, " {\"id\": 1 }\n", "{}", "{ }", r#"{"_a_n": 7, "id": 1}"#] {
            let mut expected: Value = serde_json::from_str(text).unwrap();
            expected["_a_id"] = json!("x\"y");
            expected["_a_n"] = json!(1);
            let found = completed(text, &query);
            assert_eq!(manifest::json::decode(&found).unwrap(), expected, "{text}");
        }
        for other in ["[1]", "7", "{\"broken", "null"] {
            assert_eq!(completed(other, &query), other);
        }
    }
}
