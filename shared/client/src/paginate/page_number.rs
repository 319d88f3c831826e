//! By page number.

use std::sync::Arc;

use futures::stream::{self, LocalBoxStream};
use futures::{StreamExt, TryStreamExt};
use manifest::{Paginator, ParamLocation, RangeEnd};

use super::facts::range_facts;
use super::offset::{end_after_empty_page, is_refusal};
use super::page::{End, PageEdges, PageEvent, PageWithFacts, Position, edges};
use super::query_reader::{QueryReader, put};
use crate::error::Stop;

/// The limits at which APIs stop counting are multiples of this number of records, such as Elasticsearch's 10,000.
const ROUND: u64 = 1000;
/// The number of pages without records in a row after which a query ends, although the API says that there are more pages.
const MAX_EMPTY_PAGES: u64 = 3;

/// The fields of the manifest's `page_number` paginator.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberParams<'p> {
    /// The number of the API's first page.
    base_page: u64,
    /// The number of the page that a query starts at.
    first_number: u64,
    location: &'p ParamLocation,
    end: &'p RangeEnd,
}

impl<'p> NumberParams<'p> {
    /// Returns the fields of `paginator`, if it is one by page number.
    pub(super) fn of(paginator: &'p Paginator) -> Option<Self> {
        let Paginator::PageNumber { base_page, page, page_location, end } = paginator else { return None };
        Some(Self { base_page: *base_page, first_number: *page, location: page_location, end })
    }

    /// Reads the query's first page.
    pub(super) async fn first_page(&self, query: &QueryReader<'p>) -> Result<Option<PageWithFacts>, Stop> {
        self.page_at(query, self.first_number - self.base_page, None).await
    }

    /// Reads the page of `size` records that has `number` such pages before it.
    pub(super) async fn numbered_page(
        &self,
        query: &QueryReader<'p>,
        number: u64,
        size: u64,
    ) -> Result<Option<PageWithFacts>, Stop> {
        let mut call = query.call();
        if let Some(page_size) = &query.endpoint().page_size {
            put(&mut call, &page_size.place, size.into());
        }
        put(&mut call, self.location, (self.base_page + number).into());
        query.page(&call, number, &|_, read| range_facts(self.end, read)).await
    }

    /// Reads the page that has `before` pages before it, of `size` records if that differs from what is requested otherwise.
    async fn page_at(
        &self,
        query: &QueryReader<'p>,
        before: u64,
        size: Option<u64>,
    ) -> Result<Option<PageWithFacts>, Stop> {
        if let Some(size) = size {
            return self.numbered_page(query, before, size).await;
        }
        let mut call = query.call();
        put(&mut call, self.location, (self.base_page + before).into());
        query.page(&call, before, &|_, read| range_facts(self.end, read)).await
    }
}

/// A query read by page number. If the first page says how many pages there are, the rest is read several pages at a time, in order;
/// otherwise one by one until an empty page.
pub(super) struct NumberPages<'p> {
    params: NumberParams<'p>,
    page_size: Option<u64>,
    /// The records that the API gives with one page, if they are fewer than `page_size`. The next pages are requested with so many: whether
    /// the API numbers pages by what it gives or by what is requested, the numbers mean the same then, and no record lies between two pages.
    served: Option<u64>,
    /// The query's first page, if it was read already.
    first_page: Option<PageWithFacts>,
    /// The next page, counted from 0 for the API's first.
    next: u64,
    previous: Option<PageEdges>,
    /// The pages that may be read; `None` before the first page has shown how many records a page has.
    bounds: Option<Bounds>,
    /// The number of pages, as the last response gives it: totals drift while a query is read.
    page_count: Option<u64>,
    /// Whether `page_count` was reached, and the next page is requested to see whether it is empty.
    checks_count: bool,
    /// The records that came; `None` for a query that was resumed.
    records: Option<u64>,
    /// The total of the last page that had one.
    total: Option<u64>,
    /// The pages without records since the last one that had any.
    empty_pages: u64,
    has_more: Option<bool>,
    /// The pages that are read ahead, in order.
    batch: Option<LocalBoxStream<'p, Result<Option<PageWithFacts>, Stop>>>,
}

/// Where a query must end, in pages counted from 0.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The pages of one query that the API serves.
    depth: Option<u64>,
    /// The manifest's `maximum_page`.
    maximum: Option<u64>,
}

