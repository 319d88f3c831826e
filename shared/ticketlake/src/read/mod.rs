//! Reads the queries of a plan to their ends, several at the same time, and again if records are missing.
//!
//! Each page is ingested while the next one is requested. The verdict on the evidence of a query says whether the query is complete, is
//! read again, or is incomplete.

mod by_params;
mod by_time;
mod open_query;
mod pages;
pub mod parents;
mod split_reading;
mod unsplit;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use client::{Api, Reader};
use futures::{TryStreamExt, stream};
use manifest::{Cursor, Paginator, QueryId, WriteDisposition};
use tokio::sync::Mutex;

use self::open_query::OpenQuery;
pub use self::pages::read_pages;
use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, Proof, ProvenQuery, Verdict};
use crate::ingest::Ingest;
use crate::plan::Plan;
use crate::report::{IncompleteQuery, QueryCounts};
use crate::split::params::StoredValues;
use crate::state::{Calendars, Checkpoint, Progress};

/// The number of records in a checkpoint for which it is saved less often by one flush. A record takes 16 bytes in it, so that this many take
/// 16 MB. A flush has up to a seventh of the memory in rows, or a minute of reading.
const RECORDS_FOR_A_FLUSH: u64 = 1_000_000;

/// The number of failed queries in a row after which the API counts as down. Each request was tried several times by then.
const MAX_FAILURES: u32 = 5;

/// A query of a plan that was read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadQuery {
    /// The number of the query in the plan.
    pub index: usize,
    /// The furthest cursor of its records.
    pub newest: Option<Cursor>,
}

/// The outcome of reading a plan.
#[derive(Debug, Default)]
pub struct ReadOutcome {
    /// The number of queries that were read, and those that are incomplete.
    pub queries: QueryCounts,
    /// The complete queries, also those of the parent: those that a total proves, and the others.
    pub proof: Proof,
    /// The complete queries of the parent.
    pub parents: Proof,
    /// The sum of the totals. `None` if the API gives none.
    pub total: Option<u64>,
    /// The furthest cursor of all records.
    pub newest: Option<Cursor>,
    /// The queries that were read completely, and that were not split.
    pub finished: Vec<ReadQuery>,
    /// The warnings for the report.
    pub warnings: Vec<String>,
    /// The reason why reading stopped before its end.
    pub stopped: Option<Stop>,
}

impl ReadOutcome {
    /// Returns whether every query was read completely.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.queries.incomplete.is_empty()
    }

    fn add_total(&mut self, total: Option<u64>) {
        if let Some(total) = total {
            *self.total.get_or_insert_default() += total;
        }
    }
}

/// Where pages are stored, and then the progress that names them.
#[derive(Debug)]
pub struct Sink<'s, 'i> {
    /// Stores the pages.
    pub ingest: &'s mut Ingest<'i>,
    /// Where checkpoints are saved.
    pub progress: &'s mut Progress<'i>,
}

/// The state at the start of a read.
#[derive(Debug)]
pub struct ReadState<'i> {
    /// The checkpoint from which the read resumes. Everything that it names is stored.
    pub checkpoint: Checkpoint,
    /// The calendars of the queries.
    pub calendars: Calendars<'i>,
}

/// A read of a plan that has ended, complete or not.
#[derive(Debug)]
pub struct FinishedRead<'i> {
    /// The outcome of the read.
    pub outcome: ReadOutcome,
    /// The checkpoint at the end of the read.
    pub checkpoint: Checkpoint,
    /// The calendars of the queries.
    pub calendars: Calendars<'i>,
}

