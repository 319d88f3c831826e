//! What is due: which part of a resource a run reads that names no range, by the manifest's `refresh` and what was read when.
//!
//! A reading that was cut short goes on before anything else is begun, whoever asks: the checkpoint of a reading of everything has the
//! signature of `full`, and the windows of any other follow from when it began, not from when it goes on.

use chrono::TimeDelta;
use serde::Serialize;

use manifest::{Refresh, Resource};
use crate::plan::Changes;
use crate::request::Request;
use crate::state::{Marks, State};
use manifest::time::{self, Instant};

/// So much before its time a part is due: a daily schedule does not begin at the same second each day.
const EARLY: TimeDelta = TimeDelta::hours(6);

/// What a run reads.
#[derive(Clone, Debug)]
pub(super) struct Due<'r> {
    policy: &'r Refresh,
    /// `None`: everything.
    pub(super) changes: Option<Changes>,
    /// The length in days of the window that it reads.
    near: Option<u64>,
    /// When the reading began, or begins.
    began: Instant,
    why: String,
}

/// What a run read, for its report.
#[derive(Clone, Debug, Serialize)]
pub struct Refreshed {
    /// `full` or `changes`.
    pub kind: &'static str,
    /// Why that, and nothing else.
    pub why: String,
    /// Of `changes`: records announced since then are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_since: Option<String>,
    /// Of `changes`: the first instant of the window that is read whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_from: Option<String>,
    /// Of `changes`: its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_to: Option<String>,
}

impl<'r> Due<'r> {
    /// What is due at `now`; `None` where the resource has no parts, or the request says what to read.
    pub(super) fn of(resource: &'r Resource, asked: &Request, state: &State<'_>, now: Instant) -> Option<Self> {
        let policy = resource.refresh.as_ref()?;
        if asked.from.is_some() || asked.to.is_some() || !asked.params.is_empty() {
            return None;
        }
        let marks = state.marks();
        let cut_short = state.checkpoint(&everything(asked).signature(), now);
        let began = cut_short.as_ref().and_then(|checkpoint| checkpoint.begin());
        if let Some(why) = why_full(policy, asked, &marks, began, now) {
            return Some(Self { policy, changes: None, near: None, began: began.unwrap_or(now), why });
        }
        let began = state.checkpoint(&asked.signature(), now).and_then(|checkpoint| checkpoint.begin()).unwrap_or(now);
        Some(Self::changes(policy, &marks, began))
    }

    fn changes(policy: &'r Refresh, marks: &Marks, began: Instant) -> Self {
        let announced = policy.announced.as_ref().and_then(|announced| {
            let lag = TimeDelta::try_seconds(i64::try_from(announced.lag).ok()?)?;
            Some(marks.announced().or(marks.full())? - lag)
        });
        let due = policy.near.iter().filter(|near| is_due(marks.near(near.ahead_days), near.every_days, began));
        // Shorter windows lie within.
        let near = due.map(|near| near.ahead_days).max();
        let window = near.map(|ahead| (began, began + days(ahead)));
        let why = match (marks.full(), near) {
            (Some(full), Some(near)) => format!("everything was read on {}; the next {near} days are due", day(full)),
            (Some(full), None) => format!("everything was read on {}; no window is due", day(full)),
            (None, _) => String::new(),
        };
        Self { policy, changes: Some(Changes { announced, near: window }), near, began, why }
    }

    /// The signature of what it reads.
    pub(super) fn signature(&self, asked: &Request) -> String {
        if self.changes.is_some() { asked.signature() } else { everything(asked).signature() }
    }

    /// For the report.
    pub(super) fn report(&self) -> Refreshed {
        let changes = self.changes.unwrap_or_default();
        Refreshed {
            kind: if self.changes.is_some() { "changes" } else { "full" },
            why: self.why.clone(),
            announced_since: changes.announced.map(time::format_seconds),
            near_from: changes.near.map(|(from, _)| time::format_seconds(from)),
            near_to: changes.near.map(|(_, to)| time::format_seconds(to)),
        }
    }

    /// Takes note of what was read: all of it where the run is `complete`, else the parts that are whole by `is_whole` (whether the
    /// window is meant).
    pub(super) async fn note(
        &self,
        state: &mut State<'_>,
        complete: bool,
        is_whole: impl Fn(bool) -> bool,
    ) -> Result<(), crate::error::Error> {
        let Some(changes) = self.changes else {
            return if complete { state.mark(|marks| marks.reach_full(self.policy, self.began)).await } else { Ok(()) };
        };
        let announced = changes.announced.is_some() && (complete || is_whole(false));
        let near = self.near.filter(|_| complete || is_whole(true));
        state
            .mark(|marks| {
                if announced {
                    marks.reach_announced(self.began);
                }
                if let Some(near) = near {
                    marks.reach_near(self.policy, near, self.began);
                }
            })
            .await
    }
}

/// Why everything is to be read; `None`: it is not.
fn why_full(policy: &Refresh, asked: &Request, marks: &Marks, began: Option<Instant>, now: Instant) -> Option<String> {
    if let Some(began) = began {
        return Some(format!("a full reading that began at {} goes on", time::format_seconds(began)));
    }
    if asked.full {
        return Some("the request says so".into());
    }
    let Some(full) = marks.full() else { return Some("no full reading was complete so far".into()) };
    let every = policy.full_every_days;
    is_due(Some(full), every, now).then(|| format!("the last full reading, of {}, is {every} days old", day(full)))
}

/// The request for everything.
fn everything(asked: &Request) -> Request {
    Request { full: true, ..asked.clone() }
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
