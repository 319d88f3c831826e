//! What a run did, as JSON: the command line's standard output and the Lambda's answer.
//!
//! The names in the JSON are an interface that scripts and alarms read; where a field has another name here, that is the glossary's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use client::Requests;
use client::error::chain;
use client::limits::QuotaLeft;
use manifest::Fault;

use crate::error::Error;
use crate::plan::due::RefreshReport;

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that was asked for is in the lake.
    Complete,
    /// Out of requests, time or quota: what was read is in the lake, the rest remains.
    Partial,
    /// The API's own numbers do not add up: see [`QueryCounts::incomplete`].
    Incomplete,
    /// An error ended it: see [`Report::error`].
    #[default]
    Failed,
}

impl Status {
    /// As the report writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

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

/// A run's report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The source's name.
    pub source: String,
    /// The resource's name.
    pub resource: String,
    /// Records and rows.
    pub records: RecordCounts,
    /// HTTP requests to the API.
    pub requests: Requests,
    /// What is left of the limits that are counted, over more than ten seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<QuotaLeft>,
    /// Records that the API says there are; null where it does not say.
    #[serde(rename = "expected")]
    pub total: Option<u64>,
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// How far complete runs have come, RFC 3339; null for resources without a cursor.
    pub watermark: Option<String>,
    /// The queries that the run read.
    #[serde(rename = "slices")]
    pub queries: QueryCounts,
    /// Milliseconds.
    pub elapsed_ms: u64,
    /// By resource: records that lay inside those of this one, and were stored in that resource's table.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub harvested: BTreeMap<String, RecordCounts>,
    /// Of a run over several resources: each one's own report. The numbers above are their sums.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Self>,
    /// Of a resource that is refreshed in parts: which part was read, and why that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshReport>,
    /// What ended the run before its end, of a `partial` one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Of a `partial` run: the event that goes on with it, for whoever does not wait for the next schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Value>,
    /// What a reader of the report should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The plan, when the request was to `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// What ended the run, of a `failed` one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Counts of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// Records that the API sent, those read again among them.
    pub received: u64,
    /// Rows whose key was not stored.
    pub new: u64,
    /// Rows that replaced a stored version.
    pub changed: u64,
    /// Rows that were stored as they are.
    pub unchanged: u64,
    /// Records that have no place, kept under `_rejected`.
    pub rejected: u64,
    /// Records left out: without a cursor, where the manifest says so, or past longer than they are kept (`retention_days`).
    #[serde(skip_serializing_if = "is_zero")]
    pub excluded: u64,
    /// Stored rows taken out because a complete reading did not have them (`write_disposition: replace`), or because they are kept no
    /// longer (`retention_days`).
    #[serde(skip_serializing_if = "is_zero")]
    pub removed: u64,
    /// Stored rows marked because a complete reading of everything did not have them (`vanished`).
    #[serde(skip_serializing_if = "is_zero")]
    pub vanished: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Counts of queries.
#[derive(Clone, Debug, Default, Serialize)]
pub struct QueryCounts {
    /// The queries that were to be read, those that others were split into included.
    pub planned: usize,
    /// The queries that were read completely, by the API's own numbers.
    #[serde(rename = "whole")]
    pub complete: usize,
    /// The queries that an earlier run of the same request read, and this one did not.
    #[serde(rename = "earlier", skip_serializing_if = "is_none")]
    pub resumed: usize,
    /// The first of the queries that were not read completely.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<IncompleteQuery>,
    /// How many more were not.
    #[serde(skip_serializing_if = "is_none")]
    pub more_incomplete: usize,
}

/// Incomplete queries that a report names: an answer of Lambda's can have 6 MB, one that is read has a page.
const MAX_NAMED_QUERIES: usize = 20;

impl QueryCounts {
    /// Leaves the first [`MAX_NAMED_QUERIES`] incomplete ones, and counts the others.
    fn shorten(&mut self) {
        self.more_incomplete += self.incomplete.len().saturating_sub(MAX_NAMED_QUERIES);
        self.incomplete.truncate(MAX_NAMED_QUERIES);
    }
}

/// A query of which records are missing, or may be.
#[derive(Clone, Debug, Serialize)]
pub struct IncompleteQuery {
    /// Its time window or its parameters.
    #[serde(rename = "name")]
    pub query: String,
    /// Records that the API says it has.
    #[serde(rename = "expected")]
    pub total: Option<u64>,
    /// Distinct records received.
    pub received: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// An error in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// [`Error::kind`].
    pub kind: &'static str,
    /// Its text.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Each fault of a configuration error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultText>,
}

/// A fault in a report.
#[derive(Clone, Debug, Serialize)]
pub struct FaultText {
    /// Where.
    pub place: String,
    /// What, with the value allowed.
    pub message: String,
}

impl Report {
    /// The report of a run that took so long, short enough to be read.
    pub fn ended(mut self, elapsed: Duration) -> Self {
        self.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.queries.shorten();
        self
    }

    /// The report of a run that `error` ended.
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

    /// The report of a run over several resources: as bad as its worst.
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
            if let Some(total) = report.total {
                *sum.total.get_or_insert_default() += total;
            }
        }
        let names: Vec<&str> = reports.iter().map(|report| report.resource.as_str()).collect();
        sum.resource = names.join(",");
        sum.resources = reports;
        sum
    }

    /// The command line's exit code, without an error: 0 complete, 3 partial, 4 incomplete.
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
