//! A query as a stream of pages and an end.

use std::sync::Arc;

use manifest::{Paginator, Query};

use super::auto;
use super::follow::{FollowPages, link_facts};
use super::offset::{OffsetPages, OffsetParams};
use super::page::{End, FirstPage, Page, PageEvent, PageWithFacts, Resumption};
use super::page_number::{NumberPages, NumberParams};
use super::query_reader::QueryReader;
use super::reader::Reader;
use crate::error::Stop;

/// The pages of one query, in order, each as soon as it is there.
///
/// Requests make progress only while [`Pages::next`] is awaited, also those for pages that are read ahead.
#[derive(Debug)]
pub struct Pages<'p> {
    query: QueryReader<'p>,
    paginator: PaginatorPages<'p>,
    progress: Progress,
}

/// What follows the page that was returned last.
#[derive(Debug)]
enum Progress {
    /// Perhaps another page.
    Reading,
    /// The end.
    Ended(End),
    /// An error, since the response to `request` does not lead to the next page.
    DeadEnd { request: String, reason: String },
    /// Nothing: an error was returned.
    Failed,
}

/// The pages of one paginator.
#[derive(Debug)]
enum PaginatorPages<'p> {
    Offset(Box<OffsetPages<'p>>),
    Number(Box<NumberPages<'p>>),
    Follow(Box<FollowPages<'p>>),
    /// The first response is to show the paginator.
    Undetected(Option<Resumption>),
}

impl<'p> Pages<'p> {
    fn new(query: QueryReader<'p>, paginator: PaginatorPages<'p>) -> Self {
        Self { query, paginator, progress: Progress::Reading }
    }

    /// Returns the next page; `None` at the end of the query (see [`Pages::end`]), and after an error.
    ///
    /// # Errors
    ///
    /// The errors of the request and of its response, and a limit of the run. An error ends the query.
    pub async fn next(&mut self) -> Result<Option<Page>, Stop> {
        match &self.progress {
            Progress::Reading => {}
            Progress::Ended(_) | Progress::Failed => return Ok(None),
            Progress::DeadEnd { request, reason } => {
                let error = self.query.decode_error(request, reason.clone());
                self.progress = Progress::Failed;
                return Err(error);
            }
        }
        match self.next_event().await {
            Ok(PageEvent::Page(page)) => Ok(Some(page)),
            Ok(PageEvent::LastPage(page, end)) => {
                self.progress = Progress::Ended(end);
                Ok(Some(page))
            }
            Ok(PageEvent::DeadEnd(page, reason)) => {
                self.progress = Progress::DeadEnd { request: page.request.clone(), reason };
                Ok(Some(page))
            }
            Ok(PageEvent::End(end)) => {
                self.progress = Progress::Ended(end);
                Ok(None)
            }
            Err(stop) => {
                self.progress = Progress::Failed;
                Err(stop)
            }
        }
    }

    async fn next_event(&mut self) -> Result<PageEvent, Stop> {
        if let PaginatorPages::Undetected(resumption) = &self.paginator {
            let Some((paginator, first)) = auto::detect(&self.query).await? else {
                return Ok(PageEvent::End(QueryReader::ignored(0)));
            };
            self.paginator = PaginatorPages::new(paginator, &self.query, resumption.clone(), first);
        }
        match &mut self.paginator {
            PaginatorPages::Offset(pages) => pages.next(&self.query).await,
            PaginatorPages::Number(pages) => pages.next(&self.query).await,
            PaginatorPages::Follow(pages) => pages.next(&self.query).await,
            PaginatorPages::Undetected(_) => Ok(PageEvent::End(End::Reached)),
        }
    }

    /// How the query ended; `None` before [`Pages::next`] has returned its last page, and after an error.
    pub fn end(&self) -> Option<&End> {
        match &self.progress {
            Progress::Ended(end) => Some(end),
            Progress::Reading | Progress::DeadEnd { .. } | Progress::Failed => None,
        }
    }
}

impl<'p> PaginatorPages<'p> {
    /// Starts at `resumption`, or at the beginning of the query; `first` is its first page, if that was read already.
    fn new(
        paginator: &'p Paginator,
        query: &QueryReader<'p>,
        resumption: Option<Resumption>,
        first: Option<PageWithFacts>,
    ) -> Self {
        let page_size = query.reader.api.page_size();
        let start = resumption.as_ref().map(|resumption| &resumption.position);
        if let Some(params) = OffsetParams::of(paginator, page_size) {
            return Self::Offset(Box::new(OffsetPages::new(params, start, first)));
        }
        if let Some(params) = NumberParams::of(paginator) {
            return Self::Number(Box::new(NumberPages::new(params, page_size, start, first)));
        }
        Self::Follow(Box::new(FollowPages::new(paginator, query, resumption, first)))
    }
}

impl<'r> Reader<'r> {
    /// Returns the pages of `query`, from `resumption` on if an earlier run stopped there.
    pub fn pages(&'r self, query: &Arc<Query>, resumption: Option<Resumption>) -> Pages<'r> {
        let query = QueryReader::new(self, query);
        let pages = match self.paginator() {
            Some(paginator) => PaginatorPages::new(paginator, &query, resumption, None),
            None => PaginatorPages::Undetected(resumption),
        };
        Pages::new(query, pages)
    }

    /// Returns the pages of `query`, of which `first` was read already; it is returned as the first one.
    pub fn pages_from(&'r self, query: &Arc<Query>, first: FirstPage) -> Pages<'r> {
        let query = QueryReader::new(self, query);
        // A first page that shows no paginator is the only one.
        let paginator = self.paginator().unwrap_or(&Paginator::SinglePage);
        let pages = PaginatorPages::new(paginator, &query, None, Some(first.read));
        Pages::new(query, pages)
    }

    /// Reads the first page of `query`, to learn the total. Returns `None` if the manifest ignores the response.
    ///
    /// # Errors
    ///
    /// The errors of the request and of its response, and a limit of the run.
    pub async fn first_page(&'r self, query: &Arc<Query>) -> Result<Option<FirstPage>, Stop> {
        let query = QueryReader::new(self, query);
        let read = match self.paginator() {
            Some(paginator) => first_page(&query, paginator).await?,
            None => auto::first_page(&query).await?.map(|(_, first)| first),
        };
        Ok(read.map(|read| {
            // By offset, the paginator's count is one of records; by page number, it is one of pages.
            let count = match &self.endpoint.paginator {
                Paginator::Offset { .. } => read.facts.count,
                _ => None,
            };
            FirstPage { total: read.page.total.or(count), read }
        }))
    }

    /// Reads the page of `size` records of `query` that has `number` such pages before it. Returns `None` if the manifest ignores the
    /// response, or its paginator has no offsets or page numbers.
    ///
    /// # Errors
    ///
    /// The errors of the request and of its response, and a limit of the run.
    pub async fn numbered_page(&'r self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop> {
        let query = QueryReader::new(self, query);
        let paginator = &self.endpoint.paginator;
        let read = if let Some(params) = OffsetParams::of(paginator, self.api.page_size()) {
            params.numbered_page(&query, number, size).await?
        } else if let Some(params) = NumberParams::of(paginator) {
            params.numbered_page(&query, number, size).await?
        } else {
            None
        };
        Ok(read.map(|read| read.page))
    }
}

/// Reads the first page of a query by `paginator`.
async fn first_page<'p>(query: &QueryReader<'p>, paginator: &'p Paginator) -> Result<Option<PageWithFacts>, Stop> {
    if let Some(params) = OffsetParams::of(paginator, query.reader.api.page_size()) {
        return params.first_page(query).await;
    }
    if let Some(params) = NumberParams::of(paginator) {
        return params.first_page(query).await;
    }
    query.page(&query.call(), 0, &|headers, read| link_facts(paginator, headers, read.body)).await
}
