//! Infers the columns of a resource whose manifest declares none.

use std::borrow::Cow;

use client::Record;
use serde_json::Value;
use table::map::{Mapper, infer};

use super::Ingest;
use super::table_ingest::table;
use crate::error::Error;

impl Ingest<'_> {
    /// Infers the columns from the sample and the stored columns, unless they are known, and stores the pages of the sample. Returns
    /// whether all ingested rows are stored.
    ///
    /// # Errors
    ///
    /// As [`Ingest::page`]. After an error, the pages of the sample that were not stored are discarded.
    pub async fn infer_columns(&mut self) -> Result<bool, Error> {
        let Some(sample) = self.sample.take() else { return Ok(false) };
        let records = sample.pages.iter().flat_map(|(_, page)| page.records.iter());
        let values: Vec<Cow<'_, Value>> = records.map(Record::value).collect();
        infer::columns(
            &mut self.target.resource.columns,
            &self.target.layout.columns(),
            values.iter().map(AsRef::as_ref),
        );
        drop(values);
        self.target.mapper = Mapper::new(&self.target.resource);
        let known = table(self.target.ctx, &self.target.resource);
        let unknown = std::mem::replace(&mut self.target.table, known);
        self.target.table.continue_reading(unknown);
        self.target.buffer = self.target.table.buffer();
        let mut flushed = false;
        for (query, page) in sample.pages {
            let stored = self.store_page(page, &query).await;
            self.discarded |= stored.is_err();
            flushed = stored?.flushed;
        }
        Ok(flushed)
    }
}