/// Reads every query of `plan` into `sink`.
pub async fn read_plan<'i>(
    ctx: &RunContext<'i>,
    api: &Api<'_>,
    plan: &Plan<'_>,
    sink: Sink<'_, 'i>,
    state: ReadState<'i>,
) -> FinishedRead<'i> {
    let ReadState { checkpoint, mut calendars } = state;
    let splits_by_time = (0..plan.len()).any(|index| plan.query(index).is_ok_and(|planned| planned.time.is_some()));
    if ctx.resource.endpoint.depth_limit.is_some() && splits_by_time {
        calendars.load().await;
    }
    let stored = StoredValues::new(ctx.store, ctx.manifest, ctx.request.format);
    let outcome = ReadOutcome {
        queries: QueryCounts { planned: plan.len(), ..QueryCounts::default() },
        ..ReadOutcome::default()
    };
    let reading = PlanReading {
        ctx,
        reader: Reader::new(api, ctx.resource),
        plan,
        stored: &stored,
        earlier: checkpoint.clone(),
        sink: Mutex::new(sink),
        checkpoint: RefCell::new(checkpoint),
        open: RefCell::default(),
        unsaved_flushes: Cell::new(0),
        calendars: RefCell::new(calendars),
        outcome: RefCell::new(outcome),
        failures: Cell::new(0),
    };
    let queries_at_a_time = if plan.len() > 1 { api.in_flight() } else { 1 };
    let read = stream::iter((0..plan.len()).map(Ok))
        .try_for_each_concurrent(queries_at_a_time, async |index| reading.read_planned(index).await)
        .await;
    let finished = match read {
        Ok(()) => reading.sink.lock().await.ingest.infer_columns().await.map(|_| ()).map_err(Stop::Error),
        Err(stop) => Err(stop),
    };
    let checkpoint = reading.snapshot();
    let mut outcome = reading.outcome.into_inner();
    if let Err(stop) = finished {
        outcome.stopped = Some(stop);
    }
    FinishedRead { outcome, checkpoint, calendars: reading.calendars.into_inner() }
}

/// The read of a plan.
struct PlanReading<'p, 's, 'i> {
    ctx: &'p RunContext<'i>,
    reader: Reader<'p>,
    plan: &'p Plan<'p>,
    /// The stored values of parameters that queries are split by.
    stored: &'p StoredValues<'p>,
    /// The checkpoint at the start of the read.
    earlier: Checkpoint,
    sink: Mutex<Sink<'s, 'i>>,
    checkpoint: RefCell<Checkpoint>,
    /// The queries that are read and can be resumed.
    open: RefCell<BTreeMap<QueryId, Rc<RefCell<OpenQuery>>>>,
    /// The number of flushes since the checkpoint was saved.
    unsaved_flushes: Cell<u64>,
    calendars: RefCell<Calendars<'i>>,
    outcome: RefCell<ReadOutcome>,
    /// The number of failed queries since the last one that succeeded.
    failures: Cell<u32>,
}

