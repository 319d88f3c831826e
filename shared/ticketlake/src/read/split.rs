//! Queries of a plan that are read in windows of time, or in parts by their parameters.

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
use crate::state::FinishedPart;

/// Windows of one query that are read at a time: the next one's first page comes while the last one's other pages do.
const WINDOWS_AT_A_TIME: usize = 2;

impl PlanReading<'_, '_, '_> {
    /// Reads a query in windows of time that each fit; a single second that is too deep is split by other parameters.
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
        // The first window counts as the query itself, each further one as another query.
        let counted = RefCell::new(false);
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
                if counted.replace(true) {
                    self.outcome.borrow_mut().queries.planned += 1;
                }
                self.window(id, window, &windows).await
            };
            opened.try_for_each_concurrent(WINDOWS_AT_A_TIME, read).await?;
            if let (Some(name), Some(calendar)) = (planned.calendar, windows.calendar()) {
                self.calendars.borrow_mut().set(name, calendar);
            }
        }
        Ok(())
    }

    /// Reads a window of the query `id`.
    async fn window(
        &self,
        id: QueryId,
        window: OpenWindow<FirstPage>,
        windows: &Windows<'_, Self>,
    ) -> Result<(), Stop> {
        match window {
            OpenWindow::Fits(query, range, first) => {
                let starts = RefCell::new(Vec::new());
                let observe = |page: &Page| starts.borrow_mut().extend(windows.starts(&page.records));
                let complete = self.window_query(&query, first, &observe).await?;
                windows.add_starts(range, &starts.into_inner());
                if complete {
                    self.checkpoint.borrow_mut().cover(id, range);
                }
                Ok(())
            }
            OpenWindow::Moment(query, range, first) => {
                if self.parts_of(&query, first).await? {
                    self.checkpoint.borrow_mut().cover(id, range);
                }
                Ok(())
            }
            OpenWindow::Ignored(query) => {
                self.failures.set(0);
                self.complete(&query.label, &Evidence::default());
                Ok(())
            }
            OpenWindow::Failed(query, stop) => self.stopped(&query.label, &Evidence::default(), stop),
        }
    }

    /// Reads a window's query, whose first page is `first`, again where records are missing; whether it is complete.
    async fn window_query(&self, query: &Arc<Query>, first: FirstPage, observe: &dyn Fn(&Page)) -> Result<bool, Stop> {
        let mut first = Some(first);
        for read in 1..=MAX_READS {
            let pages = match first.take() {
                Some(first) => self.reader.pages_from(query, first),
                None => self.reader.pages(query, None),
            };
            let ReadQuery { evidence, end } = self.read(query, pages, false, observe).await?;
            let end = match end {
                Ok(end) => end,
                Err(stop) => return self.stopped(&query.label, &evidence, stop).map(|()| false),
            };
            self.failures.set(0);
            match evidence.verdict(&end) {
                Verdict::Short(_) if read < MAX_READS => {
                    tracing::warn!(query = query.label, "records are missing; reading the query again");
                }
                Verdict::Complete => {
                    self.complete(&query.label, &evidence);
                    return Ok(true);
                }
                verdict => {
                    self.incomplete(&query.label, &evidence, self.reason(verdict));
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Reads a query whole, or in parts by its parameters where it is too deep.
    pub(super) async fn split_by_params(&self, planned: PlannedQuery<'_>, _limit: u64) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        match SplitSource::first_page(self, &query).await {
            Ok(Some(first)) => {
                if self.parts_of(&query, first).await? {
                    self.checkpoint.borrow_mut().finish(query.id());
                }
                Ok(())
            }
            Ok(None) => {
                self.failures.set(0);
                self.complete(&query.label, &Evidence::default());
                self.checkpoint.borrow_mut().finish(query.id());
                Ok(())
            }
            Err(stop) => self.stopped(&query.label, &Evidence::default(), stop),
        }
    }

    /// Reads `query` in parts by its parameters; whether it is complete.
    async fn parts_of(&self, query: &Arc<Query>, first: FirstPage) -> Result<bool, Stop> {
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
            Err(stop) => return self.stopped(&query.label, &Evidence::default(), stop).map(|()| false),
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

    fn part_finished(&self, parent: QueryId, part: FinishedPart) {
        self.failures.set(0);
        let mut outcome = self.outcome.borrow_mut();
        outcome.queries.planned += 1;
        outcome.queries.complete += 1;
        self.checkpoint.borrow_mut().finish_part(parent, part);
    }

    fn part_resumed(&self) {
        self.outcome.borrow_mut().queries.resumed += 1;
    }

    fn in_flight(&self) -> usize {
        self.reader.in_flight()
    }
}
