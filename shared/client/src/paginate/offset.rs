//! By offset: the number of records before a page.

use manifest::{Paginator, ParamLocation, RangeEnd};

use super::answer::range_facts;
use super::page::{End, PageEdges, Position, ReadPage, Step, edges};
use super::query_reader::{QueryReader, put};
use crate::error::Stop;

/// The fields of the manifest's `offset` paginator.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffsetParams<'p> {
    limit: u64,
    /// The offset that reading begins at.
    first: u64,
    offset_place: &'p ParamLocation,
    limit_place: &'p ParamLocation,
    end: &'p RangeEnd,
}

impl<'p> OffsetParams<'p> {
    /// The fields of `paginator`, if it is one by offset; `page_size` replaces its limit.
    pub(super) fn of(paginator: &'p Paginator, page_size: Option<u64>) -> Option<Self> {
        let Paginator::Offset { limit, offset, offset_place, limit_place, end } = paginator else { return None };
        Some(Self { limit: page_size.unwrap_or(*limit), first: *offset, offset_place, limit_place, end })
    }

    /// The offset of the API's first record. Some APIs count from 1; a larger first offset leaves records out, which the API's total has
    /// all the same.
    fn base(&self) -> u64 {
        u64::from(self.first == 1)
    }

    /// The query's first page.
    pub(super) async fn first_page(&self, query: &QueryReader<'p>) -> Result<Option<ReadPage>, Stop> {
        self.page_at(query, self.first, self.limit).await
    }

    /// The page of `size` records that has `number` such pages before it.
    pub(super) async fn numbered(
        &self,
        query: &QueryReader<'p>,
        number: u64,
        size: u64,
    ) -> Result<Option<ReadPage>, Stop> {
        self.page_at(query, self.base() + number * size, size).await
    }

    async fn page_at(&self, query: &QueryReader<'p>, offset: u64, limit: u64) -> Result<Option<ReadPage>, Stop> {
        let mut call = query.call();
        put(&mut call, self.offset_place, offset.into());
        put(&mut call, self.limit_place, limit.into());
        query.page(&call, offset - self.base(), &|_, body, none| range_facts(self.end, body, none)).await
    }
}

/// A query read by offset. It advances by what was received: a server may give fewer than asked. It ends at an empty page, or where the
/// answer says.
#[derive(Debug)]
pub(super) struct OffsetPages<'p> {
    params: OffsetParams<'p>,
    offset: u64,
    first_page: Option<ReadPage>,
    previous: Option<PageEdges>,
    pages: u64,
}

impl<'p> OffsetPages<'p> {
    pub(super) fn new(params: OffsetParams<'p>, start: Option<&Position>, first_page: Option<ReadPage>) -> Self {
        let offset = match start {
            Some(Position::Offset(offset)) => *offset,
            _ => params.first,
        };
        Self { params, offset, first_page, previous: None, pages: 0 }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<Step, Stop> {
        let (base, first, end) = (self.params.base(), self.params.first, self.params.end);
        if query.endpoint().depth_limit.is_some_and(|depth| self.offset - base >= depth) {
            return Ok(Step::End(End::TooDeep));
        }
        if let Some(maximum) = end.maximum.filter(|maximum| self.offset >= *maximum) {
            let reason = format!("`maximum_offset: {maximum}` ends the reading where there is more");
            return Ok(Step::End(End::Stopped(reason)));
        }
        let read = match self.first_page.take() {
            Some(read) => Some(read),
            None => self.params.page_at(query, self.offset, self.params.limit).await?,
        };
        let Some(ReadPage { mut page, facts }) = read else { return Ok(Step::End(QueryReader::ignored(self.pages))) };
        let known = facts.bound.or(page.total);
        page.total = page.total.or(facts.bound).map(|total| total.saturating_sub(first - base));
        let Some(edges) = edges(&page) else {
            return Ok(Step::End(after_empty(end, facts.has_more)));
        };
        if self.previous.as_ref() == Some(&edges) {
            return Err(query.repeated(&page));
        }
        self.previous = Some(edges);
        self.pages += 1;
        page.position = Some(Position::Offset(self.offset));
        self.offset += page.records.len() as u64;
        if facts.has_more == Some(false) || known.is_some_and(|total| self.offset - base >= total) {
            return Ok(Step::Last(page, End::Reached));
        }
        Ok(if query.leaves_range(&page) { Step::Last(page, End::LeftRange) } else { Step::Page(page) })
    }
}

/// The end that an empty page makes.
pub(super) fn after_empty(end: &RangeEnd, has_more: Option<bool>) -> End {
    match &end.has_more_path {
        Some(path) if has_more == Some(true) => {
            End::Stopped(format!("a page has no records, and `{path}` says that there are more"))
        }
        _ => End::Reached,
    }
}
