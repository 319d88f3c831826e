//! A query that the API serves whole, from one end or from both.
//!
//! Where an order has ties (venues by name), equals change places between two requests: one of them comes on two pages and another
//! on none. The page on which a record comes again begins where that happened, so the records around that place are asked for
//! once more, in one page.

use std::cell::RefCell;
use std::sync::Arc;

use client::{End, Page};
use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Paginator, Query};

use super::received::ReceivedRecords;
use super::{FirstAnswer, MAX_READS, ParamSplitter, SplitSource};
use crate::error::Stop;

/// The pages of one pass in one order.
#[derive(Default)]
struct Pass {
    records: u64,
    /// The most that the API said there are.
    total: u64,
    /// Whether the total fell: what was behind the records that went may have been passed over.
    shrank: bool,
    /// Numbers of the records at which a page begins that has some of those before it.
    seams: Vec<u64>,
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads `query` as far as the API serves it, and says whether that is all of it.
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
            let (known, is_counted) = (begin.records_of_query(), begin.total().is_some());
            if known < last_total {
                // A record that is gone would stand for one that was passed over.
                received.replace(ReceivedRecords::default());
            }
            let pass = RefCell::new(Pass { total: known, ..Pass::default() });
            let observe = |page: &Page| self.observe(page, &pass, &received);
            let end = self.source.read_from(query, begin, &observe).await?;
            if !is_counted && end != End::Reached {
                break;
            }
            let complete = || received.borrow().len() >= pass.borrow().total;
            if !complete() {
                self.read_seams(query, &pass, &received, &complete).await?;
            }
            if known > self.limit && !complete() {
                self.read_backwards(query, &pass, &received, &complete).await?;
            }
            if complete() {
                return Ok((received.into_inner(), true));
            }
            if known > self.capacity() {
                break;
            }
            if pass.borrow().shrank {
                received.replace(ReceivedRecords::default());
            }
            last_total = pass.borrow().total;
        }
        Ok((received.into_inner(), false))
    }

    /// Reads what is left of `query` in the reverse order.
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
        // One record more than is left, so that the two ends overlap where they meet.
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
        if complete() { Ok(()) } else { self.read_seams(&back, &other, received, complete).await }
    }

    /// Reads again what lies around the seams of `pass`, each in the middle of a page.
    async fn read_seams(
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
        let seams = std::mem::take(&mut pass.borrow_mut().seams);
        for seam in seams {
            let before = seam / self.page_size;
            // The page number `before` of this size has the seam in its middle.
            let size = 2 * seam / (2 * before + 1);
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

    fn observe(&self, page: &Page, pass: &RefCell<Pass>, received: &RefCell<ReceivedRecords>) {
        let (mut pass, mut received) = (pass.borrow_mut(), received.borrow_mut());
        let before = received.len();
        let keys = received.add(self.resource, &page.records);
        if received.len() < before + keys.len() as u64 {
            let seam = pass.records;
            pass.seams.push(seam);
        }
        pass.records += keys.len() as u64;
        if let Some(total) = page.total {
            pass.shrank |= total < pass.total;
            pass.total = pass.total.max(total);
        }
    }
}
