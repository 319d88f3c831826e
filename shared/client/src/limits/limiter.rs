//! Waits until a request may leave, and reserves requests in the shared quota.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use manifest::RateWindow;
use manifest::time::{Clock, format_seconds};
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::counter::QuotaLeft;
use super::headers;
use super::quota::{MemoryQuota, Quota, Reservation, SharedQuota};
use super::scheduler::{Decision, Now, RequestNumber, Scheduler};
use super::window::later;
use crate::error::{Error, Stop};
use crate::interrupt::Interrupt;

/// The longest time that a run without a deadline waits for a limit to renew: Xurrent's hour, and a minute.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3660);
/// Requests on their way at a time if no limit says how many may leave within a second.
const UNLIMITED_IN_FLIGHT: usize = 4;
/// The most requests on their way at a time.
const MAX_IN_FLIGHT: f64 = 8.0;

/// The rate limits of one source, for the length of a run.
#[derive(Debug)]
pub(crate) struct RateLimiter<'s> {
    quota: RunQuota<'s>,
    clock: &'s dyn Clock,
    /// Ends waits; `None`: nothing does.
    interrupt: Option<&'s Interrupt>,
    scheduler: Mutex<Scheduler>,
    /// Locked while requests are reserved. A request that waits for the lock finds the requests that were reserved meanwhile.
    reserving: tokio::sync::Mutex<()>,
}

/// The quota of a run: shared with other runs, or its own.
#[derive(Debug)]
enum RunQuota<'s> {
    Shared(&'s dyn SharedQuota),
    Own(MemoryQuota),
}

impl<'s> RateLimiter<'s> {
    /// Creates a limiter that keeps all of `limits`. Without a shared quota, the long ones are counted in this run alone.
    pub(crate) fn new(limits: &[RateWindow], quota: Option<&'s dyn SharedQuota>, clock: &'s dyn Clock) -> Self {
        Self {
            quota: quota.map_or_else(|| RunQuota::Own(MemoryQuota::default()), RunQuota::Shared),
            clock,
            interrupt: None,
            scheduler: Mutex::new(Scheduler::new(limits)),
            reserving: tokio::sync::Mutex::default(),
        }
    }

    /// Lets `interrupt` end every wait.
    pub(crate) fn interrupted_by(self, interrupt: &'s Interrupt) -> Self {
        Self { interrupt: Some(interrupt), ..self }
    }

    /// Waits until a request may leave.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`] if that is after `deadline`, or without one, if a limit renews later than [`MAX_WAIT`] from now, or if a stop is
    /// requested. [`Error::Quota`] if no request can be reserved.
    pub(crate) async fn admit(&self, deadline: Option<DateTime<Utc>>) -> Result<RequestNumber, Stop> {
        loop {
            let latest = self.latest_departure(deadline);
            let decision = self.lock_scheduler().schedule(self.now(), latest);
            match decision {
                Decision::Send { departure, number, window_numbers } => {
                    let taken = TakenRequest { scheduler: &self.scheduler, window_numbers };
                    if self.wait_for_departure(departure, taken, latest).await? == Departure::Left {
                        return Ok(number);
                    }
                }
                Decision::Reserve => self.reserve().await?,
                Decision::TooLate { departure } => return Err(self.too_late(departure)),
                Decision::Exhausted { renews_at, reason } => self.wait_for_renewal(renews_at, reason, latest).await?,
            }
        }
    }

    /// Sleeps until `departure`, and longer if the server requests a pause meanwhile.
    async fn wait_for_departure(
        &self,
        mut departure: Instant,
        mut taken: TakenRequest<'_>,
        latest: Option<Instant>,
    ) -> Result<Departure, Stop> {
        loop {
            self.wait_until(departure).await?;
            let mut scheduler = self.lock_scheduler();
            if !scheduler.are_in_windows(&taken.window_numbers, self.clock.now()) {
                return Ok(Departure::WindowEnded);
            }
            if scheduler.pace().allows(departure) {
                taken.window_numbers.clear();
                return Ok(Departure::Left);
            }
            let next = scheduler.pace().take_departure(Instant::now(), latest);
            departure = next.map_err(|departure| self.too_late(departure))?;
        }
    }

