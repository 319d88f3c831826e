//! What follows from how a reading ended: what is closed, marked and kept, and what the report says.

use std::collections::HashSet;

use super::missing;
use super::refresh::Due;
use manifest::Cursor;
use crate::error::Error;
use client::Stop;
use crate::landing::Landing;
use manifest::{Resource, WriteDisposition};
use crate::plan::Plan;
use crate::report::{Report, Status};
use crate::request::Request;
use crate::state::{Checkpoint, Last};
use manifest::time::Instant;

/// A reading that has ended; what came of it is stored.
pub(super) struct Ended<'e> {
    /// The request, as it was asked.
    pub(super) asked: &'e Request,
    pub(super) resource: &'e Resource,
    /// What was to be read; `None` where that could not be found out.
    pub(super) plan: Option<Plan<'e>>,
    pub(super) read: Result<(), Stop>,
    /// The hashes of the keys that are missing.
    pub(super) missing: HashSet<u64>,
    /// When its first invocation began.
    pub(super) begin: Instant,
    /// What the last complete run needed.
    pub(super) last: Option<Last>,
    /// Of a resource that is refreshed in parts: which part it was.
    pub(super) due: Option<Due<'e>>,
}

impl Ended<'_> {
    /// Ends the run.
    pub(super) async fn settle(
        self,
        mut landing: Landing<'_>,
        mut checkpoint: Checkpoint,
        report: &mut Report,
    ) -> Result<(), Error> {
        let complete = self.read.is_ok() && report.slices.incomplete.is_empty();
        let plan = self.plan.as_ref().filter(|_| complete);
        let everything = plan.is_some_and(Plan::is_everything);
        if everything {
            landing.vacate(self.begin, report).await?;
        }
        if complete && !self.missing.is_empty() {
            // A run that is killed while it marks leaves what the next one needs to go on with that.
            self.keep_for_another(&mut landing, &mut checkpoint).await?;
            landing.mark(&self.missing, self.begin, report).await?;
        }
        // An error may be the store's, in the middle of a merge: what is half written then is not closed.
        if !matches!(self.read, Err(Stop::Error(_))) {
            landing.close(everything.then_some(self.begin)).await?;
            for harvest in &landing.harvests {
                harvest.close().await?;
            }
        }
        if self.read.is_ok() {
            landing.expire(report).await?;
        }
        self.advance(complete, &mut landing, &mut checkpoint).await?;
        self.keep(complete, &mut landing, checkpoint).await?;
        report.watermark = landing.state.watermark(self.resource).map(|watermark| watermark.to_string());
        report.status = match self.read {
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Limit(reason)) => {
                report.stopped = Some(reason);
                report.continuation = Some(self.asked.again());
                Status::Partial
            }
            Ok(()) if complete => Status::Complete,
            Ok(()) => Status::Incomplete,
        };
        if let Some(plan) = self.plan.as_ref().filter(|_| complete) {
            warn(plan, self.resource, &landing, self.last, report);
            if plan.is_unfiltered() && report.records.received > 0 {
                let last = Last { records: report.records.received, requests: report.requests.sent };
                landing.state.note(last).await?;
            }
        }
        Ok(())
    }

    /// Moves the watermarks of a resource with a cursor.
    async fn advance(
        &self,
        complete: bool,
        landing: &mut Landing<'_>,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        let Some(incremental) = &self.resource.endpoint.incremental else { return Ok(()) };
        let parents = std::mem::take(&mut landing.reached);
        let earlier = checkpoint.newest.as_deref().and_then(|text| Cursor::parse(text, incremental.kind));
        landing.newest = match (landing.newest, earlier) {
            (Some(newest), earlier) => Some(newest.further(earlier, incremental)),
            (None, earlier) => earlier,
        };
        checkpoint.newest = landing.newest.map(|newest| newest.to_string());
        let moves = complete && self.plan.as_ref().is_some_and(|plan| plan.moves_watermark);
        let newest = landing.newest.filter(|_| moves);
        // A record dated in the future would carry the watermark past those still to come.
        let now = |cursor: Cursor| {
            cursor.instant().map_or(cursor, |instant| Cursor::Instant(instant.min(chrono::Utc::now())))
        };
        let parents: Vec<(String, Cursor)> = parents.into_iter().map(|(key, cursor)| (key, now(cursor))).collect();
        landing.state.advance(incremental, newest.map(now), &parents).await
    }

    /// Keeps how far it has come, and which parts are read. After the rows, never before: what it names is stored.
    async fn keep(&self, complete: bool, landing: &mut Landing<'_>, mut checkpoint: Checkpoint) -> Result<(), Error> {
        let ended = self.read.is_ok();
        if let (Some(due), Some(plan), true) = (&self.due, &self.plan, ended && !landing.discarded) {
            let is_whole = |near| plan.has_read(near, |name, from, to| checkpoint.covers(name, from, to));
            due.note(&mut landing.state, complete, is_whole).await?;
        }
        // Windows that begin now are begun anew by the next run: what does not add up today must not keep them in the past.
        let anew = ended && self.plan.as_ref().is_some_and(Plan::is_changes)
            || self.resource.write_disposition == WriteDisposition::Replace;
        if complete || anew || landing.discarded || checkpoint.is_empty() {
            return landing.state.forget(&checkpoint.request).await;
        }
        self.keep_for_another(landing, &mut checkpoint).await
    }

    /// Keeps what another invocation needs to go on.
    async fn keep_for_another(&self, landing: &mut Landing<'_>, checkpoint: &mut Checkpoint) -> Result<(), Error> {
        missing::keep(landing, self.resource, checkpoint).await?;
        landing.state.keep(checkpoint).await
    }
}

/// Says what a reader of a complete run's report should know.
fn warn(plan: &Plan<'_>, resource: &Resource, landing: &Landing<'_>, last: Option<Last>, report: &mut Report) {
    if resource.endpoint.incremental.is_some() && landing.newest.is_some() && !plan.moves_watermark {
        let why = "the watermark stays: `params` leave records out, or the range is not one that joins it";
        report.warnings.push(why.into());
    }
    if let Some(last) = last.filter(|last| last.records > 0)
        && report.records.received == 0
        && plan.is_unfiltered()
    {
        report
            .warnings
            .push(format!("no records came, where the last complete run received {}: is that right?", last.records));
    }
    if resource.parent.is_some() && report.slices.planned == 0 {
        report.warnings.push(format!("no records of the parent came, so nothing was asked of `{}`", resource.name));
    }
}
