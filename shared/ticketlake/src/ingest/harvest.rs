//! Stores the records of another resource that lie inside the records of the run's resource (`harvest`).

use std::collections::HashMap;

use bytes::Bytes;
use manifest::time::Instant;
use table::map::{RejectedContent, Rejection, Row};
use table::merge::key_hash;
use xxhash_rust::xxh3::xxh3_64;

use super::counts::{HarvestConflicts, IngestCounts};
use super::table_ingest::TableIngest;
use crate::error::Error;

/// The ingestion of the records that lie at one path inside the records of another resource.
#[derive(Debug)]
pub(super) struct Harvested<'i> {
    ingest: TableIngest<'i>,
    /// The fingerprint that was buffered last, by key. A venue is in each of its thousand events, and is buffered once.
    fingerprints: HashMap<u64, i64>,
    /// The number of records whose key was received before.
    repeated: u64,
    /// The number of these whose content differs from the last one.
    differing: u64,
    /// The key and the fingerprint of texts that were mapped, by their hashes: a text that comes again is not read again.
    known_texts: HashMap<u64, (u64, i64)>,
    /// The fingerprints of the records inside the present record, by key.
    within: HashMap<u64, i64>,
    /// Whether two records inside one record have one key and different contents.
    has_conflict: bool,
    /// The key of a record whose content differs.
    example: Option<String>,
}

/// The least number of differing records that show a key that stands for several. A record that changes during a run differs once or twice.
const MIN_DIFFERING: u64 = 3;

/// The most texts that are remembered: with 24 bytes each they take 2 MB.
const MAX_KNOWN_TEXTS: usize = 1 << 16;

impl<'i> Harvested<'i> {
    /// Creates the ingestion of records into the table of `ingest`.
    pub(super) fn new(ingest: TableIngest<'i>) -> Self {
        Self {
            ingest,
            known_texts: HashMap::new(),
            within: HashMap::new(),
            fingerprints: HashMap::new(),
            repeated: 0,
            differing: 0,
            has_conflict: false,
            example: None,
        }
    }

    /// Ingests the record `text`, which lies inside a record that was received by `request`, sent at `read_at`.
    pub(super) async fn ingest(&mut self, text: &str, request: &str, read_at: Instant) -> Result<(), Error> {
        self.ingest.received += 1;
        let text_hash = xxh3_64(text.as_bytes());
        if let Some(&(key, fingerprint)) = self.known_texts.get(&text_hash)
            && self.fingerprints.get(&key) == Some(&fingerprint)
        {
            self.add_within(key, fingerprint);
            self.repeated += 1;
            return Ok(());
        }
        let mapped = match self.ingest.map(text.as_bytes(), std::iter::empty()).await? {
            Ok(mapped) => mapped,
            Err(reason) => {
                let record = RejectedContent::Undecodable(Bytes::copy_from_slice(text.as_bytes()));
                return self.ingest.reject(&Rejection { record, reason, key: None }, request).await;
            }
        };
        let is_one_row = mapped.rows.len() == 1;
        for row in mapped.rows {
            match row {
                Ok(row) => {
                    let key = key_hash(&row.key);
                    if is_one_row {
                        self.remember_text(text_hash, key, row.fingerprint);
                    }
                    self.add_within(key, row.fingerprint);
                    if self.is_news(key, &row) {
                        self.ingest.buffer.push(row, read_at);
                    }
                }
                Err(rejection) => self.ingest.reject(&rejection, request).await?,
            }
        }
        Ok(())
    }

    /// Ends the present record: the next records lie inside another one.
    pub(super) fn end_record(&mut self) {
        self.within.clear();
    }

    /// Adds a record with this key and this fingerprint to those inside the present record.
    fn add_within(&mut self, key: u64, fingerprint: i64) {
        let other = self.within.insert(key, fingerprint);
        self.has_conflict |= other.is_some_and(|other| other != fingerprint);
    }

    /// Remembers the row of a text.
    fn remember_text(&mut self, text_hash: u64, key: u64, fingerprint: i64) {
        if self.known_texts.len() >= MAX_KNOWN_TEXTS {
            self.known_texts.clear();
        }
        self.known_texts.insert(text_hash, (key, fingerprint));
    }

    /// Returns whether the content of `row` is not that of the last one with its key, whose hash is `hash`.
    fn is_news(&mut self, hash: u64, row: &Row<'_>) -> bool {
        let last = self.fingerprints.insert(hash, row.fingerprint);
        let is_news = last != Some(row.fingerprint);
        if last.is_some() {
            self.repeated += 1;
            self.differing += u64::from(is_news);
            self.example = self.example.take().or_else(|| is_news.then(|| row.key.clone()));
        }
        is_news
    }

    /// Returns the conflicts, if the key stands for several records: two records inside one record have it, or the content of most
    /// repeated records differs. A venue that changes while its events are read differs a few times.
    pub(super) fn conflicts(&self) -> Option<HarvestConflicts> {
        let is_mostly_differing = self.differing >= MIN_DIFFERING && 2 * self.differing > self.repeated;
        (self.has_conflict || is_mostly_differing).then(|| HarvestConflicts {
            resource: self.ingest.resource.name.clone(),
            received: self.ingest.received,
            conflicting: self.differing,
            example: self.example.clone().unwrap_or_default(),
        })
    }

    /// Returns the memory of the buffered rows in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ingest.buffer.bytes()
    }

    /// Merges the buffered rows.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.ingest.flush().await
    }

    /// Ends the merges of the run.
    pub(super) async fn close(&self) -> Result<(), Error> {
        Ok(self.ingest.table.close(None).await?)
    }

    /// Returns the name of the resource whose table is filled.
    pub(super) fn resource(&self) -> &str {
        &self.ingest.resource.name
    }

    /// Returns the counts of what was stored so far.
    pub(super) fn counts(&self) -> IngestCounts {
        self.ingest.counts()
    }
}
