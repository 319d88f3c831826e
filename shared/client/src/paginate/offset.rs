//! By offset: the number of records before a page.

use manifest::{Paginator, ParamLocation, RangeEnd};

use super::facts::range_facts;
use super::page::{End, PageEdges, PageEvent, PageWithFacts, Position, edges};
use super::query_reader::{QueryReader, put};
use crate::error::Stop;

/// The fields of the manifest's `offset` paginator.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffsetParams<'p> {
    /// The records to ask for in one page.
    limit: u64,
    /// The offset of the first page.
    first_offset: u64,
    offset_location: &'p ParamLocation,
    limit_location: &'p ParamLocation,
    end: &'p RangeEnd,
}

impl<'p> OffsetParams<'p> {
    /// Returns the fields of `paginator`, if it is one by offset; `page_size` replaces its limit.
    pub(super) fn of(paginator: &'p Paginator, page_size: Option<u64>) -> Option<Self> {
        let Paginator::Offset { limit, offset, offset_location, limit_location, end } = paginator else { return None };
        Some(Self { limit: page_size.unwrap_or(*limit), first_offset: *offset, offset_location, limit_location, end })
    }

    /// The offset of the API's first record. Some APIs count from 1. A larger first offset leaves records out, which are in the API's total
    /// all the same.
    fn base(&self) -> u64 {
        u64::from(self.first_offset == 1)
    }

    /// Reads the query's first page.
    pub(super) async fn first_page(&self, query: &QueryReader<'p>) -> Result<Option<PageWithFacts>, Stop> {
        self.page_at(query, self.first_offset, self.limit).await
    }

    /// Reads the page of `size` records that has `number` such pages before it.
    pub(super) async fn numbered_page(
        &self,
        query: &QueryReader<'p>,
        number: u64,
        size: u64,
    ) -> Result<Option<PageWithFacts>, Stop> {
        self.page_at(query, self.base() + number * size, size).await
    }

    async fn page_at(&self, query: &QueryReader<'p>, offset: u64, limit: u64) -> Result<Option<PageWithFacts>, Stop> {
        let mut call = query.call();
        put(&mut call, self.offset_location, offset.into());
        put(&mut call, self.limit_location, limit.into());
        let before = offset.saturating_sub(self.base());
        query.page(&call, before, &|_, read| range_facts(self.end, read)).await
    }
}

/// A query read by offset. The offset advances by the records that came, since a server may give fewer than asked for. The query ends at an
/// empty page, or where the response says.
#[derive(Debug)]
pub(super) struct OffsetPages<'p> {
    params: OffsetParams<'p>,
    /// The offset of the next page.
    offset: u64,
    /// The query's first page, if it was read already.
    first_page: Option<PageWithFacts>,
    previous: Option<PageEdges>,
    /// Pages that came.
    pages: u64,
}

impl<'p> OffsetPages<'p> {
    /// Starts at the position `start`, or at the beginning of the query.
    pub(super) fn new(params: OffsetParams<'p>, start: Option<&Position>, first_page: Option<PageWithFacts>) -> Self {
        let offset = match start {
            Some(Position::Offset(offset)) => *offset,
            _ => params.first_offset,
        };
        let first_page = if offset == params.first_offset { first_page } else { None };
        Self { params, offset, first_page, previous: None, pages: 0 }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<PageEvent, Stop> {
        let (base, end) = (self.params.base(), self.params.end);
        if let Some(end) = self.end_before_next(query) {
            return Ok(PageEvent::End(end));
        }
        let read = match self.first_page.take() {
            Some(read) => Some(read),
            None => self.params.page_at(query, self.offset, self.params.limit).await?,
        };
        let Some(PageWithFacts { mut page, facts }) = read else {
            return Ok(PageEvent::End(QueryReader::ignored(self.pages)));
        };
        let api_total = facts.count.or(page.total);
        let left_out = self.params.first_offset - base;
        page.total = page.total.or(facts.count).map(|total| total.saturating_sub(left_out));
        let Some(edges) = edges(&page) else {
            return Ok(PageEvent::End(end_after_empty_page(end, facts.has_more)));
        };
        if self.previous.as_ref() == Some(&edges) {
            return Err(query.repeated_page(&page));
        }
        self.previous = Some(edges);
        self.pages += 1;
        page.position = Some(Position::Offset(self.offset));
        self.offset += page.records.len() as u64;
        if facts.has_more == Some(false) || api_total.is_some_and(|total| self.offset - base >= total) {
            return Ok(PageEvent::LastPage(page, End::Reached));
        }
        if query.leaves_range(&page) {
            return Ok(PageEvent::LastPage(page, End::LeftRange));
        }
        Ok(PageEvent::Page(page))
    }

    /// How the query ends before its next page, if it does.
    fn end_before_next(&self, query: &QueryReader<'p>) -> Option<End> {
        let before = self.offset.saturating_sub(self.params.base());
        if query.endpoint().depth_limit.is_some_and(|depth_limit| before >= depth_limit) {
            return Some(End::TooDeep);
        }
        let maximum = self.params.end.maximum?;
        (self.offset >= maximum)
            .then(|| End::Stopped(format!("`maximum_offset: {maximum}` ends the reading where there is more")))
    }
}

/// Returns how a query ends at an empty page.
pub(super) fn end_after_empty_page(end: &RangeEnd, has_more: Option<bool>) -> End {
    match &end.has_more_path {
        Some(path) if has_more == Some(true) => {
            End::Stopped(format!("a page has no records, and `{path}` says that there are more"))
        }
        _ => End::Reached,
    }
}
