//! The last stage of a run: it removes or marks rows, saves the progress, and decides on the status.

use std::collections::HashSet;

use chrono::TimeDelta;
use manifest::time::Instant;
use manifest::{Cursor, WriteDisposition};
use serde_json::Value;

use super::expectations;
use super::vanished::{disturbed, doubt, unknown_keys};
use crate::clock::{CLOCK_TOLERANCE, Disagreement, OtherClock};
use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::ingest::{Ingest, VanishedRows};
use crate::plan::{DueRefresh, Plan, RangeReading};
use crate::read::ReadOutcome;
use crate::report::{IncompleteQuery, QueryCounts, Status};
use crate::request::Request;
use crate::state::{Checkpoint, PreviousRun, Progress, ReadCoverage, SeenKeys};

/// What the last stage needs. All rows that were read are stored by then.
pub(super) struct FinishInput<'e> {
    pub(super) ctx: &'e RunContext<'e>,
    /// The request before names in its `params` were replaced by ids.
    pub(super) original: &'e Request,
    /// The plan. `None` if the parent's records could not be read.
    pub(super) plan: Option<Plan<'e>>,
    /// What reading found.
    pub(super) read: ReadOutcome,
    /// The rows that have vanished.
    pub(super) vanished: VanishedRows,
    /// The start of the read: that of its first run, if it was resumed.
    pub(super) begin: Instant,
    /// Whether the read began in an earlier run.
    pub(super) is_resumed: bool,
    /// Whether a complete read shows which rows have vanished.
    pub(super) marks_vanished: bool,
    /// The size of the previous complete run.
    pub(super) previous: Option<PreviousRun>,
    /// The part that was due, if the resource has `refresh`.
    pub(super) due: Option<DueRefresh<'e>>,
    /// The number of records received.
    pub(super) received: u64,
    /// The number of requests sent.
    pub(super) requests: u64,
}

/// How the run ended. The fields are those of the report.
#[derive(Debug, Default)]
pub(super) struct FinishOutcome {
    pub(super) status: Status,
    pub(super) queries: QueryCounts,
    pub(super) stopped: Option<String>,
    pub(super) continuation: Option<Value>,
    pub(super) warnings: Vec<String>,
}

