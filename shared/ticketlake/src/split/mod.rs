//! Queries that are deeper than the API serves, split into narrower ones: by time ([`time`]), and by other parameters ([`params`]).
//!
//! Splitting asks the API for first pages, to see how much a query has, and decides what to ask for next. It reads through
//! [`SplitSource`], which the reader implements, and an API in memory in the tests.

pub mod params;
pub mod time;

use std::sync::Arc;

use client::{End, FirstPage, Page, Record};
use manifest::{Query, QueryId};

use crate::error::Stop;
use crate::state::FinishedPart;

/// What splitting asks of the side that reads.
#[expect(async_fn_in_trait, reason = "a run is one task on one thread: no future needs to be `Send`")]
pub trait SplitSource {
    /// The first page of a query.
    type First: FirstAnswer;

    /// The first page of `query`; `None`: the manifest ignores the answer.
    async fn first_page(&self, query: &Arc<Query>) -> Result<Option<Self::First>, Stop>;

    /// The records of `query` from number `size * number` to before `size * (number + 1)`, counted from 0; `None`: the manifest ignores
    /// the answer, or the API does not count its pages.
    async fn numbered_page(&self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop>;

    /// Reads `query` to its end, `first` being its first page, and stores its records. `observe` sees every page.
    async fn read_from(&self, query: &Arc<Query>, first: Self::First, observe: &dyn Fn(&Page)) -> Result<End, Stop>;

    /// Stores the records of `page`, a page of `query`.
    async fn store_page(&self, query: &Arc<Query>, page: Page) -> Result<(), Stop>;

    /// Notes that a part of the query `parent` was read completely.
    fn part_finished(&self, parent: QueryId, part: FinishedPart);

    /// Notes that a part was read by an earlier run, and is not read again.
    fn part_resumed(&self);

    /// Requests that can be on their way at a time.
    fn in_flight(&self) -> usize;
}

/// A query's first page, read to see how much there is.
pub trait FirstAnswer {
    /// The records of the whole query, as the answer said.
    fn total(&self) -> Option<u64>;

    /// The page's records.
    fn records(&self) -> &[Record];

    /// The page, of a query that is read no further.
    fn into_page(self) -> Page;

    /// The records of the whole query; those of the page where the answer does not say.
    fn records_of_query(&self) -> u64 {
        self.total().unwrap_or(self.records().len() as u64)
    }
}

impl FirstAnswer for FirstPage {
    fn total(&self) -> Option<u64> {
        Self::total(self)
    }

    fn records(&self) -> &[Record] {
        Self::records(self)
    }

    fn into_page(self) -> Page {
        Self::into_page(self)
    }
}

#[cfg(test)]
mod tests;
