//! Records of another resource that lie inside those that are read: stored in that resource's table.

use std::collections::HashMap;

use manifest::JsonPath;
use serde_json::Value;
use table::merge::key_hash;

use super::table_ingest::{IngestCounts, TableIngest};
use crate::error::Error;

/// The ingestion of the records that lie at one place inside the records of another resource.
#[derive(Debug)]
pub(super) struct Harvested<'i> {
    path: JsonPath,
    ingest: TableIngest<'i>,
    /// By key: the fingerprint that was buffered last. A venue lies in each of its thousand events.
    known: HashMap<u64, i64>,
}

impl<'i> Harvested<'i> {
    /// Ingests what lies at `path` by `ingest`.
    pub(super) fn new(path: JsonPath, ingest: TableIngest<'i>) -> Self {
        Self { path, ingest, known: HashMap::new() }
    }

    /// Takes the records out of `record`, which came with `request`.
    pub(super) async fn take(&mut self, record: &Value, request: &str) -> Result<(), Error> {
        for found in self.path.all(record).into_iter().filter(|found| found.is_object()) {
            self.ingest.received += 1;
            for row in self.ingest.mapper.map(found.clone()) {
                match row {
                    Ok(row) => {
                        if self.known.insert(key_hash(&row.key), row.fingerprint) != Some(row.fingerprint) {
                            self.ingest.buffer.push(row);
                        }
                    }
                    Err(rejection) => self.ingest.reject(&rejection, request).await?,
                }
            }
        }
        Ok(())
    }

    /// The memory that the buffered rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ingest.buffer.bytes()
    }

    /// Merges what is buffered.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.ingest.flush().await
    }

    /// Ends the run's merges.
    pub(super) async fn close(&self) -> Result<(), Error> {
        Ok(self.ingest.table.close(None).await?)
    }

    /// The resource whose table is filled.
    pub(super) fn resource(&self) -> &str {
        &self.ingest.resource.name
    }

    /// What was stored so far.
    pub(super) fn counts(&self) -> IngestCounts {
        self.ingest.counts()
    }
}
