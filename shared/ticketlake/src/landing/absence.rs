//! What becomes of rows that the API has no more, and of those that are past.

use std::collections::HashSet;

use chrono::{TimeDelta, Utc};

use super::Landing;
use crate::error::Error;
use manifest::{Resource, WriteDisposition};
use table::map::{Cell, Row};
use table::merge::first_moment;
use crate::report::Report;
use crate::request::Request;
use manifest::time::Instant;

/// The instant before which rows are past that are kept no longer.
pub(super) fn oldest(request: &Request, resource: &Resource) -> Option<Instant> {
    let days = request.retention_days.filter(|_| !resource.passed_by.is_empty())?;
    Utc::now().checked_sub_signed(TimeDelta::try_days(days)?)
}

/// The places of the columns that say when a row is past.
pub(super) fn places(resource: &Resource) -> Vec<usize> {
    let place = |name: &String| resource.columns.iter().position(|column| column.name == *name);
    resource.passed_by.iter().filter_map(place).collect()
}

impl Landing<'_> {
    /// Whether `row` was past before the oldest that is kept: stored, it would be taken out by the same run.
    pub(super) fn is_kept_no_longer(&self, row: &Row) -> bool {
        let Some(oldest) = self.oldest else { return false };
        let passed = self.passed_by.iter().find_map(|place| match row.cells.get(*place) {
            Some(Cell::Timestamp(instant)) => Some(*instant),
            Some(Cell::Date(day)) => Some(first_moment(*day)),
            _ => None,
        });
        passed.is_some_and(|passed| passed < oldest.timestamp_micros())
    }

    /// After a complete reading of everything that began at `begin`: what is stored and was not in it is taken out, where the manifest
    /// says `replace`.
    pub(crate) async fn vacate(&mut self, begin: Instant, report: &mut Report) -> Result<(), Error> {
        let Some(seen) = self.seen.as_ref().filter(|_| self.resource.write_disposition == WriteDisposition::Replace)
        else {
            return Ok(());
        };
        if seen.is_empty() && report.expected != Some(0) {
            let why = "nothing was taken out: no records came, and the API does not say that there are none";
            report.warnings.push(why.into());
            return Ok(());
        }
        let removed = self.table.retain_only(seen, begin, &mut self.merged).await;
        self.count(report);
        removed
    }

    /// The keys that are stored and were not met; see [`Table::missing`](table::merge::Table::missing).
    pub(crate) async fn missing(
        &self,
        begin: Instant,
        window: Option<(Instant, Instant)>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        match &self.seen {
            Some(seen) => self.table.missing(seen, begin, Utc::now(), window).await,
            None => Ok((Vec::new(), None)),
        }
    }

    /// Marks the rows of the keys that hash to `missing`.
    pub(crate) async fn mark(
        &mut self,
        missing: &HashSet<u64>,
        begin: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        if missing.is_empty() {
            return Ok(());
        }
        // Columns that the manifest has no more stay in what is rewritten.
        let retired = self.state.claim(&self.resource, self.request.format).await?;
        self.table.retain(retired);
        let marked = self.table.mark_missing(missing, begin, Utc::now(), &mut self.merged).await;
        self.count(report);
        marked
    }

    /// Takes out the rows that are kept no longer, where the request says how long.
    pub(crate) async fn expire(&mut self, report: &mut Report) -> Result<(), Error> {
        let Some(oldest) = self.oldest else { return Ok(()) };
        let retired = self.state.claim(&self.resource, self.request.format).await?;
        self.table.retain(retired);
        let expired = self.table.expire(oldest, Utc::now(), &mut self.merged).await;
        self.count(report);
        expired
    }
}