impl std::fmt::Debug for NumberPages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NumberPages").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'p> NumberPages<'p> {
    /// Starts at the position `start` if its pages have `page_size` records too, or at the beginning of the query.
    pub(super) fn new(
        params: NumberParams<'p>,
        page_size: Option<u64>,
        start: Option<&Position>,
        first_page: Option<PageWithFacts>,
    ) -> Self {
        let (number, served) = match start {
            Some(Position::PageNumber { number, page_size: size, served }) if *size == page_size => (*number, *served),
            _ => (params.first_number, None),
        };
        Self {
            params,
            page_size,
            served,
            first_page: if number == params.first_number { first_page } else { None },
            next: number.saturating_sub(params.base_page),
            previous: None,
            bounds: None,
            page_count: None,
            checks_count: false,
            records: start.is_none().then_some(0),
            total: None,
            empty_pages: 0,
            has_more: None,
            batch: None,
        }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<PageEvent, Stop> {
        let Some(bounds) = self.bounds else { return self.read_first(query).await };
        let read = loop {
            if self.has_more == Some(false) {
                return Ok(PageEvent::End(End::Reached));
            }
            // A batch is read to its end, even if the number of pages shrinks meanwhile: the API may take that back.
            if let Some(batch) = &mut self.batch {
                match batch.try_next().await {
                    Ok(Some(read)) => break read,
                    Ok(None) => self.batch = None,
                    Err(stop) if self.checks_count && is_refusal(&stop) => return Ok(PageEvent::End(End::Refused)),
                    Err(stop) => return Err(stop),
                }
            }
            if let Some(end) = self.end_before_next(bounds) {
                if end != End::Reached || !self.is_doubtful(query, bounds) {
                    return Ok(PageEvent::End(end));
                }
                self.checks_count = true;
            }
            self.batch = Some(self.read_ahead(query, bounds));
        };
        let Some(PageWithFacts { mut page, facts }) = read else {
            let end = if self.checks_count { End::Refused } else { QueryReader::ignored(self.next) };
            return Ok(PageEvent::End(end));
        };
        page.position = Some(self.position());
        self.next += 1;
        if !self.checks_count {
            self.page_count = facts.count.or(self.page_count);
        }
        self.has_more = facts.has_more;
        self.total = page.total.or(self.total);
        self.records = self.records.map(|before| before + page.records.len() as u64);
        match edges(&page) {
            None => {
                self.empty_pages += 1;
                if let Some(end) = self.end_at_empty_page(facts.has_more) {
                    return Ok(PageEvent::LastPage(page, end));
                }
            }
            edges if edges == self.previous && self.checks_count => {
                return Ok(PageEvent::LastPage(page, End::Reached));
            }
            edges if edges == self.previous => return Err(query.repeated_page(&page)),
            edges => {
                self.empty_pages = 0;
                self.previous = edges;
                if self.checks_count {
                    // There are more pages than the count, so it counts something else.
                    self.page_count = None;
                }
            }
        }
        Ok(if query.leaves_range(&page) { PageEvent::LastPage(page, End::LeftRange) } else { PageEvent::Page(page) })
    }

    async fn read_first(&mut self, query: &QueryReader<'p>) -> Result<PageEvent, Stop> {
        let read = match self.first_page.take() {
            Some(first) => Some(first),
            None => self.params.page_at(query, self.next, self.served).await?,
        };
        let Some(PageWithFacts { mut page, facts }) = read else {
            return Ok(PageEvent::End(QueryReader::ignored(0)));
        };
        page.position = Some(self.position());
        self.previous = edges(&page);
        if self.previous.is_none() {
            let end = match facts.count.filter(|count| *count > self.next + 1) {
                Some(count) => {
                    End::Stopped(format!("a page has no records, and the answer says that there are {count} pages"))
                }
                None => end_after_empty_page(self.params.end, facts.has_more),
            };
            return Ok(PageEvent::LastPage(page, end));
        }
        let records = page.records.len() as u64;
        self.total = page.total;
        self.records = self.records.map(|before| before + page.records.len() as u64);
        let base_page = self.params.base_page;
        self.bounds = Some(Bounds {
            depth: query.endpoint().depth_limit.map(|limit| (limit / records).max(1)),
            maximum: self.params.end.maximum.map(|maximum| maximum.saturating_sub(base_page)),
        });
        self.page_count = facts.count;
        self.has_more = facts.has_more;
        if self.is_cut_short(query, records) {
            self.served = Some(records);
            // The count may be that of pages as large as requested.
            self.page_count = None;
            self.checks_count = facts.count == Some(1);
        }
        self.next += 1;
        Ok(if query.leaves_range(&page) { PageEvent::LastPage(page, End::LeftRange) } else { PageEvent::Page(page) })
    }

    /// Whether the API may have given fewer records with the query's first page, which has `records`, than the run asks for, although there are
    /// more. The manifest's own size is one that the API serves.
    fn is_cut_short(&self, query: &QueryReader<'p>, records: u64) -> bool {
        self.next == 0
            && query.endpoint().page_size.is_some()
            && self.page_size.is_some_and(|asked| records < asked)
            && self.total.is_none_or(|total| total > records)
    }

    /// How the query ends at a page without records, if it does. A page without records before the last one is not the end.
    fn end_at_empty_page(&self, has_more: Option<bool>) -> Option<End> {
        let Some(count) = self.page_count.filter(|count| self.next < *count) else {
            return Some(end_after_empty_page(self.params.end, has_more));
        };
        if self.is_default_count() && self.records == Some(count) {
            // The default place has the number of records, not of pages. It proves nothing, since it may have changed and changed back
            // on the pages that were read ahead.
            return Some(End::Reached);
        }
        (self.empty_pages >= MAX_EMPTY_PAGES).then(|| {
            End::Stopped(format!(
                "{MAX_EMPTY_PAGES} pages in a row have no records, and the answer says that there are {count} pages"
            ))
        })
    }

    /// Whether the number of pages is at dlt's default place, where some APIs have another number.
    fn is_default_count(&self) -> bool {
        self.params.end.total.as_ref().is_some_and(|total| !total.required)
    }

    /// Whether the number of pages that were read may be another number: that of the records of a page, or one up to which the API counts.
    fn is_doubtful(&self, query: &QueryReader<'p>, bounds: Bounds) -> bool {
        let is_served = [bounds.depth, bounds.maximum].into_iter().flatten().all(|end| self.next < end);
        let is_limit = match query.endpoint().total_limit {
            Some(limit) => self.total.max(self.records).is_some_and(|total| total >= limit),
            None => self.records.is_some_and(is_round),
        };
        let is_unproven = self.is_default_count();
        !self.checks_count && is_served && (is_limit || is_unproven)
    }

    /// How the query ends before its next page, if it does.
    fn end_before_next(&self, bounds: Bounds) -> Option<End> {
        if self.page_count.is_some_and(|count| self.next >= count) {
            return Some(End::Reached);
        }
        if bounds.depth.is_some_and(|depth| self.next >= depth) {
            return Some(End::TooDeep);
        }
        let maximum = bounds.maximum.filter(|maximum| self.next >= *maximum)?;
        let maximum = self.params.base_page + maximum;
        Some(End::Stopped(format!("`maximum_page: {maximum}` ends the reading where there is more")))
    }

    /// The position of the next page.
    fn position(&self) -> Position {
        let number = self.next + self.params.base_page;
        Position::PageNumber { number, page_size: self.page_size, served: self.served }
    }

    /// Returns the pages from the next one on that are known to be there, in order, with several requests on their way at a time.
    fn read_ahead(
        &self,
        query: &QueryReader<'p>,
        bounds: Bounds,
    ) -> LocalBoxStream<'p, Result<Option<PageWithFacts>, Stop>> {
        let known_end = self.page_count.filter(|count| *count > self.next).unwrap_or(self.next + 1);
        let end = [bounds.depth, bounds.maximum].into_iter().flatten().fold(known_end, u64::min);
        let may_end_early = self.params.end.has_more_path.is_some()
            || query.endpoint().incremental.as_ref().is_some_and(|incremental| incremental.row_order.is_some());
        let requests_at_a_time = if self.page_count.is_some() && !may_end_early { query.reader.in_flight() } else { 1 };
        let (params, served, query) = (self.params, self.served, query.clone());
        stream::iter(self.next..end)
            .map(move |number| {
                let query = query.clone();
                async move {
                    // Permits are taken in the pages' order, so that no page waits for one that has none. The semaphore is never closed.
                    let room = Arc::clone(&query.reader.read_ahead).acquire_owned().await.ok();
                    let mut read = params.page_at(&query, number, served).await?;
                    if let Some(read) = &mut read {
                        read.page.room = room;
                    }
                    Ok(read)
                }
            })
            .buffered(requests_at_a_time)
            .boxed_local()
    }
}

/// Whether a number of records can be one at which an API stops counting.
fn is_round(records: u64) -> bool {
    records >= ROUND && records.is_multiple_of(ROUND)
}
