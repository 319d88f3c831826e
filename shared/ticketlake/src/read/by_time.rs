//! Reads the queries of a plan that are split by time.
//!
//! Each window is complete by its own total. Whether the windows together are all of the query is proven by the query's own total, which is
//! requested before and after: a record between two windows or without a time is in no window.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use client::{FirstPage, Page};
use futures::{TryStreamExt, stream};
use manifest::time::TimeRange;
use manifest::{Query, QueryId};

use super::PlanReading;
use super::open_query::OpenQuery;
use super::split_reading::SplitReading;
use super::unsplit::ReadEnd;
use crate::error::Stop;
use crate::evidence::{Evidence, ProvenQuery, SplitEvidence, Unproven, Verdict};
use crate::plan::{PlannedQuery, TimeSplit};
use crate::split::SplitSource;
use crate::split::time::{OpenWindow, WindowSplitter, Windows};
use crate::state::{CoveredWindows, FinishedQuery};

/// The number of windows of one query that are read at the same time: the first page of the next one, and the other pages of the last.
const WINDOWS_AT_A_TIME: usize = 2;

/// A query that is split by time, while its windows are read.
struct TimeQuery<'q> {
    id: QueryId,
    query: Arc<Query>,
    time: TimeSplit<'q>,
    /// The total of the query before its windows are read. `None` if it is not known.
    before: Cell<Option<u64>>,
    /// Whether the total is still to be requested. It is not if the first window is the whole query, or if the calendar of an earlier run
    /// has more records than the API counts.
    lacks_total: Cell<bool>,
    /// The proof of the only window, if the query fits into one.
    only_window: Cell<Option<ProvenQuery>>,
    /// Whether a window is incomplete.
    is_incomplete: Cell<bool>,
    /// Whether the query counts as planned already: it counts as its first window, and each further window as another query.
    has_counted_first: Cell<bool>,
}