impl PlanReading<'_, '_, '_> {
    /// Reads the query number `index` of the plan, and splits it if necessary.
    async fn read_planned(&self, index: usize) -> Result<(), Stop> {
        if self.outcome.borrow().stopped.is_some() {
            return Ok(());
        }
        let planned = match self.plan.query(index) {
            Ok(planned) => planned,
            Err(unsendable) => {
                self.record_incomplete(&unsendable.label, &Evidence::default(), unsendable.reason);
                return Ok(());
            }
        };
        match (planned.time, self.served_limit()) {
            _ if let Some(finished) = self.earlier.finished(planned.query.id()) => {
                let mut outcome = self.outcome.borrow_mut();
                outcome.queries.resumed += 1;
                outcome.proof.add(finished.proof);
                Ok(())
            }
            (Some(time), Some(limit)) => self.split_by_time(planned, time, limit).await,
            (None, Some(_)) if self.plan.splits_by_params() => self.split_by_params(planned).await,
            _ => self.read_unsplit(index, planned).await,
        }
    }

    /// Returns the number of records that can be read of one query, if the API limits it. By page number these are whole pages.
    fn served_limit(&self) -> Option<u64> {
        let limit = self.ctx.resource.endpoint.depth_limit?;
        let by_number = matches!(self.ctx.resource.endpoint.paginator, Paginator::PageNumber { .. });
        Some(match self.reader.page_size() {
            Some(size) if by_number && size > 0 => (limit / size).max(1) * size,
            _ => limit,
        })
    }

    /// Returns the furthest of two cursors.
    fn furthest(&self, cursor: Cursor, other: Option<Cursor>) -> Cursor {
        match &self.ctx.resource.endpoint.incremental {
            Some(incremental) => cursor.furthest(other, incremental),
            None => cursor,
        }
    }

    /// Returns the checkpoint with the progress of the queries that are being read.
    fn snapshot(&self) -> Checkpoint {
        let mut checkpoint = self.checkpoint.borrow().clone();
        for (id, open) in &*self.open.borrow() {
            match open.borrow().progress() {
                Some(progress) => checkpoint.set_progress(*id, progress),
                None => checkpoint.clear_progress(*id),
            }
        }
        checkpoint
    }

    /// Saves the checkpoint. All rows that were ingested so far are stored. A checkpoint with many records is saved less often.
    async fn save_checkpoint(&self, sink: &mut Sink<'_, '_>) -> Result<(), Stop> {
        // A read that replaces a table is not resumed, so it needs no checkpoint.
        if self.ctx.resource.write_disposition == WriteDisposition::Replace || sink.ingest.has_discarded() {
            return Ok(());
        }
        let records: u64 = self.open.borrow().values().map(|open| open.borrow().evidence().distinct()).sum();
        self.unsaved_flushes.set(self.unsaved_flushes.get() + 1);
        if self.unsaved_flushes.get() <= records / RECORDS_FOR_A_FLUSH {
            return Ok(());
        }
        self.unsaved_flushes.set(0);
        sink.progress.save_checkpoint(&self.snapshot(), self.ctx.now()).await.map_err(Stop::Error)
    }

    /// Records that a query of the plan is complete.
    fn record_complete(&self, label: &str, total: Option<u64>, proof: ProvenQuery) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(total);
        outcome.queries.complete += 1;
        outcome.proof.add(proof);
        tracing::debug!(query = label, total, received = proof.records, unproven = ?proof.unproven, "the query is complete");
    }

    /// Records that a query is incomplete.
    fn record_incomplete(&self, label: &str, evidence: &Evidence, reason: String) {
        let (total, received) = (evidence.total(), evidence.distinct());
        tracing::warn!(query = label, total, received, "{reason}");
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(total);
        outcome.queries.incomplete.push(IncompleteQuery { query: label.to_owned(), total, received, reason });
    }

    /// Records that a query stopped. A limit of the run ends the read, and the progress of each query is kept. If a query fails, the others
    /// are still read, unless the error is not one of that query, or the API counts as down: then the error is returned.
    fn record_stop(&self, label: &str, evidence: &Evidence, stop: Stop) -> Result<(), Stop> {
        let error = match stop {
            Stop::Limit(reason) => {
                self.outcome.borrow_mut().stopped.get_or_insert(Stop::Limit(reason));
                return Ok(());
            }
            Stop::Error(error) => error,
        };
        let is_query_error = matches!(error, Error::Client(client::Error::Api { .. } | client::Error::Decode { .. }));
        self.failures.set(self.failures.get() + 1);
        let planned = u32::try_from(self.plan.len()).unwrap_or(MAX_FAILURES);
        if !is_query_error || self.failures.get() >= MAX_FAILURES.min(planned) {
            return Err(Stop::Error(error));
        }
        self.record_incomplete(label, evidence, error.to_string());
        Ok(())
    }

    /// Returns the reason why a query with this verdict is incomplete.
    fn reason(&self, verdict: Verdict) -> String {
        incomplete_reason(verdict, self.ctx.resource.endpoint.depth_limit)
    }
}

/// Returns the reason why a query with this verdict is incomplete. `depth_limit` is the number of records that the API serves of one query.
pub fn incomplete_reason(verdict: Verdict, depth_limit: Option<u64>) -> String {
    match verdict {
        Verdict::Proven | Verdict::Unproven(_) => String::new(),
        Verdict::Short(reason) => reason.to_owned(),
        Verdict::Moved => "records changed their places in every read, so that some may be on no page".to_owned(),
        Verdict::Conflicting { records, example } => format!(
            "{records} records have a key that another record has with other content, for example `{example}`: one row would stand for several; check `primary_key`"
        ),
        Verdict::TooDeep => format!(
            "the API serves at most {} records of one query; narrow it with `from` and `to` or `params`",
            depth_limit.unwrap_or_default()
        ),
        Verdict::Suspicious(reason) | Verdict::Stopped(reason) => reason,
    }
}
