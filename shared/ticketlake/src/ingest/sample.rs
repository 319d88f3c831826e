//! The first pages of a resource whose manifest declares no columns. They wait until the columns are inferred from them.

use std::sync::Arc;

use client::Page;
use manifest::Query;

/// The number of records from which the columns are inferred.
const SAMPLE_RECORDS: usize = 200;

/// The pages that wait until the columns are inferred.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) pages: Vec<(Arc<Query>, Page)>,
    /// The number of records on the pages.
    records: usize,
}

impl Sample {
    /// Adds a page. Returns whether there are enough records now.
    pub(super) fn add(&mut self, page: Page, query: &Arc<Query>) -> bool {
        self.records += page.records.len();
        // The page gives its permit to read ahead back, since the next pages are needed while it waits.
        self.pages.push((Arc::clone(query), Page { room: None, ..page }));
        self.records >= SAMPLE_RECORDS
    }
}
