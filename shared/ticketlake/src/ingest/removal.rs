//! Removes or marks rows after a read: those that the API no longer has, and those that are past.

use std::collections::HashSet;

use manifest::time::{Instant, TimeRange};
use table::map::Rejection;
use table::merge::{UnseenRows, key_hash};

use super::Ingest;
use crate::error::Error;

/// The stored rows that have vanished.
#[derive(Debug, Default)]
pub struct VanishedRows {
    /// The rows that a reading did not receive.
    pub unseen: UnseenRows,
    /// The hashes of the keys of those among them that have vanished.
    pub keys: HashSet<u64>,
}

impl Ingest<'_> {
    /// Begins a reading that may remove or mark rows at its end, before its first request. `earlier` is the number of a reading that an
    /// earlier run began, if this one resumes it. Returns the number of the reading.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn begin_reading(&self, earlier: Option<u64>) -> Result<u64, Error> {
        if let Some(number) = earlier {
            self.target.table.resume_reading(number);
            return Ok(number);
        }
        Ok(self.target.table.begin_reading().await?)
    }

    /// Removes the stored rows that a complete reading of everything did not receive. Returns the number of rows that were left, because
    /// another run has stored rows since the reading began.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn remove_unseen_rows(&mut self) -> Result<u64, Error> {
        let Some(seen) = &self.seen else { return Ok(0) };
        Ok(self.target.table.remove_unseen_rows(seen, self.target.ctx.now(), &mut self.target.merged).await?)
    }

    /// Returns the stored rows in `window` that a reading did not receive.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn find_unseen_rows(&self, window: TimeRange) -> Result<UnseenRows, Error> {
        let Some(seen) = &self.seen else { return Ok(UnseenRows::default()) };
        Ok(self.target.table.find_unseen_rows(seen, self.target.ctx.now(), window).await?)
    }

    /// Returns whether the table has rows that a read did not receive.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn has_unseen_rows(&self) -> Result<bool, Error> {
        match &self.seen {
            Some(seen) => Ok(self.target.table.has_unseen_rows(seen).await?),
            None => Ok(false),
        }
    }

    /// Marks the rows that have vanished. Returns the number of rows that were left, because another run has stored rows since the reading
    /// began.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn mark_vanished(&mut self, vanished: &VanishedRows) -> Result<u64, Error> {
        self.target.claim().await?;
        let VanishedRows { unseen, keys } = vanished;
        Ok(self.target.table.mark_vanished(unseen, keys, self.target.ctx.now(), &mut self.target.merged).await?)
    }

    /// Keeps only the newest row of each key that lies in several partitions.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn remove_doubled_rows(&mut self) -> Result<(), Error> {
        self.infer_columns().await?;
        let doubled = self.target.table.find_doubled_rows(false).await?;
        if doubled.count() > 0 {
            self.target.claim().await?;
            self.target.table.remove_doubled_rows(&doubled, self.target.ctx.now(), &mut self.target.merged).await?;
        }
        Ok(())
    }

    /// Returns a warning if keys lie in several partitions, in a table whose partition is no function of the key, after rows were inserted. A
    /// table with many parts is not read for that.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn warn_of_doubled_rows(&self) -> Result<Option<String>, Error> {
        let resource = &self.target.resource;
        let follows_key = resource.partition.iter().all(|field| resource.primary_key.contains(&field.from));
        if follows_key || self.target.merged.new == 0 {
            return Ok(None);
        }
        let doubled = self.target.table.find_doubled_rows(true).await?;
        Ok(doubled.example.as_ref().map(|example| {
            format!(
                "{} rows have a key that lies in another partition too, for example {example}: the API changed the value of the partition; `--repair` keeps the newest row of each key",
                doubled.count()
            )
        }))
    }

    /// Remembers the key of a rejected record: its stored row is none that the reading did not receive.
    pub(super) fn remember_rejected(&mut self, rejection: &Rejection) {
        let Some(seen) = &mut self.seen else { return };
        match &rejection.key {
            Some(key) => _ = seen.insert(key_hash(key)),
            None => self.unknown_keys += 1,
        }
    }

    /// Returns the number of records whose keys are not known. If there are any, a stored row that was not received may be one of them.
    pub fn unknown_keys(&self) -> u64 {
        self.unknown_keys
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
