//! Which part of a resource is due: what a run reads that names no range, by the manifest's `refresh` and what was read when.
//!
//! A reading that was cut short goes on before anything else begins, whoever asks: the checkpoint of a reading of everything has the
//! id of a `full` request, and the windows of any other follow from when it began, not from when it goes on.

use chrono::TimeDelta;
use manifest::time::{self, Instant, TimeRange};
use manifest::{Refresh, Resource};
use serde::Serialize;

use super::Plan;
use super::query::QueryKind;
use crate::error::Error;
use crate::request::{Request, RequestId};
use crate::state::{Checkpoint, Progress, RefreshMarks};

/// How long before its time a part is due: a daily schedule does not begin at the same second each day.
const EARLY: TimeDelta = TimeDelta::hours(6);

/// What a run reads of a resource that is refreshed in parts. Without either part it reads nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The instant since when records were announced.
    pub announced: Option<Instant>,
    /// The window of time that is read completely.
    pub near: Option<TimeRange>,
}

/// The part of a resource that is due.
#[derive(Clone, Debug)]
pub struct Due<'r> {
    policy: &'r Refresh,
    /// `None`: everything.
    pub changes: Option<Changes>,
    /// The length in days of the near window that is read.
    near_days: Option<u64>,
    /// When the reading began, or begins.
    began: Instant,
    reason: String,
}

/// The part of a resource that a run read, for its report.
#[derive(Clone, Debug, Serialize)]
pub struct RefreshReport {
    /// `full` or `changes`.
    pub kind: &'static str,
    /// The reason for that part, and no other.
    pub why: String,
    /// Of `changes`: the instant since which announced records are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_since: Option<String>,
    /// Of `changes`: the first second of the window that is read completely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_from: Option<String>,
    /// Of `changes`: its last second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_to: Option<String>,
}

impl<'r> Due<'r> {
    /// The part that is due at `now`; `None` where the resource has no parts, or the request says what to read.
    pub fn new(resource: &'r Resource, request: &Request, progress: &Progress<'_>, now: Instant) -> Option<Self> {
        let policy = resource.refresh.as_ref()?;
        if request.from.is_some() || request.to.is_some() || !request.params.is_empty() {
            return None;
        }
        let marks = progress.refresh_marks();
        let interrupted = progress.checkpoint(full_request(request).id(), now);
        let began = interrupted.as_ref().and_then(Checkpoint::begin);
        if let Some(reason) = full_reason(policy, request, &marks, began, now) {
            return Some(Self { policy, changes: None, near_days: None, began: began.unwrap_or(now), reason });
        }
        let checkpoint = progress.checkpoint(request.id(), now);
        let began = checkpoint.and_then(|checkpoint| checkpoint.begin()).unwrap_or(now);
        Some(Self::changes(policy, &marks, began))
    }

    fn changes(policy: &'r Refresh, marks: &RefreshMarks, began: Instant) -> Self {
        let announced = policy.announced.as_ref().and_then(|announced| {
            let lag = TimeDelta::try_seconds(i64::try_from(announced.lag).ok()?)?;
            Some(marks.announced().or(marks.full())? - lag)
        });
        let due = policy.near.iter().filter(|near| is_due(marks.near(near.ahead_days), near.every_days, began));
        // Shorter windows lie within.
        let near_days = due.map(|near| near.ahead_days).max();
        let near = near_days.map(|ahead| TimeRange::between(began, began + days(ahead)));
        let reason = match (marks.full(), near_days) {
            (Some(full), Some(near)) => format!("everything was read on {}; the next {near} days are due", day(full)),
            (Some(full), None) => format!("everything was read on {}; no window is due", day(full)),
            (None, _) => String::new(),
        };
        Self { policy, changes: Some(Changes { announced, near }), near_days, began, reason }
    }

    /// The id of what is read.
    pub fn request_id(&self, request: &Request) -> RequestId {
        if self.changes.is_some() { request.id() } else { full_request(request).id() }
    }

    /// The part for the report.
    pub fn report(&self) -> RefreshReport {
        let changes = self.changes.unwrap_or_default();
        let second = |second: Option<i64>| second.and_then(time::from_seconds).map(time::format_seconds);
        RefreshReport {
            kind: if self.changes.is_some() { "changes" } else { "full" },
            why: self.reason.clone(),
            announced_since: changes.announced.map(time::format_seconds),
            near_from: second(changes.near.and_then(|near| near.from)),
            near_to: second(changes.near.and_then(|near| near.to)),
        }
    }

    /// Notes what was read of `plan`: all of it where the run is `complete`, else the parts that were, as `checkpoint` says.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn note(
        &self,
        progress: &mut Progress<'_>,
        complete: bool,
        plan: &Plan<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let Some(changes) = self.changes else {
            return if complete {
                progress.mark(|marks| marks.reach_full(self.policy, self.began)).await
            } else {
                Ok(())
            };
        };
        let has_read = |kind| complete || plan.has_read(kind, checkpoint);
        let announced = changes.announced.is_some() && has_read(QueryKind::Announced);
        let near_days = self.near_days.filter(|_| has_read(QueryKind::Near));
        progress
            .mark(|marks| {
                if announced {
                    marks.reach_announced(self.began);
                }
                if let Some(near_days) = near_days {
                    marks.reach_near(self.policy, near_days, self.began);
                }
            })
            .await
    }
}

/// The reason why everything is to be read; `None`: it is not.
fn full_reason(
    policy: &Refresh,
    request: &Request,
    marks: &RefreshMarks,
    began: Option<Instant>,
    now: Instant,
) -> Option<String> {
    if let Some(began) = began {
        return Some(format!("a full reading that began at {} goes on", time::format_seconds(began)));
    }
    if request.full {
        return Some("the request says so".into());
    }
    let Some(full) = marks.full() else { return Some("no full reading was complete so far".into()) };
    let every = policy.full_every_days;
    is_due(Some(full), every, now).then(|| format!("the last full reading, of {}, is {every} days old", day(full)))
}

/// The request for everything.
fn full_request(request: &Request) -> Request {
    Request { full: true, ..request.clone() }
}

fn is_due(mark: Option<Instant>, every: u64, now: Instant) -> bool {
    mark.is_none_or(|mark| now - mark >= days(every) - EARLY)
}

fn days(count: u64) -> TimeDelta {
    i64::try_from(count).ok().and_then(TimeDelta::try_days).unwrap_or(TimeDelta::MAX)
}

fn day(instant: Instant) -> String {
    instant.date_naive().to_string()
}

#[cfg(test)]
mod tests;
