//! The results of all stages of a run, and the report that is built from them.

use client::Requests;
use client::limits::QuotaLeft;
use serde_json::Value;

use crate::evidence::Proof;
use crate::ingest::IngestCounts;
use crate::plan::due::RefreshReport;
use crate::report::{QueryCounts, Report, Status};

/// The results of all stages of the run of one resource. The fields are those of the report.
#[derive(Debug, Default)]
pub(super) struct RunOutcome {
    pub(super) status: Status,
    pub(super) counts: IngestCounts,
    pub(super) queries: QueryCounts,
    pub(super) proof: Proof,
    pub(super) total: Option<u64>,
    pub(super) requests: Requests,
    pub(super) quota: Vec<QuotaLeft>,
    pub(super) watermark: Option<String>,
    pub(super) refresh: Option<RefreshReport>,
    pub(super) stopped: Option<String>,
    pub(super) continuation: Option<Value>,
    pub(super) warnings: Vec<String>,
    pub(super) plan: Option<Value>,
}

impl RunOutcome {
    /// Returns the report of the run of `resource`, a resource of `source`.
    pub(super) fn into_report(self, source: &str, resource: &str) -> Report {
        Report {
            status: self.status,
            source: source.to_owned(),
            resource: resource.to_owned(),
            records: self.counts.records,
            requests: self.requests,
            quota: self.quota,
            proof: self.proof,
            total: self.total,
            objects: self.counts.objects,
            bytes_written: self.counts.bytes_written,
            watermark: self.watermark,
            queries: self.queries,
            harvested: self.counts.harvested.into_iter().collect(),
            refresh: self.refresh,
            stopped: self.stopped,
            continuation: self.continuation,
            warnings: self.warnings,
            plan: self.plan,
            ..Report::default()
        }
    }
}
