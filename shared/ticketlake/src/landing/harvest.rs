//! Records of another resource that lie inside those that come: stored in that resource's table by the way.

use std::collections::HashMap;

use serde_json::Value;

use super::Landing;
use crate::error::Error;
use manifest::JsonPath;
use table::merge::key_hash;
use crate::report::Report;

/// The landing of what lies at one place in the records of another resource.
pub(crate) struct Harvesting<'l> {
    path: JsonPath,
    landing: Box<Landing<'l>>,
    /// By key: the fingerprint that was buffered last. A venue lies in each of its thousand events.
    known: HashMap<u64, i64>,
}

impl<'l> Harvesting<'l> {
    /// Takes what lies at `path`, into `landing`.
    pub(crate) fn new(path: JsonPath, landing: Landing<'l>) -> Self {
        Self { path, landing: Box::new(landing), known: HashMap::new() }
    }

    /// Takes what `record` has, which came with `request`.
    pub(super) async fn take(&mut self, record: &Value, request: &str) -> Result<(), Error> {
        for found in self.path.all(record).into_iter().filter(|found| found.is_object()) {
            self.landing.received += 1;
            for row in self.landing.mapper.map(found.clone()) {
                match row {
                    Ok(row) => {
                        if self.known.insert(key_hash(&row.key), row.fingerprint) != Some(row.fingerprint) {
                            self.landing.buffer.push(row);
                        }
                    }
                    Err(rejection) => self.landing.reject(&rejection, request).await?,
                }
            }
        }
        Ok(())
    }

    /// What is buffered, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.landing.buffer.bytes()
    }

    /// Merges what is buffered.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        Box::pin(self.landing.flush()).await
    }

    /// Ends the merges.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.landing.table.close(None).await
    }

    /// The resource whose table it fills.
    pub(super) fn resource(&self) -> &str {
        &self.landing.resource.name
    }

    /// Writes what was counted into `report`.
    pub(super) fn count(&self, report: &mut Report) {
        self.landing.count(report);
    }
}
