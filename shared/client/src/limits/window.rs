//! One rate window as it is counted: when it started, and when the API counts anew.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use manifest::RateWindow;
use serde::{Deserialize, Serialize};

/// The time after a rate window's end at which the next one may start. An end in whole seconds lies up to one second before the true one, and
/// an API starts a window when a request arrives, not when it leaves.
const RENEWAL_DELAY: Duration = Duration::from_secs(1);
/// The most that the API's times and ours may differ for one rate window, where a tenth of the period is not less.
const MAX_TOLERANCE: Duration = Duration::from_secs(60);

/// One rate window of a counted rate limit: from its first request to the time at which its count starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// When the first request left. Stored as RFC 3339, UTC.
    #[serde(rename = "began")]
    pub(super) start: DateTime<Utc>,
    /// When the count starts again. Stored as RFC 3339, UTC.
    #[serde(rename = "ends")]
    pub(super) end: DateTime<Utc>,
}

/// What [`Window::align`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alignment {
    /// The API counts in the same window; its end may have moved.
    SameWindow,
    /// The API counts in a later window than the one that was known.
    NewWindow,
}

impl Window {
    /// Returns the window of `limit` whose first request leaves now.
    pub(super) fn starting_at(now: DateTime<Utc>, limit: &RateWindow) -> Self {
        Self { start: now, end: later(now, limit.period) }
    }

    /// Returns the earliest time at which the next window may start.
    pub(super) fn renews_at(&self) -> DateTime<Utc> {
        later(self.end, RENEWAL_DELAY)
    }

    /// Takes over the end that the API gives for its window. The API counts in a later window if that one started after this one's first
    /// request, by more than delays and clocks explain.
    pub(super) fn align(&mut self, reset: DateTime<Utc>, limit: &RateWindow) -> Alignment {
        let api_start = earlier(reset, limit.period);
        let is_new = api_start > later(self.start, tolerance(limit));
        *self = Self { start: if is_new { api_start } else { self.start.min(api_start) }, end: reset };
        if is_new { Alignment::NewWindow } else { Alignment::SameWindow }
    }
}

/// The API's own count of a rate limit, as far as it bounds one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiCount {
    /// Requests that may still be admitted.
    pub(super) remaining: u32,
    /// When the API's count starts again; `None` if the API does not say.
    pub(super) reset: Option<DateTime<Utc>>,
}

/// Returns how far the API's times and ours may differ: a minute, or a tenth of a shorter period.
fn tolerance(limit: &RateWindow) -> Duration {
    MAX_TOLERANCE.min(limit.period / 10)
}

/// Whether a window of `limit` can end at `reset`: that time is still to come, and no further off than the window is long.
pub(super) fn can_end_at(limit: &RateWindow, reset: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    reset > now && reset <= later(now, limit.period + tolerance(limit))
}

/// Returns the time `duration` after `time`, or the last one that there is.
pub(super) fn later(time: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(duration).ok();
    delta.and_then(|delta| time.checked_add_signed(delta)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns the time `duration` before `time`, or the first one that there is.
fn earlier(time: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(duration).ok();
    delta.and_then(|delta| time.checked_sub_signed(delta)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
