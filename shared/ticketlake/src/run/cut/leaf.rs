//! A query that the API serves whole, from one end or from both.
//!
//! Where an order has ties (venues by name), equals change places between two requests: one of them comes on two pages and another
//! on none. The page on which a record comes again begins where that happened, so the records around that place are asked for
//! once more, in one page.

use std::cell::RefCell;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::super::PASSES;
use super::came::Came;
use super::{Cutting, total};
use client::Stop;
use client::paginate::{First, Page};
use manifest::Paginator;
use crate::plan::Slice;

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

impl Cutting<'_, '_> {
    /// Reads `slice` as far as the API serves it, and whether that is all of it.
    pub(super) async fn leaf(&self, number: usize, slice: &Arc<Slice>, first: First) -> Result<(Came, bool), Stop> {
        let came = RefCell::new(Came::default());
        let mut first = Some(first);
        for _ in 0..PASSES {
            let begin = match first.take() {
                Some(first) => first,
                None => match self.reader.first(slice, self.news).await? {
                    Some(first) => first,
                    None => break,
                },
            };
            let known = total(&begin);
            let pass = RefCell::new(Pass { total: known, ..Pass::default() });
            let observe = |page: &Page| self.observe(page, &pass, &came);
            self.reader.pages(number, slice, begin, self.news, &observe).await?;
            let whole = || came.borrow().len() >= pass.borrow().total || self.news.is_closed();
            if !whole() {
                self.mend(number, slice, &pass, &came, &whole).await?;
            }
            if known > self.limit && !whole() {
                self.backwards(number, slice, &pass, &came, &whole).await?;
            }
            if whole() {
                return Ok((came.into_inner(), true));
            }
            if known > self.capacity() {
                break;
            }
            if pass.borrow().shrank {
                came.replace(Came::default());
            }
        }
        Ok((came.into_inner(), false))
    }

    /// Reads what is left of `slice` in the reverse order.
    async fn backwards(
        &self,
        number: usize,
        slice: &Slice,
        pass: &RefCell<Pass>,
        came: &RefCell<Came>,
        whole: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let reverse = &self.resource.slices.reverse;
        if reverse.is_empty() {
            return Ok(());
        }
        let mut back = slice.clone();
        back.params.extend(reverse.clone());
        let back = Arc::new(back);
        let other = RefCell::new(Pass { total: pass.borrow().total, ..Pass::default() });
        let observe = |page: &Page| self.observe(page, &other, came);
        let served = (self.limit / self.page).max(1);
        // One record more than is left, so that the two ends overlap where they meet.
        let pages = (pass.borrow().total - self.limit + 1).div_ceil(self.page).min(served);
        stream::iter(0..pages)
            .map(|page| self.reader.read_page(number, &back, (page, self.page), self.news))
            .buffered(self.reader.in_flight())
            .try_for_each(async |page| {
                if let Some(page) = page {
                    observe(&page);
                    self.reader.send(number, &back, page, self.news).await;
                }
                Ok(())
            })
            .await?;
        {
            let (mut pass, other) = (pass.borrow_mut(), other.borrow());
            pass.total = pass.total.max(other.total);
            pass.shrank |= other.shrank;
        }
        if whole() { Ok(()) } else { self.mend(number, &back, &other, came, whole).await }
    }

    /// Reads again what lies around the seams of `pass`, each in the middle of a page.
    async fn mend(
        &self,
        number: usize,
        slice: &Arc<Slice>,
        pass: &RefCell<Pass>,
        came: &RefCell<Came>,
        whole: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let by_number = matches!(self.resource.endpoint.paginator, Paginator::PageNumber { .. });
        if by_number && self.resource.endpoint.page_size.is_none() {
            return Ok(());
        }
        let seams = std::mem::take(&mut pass.borrow_mut().seams);
        for seam in seams {
            let before = seam / self.page;
            // The page number `before` of this size has the seam in its middle.
            let size = 2 * seam / (2 * before + 1);
            if before == 0 || size == 0 || size > self.page || whole() {
                continue;
            }
            if let Some(page) = self.reader.read_page(number, slice, (before, size), self.news).await? {
                came.borrow_mut().add(self.resource, &page.records);
                self.reader.send(number, slice, page, self.news).await;
            }
        }
        Ok(())
    }

    fn observe(&self, page: &Page, pass: &RefCell<Pass>, came: &RefCell<Came>) {
        let (mut pass, mut came) = (pass.borrow_mut(), came.borrow_mut());
        let before = came.len();
        let keys = came.add(self.resource, &page.records);
        if came.len() < before + keys.len() as u64 {
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
