//! Stores the records of another resource that lie inside the records of the run's resource (`harvest`).

use std::collections::HashMap;

use manifest::JsonPath;
use manifest::time::Instant;
use serde_json::Value;
use table::map::Row;
use table::merge::key_hash;

use super::counts::{HarvestConflicts, IngestCounts};
use super::table_ingest::TableIngest;
use crate::error::Error;

/// The ingestion of the records at one path inside the records of another resource.
#[derive(Debug)]
pub(super) struct Harvested<'i> {
    path: JsonPath,
    ingest: TableIngest<'i>,
    /// The fingerprint that was buffered last, by key. A venue is in each of its thousand events, and is buffered once.
    fingerprints: HashMap<u64, i64>,
    /// The number of records whose key was received before.
    repeated: u64,
    /// The number of these whose content differs from the last one.
    differing: u64,
    /// Whether two records inside one record have one key and different contents.
    has_conflict: bool,
    /// The key of a record whose content differs.
    example: Option<String>,
}

/// The least number of differing records that show a key that stands for several. A record that changes during a run differs once or twice.
const MIN_DIFFERING: u64 = 3;

impl<'i> Harvested<'i> {
    /// Creates the ingestion of the records at `path`.
    pub(super) fn new(path: JsonPath, ingest: TableIngest<'i>) -> Self {
        Self {
            path,
            ingest,
            fingerprints: HashMap::new(),
            repeated: 0,
            differing: 0,
            has_conflict: false,
            example: None,
        }
    }

    /// Ingests the records inside `record`, which was received by `request`, sent at `read_at`.
    pub(super) async fn ingest_from(&mut self, record: &Value, request: &str, read_at: Instant) -> Result<(), Error> {
        let mut within = HashMap::new();
        for found in self.path.all(record).into_iter().filter(|found| found.is_object()) {
            self.ingest.received += 1;
            for row in self.ingest.mapper.map(found.clone()) {
                match row {
                    Ok(row) => {
                        let hash = key_hash(&row.key);
                        let other = within.insert(hash, row.fingerprint);
                        self.has_conflict |= other.is_some_and(|other| other != row.fingerprint);
                        if self.is_news(hash, &row) {
                            self.ingest.buffer.push(row, read_at);
                        }
                    }
                    Err(rejection) => self.ingest.reject(&rejection, request).await?,
                }
            }
        }
        Ok(())
    }

    /// Returns whether the content of `row` is not that of the last one with its key, whose hash is `hash`.
    fn is_news(&mut self, hash: u64, row: &Row) -> bool {
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
