//! The part of a resource that is due. A run without a range reads it, as the manifest's `refresh` and the times of the last reads say.
//!
//! An interrupted read is resumed before another one begins, whatever request resumes it. The checkpoint of a full read therefore has the
//! id of a `full` request, and the windows of a read of changes depend on the time when it began, not on the time when it is resumed.

use chrono::TimeDelta;
use manifest::time::{self, Instant, TimeRange};
use manifest::{Refresh, Resource};
use serde::Serialize;

use super::changes::Changes;
use super::planned_query::QueryKind;
use super::resource_plan::Plan;
use crate::error::Error;
use crate::request::{Request, RequestId};
use crate::state::{Checkpoint, Progress, RefreshMarks};

/// A part is due this long before its time, since a daily schedule does not begin at the same second each day.
const TOLERANCE: TimeDelta = TimeDelta::hours(6);

/// The part of a resource that is due.
#[derive(Clone, Debug)]
pub struct DueRefresh<'r> {
    policy: &'r Refresh,
    /// The changes that are due. `None` if everything is due.
    pub changes: Option<Changes>,
    /// The length in days of the near window that is read. `None` if no window is due.
    near_days: Option<u64>,
    /// The start of the read: that of its first run, if it is resumed.
    began: Instant,
    /// The reason why this part is due.
    reason: String,
}

/// The part of a resource that a run read, for its report.
#[derive(Clone, Debug, Serialize)]
pub struct RefreshReport {
    /// `full` or `changes`.
    pub kind: &'static str,
    /// The reason why this part was due.
    pub why: String,
    /// The instant since which announced records are read, if `kind` is `changes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_since: Option<String>,
    /// The first second of the near window, if `kind` is `changes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_from: Option<String>,
    /// The last second of the near window, if `kind` is `changes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_to: Option<String>,
}

impl<'r> DueRefresh<'r> {
    /// Returns the part that is due at `now`. `None` if the resource has no `refresh`, or if the request has a range or conditions.
    pub fn new(resource: &'r Resource, request: &Request, progress: &Progress<'_>, now: Instant) -> Option<Self> {
        let policy = resource.refresh.as_ref()?;
        if request.from.is_some() || request.to.is_some() || !request.params.is_empty() {
            return None;
        }
        let marks = progress.refresh_marks(now);
        let interrupted = progress.checkpoint(full_request(request).id(), resource, now);
        let began = interrupted.as_ref().and_then(Checkpoint::begin);
        if let Some(reason) = full_reason(policy, request, &marks, began, now) {
            return Some(Self { policy, changes: None, near_days: None, began: began.unwrap_or(now), reason });
        }
        let checkpoint = progress.checkpoint(request.id(), resource, now);
        let began = checkpoint.and_then(|checkpoint| checkpoint.begin()).unwrap_or(now);
        Some(Self::changes(policy, &marks, began))
    }

    /// Returns the changes that are due for a read that began at `began`.
    fn changes(policy: &'r Refresh, marks: &RefreshMarks, began: Instant) -> Self {
        let announced = policy.announced.as_ref().and_then(|announced| {
            let lag = TimeDelta::try_seconds(i64::try_from(announced.lag).ok()?)?;
            Some(marks.announced().or(marks.full())? - lag)
        });
        let due = policy.near.iter().filter(|near| is_due(marks.near(near.ahead_days), near.every_days, began));
        // Shorter windows lie within the longest one.
        let near_days = due.map(|near| near.ahead_days).max();
        let near = near_days.map(|ahead| TimeRange::between(began, began + days(ahead)));
        let reason = match (marks.full(), near_days) {
            (Some(full), Some(near)) => format!("everything was read on {}; the next {near} days are due", day(full)),
            (Some(full), None) => format!("everything was read on {}; no window is due", day(full)),
            (None, _) => String::new(),
        };
        Self { policy, changes: Some(Changes { announced, near }), near_days, began, reason }
    }

    /// Returns the id of the request that the read belongs to.
    pub fn request_id(&self, request: &Request) -> RequestId {
        if self.changes.is_some() { request.id() } else { full_request(request).id() }
    }

    /// Returns the part for the report.
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

    /// Saves which parts of the plan in `read` were read: all of them if the run is `complete`, else those that its checkpoint has.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save_marks(
        &self,
        progress: &mut Progress<'_>,
        complete: bool,
        read: (&Plan<'_>, &Checkpoint),
        now: Instant,
    ) -> Result<(), Error> {
        let (plan, checkpoint) = read;
        let Some(changes) = self.changes else {
            return if complete {
                progress.update_marks(now, |marks| marks.reach_full(self.policy, self.began)).await
            } else {
                Ok(())
            };
        };
        let has_read = |kind| complete || plan.has_read(kind, checkpoint);
        let announced = changes.announced.is_some() && has_read(QueryKind::Announced);
        let near_days = self.near_days.filter(|_| has_read(QueryKind::Near));
        progress
            .update_marks(now, |marks| {
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

/// Returns the reason why everything is due. `None` if it is not.
fn full_reason(
    policy: &Refresh,
    request: &Request,
    marks: &RefreshMarks,
    began: Option<Instant>,
    now: Instant,
) -> Option<String> {
    if let Some(began) = began {
        return Some(format!("a full read that began at {} is resumed", time::format_seconds(began)));
    }
    if request.full {
        return Some("the request has `full`".into());
    }
    let Some(full) = marks.full() else { return Some("no full read was complete so far".into()) };
    let every = policy.full_every_days;
    is_due(Some(full), every, now).then(|| format!("the last full read, of {}, is {every} days old", day(full)))
}

/// Returns the request to read everything.
fn full_request(request: &Request) -> Request {
    Request { full: true, ..request.clone() }
}

/// Returns whether a part that is read every `every` days, and was last read at `mark`, is due.
fn is_due(mark: Option<Instant>, every: u64, now: Instant) -> bool {
    mark.is_none_or(|mark| now - mark >= days(every) - TOLERANCE)
}

/// Returns the length of `count` days.
fn days(count: u64) -> TimeDelta {
    i64::try_from(count).ok().and_then(TimeDelta::try_days).unwrap_or(TimeDelta::MAX)
}

/// Returns the day of an instant, for messages.
fn day(instant: Instant) -> String {
    instant.date_naive().to_string()
}

#[cfg(test)]
mod tests;
