//! Reads a plan's queries to their ends, several side by side, and again where records are missing.
//!
//! Each page is ingested as soon as it is there, while the next one is on its way. What a query brought is its evidence; the verdict on it
//! says whether the query is complete, is read again, or is incomplete.

mod observe;
pub mod parents;
mod split;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use client::{Api, End, Pages, Position, Reader};
use futures::{TryStreamExt, stream};
use manifest::{Cursor, Query, WriteDisposition};
use tokio::sync::Mutex;

pub use self::observe::read_pages;
use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, PageRecords, Verdict};
use crate::ingest::Ingest;
use crate::plan::{Plan, PlannedQuery};
use crate::report::{IncompleteQuery, QueryCounts};
use crate::split::params::{MAX_READS, StoredValues};
use crate::state::{Calendars, Checkpoint, Progress, Watermarks};

/// Queries that fail one after the other before the API counts as down: each request was tried several times by then.
const MAX_FAILURES: u32 = 5;

/// What reading a plan showed.
#[derive(Debug, Default)]
pub struct ReadOutcome {
    /// How many queries were read, and those that are incomplete.
    pub queries: QueryCounts,
    /// The records that the API says there are, where it says so.
    pub total: Option<u64>,
    /// The furthest cursor of all rows.
    pub newest: Option<Cursor>,
    /// By the key of the parent's record: how far its queries have come that were read completely.
    pub parent_watermarks: Vec<(String, Cursor)>,
    /// What a reader of the report should know.
    pub warnings: Vec<String>,
    /// Why reading stopped before its end.
    pub stopped: Option<Stop>,
}

impl ReadOutcome {
    /// Whether every query was read completely.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.queries.incomplete.is_empty()
    }

    fn add_total(&mut self, total: Option<u64>) {
        if let Some(total) = total {
            *self.total.get_or_insert_default() += total;
        }
    }
}

/// Where pages go: into the table, with the progress that names them saved after.
#[derive(Debug)]
pub struct Sink<'s, 'i> {
    /// Stores the pages.
    pub ingest: &'s mut Ingest<'i>,
    /// Where checkpoints are saved.
    pub progress: &'s mut Progress<'i>,
}

/// What a reading goes on from, and what it leaves.
#[derive(Debug)]
pub struct ReadState<'s, 'i> {
    /// How far the reading has come. Everything that it names is stored.
    pub checkpoint: Checkpoint,
    /// When the records of its queries start.
    pub calendars: Calendars<'i>,
    /// The watermarks of the children of each of the parent's records.
    pub watermarks: &'s Watermarks,
}

/// A plan that was read, to its end or not.
#[derive(Debug)]
pub struct FinishedRead<'i> {
    /// What reading it showed.
    pub outcome: ReadOutcome,
    /// How far the reading has come.
    pub checkpoint: Checkpoint,
    /// When the records of its queries start.
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
        .try_for_each_concurrent(queries_at_a_time, async |index| reading.planned_query(index).await)
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

/// A plan that is being read.
struct PlanReading<'p, 's, 'i> {
    ctx: &'p RunContext<'i>,
    reader: Reader<'p>,
    plan: &'p Plan<'p>,
    watermarks: &'p Watermarks,
    /// The values of parameters that queries are split by.
    stored: &'p StoredValues<'p>,
    /// What an earlier run read.
    earlier: Checkpoint,
    sink: Mutex<Sink<'s, 'i>>,
    checkpoint: RefCell<Checkpoint>,
    calendars: RefCell<Calendars<'i>>,
    outcome: RefCell<ReadOutcome>,
    /// Queries that failed since one did not.
    failures: Cell<u32>,
}

/// A query that was read, or given up.
struct ReadQuery {
    evidence: Evidence,
    end: Result<End, Stop>,
}

