//! By page number.

use std::sync::Arc;

use futures::stream::{self, LocalBoxStream};
use futures::{StreamExt, TryStreamExt};
use manifest::{Paginator, ParamLocation, RangeEnd};

use super::answer::range_facts;
use super::offset::after_empty;
use super::page::{End, Page, PageEdges, Position, ReadPage, Step, edges};
use super::query_reader::{QueryReader, put};
use crate::error::Stop;

/// The fields of the manifest's `page_number` paginator.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberParams<'p> {
    /// The number of the API's first page.
    base_page: u64,
    /// The number of the page that reading begins at.
    first: u64,
    place: &'p ParamLocation,
    end: &'p RangeEnd,
}

impl<'p> NumberParams<'p> {
    /// The fields of `paginator`, if it is one by page number.
    pub(super) fn of(paginator: &'p Paginator) -> Option<Self> {
        let Paginator::PageNumber { base_page, page, page_place, end } = paginator else { return None };
        Some(Self { base_page: *base_page, first: *page, place: page_place, end })
    }

    /// The query's first page.
    pub(super) async fn first_page(&self, query: &QueryReader<'p>) -> Result<Option<ReadPage>, Stop> {
        self.page_at(query, self.first).await
    }

    /// The page of `size` records that has `number` such pages before it.
    pub(super) async fn numbered(
        &self,
        query: &QueryReader<'p>,
        number: u64,
        size: u64,
    ) -> Result<Option<ReadPage>, Stop> {
        let mut call = query.call();
        if let Some(page_size) = &query.endpoint().page_size {
            put(&mut call, &page_size.place, size.into());
        }
        put(&mut call, self.place, (self.base_page + number).into());
        query.page(&call, number, &|_, body, none| range_facts(self.end, body, none)).await
    }

    async fn page_at(&self, query: &QueryReader<'p>, number: u64) -> Result<Option<ReadPage>, Stop> {
        let mut call = query.call();
        put(&mut call, self.place, number.into());
        query.page(&call, number - self.base_page, &|_, body, none| range_facts(self.end, body, none)).await
    }
}

/// A query read by page number. With a number of pages known from the first page, the rest is asked for several pages at a time, in order;
/// without, one by one until an empty page.
pub(super) struct NumberPages<'p> {
    params: NumberParams<'p>,
    page_size: Option<u64>,
    first_page: Option<ReadPage>,
    /// The number of the next page, counted from 0 for the API's first.
    next: u64,
    previous: Option<PageEdges>,
    started: bool,
    bounds: Bounds,
    /// The number of pages, as the last answer said: totals drift while one reads.
    known: Option<u64>,
    has_more: Option<bool>,
    ahead: Option<LocalBoxStream<'p, Result<Option<ReadPage>, Stop>>>,
}

/// Where a query must end, in pages counted from 0.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The pages that the API serves of one query.
    deepest: u64,
    /// The manifest's `maximum_page`.
    maximum: u64,
}

