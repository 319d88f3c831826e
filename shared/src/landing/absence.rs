//! What becomes of rows that the API has no more, and of those that are past.

use chrono::{TimeDelta, Utc};

use super::Landing;
use crate::error::Error;
use crate::manifest::{Resource, WriteDisposition};
use crate::map::{Cell, Row};
use crate::merge::first_moment;
use crate::report::Report;
use crate::request::Request;
use crate::time::Instant;

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

    /// After a complete reading of everything that began at `begin`: what is stored and was not in it is taken out where the manifest
    /// says `replace`, and marked where it names a column for that.
    pub(crate) async fn miss(&mut self, begin: Instant, report: &mut Report) -> Result<(), Error> {
        let Some(seen) = &self.seen else { return Ok(()) };
        let removes = self.resource.write_disposition == WriteDisposition::Replace;
        if seen.is_empty() && report.expected != Some(0) {
            let what = if removes { "taken out" } else { "marked as missing" };
            let why = format!("nothing was {what}: no records came, and the API does not say that there are none");
            report.warnings.push(why);
            return Ok(());
        }
        // Columns that the manifest has no more stay in what is rewritten.
        let retired = self.state.claim(&self.resource, self.request.format).await?;
        self.table.retain(retired);
        let done = if removes {
            self.table.retain_only(seen, begin, &mut self.merged).await
        } else {
            self.table.mark_missing(seen, begin, Utc::now(), &mut self.merged).await
        };
        self.count(report);
        done
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
