//! By offset: the number of records before a page.

use std::sync::atomic::Ordering;

use manifest::{Paginator, ParamLocation, RangeEnd};

use super::facts::range_facts;
use super::page::{End, Page, PageEdges, PageEvent, PageWithFacts, Position, edges};
use super::query_reader::{QueryReader, put};
use crate::error::{Error, Stop};

/// The least number of records on a page for which consecutive pages overlap by one record. It costs at most 2 % of the requests then.
const MIN_OVERLAPPED_LIMIT: u64 = 50;

/// The least number of records on a full last page after which another page is requested.
const MIN_CHECKED_PAGE: u64 = 10;

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
///
/// Without a total, a record that is removed while the pages are read moves the others, and one of them is on no page. Each page is
/// therefore requested from the last record of the page before on: another record in its place shows the move. A total shows nothing either
/// if the query can end at its range, since it counts the records beyond it.
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
    /// The most records that a page had.
    largest_page: u64,
    /// Whether a response had a total that counts all records.
    has_total: bool,
    /// What is known about the total.
    total: TotalState,
    /// Whether the total may be that of the page, so that only an empty page shows that it is not.
    may_be_page_count: bool,
}

/// What is known about the total of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TotalState {
    /// It has not been reached.
    Open,
    /// It was reached, and the next page is requested to see whether it is empty.
    Checked,
    /// There were records beyond it, so it counts something else.
    Wrong,
}

impl<'p> OffsetPages<'p> {
    /// Starts at the position `start`, or at the beginning of the query.
    pub(super) fn new(params: OffsetParams<'p>, start: Option<&Position>, first_page: Option<PageWithFacts>) -> Self {
        let offset = match start {
            Some(Position::Offset(offset)) => *offset,
            _ => params.first_offset,
        };
        let first_page = if offset == params.first_offset { first_page } else { None };
        Self {
            params,
            offset,
            first_page,
            previous: None,
            pages: 0,
            largest_page: 0,
            has_total: false,
            total: TotalState::Open,
            may_be_page_count: false,
        }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<PageEvent, Stop> {
        let (base, end) = (self.params.base(), self.params.end);
        if let Some(end) = self.end_before_next(query) {
            return Ok(PageEvent::End(end));
        }
        let read = match self.read(query).await {
            Err(stop) if self.total == TotalState::Checked && !self.may_be_page_count && is_refusal(&stop) => {
                return Ok(PageEvent::End(End::Refused));
            }
            read => read?,
        };
        let Some(PageWithFacts { mut page, facts }) = read else {
            return Ok(PageEvent::End(if self.total == TotalState::Checked {
                End::Refused
            } else {
                QueryReader::ignored(self.pages)
            }));
        };
        let edges = edges(&page);
        if self.total == TotalState::Checked && edges.is_some() && edges != self.previous {
            self.total = TotalState::Wrong;
        }
        let api_total = facts.count.or(page.total).filter(|_| self.total != TotalState::Wrong);
        let left_out = self.params.first_offset - base;
        page.total = page.total.or(facts.count).filter(|_| self.total != TotalState::Wrong);
        page.total = page.total.map(|total| total.saturating_sub(left_out));
        let Some(edges) = edges else {
            return Ok(PageEvent::LastPage(page, end_after_empty_page(end, facts.has_more)));
        };
        if self.previous.as_ref() == Some(&edges) {
            if self.total == TotalState::Checked {
                // The API takes no notice of the offset, and gave all records in one response.
                return Ok(PageEvent::LastPage(page, End::Reached));
            }
            return Err(query.repeated_page(&page));
        }
        self.previous = Some(edges);
        self.pages += 1;
        self.largest_page = self.largest_page.max(page.records.len() as u64);
        page.position = Some(Position::Offset(self.offset));
        self.offset += page.records.len() as u64;
        let total_limit = query.endpoint().total_limit;
        self.has_total |= api_total.is_some_and(|total| total_limit.is_none_or(|limit| total < limit));
        if facts.has_more == Some(false) {
            return Ok(PageEvent::LastPage(page, End::Reached));
        }
        if let Some(total) = api_total {
            if self.offset - base < total {
                query.reader.has_proven_total.store(true, Ordering::Relaxed);
            } else if self.is_doubtful(query, total, &page) {
                self.total = TotalState::Checked;
            } else {
                return Ok(PageEvent::LastPage(page, End::Reached));
            }
        }
        if query.leaves_range(&page) {
            return Ok(PageEvent::LastPage(page, End::LeftRange));
        }
        Ok(PageEvent::Page(page))
    }

    /// Reads the next page, from the last record of the page before on if that is to be checked.
    async fn read(&mut self, query: &QueryReader<'p>) -> Result<Option<PageWithFacts>, Stop> {
        if let Some(read) = self.first_page.take() {
            return Ok(Some(read));
        }
        let overlaps = (!self.has_total || query.can_leave_range())
            && self.previous.is_some()
            && self.params.limit >= MIN_OVERLAPPED_LIMIT
            && !query.reader.rounds_offsets.load(Ordering::Relaxed);
        if !overlaps {
            return self.params.page_at(query, self.offset, self.params.limit).await;
        }
        let Some(mut read) = self.params.page_at(query, self.offset - 1, self.params.limit).await? else {
            return Ok(None);
        };
        let first = self.previous.as_ref().map(|(first, ..)| first);
        if read.page.records.first().is_some_and(|record| Some(record) == first) {
            query.reader.rounds_offsets.store(true, Ordering::Relaxed);
            return self.params.page_at(query, self.offset, self.params.limit).await;
        }
        // Without any record, some were removed after the last page was read, and none was skipped.
        if !read.page.records.is_empty() {
            read.page.overlap = Some(read.page.records.remove(0));
        }
        Ok(Some(read))
    }

    /// Whether the total that was reached with `page` may be less than the number of records. A last page that is full suggests that there are
    /// others. The total can be an estimate, that of a page, or that up to which the API counts.
    fn is_doubtful(&mut self, query: &QueryReader<'p>, total: u64, page: &Page) -> bool {
        let (endpoint, records) = (query.endpoint(), page.records.len() as u64);
        let full_page = if self.pages == 1 { self.params.limit } else { self.largest_page };
        // dlt's default place can have another number.
        let is_default =
            endpoint.total.is_none() && self.params.end.total.as_ref().is_some_and(|total| !total.required);
        let is_page_count = self.pages == 1 && total == records && is_default;
        let is_unproven = is_page_count && !query.reader.has_proven_total.load(Ordering::Relaxed);
        let is_limit = match endpoint.total_limit {
            Some(limit) => total >= limit,
            None => records >= full_page.max(MIN_CHECKED_PAGE),
        };
        self.may_be_page_count = is_unproven;
        is_limit || is_unproven
    }

    /// How the query ends before its next page, if it does.
    fn end_before_next(&self, query: &QueryReader<'p>) -> Option<End> {
        let before = self.offset.saturating_sub(self.params.base());
        if query.endpoint().depth_limit.is_some_and(|depth_limit| before >= depth_limit) {
            return Some(if self.total == TotalState::Checked { End::Reached } else { End::TooDeep });
        }
        let maximum = self.params.end.maximum?;
        (self.offset >= maximum)
            .then(|| End::Stopped(format!("`maximum_offset: {maximum}` ends the reading where there is more")))
    }
}

/// Whether the API refuses a request, such as one for a page after the last one.
pub(super) fn is_refusal(stop: &Stop) -> bool {
    matches!(stop, Stop::Error(Error::Api { retryable: false, .. } | Error::Decode { .. }))
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
