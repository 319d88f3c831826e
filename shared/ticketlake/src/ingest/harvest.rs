//! Stores the records of another resource that lie inside the records of the run's resource (`harvest`).

use std::collections::HashMap;

use manifest::JsonPath;
use manifest::time::Instant;
use serde_json::Value;
use table::merge::key_hash;

use super::table_ingest::{IngestCounts, TableIngest};
use crate::error::Error;

/// The ingestion of the records at one path inside the records of another resource.
#[derive(Debug)]
pub(super) struct Harvested<'i> {
    path: JsonPath,
    ingest: TableIngest<'i>,
    /// The fingerprint that was buffered last, by key. A venue is in each of its thousand events, and is buffered once.
    fingerprints: HashMap<u64, i64>,
}

impl<'i> Harvested<'i> {
    /// Creates the ingestion of the records at `path`.
    pub(super) fn new(path: JsonPath, ingest: TableIngest<'i>) -> Self {
        Self { path, ingest, fingerprints: HashMap::new() }
    }

    /// Ingests the records inside `record`, which was received by `request`, sent at `read_at`.
    pub(super) async fn ingest_from(&mut self, record: &Value, request: &str, read_at: Instant) -> Result<(), Error> {
        for found in self.path.all(record).into_iter().filter(|found| found.is_object()) {
            self.ingest.received += 1;
            for row in self.ingest.mapper.map(found.clone()) {
                match row {
                    Ok(row) => {
                        if self.fingerprints.insert(key_hash(&row.key), row.fingerprint) != Some(row.fingerprint) {
                            self.ingest.buffer.push(row, read_at);
                        }
                    }
                    Err(rejection) => self.ingest.reject(&rejection, request).await?,
                }
            }
        }
        Ok(())
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