impl PlanReading<'_, '_, '_> {
    /// Reads a query in time windows. A second that is too deep is split by other parameters.
    pub(super) async fn split_by_time(
        &self,
        planned: PlannedQuery<'_>,
        time: TimeSplit<'_>,
        limit: u64,
    ) -> Result<(), Stop> {
        let id = planned.query.id();
        let gaps = self.earlier.gaps(id, time.window);
        if gaps.is_empty() {
            self.outcome.borrow_mut().queries.resumed += 1;
        }
        let calendar = planned.calendar.and_then(|calendar| self.calendars.borrow().get(calendar).cloned());
        let expected = calendar.as_ref().map_or(0, |calendar| calendar.records_within(time.window));
        let before = self.earlier.windows(id).and_then(|windows| windows.total);
        let query = TimeQuery {
            id,
            query: Arc::new(planned.query),
            time,
            before: Cell::new(before),
            lacks_total: Cell::new(before.is_none() && !self.is_lower_bound(expected)),
            only_window: Cell::new(None),
            is_incomplete: Cell::new(false),
            has_counted_first: Cell::new(false),
        };
        for gap in gaps {
            let page_size = self.reader.page_size().unwrap_or(limit);
            let mut splitter = WindowSplitter::new(gap, limit, page_size)
                .with_overlap(time.time.overlap_seconds())
                .around(self.ctx.now().timestamp())
                .with_calendar(calendar.clone());
            if expected <= limit {
                splitter = splitter.whole_first();
            }
            let calendar = self.read_windows(&query, gap, splitter).await?;
            if let (Some(name), Some(calendar)) = (planned.calendar, calendar) {
                self.calendars.borrow_mut().set(name, calendar);
            }
        }
        let is_stopped = self.outcome.borrow().stopped.is_some();
        if is_stopped || query.is_incomplete.get() { Ok(()) } else { self.prove(&query).await }
    }

    /// Reads the windows of `gap`. Returns the calendar of its records.
    async fn read_windows(
        &self,
        query: &TimeQuery<'_>,
        gap: TimeRange,
        splitter: WindowSplitter,
    ) -> Result<Option<crate::state::Calendar>, Stop> {
        let source = SplitReading::new(self);
        let windows = Windows::new(&source, &query.query, query.time.time, splitter);
        let opened = stream::unfold(&windows, async |windows| {
            if self.outcome.borrow().stopped.is_some() {
                return None;
            }
            Some((Ok(windows.next().await?), windows))
        });
        let read = async |window| {
            if query.lacks_total.replace(false) {
                let total = match windows.total().filter(|_| gap == query.time.window) {
                    Some(total) => Some(total),
                    None if is_whole(&window, query) => None,
                    None => self.total_of(&query.query).await?,
                };
                query.before.set(total);
                self.checkpoint.borrow_mut().set_window_total(query.id, total);
            }
            if query.has_counted_first.replace(true) {
                self.outcome.borrow_mut().queries.planned += 1;
            }
            self.read_window(query, window, &windows).await
        };
        opened.try_for_each_concurrent(WINDOWS_AT_A_TIME, read).await?;
        Ok(windows.calendar())
    }

    /// Returns whether a total is only a lower bound.
    fn is_lower_bound(&self, total: u64) -> bool {
        self.ctx.resource.endpoint.total_limit.is_some_and(|limit| total >= limit)
    }

    /// Requests the total of a query. `None` if the API gives none.
    pub(super) async fn total_of(&self, query: &Arc<Query>) -> Result<Option<u64>, Stop> {
        let first = SplitReading::new(self).first_page(query).await?;
        Ok(first.and_then(|first| first.total()))
    }

    /// Gives the verdict on a query whose windows are all complete.
    async fn prove(&self, query: &TimeQuery<'_>) -> Result<(), Stop> {
        let CoveredWindows { records, unproven, .. } =
            self.checkpoint.borrow().windows(query.id).cloned().unwrap_or_default();
        let received = records.len();
        let before = query.before.get();
        let verdict = match query.only_window.get() {
            Some(proof) => return self.finish_time_query(query, proof),
            None if self.is_lower_bound(before.unwrap_or_default().max(received)) => {
                Verdict::Unproven(Unproven::TotalIsLowerBound)
            }
            None => {
                let after = match self.total_of(&query.query).await {
                    Ok(after) => after,
                    Err(stop) => return self.record_stop(&query.query.label, &Evidence::default(), stop),
                };
                let keys = records.into_keys();
                SplitEvidence { keys, before, after }.verdict(self.ctx.resource.endpoint.total_limit)
            }
        };
        match ProvenQuery::new(&verdict, received) {
            Some(proof) => {
                self.finish_time_query(query, ProvenQuery { unproven: unproven.or(proof.unproven), ..proof })
            }
            None => {
                // The next run reads all windows again, since it is not known which of them lacks records.
                self.checkpoint.borrow_mut().clear_windows(query.id);
                self.record_incomplete_split(
                    &query.query,
                    (before.unwrap_or_default(), received),
                    self.reason(verdict),
                );
                Ok(())
            }
        }
    }

    fn finish_time_query(&self, query: &TimeQuery<'_>, proof: ProvenQuery) -> Result<(), Stop> {
        self.outcome.borrow_mut().proof.add(proof);
        self.checkpoint.borrow_mut().finish(query.id, FinishedQuery { proof, evidence: None });
        Ok(())
    }

    /// Reads a window of a query.
    async fn read_window<S: SplitSource<First = FirstPage>>(
        &self,
        query: &TimeQuery<'_>,
        window: OpenWindow<FirstPage>,
        windows: &Windows<'_, S>,
    ) -> Result<(), Stop> {
        let (range, read) = match window {
            OpenWindow::Fits(window_query, range, first) => {
                let starts = RefCell::new(Vec::new());
                let observe = |page: &Page| starts.borrow_mut().extend(windows.starts(&page.records));
                let read = self.read_window_query(&window_query, first, &observe).await?;
                windows.add_starts(range, &starts.into_inner());
                if let Some((proof, _)) = &read
                    && range == query.time.window
                {
                    query.only_window.set(Some(*proof));
                }
                (range, read)
            }
            OpenWindow::Moment(window_query, range, first) => {
                let read = self.read_subqueries(&window_query, first).await?;
                if read.is_some() {
                    self.outcome.borrow_mut().queries.complete += 1;
                }
                (range, read.map(|read| (read.proof, read.keys)))
            }
            OpenWindow::Ignored(range) => {
                self.failures.set(0);
                self.outcome.borrow_mut().queries.complete += 1;
                (range, Some((ProvenQuery { records: 0, unproven: Some(Unproven::Ignored) }, HashSet::new())))
            }
            OpenWindow::Failed(window_query, stop) => {
                query.is_incomplete.set(true);
                return self.record_stop(&window_query.label, &Evidence::default(), stop);
            }
        };
        match read {
            Some((proof, keys)) => {
                let mut checkpoint = self.checkpoint.borrow_mut();
                checkpoint.cover(query.id, range, &keys, self.ctx.resource.endpoint.total_limit);
                if let Some(reason @ (Unproven::Ignored | Unproven::UnknownKeys)) = proof.unproven {
                    checkpoint.set_window_unproven(query.id, reason);
                }
            }
            None => query.is_incomplete.set(true),
        }
        Ok(())
    }

    /// Reads the query of a window, and again if records are missing. `first` is its first page. Returns the proof and the keys of its
    /// records, or `None` if it is incomplete.
    async fn read_window_query(
        &self,
        query: &Arc<Query>,
        first: FirstPage,
        observe: &dyn Fn(&Page),
    ) -> Result<Option<(ProvenQuery, HashSet<u64>)>, Stop> {
        let mut first = Some(first);
        let mut reads = 0;
        loop {
            let mut pages = match first.take() {
                Some(first) => self.reader.pages_from(query, first),
                None => self.reader.pages(query, None),
            };
            let open = RefCell::new(OpenQuery::new(None, self.ctx.resource.endpoint.total_limit));
            let end = self.read_pages(query, &mut pages, &open, observe).await?;
            let evidence = open.into_inner().into_evidence();
            let verdict = match end {
                ReadEnd::Stopped(stop) => return self.record_stop(&query.label, &evidence, stop).map(|()| None),
                ReadEnd::Judged(verdict) => verdict,
            };
            self.failures.set(0);
            reads += 1;
            if verdict.is_read_again(reads) {
                tracing::warn!(query = query.label, ?verdict, "records may be missing; reading the query again");
                continue;
            }
            let Some(proof) = ProvenQuery::new(&verdict, evidence.distinct()) else {
                self.record_incomplete(&query.label, &evidence, self.reason(verdict));
                return Ok(None);
            };
            let mut outcome = self.outcome.borrow_mut();
            outcome.add_total(evidence.total());
            outcome.queries.complete += 1;
            return Ok(Some((proof, evidence.records().map(|(key, _)| key).collect())));
        }
    }
}

/// Returns whether a window is the whole query.
fn is_whole(window: &OpenWindow<FirstPage>, query: &TimeQuery<'_>) -> bool {
    matches!(window, OpenWindow::Fits(_, range, _) | OpenWindow::Moment(_, range, _) if *range == query.time.window)
}
