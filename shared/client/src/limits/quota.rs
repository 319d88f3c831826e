//! The quota: the requests left in each counted rate window, shared by every run that reads a source into one lake.
//!
//! A run reserves requests before it sends them, so that runs at the same time never use more than there is, and gives back the requests
//! that it did not send. A killed run gives nothing back: its reservation counts as used until the rate window ends.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use manifest::RateWindow;
use serde::{Deserialize, Serialize};

use super::window::{Alignment, ApiCount, Window, later};

/// A reservation is this part of a rate limit: a whole day costs a hundred writes, and a killed run loses a hundredth of it.
const RESERVATIONS_PER_WINDOW: u32 = 100;
/// The least number of requests that one reservation asks for.
const MIN_RESERVATION: u32 = 10;

/// The use of every counted rate limit of one source, as it is stored: a JSON object whose member `windows` lists the rate limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    windows: Vec<WindowUse>,
}

/// The use of one rate limit in its current rate window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WindowUse {
    /// Requests that the limit allows in a rate window.
    requests: u32,
    period_seconds: u64,
    #[serde(flatten)]
    window: Window,
    /// Requests sent and reserved.
    used: u32,
}

/// What one run holds and knows of one rate limit: with it the run reserves requests, and gives them back.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunShare {
    pub(super) limit: RateWindow,
    /// When the window started that the run reserved in. The stored start moves past it only when a new window starts.
    pub(super) window_start: Option<DateTime<Utc>>,
    /// The API's own count, as far as the run knows it.
    pub(super) api_count: Option<ApiCount>,
    /// Requests that are reserved and not sent.
    pub(super) reserved: u32,
}

/// What the quota answers to a run about one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) window: Window,
    /// Requests that the run may send, beside those that it has.
    pub(super) granted: u32,
    /// Requests left to other runs and to the next reservation.
    pub(super) left: u32,
}

impl WindowUse {
    /// Takes over the API's count: when its window ends, and that no more requests are left than it says.
    fn apply_api_count(&mut self, api_count: Option<ApiCount>, limit: &RateWindow) {
        let Some(api_count) = api_count else { return };
        if let Some(reset) = api_count.reset
            && self.window.align(reset, limit) == Alignment::NewWindow
        {
            self.used = 0;
        }
        self.used = self.used.max(limit.requests.saturating_sub(api_count.remaining));
    }

    fn left(&self) -> u32 {
        self.requests.saturating_sub(self.used)
    }
}

impl Quota {
    /// Returns the use of `limit`, started again if its window is over. A limit with other numbers is another limit.
    fn window_use(&mut self, limit: &RateWindow, now: DateTime<Utc>) -> &mut WindowUse {
        let period_seconds = limit.period.as_secs();
        let is_of_limit =
            |stored: &WindowUse| stored.requests == limit.requests && stored.period_seconds == period_seconds;
        let unused =
            WindowUse { requests: limit.requests, period_seconds, window: Window::starting_at(now, limit), used: 0 };
        let index = self.windows.iter().position(is_of_limit).unwrap_or_else(|| {
            // A limit that the manifest no longer has is of no use to any run once its window is long over.
            self.windows.retain(|stored| later(stored.window.end, Duration::from_secs(stored.period_seconds)) > now);
            self.windows.push(unused.clone());
            self.windows.len() - 1
        });
        let stored = &mut self.windows[index];
        if stored.window.renews_at() <= now {
            *stored = unused;
        }
        stored
    }

    /// Reserves requests of the share's limit for a run; near the end half of what is left, so that a run at the same time gets some too.
    pub(super) fn reserve(&mut self, share: &RunShare, now: DateTime<Utc>) -> Reservation {
        let limit = &share.limit;
        let stored = self.window_use(limit, now);
        stored.apply_api_count(share.api_count, limit);
        let wanted = (limit.requests / RESERVATIONS_PER_WINDOW).max(MIN_RESERVATION);
        let granted = wanted.min(stored.left().div_ceil(2));
        stored.used += granted;
        Reservation { window: stored.window, granted, left: stored.left() }
    }

    /// Takes back the requests that the share has reserved, and the API's count with them. A share of a window that is over has nothing to
    /// give back.
    pub(super) fn give_back(&mut self, share: &RunShare, now: DateTime<Utc>) -> Reservation {
        let limit = &share.limit;
        let stored = self.window_use(limit, now);
        if share.window_start.is_some_and(|start| stored.window.start <= start) {
            stored.used = stored.used.saturating_sub(share.reserved);
            stored.apply_api_count(share.api_count, limit);
        }
        Reservation { window: stored.window, granted: 0, left: stored.left() }
    }
}

/// Where the quota of one source is kept, shared by every run that reads the source into one lake.
#[async_trait(?Send)]
pub trait SharedQuota: Send + Sync + std::fmt::Debug {
    /// Applies `change` to the quota and stores the result. `change` is applied again, to the newer quota, if another run stored one
    /// meanwhile. It is also applied again if it changes nothing of a quota that was read before this call, because other runs may have
    /// given requests back since.
    ///
    /// # Errors
    ///
    /// The quota could not be read or written, or the stored quota is damaged.
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError>;
}

/// A change of a quota. It may be applied more than once; the last time counts.
pub type QuotaChange<'c> = dyn Fn(&mut Quota) + Sync + 'c;

/// Why the shared quota could not be changed.
pub type QuotaError = Box<dyn std::error::Error + Send + Sync>;

/// A quota in memory, for the runs of one process.
#[derive(Debug, Default)]
pub struct MemoryQuota(Mutex<Quota>);

#[async_trait(?Send)]
impl SharedQuota for MemoryQuota {
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError> {
        let mut quota = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut quota);
        Ok(())
    }
}
