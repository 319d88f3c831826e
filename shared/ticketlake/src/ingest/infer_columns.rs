//! Finds the columns of a resource whose manifest declares none in the first records of a run.

use table::map::infer::FoundFields;

use super::sample::Sample;
use super::{Ingest, with_parent_fields};
use crate::error::Error;

impl Ingest<'_> {
    /// Adds the columns that the records of the sample need, unless that was done, and stores the pages of the sample. Returns whether all
    /// ingested rows are stored.
    ///
    /// # Errors
    ///
    /// As [`Ingest::page`]. After an error, the pages of the sample that were not stored are discarded.
    pub async fn infer_columns(&mut self) -> Result<bool, Error> {
        let Some(sample) = self.sample.take() else { return Ok(false) };
        let stored = self.store_sample(sample).await;
        self.discarded |= stored.is_err();
        stored
    }

    async fn store_sample(&mut self, sample: Sample) -> Result<bool, Error> {
        let mut found = FoundFields::default();
        for (query, page) in &sample.pages {
            for record in &page.records {
                self.target.find_fields(&with_parent_fields(record.text(), query), &mut found);
            }
        }
        self.target.add_columns(&found).await?;
        let mut flushed = false;
        for (query, page) in sample.pages {
            flushed = self.store_page(page, &query).await?.flushed;
        }
        Ok(flushed)
    }
}
