//! A query as a stream of pages and an end.

use std::sync::Arc;

use manifest::{Paginator, Query};

use super::auto;
use super::follow::{FollowPages, facts};
use super::offset::{OffsetPages, OffsetParams};
use super::page::{End, FirstPage, Page, ReadPage, Resumption, Step};
use super::page_number::{NumberPages, NumberParams};
use super::query_reader::QueryReader;
use super::reader::Reader;
use crate::error::Stop;

/// The pages of one query, in order, each as soon as it is there.
#[derive(Debug)]
pub struct Pages<'p> {
    query: QueryReader<'p>,
    paginator: PaginatorPages<'p>,
    /// What follows the page that was given last.
    after: After,
}

#[derive(Debug)]
enum After {
    /// Perhaps another page.
    Page,
    /// The end.
    End(End),
    /// An error: the request that brought the last page, and what is wrong with its answer.
    Failure(String, String),
}

/// The paginator at work.
#[derive(Debug)]
enum PaginatorPages<'p> {
    Offset(OffsetPages<'p>),
    Number(Box<NumberPages<'p>>),
    Follow(Box<FollowPages<'p>>),
    /// The first answer is to show which.
    Auto(Option<Resumption>),
}

impl<'p> Pages<'p> {
    /// The next page; `None` at the end of the query, see [`Pages::end`].
    ///
    /// # Errors
    ///
    /// The API's, and a limit of the run. The query has ended then.
    pub async fn next(&mut self) -> Result<Option<Page>, Stop> {
        match &self.after {
            After::Page => {}
            After::End(_) => return Ok(None),
            After::Failure(request, detail) => return Err(self.query.wrong(request, detail.clone())),
        }
        if let PaginatorPages::Auto(resumption) = &mut self.paginator {
            let resumption = resumption.take();
            let first = match self.query.reader.detected.get() {
                Some(_) => None,
                None => match auto::first_page(&self.query).await? {
                    Some(first) => Some(first),
                    None => {
                        self.after = After::End(QueryReader::ignored(0));
                        return Ok(None);
                    }
                },
            };
            let detected = self.query.reader.detected.get().unwrap_or(&Paginator::SinglePage);
            self.paginator = PaginatorPages::new(detected, &self.query, resumption, first);
        }
        let step = match &mut self.paginator {
            PaginatorPages::Offset(pages) => pages.next(&self.query).await?,
            PaginatorPages::Number(pages) => pages.next(&self.query).await?,
            PaginatorPages::Follow(pages) => pages.next(&self.query).await?,
            PaginatorPages::Auto(_) => Step::End(End::Reached),
        };
        Ok(match step {
            Step::Page(page) => Some(page),
            Step::Last(page, end) => {
                self.after = After::End(end);
                Some(page)
            }
            Step::Failed(page, detail) => {
                self.after = After::Failure(page.request.clone(), detail);
                Some(page)
            }
            Step::End(end) => {
                self.after = After::End(end);
                None
            }
        })
    }

    /// How the query ended; `None` before [`Pages::next`] has given its last page.
    pub fn end(&self) -> Option<&End> {
        match &self.after {
            After::End(end) => Some(end),
            After::Page | After::Failure(..) => None,
        }
    }
}

impl<'p> PaginatorPages<'p> {
    fn new(
        paginator: &'p Paginator,
        query: &QueryReader<'p>,
        resumption: Option<Resumption>,
        first: Option<ReadPage>,
    ) -> Self {
        let page_size = query.reader.api.page_size();
        let start = resumption.as_ref().map(|resumption| &resumption.position);
        if let Some(params) = OffsetParams::of(paginator, page_size) {
            return Self::Offset(OffsetPages::new(params, start, first));
        }
        if let Some(params) = NumberParams::of(paginator) {
            return Self::Number(Box::new(NumberPages::new(params, page_size, start, first)));
        }
        match paginator {
            Paginator::Auto => Self::Auto(resumption),
            paginator => Self::Follow(Box::new(FollowPages::new(paginator, query, resumption, first))),
        }
    }
}

impl<'r> Reader<'r> {
    /// The pages of `query`, from where an earlier run stopped if `resumption` says where.
    pub fn pages(&'r self, query: &Arc<Query>, resumption: Option<Resumption>) -> Pages<'r> {
        let query = QueryReader { reader: self, query: Arc::clone(query) };
        let paginator = PaginatorPages::new(&self.endpoint.paginator, &query, resumption, None);
        Pages { query, paginator, after: After::Page }
    }

    /// The pages of `query`, of which `first` was read already; it is given as the first.
    pub fn pages_from(&'r self, query: &Arc<Query>, first: FirstPage) -> Pages<'r> {
        let query = QueryReader { reader: self, query: Arc::clone(query) };
        let paginator = PaginatorPages::new(&self.endpoint.paginator, &query, None, Some(first.0));
        Pages { query, paginator, after: After::Page }
    }

    /// The first page of `query`, to see how much there is; `None`: the manifest ignores the answer.
    ///
    /// # Errors
    ///
    /// The API's, and a limit of the run.
    pub async fn first_page(&'r self, query: &Arc<Query>) -> Result<Option<FirstPage>, Stop> {
        let query = QueryReader { reader: self, query: Arc::clone(query) };
        let paginator = &self.endpoint.paginator;
        let read = if let Some(params) = OffsetParams::of(paginator, self.api.page_size()) {
            params.first_page(&query).await?
        } else if let Some(params) = NumberParams::of(paginator) {
            params.first_page(&query).await?
        } else {
            query.page(&query.call(), 0, &|headers, body, _| facts(paginator, headers, body)).await?
        };
        Ok(read.map(FirstPage))
    }

    /// The records of `query` from number `size * number` to before `size * (number + 1)`, counted from 0; `None`: the manifest ignores the
    /// answer, or its paginator does not count.
    ///
    /// # Errors
    ///
    /// The API's, and a limit of the run.
    pub async fn numbered_page(&'r self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop> {
        let query = QueryReader { reader: self, query: Arc::clone(query) };
        let paginator = &self.endpoint.paginator;
        let read = if let Some(params) = OffsetParams::of(paginator, self.api.page_size()) {
            params.numbered(&query, number, size).await?
        } else if let Some(params) = NumberParams::of(paginator) {
            params.numbered(&query, number, size).await?
        } else {
            None
        };
        Ok(read.map(|read| read.page))
    }
}
