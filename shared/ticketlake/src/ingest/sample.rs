//! Columns of a resource whose manifest declares none: found in the first records, which wait until then.

use std::borrow::Cow;
use std::sync::Arc;

use client::{Page, Record};
use manifest::Query;
use serde_json::Value;
use table::map::{Mapper, infer};

use super::{Ingest, table};
use crate::error::Error;

/// Records in which the columns are found.
const SAMPLE_RECORDS: usize = 200;

/// The pages that wait for the columns to be found.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pages: Vec<(Arc<Query>, Page)>,
    records: usize,
}

impl Sample {
    /// Holds a page back; whether there are enough records now.
    pub(super) fn hold(&mut self, page: Page, query: &Arc<Query>) -> bool {
        self.records += page.records.len();
        // The page waits here, and those after it are wanted.
        self.pages.push((Arc::clone(query), Page { room: None, ..page }));
        self.records >= SAMPLE_RECORDS
    }
}

impl Ingest<'_> {
    /// Finds the columns in the sample and in what is stored, if they are still to be found, and stores the pages of the sample. Gives
    /// whether everything is stored then.
    ///
    /// # Errors
    ///
    /// As [`Ingest::page`]. The pages of the sample that were not stored are thrown away then.
    pub async fn find_columns(&mut self) -> Result<bool, Error> {
        let Some(sample) = self.sample.take() else { return Ok(false) };
        let records = sample.pages.iter().flat_map(|(_, page)| page.records.iter());
        let values: Vec<Cow<'_, Value>> = records.map(Record::value).collect();
        infer::columns(&mut self.resource.columns, &self.layout.columns(), values.iter().map(AsRef::as_ref));
        drop(values);
        self.mapper = Mapper::new(&self.resource);
        self.table = table(self.ctx, &self.resource);
        self.buffer = self.table.buffer();
        let mut flushed = false;
        for (query, page) in sample.pages {
            let stored = self.store_page(page, &query).await;
            self.discarded |= stored.is_err();
            flushed = stored?.flushed;
        }
        Ok(flushed)
    }
}
