//! Reads the queries of a plan to their ends, several at the same time, and again if records are missing.
//!
//! Each page is ingested while the next one is requested. The verdict on the evidence of a query says whether the query is complete, is
//! read again, or is incomplete.

mod pages;
pub mod parents;
mod split;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use client::{Api, End, Pages, Position, Reader};
use futures::{TryStreamExt, stream};
use manifest::{Cursor, Query, WriteDisposition};
use tokio::sync::Mutex;

pub use self::pages::read_pages;
use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, PageRecords, Verdict};
use crate::ingest::Ingest;
use crate::plan::{Plan, PlannedQuery};
use crate::report::{IncompleteQuery, QueryCounts};
use crate::split::params::{MAX_READS, StoredValues};
use crate::state::{Calendars, Checkpoint, Progress, Watermarks};

/// The number of failed queries in a row after which the API counts as down. Each request was tried several times by then.
const MAX_FAILURES: u32 = 5;

/// The outcome of reading a plan.
#[derive(Debug, Default)]
pub struct ReadOutcome {
    /// The number of queries that were read, and those that are incomplete.
    pub queries: QueryCounts,
    /// The sum of the totals. `None` if the API gives none.
    pub total: Option<u64>,
    /// The furthest cursor of all records.
    pub newest: Option<Cursor>,
    /// The watermarks that the complete queries allow, by the key of the parent's record.
    pub parent_watermarks: Vec<(String, Cursor)>,
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
pub struct ReadState<'s, 'i> {
    /// The checkpoint from which the read resumes. Everything that it names is stored.
    pub checkpoint: Checkpoint,
    /// The calendars of the queries.
    pub calendars: Calendars<'i>,
    /// The watermarks of the children of each parent record.
    pub watermarks: &'s Watermarks,
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
    state: ReadState<'_, 'i>,
) -> FinishedRead<'i> {
    let ReadState { checkpoint, mut calendars, watermarks } = state;
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
        watermarks,
        stored: &stored,
        earlier: checkpoint.clone(),
        sink: Mutex::new(sink),
        checkpoint: RefCell::new(checkpoint),
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
    let mut outcome = reading.outcome.into_inner();
    if let Err(stop) = finished {
        outcome.stopped = Some(stop);
    }
    FinishedRead { outcome, checkpoint: reading.checkpoint.into_inner(), calendars: reading.calendars.into_inner() }
}

/// The read of a plan.
struct PlanReading<'p, 's, 'i> {
    ctx: &'p RunContext<'i>,
    reader: Reader<'p>,
    plan: &'p Plan<'p>,
    watermarks: &'p Watermarks,
    /// The stored values of parameters that queries are split by.
    stored: &'p StoredValues<'p>,
    /// The checkpoint at the start of the read.
    earlier: Checkpoint,
    sink: Mutex<Sink<'s, 'i>>,
    checkpoint: RefCell<Checkpoint>,
    calendars: RefCell<Calendars<'i>>,
    outcome: RefCell<ReadOutcome>,
    /// The number of failed queries since the last one that succeeded.
    failures: Cell<u32>,
}

