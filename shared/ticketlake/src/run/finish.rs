//! What follows from how a reading ended: rows are removed or marked, progress is saved, and the status is decided.

use std::collections::HashSet;

use manifest::time::Instant;
use manifest::{Cursor, WriteDisposition};
use serde_json::Value;

use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::ingest::Ingest;
use crate::plan::{Due, Plan};
use crate::read::ReadOutcome;
use crate::report::{QueryCounts, Status};
use crate::request::Request;
use crate::state::{Checkpoint, PreviousRun, Progress, SeenKeys};

/// A reading that has ended; what it brought is stored.
pub(super) struct Finish<'e> {
    pub(super) ctx: &'e RunContext<'e>,
    /// The request, as it was asked.
    pub(super) asked: &'e Request,
    /// What was to be read; `None` where that could not be found out.
    pub(super) plan: Option<Plan<'e>>,
    pub(super) read: ReadOutcome,
    /// The hashes of the keys of rows that have vanished.
    pub(super) vanished: HashSet<u64>,
    /// When the first run of the reading began.
    pub(super) begin: Instant,
    /// What the previous complete run needed.
    pub(super) previous: Option<PreviousRun>,
    /// Of a resource that is refreshed in parts: the part that was read.
    pub(super) due: Option<Due<'e>>,
    /// Records received.
    pub(super) received: u64,
    /// Requests sent.
    pub(super) requests: u64,
}

/// How the run ended.
#[derive(Debug, Default)]
pub(super) struct FinishOutcome {
    pub(super) status: Status,
    pub(super) stopped: Option<String>,
    pub(super) continuation: Option<Value>,
    pub(super) warnings: Vec<String>,
}

/// A run that has ended.
pub(super) struct Finished {
    pub(super) outcome: FinishOutcome,
    pub(super) queries: QueryCounts,
    pub(super) ended: Result<(), Error>,
}