    /// Sleeps until a limit renews, unless that is after `latest`.
    async fn wait_for_renewal(
        &self,
        renews_at: DateTime<Utc>,
        reason: String,
        latest: Option<Instant>,
    ) -> Result<(), Stop> {
        let wait = (renews_at - self.clock.now()).to_std().unwrap_or_default();
        if latest.is_some_and(|latest| Instant::now() + wait > latest) {
            return Err(Stop::Limit(reason));
        }
        tracing::info!(wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{reason}; waiting");
        self.wait_until(Instant::now() + wait).await
    }

    /// Sleeps until `end`, unless a stop is requested.
    async fn wait_until(&self, end: Instant) -> Result<(), Stop> {
        let sleep = tokio::time::sleep_until(end);
        match self.interrupt {
            Some(interrupt) => interrupt.end(sleep).await,
            None => {
                sleep.await;
                Ok(())
            }
        }
    }

    /// Reserves requests of every limit that has none reserved.
    async fn reserve(&self) -> Result<(), Error> {
        let _reserving = self.reserving.lock().await;
        let now = self.clock.now();
        let shares = self.lock_scheduler().shares_to_reserve(now);
        if shares.is_empty() {
            return Ok(());
        }
        let reservations = self
            .update_quota(|quota| {
                let mut next = quota.clone();
                let reserved = shares.iter().map(|(index, share)| (*index, next.reserve(share, now)));
                let (granted, refused): (Vec<_>, Vec<_>) =
                    reserved.partition(|(_, reservation)| reservation.granted > 0);
                if refused.is_empty() {
                    *quota = next;
                    return granted;
                }
                // If one limit has no request left, those that the others granted could not be sent.
                refused
            })
            .await?;
        let mut scheduler = self.lock_scheduler();
        for (index, reservation) in reservations {
            scheduler.add_reservation(index, &reservation);
        }
        Ok(())
    }

    /// Applies `change` to the quota. Returns what `change` returned when it was applied last.
    async fn update_quota(
        &self,
        change: impl Fn(&mut Quota) -> Vec<(usize, Reservation)> + Sync,
    ) -> Result<Vec<(usize, Reservation)>, Error> {
        let quota: &dyn SharedQuota = match &self.quota {
            RunQuota::Shared(quota) => *quota,
            RunQuota::Own(quota) => quota,
        };
        let reservations = Mutex::new(Vec::new());
        quota.update(&|quota| *lock(&reservations) = change(quota)).await.map_err(Error::Quota)?;
        Ok(reservations.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets no request leave for the next `duration`, as the server requested. The requests that wait then leave evenly, not at once.
    pub(crate) fn pause(&self, duration: Duration) {
        if let Some(until) = Instant::now().checked_add(duration) {
            self.lock_scheduler().pace().pause(until);
        }
    }

    /// Takes over the rate limits in the headers of the response to request `number`.
    pub(crate) fn apply_headers(&self, number: RequestNumber, response_headers: &HeaderMap) {
        let now = self.now();
        for rate_limit in headers::read(response_headers, now.utc) {
            self.lock_scheduler().apply_headers(number, &rate_limit, now);
        }
    }

    /// Returns what is left of every counted limit that was used.
    pub(crate) fn quota_left(&self) -> Vec<QuotaLeft> {
        let now = self.clock.now();
        self.lock_scheduler().quota_left(now)
    }

    /// Gives back the requests that were reserved and not sent, and passes the API's own count on to the shared quota.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`] if the shared quota could not be changed.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let _reserving = self.reserving.lock().await;
        let now = self.clock.now();
        let shares = self.lock_scheduler().shares_to_give_back(now);
        if shares.is_empty() {
            return Ok(());
        }
        let given_back = self
            .update_quota(|quota| shares.iter().map(|(index, share)| (*index, quota.give_back(share, now))).collect())
            .await?;
        let mut scheduler = self.lock_scheduler();
        for (index, reservation) in given_back {
            scheduler.clear_reservation(index, reservation.left);
        }
        Ok(())
    }

    /// Returns how many requests may be on their way at a time: about as many as leave within the second that a response takes.
    pub(crate) fn in_flight(&self) -> usize {
        let interval = self.lock_scheduler().pace().interval();
        if interval.is_zero() {
            return UNLIMITED_IN_FLIGHT;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=8")]
        let count = (1.0 / interval.as_secs_f64()).ceil().clamp(1.0, MAX_IN_FLIGHT) as usize;
        count
    }

    /// Returns the latest time at which a request may leave.
    fn latest_departure(&self, deadline: Option<DateTime<Utc>>) -> Option<Instant> {
        let wait = deadline.map_or(MAX_WAIT, |deadline| (deadline - self.clock.now()).to_std().unwrap_or_default());
        Instant::now().checked_add(wait)
    }

    fn too_late(&self, departure: Instant) -> Stop {
        let departure = later(self.clock.now(), departure.saturating_duration_since(Instant::now()));
        Stop::Limit(format!(
            "out of time: the next request may leave at {}, and the run ends before",
            format_seconds(departure)
        ))
    }

    fn now(&self) -> Now {
        Now { utc: self.clock.now(), monotonic: Instant::now() }
    }

    fn lock_scheduler(&self) -> MutexGuard<'_, Scheduler> {
        lock(&self.scheduler)
    }

    /// Returns the index of the counter that `headers` belong to, for tests.
    #[cfg(test)]
    pub(super) fn matching_limit(&self, headers: &headers::RateLimitHeaders) -> super::scheduler::MatchingLimit {
        self.lock_scheduler().matching_limit(headers, self.clock.now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a request left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    /// The request may leave now.
    Left,
    /// A window that the request was counted in ended before it could leave.
    WindowEnded,
}

/// A request that was taken from the counters. Dropped before it leaves, it is put back.
struct TakenRequest<'l> {
    scheduler: &'l Mutex<Scheduler>,
    /// The number of the window in which it was taken, for each counter; empty once the request has left.
    window_numbers: Vec<u64>,
}

impl Drop for TakenRequest<'_> {
    fn drop(&mut self) {
        if !self.window_numbers.is_empty() {
            lock(self.scheduler).put_back(&self.window_numbers);
        }
    }
}