impl std::fmt::Debug for NumberPages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NumberPages").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'p> NumberPages<'p> {
    pub(super) fn new(
        params: NumberParams<'p>,
        page_size: Option<u64>,
        start: Option<&Position>,
        first_page: Option<ReadPage>,
    ) -> Self {
        let begin = match start {
            Some(Position::PageNumber { number, page_size: size }) if *size == page_size => *number,
            _ => params.first,
        };
        Self {
            params,
            page_size,
            first_page,
            next: begin - params.base_page,
            previous: None,
            started: false,
            bounds: Bounds { deepest: u64::MAX, maximum: u64::MAX },
            known: None,
            has_more: None,
            ahead: None,
        }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<Step, Stop> {
        if !self.started {
            self.started = true;
            return self.first(query).await;
        }
        if let Some(end) = self.is_over() {
            return Ok(Step::End(end));
        }
        let read = match &mut self.ahead {
            Some(ahead) => ahead.try_next().await?,
            None => None,
        };
        let read = match read {
            Some(read) => read,
            None => {
                // The batch that was known is read; the last answer may have told of more pages.
                let mut ahead = self.read_ahead(query);
                let read = ahead.try_next().await?;
                self.ahead = Some(ahead);
                match read {
                    Some(read) => read,
                    None => return Ok(Step::End(End::Reached)),
                }
            }
        };
        let Some(ReadPage { mut page, facts }) = read else { return Ok(Step::End(QueryReader::ignored(self.next))) };
        page.position = Some(self.position());
        self.next += 1;
        self.known = facts.bound.or(self.known);
        self.has_more = facts.has_more;
        match edges(&page) {
            None if self.known.is_none_or(|known| self.next >= known) => {
                return Ok(Step::End(after_empty(self.params.end, facts.has_more)));
            }
            // A page in the middle that shrank to nothing is not the end.
            None => {}
            edges if edges == self.previous => return Err(query.repeated(&page)),
            edges => self.previous = edges,
        }
        Ok(if query.leaves_range(&page) { Step::Last(page, End::LeftRange) } else { Step::Page(page) })
    }

    async fn first(&mut self, query: &QueryReader<'p>) -> Result<Step, Stop> {
        let number = self.next + self.params.base_page;
        let read = match self.first_page.take() {
            Some(first) => Some(first),
            None => self.params.page_at(query, number).await?,
        };
        let Some(ReadPage { mut page, facts }) = read else { return Ok(Step::End(QueryReader::ignored(0))) };
        page.position = Some(self.position());
        self.previous = edges(&page);
        if self.previous.is_none() {
            // The page is handed over all the same: an empty answer may have a total.
            return Ok(Step::Last(page, after_empty(self.params.end, facts.has_more)));
        }
        let size = page.records.len() as u64;
        self.bounds = Bounds {
            deepest: query.endpoint().depth_limit.map_or(u64::MAX, |limit| (limit / size).max(1)),
            maximum: self.params.end.maximum.map_or(u64::MAX, |maximum| maximum.saturating_sub(self.params.base_page)),
        };
        self.known = facts.bound;
        self.has_more = facts.has_more;
        self.next += 1;
        Ok(if query.leaves_range(&page) { Step::Last(page, End::LeftRange) } else { Step::Page(page) })
    }

    /// How the query ends before its next page, if it does.
    fn is_over(&self) -> Option<End> {
        if self.has_more == Some(false) || self.known.is_some_and(|known| self.next >= known) {
            return Some(End::Reached);
        }
        if self.next >= self.bounds.deepest {
            return Some(End::TooDeep);
        }
        (self.next >= self.bounds.maximum).then(|| {
            let maximum = self.params.base_page + self.bounds.maximum;
            End::Stopped(format!("`maximum_page: {maximum}` ends the reading where there is more"))
        })
    }

    fn position(&self) -> Position {
        Position::PageNumber { number: self.next + self.params.base_page, page_size: self.page_size }
    }

    /// The pages from the next one on that are known to be there, in order, several on their way at a time.
    fn read_ahead(&self, query: &QueryReader<'p>) -> LocalBoxStream<'p, Result<Option<ReadPage>, Stop>> {
        let until = self.known.unwrap_or(self.next + 1).min(self.bounds.deepest).min(self.bounds.maximum);
        let in_order = self.params.end.has_more_path.is_some()
            || query.endpoint().incremental.as_ref().is_some_and(|incremental| incremental.row_order.is_some());
        let at_a_time = if self.known.is_some() && !in_order { query.reader.in_flight() } else { 1 };
        let (params, query) = (self.params, query.clone());
        stream::iter(self.next..until)
            .map(move |number| {
                let query = query.clone();
                async move {
                    // In the pages' order, so that none waits for one that has no room. Never closed: there always is some.
                    let room = Arc::clone(&query.reader.room).acquire_owned().await.ok();
                    let read = params.page_at(&query, params.base_page + number).await?;
                    Ok(read.map(|read| ReadPage { page: Page { room, ..read.page }, ..read }))
                }
            })
            .buffered(at_a_time)
            .boxed_local()
    }
}
