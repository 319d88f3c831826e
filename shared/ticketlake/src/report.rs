//! The report of a run as JSON: the standard output of the command line and the response of the Lambda function.
//!
//! Scripts and alarms read the names in the JSON, so they stay, even if a field has another name here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use client::Requests;
use client::error::chain;
use client::limits::QuotaLeft;
use manifest::Fault;

use crate::error::Error;
use crate::evidence::Proof;
use crate::plan::due::RefreshReport;

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All requested records are stored.
    Complete,
    /// The requests, the time or the quota are used up. What was read is stored, and the next run reads the rest.
    Partial,
    /// Records are missing or may be missing: see [`QueryCounts::incomplete`].
    Incomplete,
    /// An error ended the run: see [`Report::error`].
    #[default]
    Failed,
}

impl Status {
    /// Returns the name of the status in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// Returns the worse of two statuses.
    fn worse(self, other: Self) -> Self {
        let rank = |status| match status {
            Self::Complete => 0,
            Self::Partial => 1,
            Self::Incomplete => 2,
            Self::Failed => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// The report of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The status.
    pub status: Status,
    /// The name of the source.
    pub source: String,
    /// The name of the resource.
    pub resource: String,
    /// The counts of records and rows.
    pub records: RecordCounts,
    /// The counts of HTTP requests to the API.
    pub requests: Requests,
    /// The requests left in the rate windows that are counted: those of more than ten seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<QuotaLeft>,
    /// The sum of the totals. Null if the API gives none.
    #[serde(rename = "expected")]
    pub total: Option<u64>,
    /// The number of objects written.
    pub objects: u64,
    /// The size of these objects in bytes.
    pub bytes_written: u64,
    /// The watermark, as RFC 3339 or a number. Null for resources without a cursor.
    pub watermark: Option<String>,
    /// The counts of queries.
    #[serde(rename = "slices")]
    pub queries: QueryCounts,
    /// The complete queries: those that a total proves, and the others with the reasons.
    pub proof: Proof,
    /// The duration in milliseconds.
    pub elapsed_ms: u64,
    /// The counts of the resources inside the records (`harvest`), by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub harvested: BTreeMap<String, RecordCounts>,
    /// The reports of the single resources, if there are several. The numbers above are their sums.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Self>,
    /// The part that was due, if the resource has `refresh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshReport>,
    /// The limit that stopped a `partial` run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The event that resumes a `partial` run before the next schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Value>,
    /// The warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The plan, if the request has `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// The error that ended a `failed` run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// The counts of records and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// The records received, repeated reads included.
    pub received: u64,
    /// The rows whose key was not stored.
    pub new: u64,
    /// The rows that replaced a stored version.
    pub changed: u64,
    /// The rows that were stored already.
    pub unchanged: u64,
    /// The records that cannot become a row, kept under `_rejected`.
    pub rejected: u64,
    /// The records excluded: without a cursor if the manifest says so, or past for longer than `retention_days`.
    #[serde(skip_serializing_if = "is_zero")]
    pub excluded: u64,
    /// The stored rows removed, since a complete read did not receive them (`write_disposition: replace`), or by `retention_days`.
    #[serde(skip_serializing_if = "is_zero")]
    pub removed: u64,
    /// The stored rows marked as vanished, since a complete read did not receive them (`vanished`).
    #[serde(skip_serializing_if = "is_zero")]
    pub vanished: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero_usize(count: &usize) -> bool {
    *count == 0
}

/// The counts of queries.
#[derive(Clone, Debug, Default, Serialize)]
pub struct QueryCounts {
    /// The queries of the plan and those that they were split into.
    pub planned: usize,
    /// The queries that are complete.
    #[serde(rename = "whole")]
    pub complete: usize,
    /// The queries that an earlier run of the same request read, and that were not read again.
    #[serde(rename = "earlier", skip_serializing_if = "is_zero_usize")]
    pub resumed: usize,
    /// The first incomplete queries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<IncompleteQuery>,
    /// The number of further incomplete queries.
    #[serde(skip_serializing_if = "is_zero_usize")]
    pub more_incomplete: usize,
}

/// The greatest number of incomplete queries in a report: a Lambda response is limited to 6 MB, and people read one page.
const MAX_NAMED_QUERIES: usize = 20;

impl QueryCounts {
    /// Keeps the first [`MAX_NAMED_QUERIES`] incomplete queries, and counts the others.
    fn shorten(&mut self) {
        self.more_incomplete += self.incomplete.len().saturating_sub(MAX_NAMED_QUERIES);
        self.incomplete.truncate(MAX_NAMED_QUERIES);
    }
}

/// A query with missing records.
#[derive(Clone, Debug, Serialize)]
pub struct IncompleteQuery {
    /// The label of the query: its time window or its parameters.
    #[serde(rename = "name")]
    pub query: String,
    /// The total.
    #[serde(rename = "expected")]
    pub total: Option<u64>,
    /// The number of distinct records received.
    pub received: u64,
    /// The reason, and what to do.
    pub reason: String,
}

/// An error in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// [`Error::kind`].
    pub kind: &'static str,
    /// The message with all causes.
    pub message: String,
    /// Whether the same request may succeed later without a change.
    pub retryable: bool,
    /// The faults of a configuration error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultText>,
}

/// A fault in a report.
#[derive(Clone, Debug, Serialize)]
pub struct FaultText {
    /// The option or the path in the manifest.
    pub place: String,
    /// What is wrong, and which values are allowed.
    pub message: String,
}

impl Report {
    /// Returns the report of a run that took `elapsed`, with a limited number of incomplete queries.
    pub fn ended(mut self, elapsed: Duration) -> Self {
        self.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.queries.shorten();
        self
    }

    /// Returns the report of a run that `error` ended.
    pub fn failed(mut self, error: &Error) -> Self {
        let faults = match error {
            Error::Configuration(faults) => faults.0.iter().cloned().map(FaultText::from).collect(),
            _ => Vec::new(),
        };
        self.status = Status::Failed;
        self.error =
            Some(Failure { kind: error.kind(), message: chain(error), retryable: error.is_retryable(), faults });
        self
    }

    /// Returns the report of several resources. Its status is the worst one.
    pub fn of_several(source: &str, reports: Vec<Self>) -> Self {
        let mut sum = Self { source: source.to_owned(), status: Status::Complete, ..Self::default() };
        for report in &reports {
            sum.status = sum.status.worse(report.status);
            sum.records += report.records;
            sum.requests += report.requests;
            sum.objects += report.objects;
            sum.bytes_written += report.bytes_written;
            sum.elapsed_ms += report.elapsed_ms;
            sum.queries.planned += report.queries.planned;
            sum.queries.complete += report.queries.complete;
            sum.queries.resumed += report.queries.resumed;
            sum.proof += &report.proof;
            if let Some(total) = report.total {
                *sum.total.get_or_insert_default() += total;
            }
            if sum.stopped.is_none() {
                sum.stopped.clone_from(&report.stopped);
            }
        }
        let names: Vec<&str> = reports.iter().map(|report| report.resource.as_str()).collect();
        sum.resource = names.join(",");
        sum.resources = reports;
        sum
    }

    /// Returns the exit code of the command line: 0 for complete, 3 for partial, 4 for incomplete.
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Complete => 0,
            Status::Partial => 3,
            Status::Incomplete => 4,
            Status::Failed => 1,
        }
    }
}

impl std::ops::AddAssign for RecordCounts {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
        self.excluded += other.excluded;
        self.removed += other.removed;
        self.vanished += other.vanished;
    }
}

impl From<Fault> for FaultText {
    fn from(fault: Fault) -> Self {
        Self { place: fault.place, message: fault.message }
    }
}
