//! The use of the counted limits, shared by every run that reads a source into one lake.
//!
//! A run reserves requests before it sends them, so that runs at the same time never use more than there is, and gives back what it did
//! not send. A killed run gives nothing back: what it had reserved counts as used until the window ends.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use manifest::RateWindow;
use serde::{Deserialize, Serialize};

use super::window::{Ceiling, Span, later};

/// A reservation is this part of the window: a hundred writes for a whole day, and a hundredth lost with a killed run.
const CHUNKS: u32 = 100;
/// The least that is reserved at once, where a hundredth is less.
const LEAST_CHUNK: u32 = 10;

/// The use of every counted limit of one source, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    windows: Vec<WindowUse>,
}

/// One window's use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WindowUse {
    requests: u32,
    period_seconds: u64,
    #[serde(flatten)]
    span: Span,
    /// Sent and reserved.
    used: u32,
}

/// What a run asks of one window, or gives back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) window: RateWindow,
    /// When it began, as the ledger last said; never later in the ledger, unless it began anew.
    pub(super) began: Option<DateTime<Utc>>,
    /// The API's own word.
    pub(super) ceiling: Option<Ceiling>,
    /// Reserved and not used.
    pub(super) in_hand: u32,
}

/// What the ledger has for one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) span: Span,
    /// Requests that the run may send.
    pub(super) granted: u32,
    /// Requests that are left to others, and to the next reservation.
    pub(super) behind: u32,
}

impl WindowUse {
    /// Takes up the API's word: when its window ends, and that no more is left than it says.
    fn reconcile(&mut self, ceiling: Option<Ceiling>, window: &RateWindow) {
        let Some(ceiling) = ceiling else { return };
        if let Some(reset) = ceiling.reset
            && self.span.reconcile(reset, window)
        {
            self.used = 0;
        }
        self.used = self.used.max(window.requests.saturating_sub(ceiling.left));
    }

    fn behind(&self) -> u32 {
        self.requests.saturating_sub(self.used)
    }
}

impl Quota {
    /// The record of `window`, begun anew when it is over. A window with other numbers is another window.
    fn record(&mut self, window: &RateWindow, now: DateTime<Utc>) -> &mut WindowUse {
        let period_seconds = window.period.as_secs();
        let is_it = |record: &WindowUse| record.requests == window.requests && record.period_seconds == period_seconds;
        let fresh =
            WindowUse { requests: window.requests, period_seconds, span: Span::beginning(now, window), used: 0 };
        let place = self.windows.iter().position(is_it).unwrap_or_else(|| {
            // What the manifest had before is of no use to anybody once it is long over.
            self.windows.retain(|record| later(record.span.ends, Duration::from_secs(record.period_seconds)) > now);
            self.windows.push(fresh.clone());
            self.windows.len() - 1
        });
        let record = &mut self.windows[place];
        if record.span.renews() <= now {
            *record = fresh;
        }
        record
    }

    /// Reserves a chunk of `entry`'s window; near its end half of what is left, so that a run at the same time gets some.
    pub(super) fn reserve(&mut self, entry: &Entry, now: DateTime<Utc>) -> Grant {
        let window = &entry.window;
        let record = self.record(window, now);
        record.reconcile(entry.ceiling, window);
        let chunk = (window.requests / CHUNKS).max(LEAST_CHUNK);
        let granted = chunk.min(record.behind().div_ceil(2));
        record.used += granted;
        Grant { span: record.span, granted, behind: record.behind() }
    }

    /// Takes back what `entry` has in hand, and the API's word with it. Nothing of a window that is over.
    pub(super) fn give_back(&mut self, entry: &Entry, now: DateTime<Utc>) -> Grant {
        let window = &entry.window;
        let record = self.record(window, now);
        if entry.began.is_some_and(|began| record.span.began <= began) {
            record.used = record.used.saturating_sub(entry.in_hand);
            record.reconcile(entry.ceiling, window);
        }
        Grant { span: record.span, granted: 0, behind: record.behind() }
    }
}

/// Where the use of the counted limits is kept, shared by every run that reads a source into one lake.
#[async_trait]
pub trait SharedQuota: Send + Sync + std::fmt::Debug {
    /// Makes `change`, again on a newer state when another run was first. It is made once more when it would change nothing of a state that
    /// was read earlier: other runs may have given back since.
    ///
    /// # Errors
    ///
    /// The store's, or one for a stored quota that is damaged.
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError>;
}

/// A change of a quota.
pub type QuotaChange<'c> = dyn Fn(&mut Quota) + Sync + 'c;

/// Why the shared quota could not be changed.
pub type QuotaError = Box<dyn std::error::Error + Send + Sync>;

/// A quota of one process alone.
#[derive(Debug, Default)]
pub struct MemoryQuota(Mutex<Quota>);

#[async_trait]
impl SharedQuota for MemoryQuota {
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError> {
        let mut quota = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut quota);
        Ok(())
    }
}
