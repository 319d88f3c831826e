//! Reads a query from one end, or from both ends if it has more records than the API serves from one.
//!
//! Records that are equal in the order (venues by name) can change places between two requests, so that one is on two pages and another
//! on none. It happens at the beginning of a page that repeats a record. The records around that offset are therefore requested again, on
//! one page.

use std::cell::RefCell;
use std::sync::Arc;

use client::{End, Page};
use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Paginator, Query};

use super::received::ReceivedRecords;
use super::{FirstAnswer, ParamSplitter, SplitSource};
use crate::error::Stop;
use crate::evidence::MAX_READS;

/// One read of the pages in one order.
#[derive(Default)]
struct Pass {
    /// The number of records received.
    records: u64,
    /// The greatest total.
    total: u64,
    /// Whether the total decreased, so that records may have been skipped.
    shrank: bool,
    /// The offsets of the pages that repeat a record of an earlier page.
    repeat_offsets: Vec<u64>,
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads `query` as far as the API serves it. Returns whether all records were received.
    pub(super) async fn read_both_ends(
        &self,
        query: &Arc<Query>,
        first: S::First,
    ) -> Result<(ReceivedRecords, bool), Stop> {
        let received = RefCell::new(ReceivedRecords::default());
        let mut first = Some(first);
        let mut last_total = 0;
        for _ in 0..MAX_READS {
            let begin = match first.take() {
                Some(first) => first,
                None => match self.source.first_page(query).await? {
                    Some(first) => first,
                    None => break,
                },
            };
            let (total, is_counted) = (begin.records_of_query(), begin.total().is_some());
            if total < last_total {
                // A record that was removed would stand for one that was not received.
                received.replace(ReceivedRecords::default());
            }
            let pass = RefCell::new(Pass { total, ..Pass::default() });
            let observe = |page: &Page| self.observe(page, &pass, &received);
            let end = self.source.read_from(query, begin, &observe).await?;
            if !is_counted && end != End::Reached {
                break;
            }
            let complete = || received.borrow().len() >= pass.borrow().total;
            if !complete() {
                self.read_around_repeats(query, &pass, &received, &complete).await?;
            }
            if total > self.limit && !complete() {
                self.read_backwards(query, &pass, &received, &complete).await?;
            }
            if complete() {
                return Ok((received.into_inner(), true));
            }
            if total > self.capacity() {
                break;
            }
            if pass.borrow().shrank {
                received.replace(ReceivedRecords::default());
            }
            last_total = pass.borrow().total;
        }
        Ok((received.into_inner(), false))
    }

    /// Reads the remaining records of `query` in the reverse order.
    async fn read_backwards(
        &self,
        query: &Query,
        pass: &RefCell<Pass>,
        received: &RefCell<ReceivedRecords>,
        complete: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let reverse = &self.resource.slices.reverse;
        if reverse.is_empty() {
            return Ok(());
        }
        let mut back = query.clone();
        back.params.extend(reverse.clone());
        let back = Arc::new(back);
        let other = RefCell::new(Pass { total: pass.borrow().total, ..Pass::default() });
        let observe = |page: &Page| self.observe(page, &other, received);
        let served = (self.limit / self.page_size).max(1);
        // One record more than the remaining ones, so that the two ends overlap.
        let pages = (pass.borrow().total - self.limit + 1).div_ceil(self.page_size).min(served);
        stream::iter(0..pages)
            .map(|page| self.source.numbered_page(&back, page, self.page_size))
            .buffered(self.source.in_flight())
            .try_for_each(async |page| {
                if let Some(page) = page {
                    observe(&page);
                    self.source.store_page(&back, page).await?;
                }
                Ok(())
            })
            .await?;
        {
            let (mut pass, other) = (pass.borrow_mut(), other.borrow());
            pass.total = pass.total.max(other.total);
            pass.shrank |= other.shrank;
        }
        if complete() { Ok(()) } else { self.read_around_repeats(&back, &other, received, complete).await }
    }

    /// Reads the records around the repeat offsets of `pass` again, each offset in the middle of a page.
    async fn read_around_repeats(
        &self,
        query: &Arc<Query>,
        pass: &RefCell<Pass>,
        received: &RefCell<ReceivedRecords>,
        complete: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let by_number = matches!(self.resource.endpoint.paginator, Paginator::PageNumber { .. });
        if by_number && self.resource.endpoint.page_size.is_none() {
            return Ok(());
        }
        let repeat_offsets = std::mem::take(&mut pass.borrow_mut().repeat_offsets);
        for offset in repeat_offsets {
            let before = offset / self.page_size;
            // The page number `before` of this size has the offset in its middle.
            let size = 2 * offset / (2 * before + 1);
            if before == 0 || size == 0 || size > self.page_size || complete() {
                continue;
            }
            if let Some(page) = self.source.numbered_page(query, before, size).await? {
                received.borrow_mut().add(self.resource, &page.records);
                self.source.store_page(query, page).await?;
            }
        }
        Ok(())
    }

    /// Adds a page to `pass` and to the received records.
    fn observe(&self, page: &Page, pass: &RefCell<Pass>, received: &RefCell<ReceivedRecords>) {
        let (mut pass, mut received) = (pass.borrow_mut(), received.borrow_mut());
        let before = received.len();
        let keys = received.add(self.resource, &page.records);
        if received.len() < before + keys.len() as u64 {
            let offset = pass.records;
            pass.repeat_offsets.push(offset);
        }
        pass.records += keys.len() as u64;
        if let Some(total) = page.total {
            pass.shrank |= total < pass.total;
            pass.total = pass.total.max(total);
        }
    }
}