/// One read of a query.
struct ReadQuery {
    evidence: Evidence,
    end: Result<End, Stop>,
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
        let limit = self.ctx.resource.endpoint.depth_limit;
        match (planned.time, limit) {
            _ if self.earlier.is_finished(planned.query.id()) => {
                self.outcome.borrow_mut().queries.resumed += 1;
                Ok(())
            }
            (Some(time), Some(limit)) => self.split_by_time(planned, time, limit).await,
            (None, Some(_)) if self.plan.splits_by_params() => self.split_by_params(planned).await,
            _ => self.read_unsplit(index, planned).await,
        }
    }

    /// Reads a query that is not split.
    async fn read_unsplit(&self, index: usize, planned: PlannedQuery<'_>) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        let id = query.id();
        let mut resumption = self.earlier.progress(id).map(crate::state::QueryProgress::resumption);
        for read in 1..=MAX_READS {
            let pages = self.reader.pages(&query, resumption.take());
            let ReadQuery { evidence, end } = self.read(&query, pages, true, &|_| {}).await?;
            let end = match end {
                Ok(end) => end,
                Err(stop) => return self.record_stop(&query.label, &evidence, stop),
            };
            self.failures.set(0);
            match evidence.verdict(&end) {
                Verdict::Short(_) if read < MAX_READS => {
                    tracing::warn!(query = query.label, "records are missing; reading the query again");
                    self.checkpoint.borrow_mut().clear_progress(id);
                }
                Verdict::Complete => {
                    self.record_complete(&query.label, &evidence);
                    self.checkpoint.borrow_mut().finish(id);
                    if let Some(newest) = evidence.newest() {
                        let reached = self.plan.parent_watermarks(index, newest, self.watermarks);
                        self.outcome.borrow_mut().parent_watermarks.extend(reached);
                    }
                    return Ok(());
                }
                verdict => {
                    self.checkpoint.borrow_mut().clear_progress(id);
                    self.record_incomplete(&query.label, &evidence, self.reason(verdict));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads the pages of `query` and ingests each while the next one is requested. If `resumable`, the progress of the query is kept in the
    /// checkpoint. The outer error is one of ingesting.
    async fn read(
        &self,
        query: &Arc<Query>,
        mut pages: Pages<'_>,
        resumable: bool,
        observe: &dyn Fn(&client::Page),
    ) -> Result<ReadQuery, Stop> {
        let mut evidence = None;
        let mut next = pages.next().await;
        let end = loop {
            let page = match next {
                Ok(Some(page)) => page,
                Ok(None) => break Ok(pages.end().cloned().unwrap_or(End::Reached)),
                Err(stop) => break Err(stop.into()),
            };
            observe(&page);
            let ingest = self.ingest_page(query, page, resumable, &mut evidence);
            let (following, ingested) = futures::join!(pages.next(), ingest);
            ingested?;
            next = following;
        };
        Ok(ReadQuery { evidence: evidence.unwrap_or_default(), end })
    }

    /// Ingests one page and adds it to the evidence.
    async fn ingest_page(
        &self,
        query: &Arc<Query>,
        mut page: client::Page,
        resumable: bool,
        evidence: &mut Option<Evidence>,
    ) -> Result<(), Stop> {
        let id = query.id();
        let position = page.position.take();
        let evidence = evidence.get_or_insert_with(|| self.begin_evidence(id, position.as_ref()));
        let progress = position.filter(|_| resumable).map(|position| evidence.progress_at(position));
        let total = page.total;
        // The lock is held until the checkpoint is saved, so that the checkpoint names stored rows only.
        let mut sink = self.sink.lock().await;
        let ingested =
            sink.ingest.page(page, query).await.inspect_err(|_| self.outcome.borrow_mut().parent_watermarks.clear());
        let ingested = ingested.map_err(Stop::Error)?;
        self.add_page(evidence, total, &ingested.records);
        if let Some(progress) = progress {
            self.checkpoint.borrow_mut().set_progress(id, progress);
        }
        // A read that replaces a table is not resumed, so it needs no checkpoint.
        if ingested.flushed && self.ctx.resource.write_disposition != WriteDisposition::Replace {
            let checkpoint = self.checkpoint.borrow().clone();
            sink.progress.save_checkpoint(&checkpoint).await.map_err(Stop::Error)?;
        }
        Ok(())
    }

    /// Returns the evidence at the start of a query whose first page is at `position`: that of an earlier run, if it stopped there.
    fn begin_evidence(&self, id: manifest::QueryId, position: Option<&Position>) -> Evidence {
        let progress = self.earlier.progress(id).filter(|progress| Some(&progress.position) == position);
        progress.map(Evidence::resumed).unwrap_or_default()
    }

    /// Adds a page to the evidence of its query, and its furthest cursor to the outcome.
    fn add_page(&self, evidence: &mut Evidence, total: Option<u64>, records: &PageRecords) {
        let incremental = self.ctx.resource.endpoint.incremental.as_ref();
        let furthest = |cursor: Cursor, other: Option<Cursor>| match incremental {
            Some(incremental) => cursor.furthest(other, incremental),
            None => cursor,
        };
        evidence.add_page(total, records, furthest);
        if let Some(newest) = records.newest {
            let mut outcome = self.outcome.borrow_mut();
            outcome.newest = Some(furthest(newest, outcome.newest));
        }
    }

    /// Records that a query is complete.
    fn record_complete(&self, label: &str, evidence: &Evidence) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(evidence.total());
        outcome.queries.complete += 1;
        let (total, received) = (evidence.total(), evidence.distinct());
        tracing::debug!(query = label, total, received, "the query is complete");
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
        match verdict {
            Verdict::Complete => String::new(),
            Verdict::Short(reason) => reason.to_owned(),
            Verdict::TooDeep => format!(
                "the API serves at most {} records of one query; narrow it with `from` and `to` or `params`",
                self.ctx.resource.endpoint.depth_limit.unwrap_or_default()
            ),
            Verdict::Stopped(reason) => reason,
        }
    }
}
