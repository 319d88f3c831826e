//! Splits queries that are too deep into narrower ones: by time ([`time`]), and by other parameters ([`params`]).
//!
//! A split requests the first page of a query for its total, and then chooses the next query. It reads through [`SplitSource`], which the
//! reader implements.

pub mod params;
pub mod time;

use std::sync::Arc;

use client::{End, FirstPage, Page, Record};
use manifest::{Query, QueryId};

use crate::error::Stop;
use crate::state::FinishedSubquery;

/// The source of the pages that a split needs.
#[expect(async_fn_in_trait, reason = "a run is one task on one thread: no future needs to be `Send`")]
pub trait SplitSource {
    /// The first page of a query.
    type First: FirstAnswer;

    /// Requests the first page of `query`. `None` if the manifest ignores the response.
    async fn first_page(&self, query: &Arc<Query>) -> Result<Option<Self::First>, Stop>;

    /// Requests the records of `query` from offset `size * number` to before `size * (number + 1)`. `None` if the manifest ignores the
    /// response, or if the API has no page numbers.
    async fn numbered_page(&self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop>;

    /// Reads `query` to its end and stores its records. `first` is its first page, and `observe` is called with every page.
    async fn read_from(&self, query: &Arc<Query>, first: Self::First, observe: &dyn Fn(&Page)) -> Result<End, Stop>;

    /// Stores the records of `page`, a page of `query`.
    async fn store_page(&self, query: &Arc<Query>, page: Page) -> Result<(), Stop>;

    /// Records that a subquery of the query `parent` was read completely.
    fn subquery_finished(&self, parent: QueryId, part: FinishedSubquery);

    /// Records that a subquery was read by an earlier run and is not read again.
    fn subquery_resumed(&self, part: &FinishedSubquery);

    /// Returns the greatest number of requests at the same time.
    fn in_flight(&self) -> usize;
}

/// The first page of a query.
pub trait FirstAnswer {
    /// Returns the total of the query.
    fn total(&self) -> Option<u64>;

    /// Returns the records of the page.
    fn records(&self) -> &[Record];

    /// Returns the page, if the query is not read further.
    fn into_page(self) -> Page;

    /// Returns the total of the query, or the number of records on the page if there is no total.
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