impl PlanReading<'_, '_, '_> {
    /// Reads query number `index` of the plan, in the way that it is to be read.
    async fn planned_query(&self, index: usize) -> Result<(), Stop> {
        if self.outcome.borrow().stopped.is_some() {
            return Ok(());
        }
        let planned = match self.plan.query(index) {
            Ok(planned) => planned,
            Err(unsendable) => {
                self.incomplete(&unsendable.label, &Evidence::default(), unsendable.reason);
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
            (None, Some(limit)) if self.plan.splits_by_params() => self.split_by_params(planned, limit).await,
            _ => self.whole_query(index, planned).await,
        }
    }

    /// Reads a query that is not split.
    async fn whole_query(&self, index: usize, planned: PlannedQuery<'_>) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        let id = query.id();
        let mut resumption = self.earlier.progress(id).map(crate::state::QueryProgress::resumption);
        for read in 1..=MAX_READS {
            let pages = self.reader.pages(&query, resumption.take());
            let ReadQuery { evidence, end } = self.read(&query, pages, true, &|_| {}).await?;
            let end = match end {
                Ok(end) => end,
                Err(stop) => return self.stopped(&query.label, &evidence, stop),
            };
            self.failures.set(0);
            match evidence.verdict(&end) {
                Verdict::Short(_) if read < MAX_READS => {
                    tracing::warn!(query = query.label, "records are missing; reading the query again");
                    self.checkpoint.borrow_mut().clear_progress(id);
                }
                Verdict::Complete => {
                    self.complete(&query.label, &evidence);
                    self.checkpoint.borrow_mut().finish(id);
                    if let Some(newest) = evidence.newest() {
                        let reached = self.plan.parent_watermarks(index, newest, self.watermarks);
                        self.outcome.borrow_mut().parent_watermarks.extend(reached);
                    }
                    return Ok(());
                }
                verdict => {
                    self.checkpoint.borrow_mut().clear_progress(id);
                    self.incomplete(&query.label, &evidence, self.reason(verdict));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads the pages of `query` and ingests them, each while the next one is on its way. `resumable`: how far the query was read is kept in
    /// the checkpoint. The outer error is one of ingesting.
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
        // Locked until the checkpoint is saved: what it names must be among the rows that were stored.
        let mut sink = self.sink.lock().await;
        let ingested =
            sink.ingest.page(page, query).await.inspect_err(|_| self.outcome.borrow_mut().parent_watermarks.clear());
        let ingested = ingested.map_err(Stop::Error)?;
        self.add_page(evidence, total, &ingested.records);
        if let Some(progress) = progress {
            self.checkpoint.borrow_mut().set_progress(id, progress);
        }
        // What replaces a table is read in one go.
        if ingested.flushed && self.ctx.resource.write_disposition != WriteDisposition::Replace {
            let checkpoint = self.checkpoint.borrow().clone();
            sink.progress.save_checkpoint(&checkpoint).await.map_err(Stop::Error)?;
        }
        Ok(())
    }

    /// The evidence of a query whose first page lies at `position`: that of an earlier run, if it stopped there.
    fn begin_evidence(&self, id: manifest::QueryId, position: Option<&Position>) -> Evidence {
        let progress = self.earlier.progress(id).filter(|progress| Some(&progress.position) == position);
        progress.map(Evidence::resumed).unwrap_or_default()
    }

    fn add_page(&self, evidence: &mut Evidence, total: Option<u64>, records: &PageRecords) {
        let incremental = self.ctx.resource.endpoint.incremental.as_ref();
        let further = |cursor: Cursor, other: Option<Cursor>| match incremental {
            Some(incremental) => cursor.furthest(other, incremental),
            None => cursor,
        };
        evidence.add_page(total, records, further);
        if let Some(newest) = records.newest {
            let mut outcome = self.outcome.borrow_mut();
            outcome.newest = Some(further(newest, outcome.newest));
        }
    }

    /// Notes a query that was read completely.
    fn complete(&self, label: &str, evidence: &Evidence) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(evidence.total());
        outcome.queries.complete += 1;
        let (total, received) = (evidence.total(), evidence.distinct());
        tracing::debug!(query = label, total, received, "the query is complete");
    }

    /// Notes a query that was not read completely.
    fn incomplete(&self, label: &str, evidence: &Evidence, reason: String) {
        let (total, received) = (evidence.total(), evidence.distinct());
        tracing::warn!(query = label, total, received, "{reason}");
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(total);
        outcome.queries.incomplete.push(IncompleteQuery { query: label.to_owned(), total, received, reason });
    }

    /// Notes a query that was stopped. A limit of the run ends the reading, and what was read so far of each query stays. One query among
    /// several that fails leaves the others as they are; but an API that is down is an error, and so is what no other query can do better.
    fn stopped(&self, label: &str, evidence: &Evidence, stop: Stop) -> Result<(), Stop> {
        let error = match stop {
            Stop::Limit(reason) => {
                self.outcome.borrow_mut().stopped.get_or_insert(Stop::Limit(reason));
                return Ok(());
            }
            Stop::Error(error) => error,
        };
        let is_of_the_query = matches!(error, Error::Client(client::Error::Api { .. } | client::Error::Decode { .. }));
        self.failures.set(self.failures.get() + 1);
        let planned = u32::try_from(self.plan.len()).unwrap_or(MAX_FAILURES);
        if !is_of_the_query || self.failures.get() >= MAX_FAILURES.min(planned) {
            return Err(Stop::Error(error));
        }
        self.incomplete(label, evidence, error.to_string());
        Ok(())
    }

    /// Why a query with this verdict is incomplete.
    fn reason(&self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Complete => String::new(),
            Verdict::Short(reason) => reason.to_owned(),
            Verdict::TooDeep => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                self.ctx.resource.endpoint.depth_limit.unwrap_or_default()
            ),
            Verdict::Stopped(reason) => reason,
        }
    }
}