impl FinishInput<'_> {
    /// Ends the run. The outcome is valid also with an error.
    pub(super) async fn finish(
        mut self,
        ingest: &mut Ingest<'_>,
        progress: &mut Progress<'_>,
        checkpoint: Checkpoint,
    ) -> (FinishOutcome, Result<(), Error>) {
        let mut outcome = FinishOutcome::default();
        self.read.queries.incomplete.extend(self.unmet_expectations(ingest));
        let ended = self.update_table_and_state(ingest, progress, checkpoint, &mut outcome.warnings).await;
        let undone = self.undone_by_clock(ingest);
        let complete = self.read.is_complete() && undone.is_empty();
        outcome.warnings.extend(self.clock_warning(&undone));
        outcome.queries = std::mem::take(&mut self.read.queries);
        let ended = match (ended, self.read.stopped) {
            (Err(error), _) | (Ok(()), Some(Stop::Error(error))) => Err(error),
            (Ok(()), Some(Stop::Limit(reason))) => {
                outcome.stopped = Some(reason);
                outcome.continuation = Some(self.original.to_event());
                outcome.status = Status::Partial;
                Ok(())
            }
            (Ok(()), None) => {
                outcome.status = if complete { Status::Complete } else { Status::Incomplete };
                Ok(())
            }
        };
        (outcome, ended)
    }

    /// Removes and marks rows, then saves the progress. The progress must not be saved before the rows that it names.
    async fn update_table_and_state(
        &self,
        ingest: &mut Ingest<'_>,
        progress: &mut Progress<'_>,
        mut checkpoint: Checkpoint,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let complete = self.read.is_complete();
        let complete_plan = self.plan.as_ref().filter(|_| complete);
        // Nothing irreversible depends on a clock that is wrong.
        let covers_everything = complete_plan.is_some_and(Plan::covers_everything) && self.clocks_agree();
        if covers_everything && self.ctx.resource.write_disposition == WriteDisposition::Replace {
            progress.forget_other_scopes().await?;
            warnings.extend(self.remove_unseen_rows(ingest).await?);
        }
        if complete && self.clocks_agree() && !self.vanished.keys.is_empty() {
            // If the run is killed while it marks rows, the next one resumes from this checkpoint.
            self.save_checkpoint(ingest, progress, &mut checkpoint).await?;
            let left = ingest.mark_vanished(&self.vanished).await?;
            warnings.extend((left > 0).then(|| disturbed("marked as vanished", left)));
        }
        // An error of the store may have interrupted a merge, which the next run must find open.
        if !matches!(self.read.stopped, Some(Stop::Error(_))) {
            ingest.close(covers_everything.then_some(self.begin)).await?;
        }
        if self.read.stopped.is_none() && self.clocks_agree() {
            ingest.remove_expired_rows().await?;
        }
        // A read of everything reads the keys of all parts in any case. After any other, that would cost as much as the table is large.
        if complete_plan.is_some_and(Plan::covers_everything) {
            warnings.extend(ingest.warn_of_doubled_rows().await?);
        }
        let newest = self.newest(&checkpoint);
        checkpoint.newest = newest.map(|newest| newest.to_string());
        self.add_coverage(complete, newest, ingest, progress).await?;
        self.save_progress(complete, ingest, progress, checkpoint).await?;
        if let Some(plan) = complete_plan {
            warnings.extend(self.warnings(plan, newest));
            if plan.is_unfiltered() && self.received > 0 {
                progress.save_run(PreviousRun { records: self.received, requests: self.requests }).await?;
            }
        }
        Ok(())
    }

    /// Removes the stored rows that a complete read of everything did not receive. Returns a warning if none may be removed.
    async fn remove_unseen_rows(&self, ingest: &mut Ingest<'_>) -> Result<Option<String>, Error> {
        if ingest.seen().is_none_or(HashSet::is_empty) && self.read.total != Some(0) {
            let warning = "no rows were removed: received 0 records, and the API gives no total of 0; check the filters and the key";
            return Ok(Some(warning.into()));
        }
        if let Some(doubt) = doubt(&self.read.proof) {
            return Ok(Some(format!("no rows were removed: {doubt}")));
        }
        if ingest.unknown_keys() > 0 {
            return Ok(Some(unknown_keys("no rows were removed", ingest.unknown_keys())));
        }
        let left = ingest.remove_unseen_rows().await?;
        Ok((left > 0).then(|| disturbed("removed", left)))
    }

    /// Returns the furthest cursor of all runs of the read.
    fn newest(&self, checkpoint: &Checkpoint) -> Option<Cursor> {
        let incremental = self.ctx.resource.endpoint.incremental.as_ref()?;
        let earlier = checkpoint.newest.as_deref().and_then(|text| Cursor::parse(text, incremental.kind));
        match (self.read.newest, earlier) {
            (Some(newest), earlier) => Some(newest.furthest(earlier, incremental)),
            (None, earlier) => earlier,
        }
    }

    /// Adds what was read to the coverage of a resource with a cursor.
    async fn add_coverage(
        &self,
        complete: bool,
        newest: Option<Cursor>,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let endpoint = &self.ctx.resource.endpoint;
        let (Some(incremental), Some(plan)) = (&endpoint.incremental, &self.plan) else { return Ok(()) };
        // Records that were rejected are not stored, and a corrected manifest must read them again.
        if ingest.has_discarded() || !self.unmet_expectations(ingest).is_empty() {
            return Ok(());
        }
        let reading = RangeReading { incremental, sends_end: endpoint.sends_range_end(), began: self.began() };
        let mut proven = ReadCoverage::default();
        for finished in &self.read.finished {
            proven.extend(&plan.proven_by(finished.index, finished.newest, &reading));
        }
        if complete {
            proven.extend(&plan.proven_by_all(newest, &reading));
        }
        progress.add_coverage(incremental, &proven).await
    }

    /// Returns an incomplete query for each expectation that the records do not meet.
    fn unmet_expectations(&self, ingest: &Ingest<'_>) -> Vec<IncompleteQuery> {
        expectations::unmet(self.ctx.manifest, self.ctx.resource, &ingest.counts())
    }

    /// Returns the start of the read by the clock of the API. The clock of an earlier run of the read may have been a little ahead.
    fn began(&self) -> Instant {
        let began = self.ctx.clock.api_time(self.begin);
        if self.is_resumed { began - CLOCK_TOLERANCE } else { began }
    }

    /// Returns whether the clock of the machine agrees with those of the API and the store.
    fn clocks_agree(&self) -> bool {
        self.ctx.clock.disagreement().is_none()
    }

    /// Returns what the run was asked for and did not do, because a clock is wrong.
    fn undone_by_clock(&self, ingest: &Ingest<'_>) -> Vec<&'static str> {
        let plan = self.plan.as_ref().filter(|_| self.read.is_complete());
        let Some(plan) = plan.filter(|_| !self.clocks_agree()) else { return Vec::new() };
        let resource = self.ctx.resource;
        let replaces = resource.write_disposition == WriteDisposition::Replace && plan.covers_everything();
        let undone = [
            (replaces, "no rows were removed that the API no longer has"),
            (ingest.has_retention(), "no rows were removed by `retention_days`"),
            (self.marks_vanished, "no rows were marked as vanished"),
        ];
        undone.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, text)| text).collect()
    }

    /// Returns the warning for clocks that disagree.
    fn clock_warning(&self, undone: &[&'static str]) -> Option<String> {
        let Disagreement { with, offset } = self.ctx.clock.disagreement()?;
        let side = if offset < TimeDelta::zero() { "ahead of" } else { "behind" };
        let (other, times) = match with {
            OtherClock::Api => ("API", "the rows have the time of the API, and "),
            OtherClock::Store => ("store", ""),
        };
        let undone: String = undone.iter().map(|text| format!(", {text}")).collect();
        Some(format!(
            "the clock of this machine is {} s {side} the `Date` of the {other}'s responses: {times}no part counts as refreshed{undone}; \
             set the clock of the machine",
            offset.abs().num_seconds()
        ))
    }

    /// Saves which parts of the resource were read, and saves or drops the checkpoint.
    async fn save_progress(
        &self,
        complete: bool,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
        mut checkpoint: Checkpoint,
    ) -> Result<(), Error> {
        let ended = self.read.stopped.is_none();
        // Another run with the same manifest would find the same, and another manifest gives the records other keys.
        let is_unexpected = !self.unmet_expectations(ingest).is_empty();
        let saves_marks = ended && self.clocks_agree() && !ingest.has_discarded() && !is_unexpected;
        if let (Some(due), Some(plan), true) = (&self.due, &self.plan, saves_marks) {
            due.save_marks(progress, complete, (plan, &checkpoint), self.ctx.now()).await?;
        }
        // The next run reads changes from its own start on: an incomplete query must not keep the near window in the past.
        let begins_again = ended && self.plan.as_ref().is_some_and(Plan::is_changes)
            || self.ctx.resource.write_disposition == WriteDisposition::Replace;
        if complete || begins_again || is_unexpected || ingest.has_discarded() || checkpoint.is_empty() {
            if complete {
                progress.drop_superseded(&checkpoint).await?;
            }
            return progress.drop_checkpoint(checkpoint.request).await;
        }
        self.save_checkpoint(ingest, progress, &mut checkpoint).await
    }

    /// Saves the checkpoint and the keys that were received so far.
    async fn save_checkpoint(
        &self,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        let are_known = self.ctx.resource.vanished.is_some() && ingest.unknown_keys() == 0;
        if let Some(seen) = ingest.seen().filter(|_| are_known) {
            let mut seen_keys = SeenKeys::new(self.ctx.store, &self.ctx.manifest.name, &self.ctx.resource.name);
            checkpoint.seen_keys = Some(seen_keys.save(seen).await?);
        }
        progress.save_checkpoint(checkpoint, self.ctx.now()).await
    }

    /// Returns the warnings of a complete run.
    fn warnings(&self, plan: &Plan<'_>, newest: Option<Cursor>) -> Vec<String> {
        let mut warnings = Vec::new();
        let resource = self.ctx.resource;
        if resource.endpoint.incremental.is_some() && newest.is_some() && !plan.adds_coverage() {
            let why = "the watermark does not move: `params` exclude records, or the manifest has an `end_value`";
            warnings.push(why.into());
        }
        if let Some(previous) = self.previous.filter(|previous| previous.records > 0)
            && self.received == 0
            && plan.is_unfiltered()
        {
            warnings.push(format!(
                "received 0 records, the previous complete run received {}; check the filters and the key",
                previous.records
            ));
        }
        if resource.parent.is_some() && plan.is_empty() {
            warnings.push(format!("received 0 records of the parent, so nothing was requested of `{}`", resource.name));
        }
        warnings
    }
}
