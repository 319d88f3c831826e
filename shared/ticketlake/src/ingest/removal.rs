//! Removes or marks rows after a read: those that the API no longer has, and those that are past.

use std::collections::HashSet;

use manifest::time::{Instant, TimeRange};
use table::merge::UnseenRows;

use super::Ingest;
use crate::error::Error;

impl Ingest<'_> {
    /// Removes the stored rows that a complete read of everything, which began at `begin`, did not receive.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn remove_unseen_rows(&mut self, begin: Instant) -> Result<(), Error> {
        let Some(seen) = &self.seen else { return Ok(()) };
        Ok(self.target.table.remove_unseen_rows(seen, begin, &mut self.target.merged).await?)
    }

    /// Returns the stored rows in `window` that a read did not receive. The read began at `begin`.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn find_unseen_rows(&self, begin: Instant, window: TimeRange) -> Result<UnseenRows, Error> {
        let Some(seen) = &self.seen else { return Ok(UnseenRows::default()) };
        Ok(self.target.table.find_unseen_rows(seen, begin, self.target.ctx.now(), window).await?)
    }

    /// Marks the rows whose keys have the hashes `vanished`. The read began at `begin`.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn mark_vanished(&mut self, vanished: &HashSet<u64>, begin: Instant) -> Result<(), Error> {
        self.target.claim().await?;
        Ok(self.target.table.mark_vanished(vanished, begin, self.target.ctx.now(), &mut self.target.merged).await?)
    }

    /// Returns whether the request asks for the removal of rows that are past.
    pub fn has_retention(&self) -> bool {
        self.retention.is_limited()
    }

    /// Removes the rows that have been past for longer than the request says.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn remove_expired_rows(&mut self) -> Result<(), Error> {
        let Some(oldest) = self.retention.oldest() else { return Ok(()) };
        self.target.claim().await?;
        Ok(self.target.table.remove_expired_rows(oldest, self.target.ctx.now(), &mut self.target.merged).await?)
    }

    /// Ends the merges of the run in all tables. `covered_since` is the start of a complete read of everything.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn close(&self, covered_since: Option<Instant>) -> Result<(), Error> {
        self.target.table.close(covered_since).await?;
        for harvest in &self.harvests {
            harvest.close().await?;
        }
        Ok(())
    }
}
