//! The source of pages for a query that is split: it stores the pages and gathers the keys of their records.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use client::{End, FirstPage, Page};
use manifest::{Query, QueryId};

use super::PlanReading;
use super::open_query::OpenQuery;
use super::unsplit::ReadEnd;
use crate::error::Stop;
use crate::evidence::Verdict;
use crate::split::SplitSource;
use crate::state::FinishedSubquery;

/// The read of one query that is split.
pub(super) struct SplitReading<'r, 'p, 's, 'i> {
    pub(super) reading: &'r PlanReading<'p, 's, 'i>,
    /// The hashes of the keys of all records.
    keys: RefCell<HashSet<u64>>,
    /// The verdict on a subquery with conflicting records or with pages that go in circles.
    fault: RefCell<Option<Verdict>>,
    /// Whether a rejected record did not show its key.
    has_anonymous: Cell<bool>,
}

impl<'r, 'p, 's, 'i> SplitReading<'r, 'p, 's, 'i> {
    pub(super) fn new(reading: &'r PlanReading<'p, 's, 'i>) -> Self {
        Self { reading, keys: RefCell::default(), fault: RefCell::default(), has_anonymous: Cell::new(false) }
    }

    /// Returns whether a rejected record did not show its key.
    pub(super) fn has_anonymous(&self) -> bool {
        self.has_anonymous.get()
    }

    /// Returns the hashes of the keys of all records, or the verdict on a subquery that cannot be complete.
    pub(super) fn into_keys(self) -> Result<HashSet<u64>, Verdict> {
        match self.fault.into_inner() {
            Some(fault) => Err(fault),
            None => Ok(self.keys.into_inner()),
        }
    }

    fn add_keys(&self, open: &RefCell<OpenQuery>) {
        let open = open.borrow();
        self.keys.borrow_mut().extend(open.evidence().records().map(|(key, _)| key));
        self.has_anonymous.set(self.has_anonymous.get() | open.evidence().has_anonymous());
    }
}

impl SplitSource for SplitReading<'_, '_, '_, '_> {
    type First = FirstPage;

    async fn first_page(&self, query: &Arc<Query>) -> Result<Option<FirstPage>, Stop> {
        Ok(self.reading.reader.first_page(query).await?)
    }

    async fn numbered_page(&self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop> {
        Ok(self.reading.reader.numbered_page(query, number, size).await?)
    }

    async fn read_from(&self, query: &Arc<Query>, first: FirstPage, observe: &dyn Fn(&Page)) -> Result<End, Stop> {
        let mut pages = self.reading.reader.pages_from(query, first);
        let open = RefCell::default();
        let end = self.reading.read_pages(query, &mut pages, &open, observe).await?;
        self.add_keys(&open);
        match end {
            ReadEnd::Stopped(stop) => Err(stop),
            ReadEnd::Judged(verdict) => {
                if matches!(verdict, Verdict::Conflicting { .. }) {
                    self.fault.borrow_mut().get_or_insert(verdict);
                }
                // Pages that go in circles have no end.
                Ok(pages.end().cloned().unwrap_or_else(|| End::Stopped("the pages go in circles".into())))
            }
        }
    }

    async fn store_page(&self, query: &Arc<Query>, page: Page) -> Result<(), Stop> {
        let open = RefCell::default();
        self.reading.ingest_page(query, page, &open).await?;
        self.add_keys(&open);
        Ok(())
    }

    fn subquery_finished(&self, parent: QueryId, part: FinishedSubquery) {
        self.reading.failures.set(0);
        let mut outcome = self.reading.outcome.borrow_mut();
        outcome.queries.planned += 1;
        outcome.queries.complete += 1;
        self.reading.checkpoint.borrow_mut().finish_subquery(parent, part);
    }

    fn subquery_resumed(&self, part: &FinishedSubquery) {
        self.reading.outcome.borrow_mut().queries.resumed += 1;
        self.keys.borrow_mut().extend(&part.keys);
    }

    fn in_flight(&self) -> usize {
        self.reading.reader.in_flight()
    }
}
