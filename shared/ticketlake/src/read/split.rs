//! Reads the queries of a plan that are split by time or by their parameters.

use std::cell::RefCell;
use std::sync::Arc;

use client::{End, FirstPage, Page};
use futures::{TryStreamExt, stream};
use manifest::{Query, QueryId};

use super::{PlanReading, ReadQuery};
use crate::error::Stop;
use crate::evidence::{Evidence, Verdict};
use crate::plan::{PlannedQuery, TimeSplit};
use crate::report::IncompleteQuery;
use crate::split::SplitSource;
use crate::split::params::{MAX_READS, ParamSplitter, SplitProof, SplitResult};
use crate::split::time::{OpenWindow, WindowSplitter, Windows};
use crate::state::FinishedSubquery;

/// The number of windows of one query that are read at the same time: the first page of the next one, and the other pages of the last.
const WINDOWS_AT_A_TIME: usize = 2;

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
            return Ok(());
        }
        // The query counts as its first window. Each further window is another query.
        let has_counted_first = RefCell::new(false);
        for gap in gaps {
            let page_size = self.reader.page_size().unwrap_or(limit);
            let calendar = planned.calendar.and_then(|calendar| self.calendars.borrow().get(calendar).cloned());
            let splitter =
                WindowSplitter::new(gap, limit, page_size).around(self.ctx.now().timestamp()).with_calendar(calendar);
            let windows = Windows::new(self, &planned.query, time.time, splitter);
            let opened = stream::unfold(&windows, async |windows| {
                if self.outcome.borrow().stopped.is_some() {
                    return None;
                }
                Some((Ok(windows.next().await?), windows))
            });
            let read = async |window| {
                if has_counted_first.replace(true) {
                    self.outcome.borrow_mut().queries.planned += 1;
                }
                self.read_window(id, window, &windows).await
            };
            opened.try_for_each_concurrent(WINDOWS_AT_A_TIME, read).await?;
            if let (Some(name), Some(calendar)) = (planned.calendar, windows.calendar()) {
                self.calendars.borrow_mut().set(name, calendar);
            }
        }
        Ok(())
    }

    /// Reads a window of the query `id`.
    async fn read_window(
        &self,
        id: QueryId,
        window: OpenWindow<FirstPage>,
        windows: &Windows<'_, Self>,
    ) -> Result<(), Stop> {
        match window {
            OpenWindow::Fits(query, range, first) => {
                let starts = RefCell::new(Vec::new());
                let observe = |page: &Page| starts.borrow_mut().extend(windows.starts(&page.records));
                let complete = self.read_window_query(&query, first, &observe).await?;
                windows.add_starts(range, &starts.into_inner());
                if complete {
                    self.checkpoint.borrow_mut().cover(id, range);
                }
                Ok(())
            }
            OpenWindow::Moment(query, range, first) => {
                if self.read_subqueries(&query, first).await? {
                    self.checkpoint.borrow_mut().cover(id, range);
                }
                Ok(())
            }
            OpenWindow::Ignored(query) => {
                self.failures.set(0);
                self.record_complete(&query.label, &Evidence::default());
                Ok(())
            }
            OpenWindow::Failed(query, stop) => self.record_stop(&query.label, &Evidence::default(), stop),
        }
    }

    /// Reads the query of a window, and again if records are missing. `first` is its first page. Returns whether it is complete.
    async fn read_window_query(
        &self,
        query: &Arc<Query>,
        first: FirstPage,
        observe: &dyn Fn(&Page),
    ) -> Result<bool, Stop> {
        let mut first = Some(first);
        for read in 1..=MAX_READS {
            let pages = match first.take() {
                Some(first) => self.reader.pages_from(query, first),
                None => self.reader.pages(query, None),
            };
            let ReadQuery { evidence, end } = self.read(query, pages, false, observe).await?;
            let end = match end {
                Ok(end) => end,
                Err(stop) => return self.record_stop(&query.label, &evidence, stop).map(|()| false),
            };
            self.failures.set(0);
            match evidence.verdict(&end) {
                Verdict::Short(_) if read < MAX_READS => {
                    tracing::warn!(query = query.label, "records are missing; reading the query again");
                }
                Verdict::Complete => {
                    self.record_complete(&query.label, &evidence);
                    return Ok(true);
                }
                verdict => {
                    self.record_incomplete(&query.label, &evidence, self.reason(verdict));
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Reads a query, by subqueries if it is too deep.
    pub(super) async fn split_by_params(&self, planned: PlannedQuery<'_>) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        match SplitSource::first_page(self, &query).await {
            Ok(Some(first)) => {
                if self.read_subqueries(&query, first).await? {
                    self.checkpoint.borrow_mut().finish(query.id());
                }
                Ok(())
            }
            Ok(None) => {
                self.failures.set(0);
                self.record_complete(&query.label, &Evidence::default());
                self.checkpoint.borrow_mut().finish(query.id());
                Ok(())
            }
            Err(stop) => self.record_stop(&query.label, &Evidence::default(), stop),
        }
    }

    /// Reads `query`, by subqueries if it is too deep. Returns whether it is complete.
    async fn read_subqueries(&self, query: &Arc<Query>, first: FirstPage) -> Result<bool, Stop> {
        let limit = self.ctx.resource.endpoint.depth_limit.unwrap_or_default();
        let splitter = ParamSplitter {
            source: self,
            resource: self.ctx.resource,
            stored: self.stored,
            earlier: &self.earlier,
            limit,
            page_size: self.reader.page_size().unwrap_or(limit),
        };
        let SplitResult { total, received, proof } = match splitter.read(query, first).await {
            Ok(result) => result,
            Err(stop) => return self.record_stop(&query.label, &Evidence::default(), stop).map(|()| false),
        };
        self.failures.set(0);
        let mut outcome = self.outcome.borrow_mut();
        outcome.add_total(Some(total));
        match proof {
            SplitProof::Short(reason) => {
                tracing::warn!(query = query.label, total, received, "{reason}");
                let query = query.label.clone();
                outcome.queries.incomplete.push(IncompleteQuery { query, total: Some(total), received, reason });
                return Ok(false);
            }
            SplitProof::NoExactTotal => {
                let limit = self.ctx.resource.endpoint.total_limit.unwrap_or_default();
                outcome.warnings.push(format!(
                    "the API gives no exact total above {limit}: `{}` counts as complete, since each subquery is complete and other parameters found no further record",
                    query.label
                ));
            }
            SplitProof::Complete => {}
        }
        outcome.queries.complete += 1;
        Ok(true)
    }
}

impl SplitSource for PlanReading<'_, '_, '_> {
    type First = FirstPage;

    async fn first_page(&self, query: &Arc<Query>) -> Result<Option<FirstPage>, Stop> {
        Ok(self.reader.first_page(query).await?)
    }

    async fn numbered_page(&self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop> {
        Ok(self.reader.numbered_page(query, number, size).await?)
    }

    async fn read_from(&self, query: &Arc<Query>, first: FirstPage, observe: &dyn Fn(&Page)) -> Result<End, Stop> {
        let pages = self.reader.pages_from(query, first);
        self.read(query, pages, false, observe).await?.end
    }

    async fn store_page(&self, query: &Arc<Query>, page: Page) -> Result<(), Stop> {
        self.ingest_page(query, page, false, &mut None).await
    }

    fn subquery_finished(&self, parent: QueryId, part: FinishedSubquery) {
        self.failures.set(0);
        let mut outcome = self.outcome.borrow_mut();
        outcome.queries.planned += 1;
        outcome.queries.complete += 1;
        self.checkpoint.borrow_mut().finish_subquery(parent, part);
    }

    fn subquery_resumed(&self) {
        self.outcome.borrow_mut().queries.resumed += 1;
    }

    fn in_flight(&self) -> usize {
        self.reader.in_flight()
    }
}