impl Finish<'_> {
    /// Ends the run.
    pub(super) async fn run(
        mut self,
        ingest: &mut Ingest<'_>,
        progress: &mut Progress<'_>,
        checkpoint: Checkpoint,
    ) -> Finished {
        let queries = std::mem::take(&mut self.read.queries);
        let complete = self.read.stopped.is_none() && queries.incomplete.is_empty();
        let mut outcome = FinishOutcome::default();
        let ended = self.settle(complete, ingest, progress, checkpoint, &mut outcome.warnings).await;
        let ended = match (ended, self.read.stopped) {
            (Err(error), _) | (Ok(()), Some(Stop::Error(error))) => Err(error),
            (Ok(()), Some(Stop::Limit(reason))) => {
                outcome.stopped = Some(reason);
                outcome.continuation = Some(self.asked.to_event());
                outcome.status = Status::Partial;
                Ok(())
            }
            (Ok(()), None) => {
                outcome.status = if complete { Status::Complete } else { Status::Incomplete };
                Ok(())
            }
        };
        Finished { outcome, queries, ended }
    }

    /// Removes and marks rows, and saves the progress: after the rows, never before.
    async fn settle(
        &self,
        complete: bool,
        ingest: &mut Ingest<'_>,
        progress: &mut Progress<'_>,
        mut checkpoint: Checkpoint,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let plan = self.plan.as_ref().filter(|_| complete);
        let everything = plan.is_some_and(Plan::covers_everything);
        if everything && self.ctx.resource.write_disposition == WriteDisposition::Replace {
            warnings.extend(self.remove_unseen_rows(ingest).await?);
        }
        if complete && !self.vanished.is_empty() {
            // A run that is killed while it marks leaves what the next one needs to go on with that.
            self.save_checkpoint(ingest, progress, &mut checkpoint).await?;
            ingest.mark_vanished(&self.vanished, self.begin).await?;
        }
        // An error may be the store's, in the middle of a merge: what is half written then is not closed.
        if !matches!(self.read.stopped, Some(Stop::Error(_))) {
            ingest.close(everything.then_some(self.begin)).await?;
        }
        if self.read.stopped.is_none() {
            ingest.remove_expired_rows().await?;
        }
        let newest = self.newest(&checkpoint);
        checkpoint.newest = newest.map(|newest| newest.to_string());
        self.move_watermarks(complete, newest, ingest, progress).await?;
        self.save_progress(complete, ingest, progress, checkpoint).await?;
        if let Some(plan) = plan {
            warnings.extend(self.warnings(plan, newest));
            if plan.is_unfiltered() && self.received > 0 {
                progress.note_run(PreviousRun { records: self.received, requests: self.requests }).await?;
            }
        }
        Ok(())
    }

    /// Removes the stored rows that a complete reading of everything did not receive. Gives a warning where none may be removed.
    async fn remove_unseen_rows(&self, ingest: &mut Ingest<'_>) -> Result<Option<String>, Error> {
        if ingest.seen().is_none_or(HashSet::is_empty) && self.read.total != Some(0) {
            let warning = "nothing was removed: no records came, and the API does not say that there are none";
            return Ok(Some(warning.into()));
        }
        ingest.remove_unseen_rows(self.begin).await?;
        Ok(None)
    }

    /// The furthest cursor of all runs of the reading.
    fn newest(&self, checkpoint: &Checkpoint) -> Option<Cursor> {
        let incremental = self.ctx.resource.endpoint.incremental.as_ref()?;
        let earlier = checkpoint.newest.as_deref().and_then(|text| Cursor::parse(text, incremental.kind));
        match (self.read.newest, earlier) {
            (Some(newest), earlier) => Some(newest.furthest(earlier, incremental)),
            (None, earlier) => earlier,
        }
    }

    /// Moves the watermarks of a resource with a cursor.
    async fn move_watermarks(
        &self,
        complete: bool,
        newest: Option<Cursor>,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let Some(incremental) = &self.ctx.resource.endpoint.incremental else { return Ok(()) };
        let moves = complete && self.plan.as_ref().is_some_and(Plan::moves_watermark);
        // A record dated in the future would carry the watermark past those still to come.
        let now = self.ctx.now();
        let until_now = |cursor: Cursor| cursor.instant().map_or(cursor, |instant| Cursor::Instant(instant.min(now)));
        let parents = self.read.reached_parents.iter().filter(|_| !ingest.has_discarded());
        let parents: Vec<(String, Cursor)> = parents.map(|(key, cursor)| (key.clone(), until_now(*cursor))).collect();
        progress.advance(incremental, newest.filter(|_| moves).map(until_now), &parents).await
    }

    /// Saves how far the reading has come, and which parts were read.
    async fn save_progress(
        &self,
        complete: bool,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
        mut checkpoint: Checkpoint,
    ) -> Result<(), Error> {
        let ended = self.read.stopped.is_none();
        if let (Some(due), Some(plan), true) = (&self.due, &self.plan, ended && !ingest.has_discarded()) {
            due.note(progress, complete, plan, &checkpoint).await?;
        }
        // Windows that begin now begin again in the next run: what is incomplete today must not keep them in the past.
        let begins_again = ended && self.plan.as_ref().is_some_and(Plan::is_changes)
            || self.ctx.resource.write_disposition == WriteDisposition::Replace;
        if complete || begins_again || ingest.has_discarded() || checkpoint.is_empty() {
            return progress.drop_checkpoint(checkpoint.request).await;
        }
        self.save_checkpoint(ingest, progress, &mut checkpoint).await
    }

    /// Saves what another run needs to go on, the keys that were received so far among it.
    async fn save_checkpoint(
        &self,
        ingest: &Ingest<'_>,
        progress: &mut Progress<'_>,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        if let Some(seen) = ingest.seen().filter(|_| self.ctx.resource.vanished.is_some()) {
            let mut seen_keys = SeenKeys::new(self.ctx.store, &self.ctx.manifest.name, &self.ctx.resource.name);
            checkpoint.seen_keys = Some(seen_keys.save(seen).await?);
        }
        progress.save_checkpoint(checkpoint).await
    }

    /// What a reader of a complete run's report should know.
    fn warnings(&self, plan: &Plan<'_>, newest: Option<Cursor>) -> Vec<String> {
        let mut warnings = Vec::new();
        let resource = self.ctx.resource;
        if resource.endpoint.incremental.is_some() && newest.is_some() && !plan.moves_watermark() {
            let why = "the watermark stays: `params` leave records out, or the range is not one that joins it";
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
            warnings.push(format!("no records of the parent came, so nothing was asked of `{}`", resource.name));
        }
        warnings
    }
}
