//! Decides when the next request may leave, by every rate limit at once. It keeps the counts; it does not wait and has no clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use manifest::RateWindow;
use manifest::time::format_seconds;
use tokio::time::Instant;

use super::counter::{Availability, QuotaLeft, WindowCounter};
use super::headers::RateLimitHeaders;
use super::pace::Pace;
use super::quota::{Reservation, RunShare};
use super::window::{can_end_at, later};

/// An API's limit that starts again within this time, and is not declared in the manifest, is not counted.
const MAX_UNCOUNTED_RESET: Duration = Duration::from_secs(10);

/// The number of an admitted request, from 1 on in the order of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestNumber(pub(super) u64);

/// The two times of one moment: `utc` is compared with the API's times, `monotonic` is what waits are measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) utc: DateTime<Utc>,
    pub(super) monotonic: Instant,
}

/// Whether, and when, the next request may leave.
#[derive(Debug)]
pub(super) enum Decision {
    /// The request leaves at `departure`. One request was taken from every counter, in the window with the number in `window_numbers`.
    Send { departure: Instant, number: RequestNumber, window_numbers: Vec<u64> },
    /// Requests have to be reserved first.
    Reserve,
    /// A limit is used up until `renews_at`.
    Exhausted { renews_at: DateTime<Utc>, reason: String },
    /// Spacing or a pause puts the departure after the latest time allowed.
    TooLate { departure: Instant },
}

/// The rate limits of one source and how much of each one run has used.
#[derive(Debug)]
pub(super) struct Scheduler {
    /// Every declared limit, that of the shortest period first.
    limits: Vec<RateWindow>,
    pace: Pace,
    /// One for each limit that is counted, that of the shortest period first.
    counters: Vec<WindowCounter>,
    /// Requests admitted so far.
    admitted: u64,
}

/// The declared limit that a response's headers belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MatchingLimit {
    /// A counted limit, by the index of its counter.
    Counted(usize),
    /// A short limit, which spacing keeps. The API's count of it is not used: it is older than the limit's period by one response time.
    Spaced,
    /// A limit that the manifest does not declare.
    Undeclared,
}

impl Scheduler {
    pub(super) fn new(limits: &[RateWindow]) -> Self {
        let mut limits = limits.to_vec();
        limits.sort_by_key(|limit| limit.period);
        let counters = limits.iter().filter(|limit| limit.is_counted()).copied().map(WindowCounter::new).collect();
        Self { pace: Pace::new(&limits), limits, counters, admitted: 0 }
    }

    /// Decides about the next request, which may leave at `latest` at the latest.
    pub(super) fn schedule(&mut self, now: Now, latest: Option<Instant>) -> Decision {
        let mut needs_reservation = false;
        let mut exhausted: Option<(DateTime<Utc>, String)> = None;
        for counter in &mut self.counters {
            match counter.availability(now.utc) {
                Availability::Available => {}
                Availability::NeedsReservation => needs_reservation = true,
                Availability::ExhaustedUntil(renews_at) => {
                    if exhausted.as_ref().is_none_or(|(latest_renewal, _)| renews_at > *latest_renewal) {
                        exhausted = Some((renews_at, exhausted_reason(counter, renews_at)));
                    }
                }
            }
        }
        if let Some((renews_at, reason)) = exhausted {
            return Decision::Exhausted { renews_at, reason };
        }
        if needs_reservation {
            return Decision::Reserve;
        }
        match self.pace.take_departure(now.monotonic, latest) {
            Err(departure) => Decision::TooLate { departure },
            Ok(departure) => {
                self.admitted += 1;
                let window_numbers = self.counters.iter_mut().map(WindowCounter::take).collect();
                Decision::Send { departure, number: RequestNumber(self.admitted), window_numbers }
            }
        }
    }

    /// Whether a request that was taken from the counters in `window_numbers` still belongs to these windows if it leaves now.
    pub(super) fn are_in_windows(&self, window_numbers: &[u64], now: DateTime<Utc>) -> bool {
        self.counters.iter().zip(window_numbers).all(|(counter, window)| counter.is_in_window(*window, now))
    }

    /// Takes back a request that was taken from the counters in `window_numbers` and did not leave.
    pub(super) fn put_back(&mut self, window_numbers: &[u64]) {
        for (counter, window) in self.counters.iter_mut().zip(window_numbers) {
            counter.put_back(*window);
        }
    }

    /// The shares of the counters that need a reservation, each with its counter's index.
    pub(super) fn shares_to_reserve(&mut self, now: DateTime<Utc>) -> Vec<(usize, RunShare)> {
        let mut shares = Vec::new();
        for (index, counter) in self.counters.iter_mut().enumerate() {
            if counter.availability(now) == Availability::NeedsReservation {
                shares.push((index, counter.share(now)));
            }
        }
        shares
    }

    /// The shares that the shared quota has to know of at the end of a run, each with its counter's index.
    pub(super) fn shares_to_give_back(&self, now: DateTime<Utc>) -> Vec<(usize, RunShare)> {
        let shares = self.counters.iter().map(|counter| counter.share(now)).enumerate();
        shares.filter(|(_, share)| share.reserved > 0 || share.api_count.is_some()).collect()
    }

    /// Adds what the shared quota granted for the counter at `index`.
    pub(super) fn add_reservation(&mut self, index: usize, reservation: &Reservation) {
        self.counters[index].add_reservation(reservation);
    }

    /// Records that the reserved requests of the counter at `index` were given back, after which the shared quota has `left` requests.
    pub(super) fn clear_reservation(&mut self, index: usize, left: u32) {
        self.counters[index].clear_reservation(left);
    }

    /// The spacing of departures.
    pub(super) fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// Takes over what the headers of the response to request `number` say about one limit.
    pub(super) fn apply_headers(&mut self, number: RequestNumber, headers: &RateLimitHeaders, now: Now) {
        match self.matching_limit(headers, now.utc) {
            MatchingLimit::Counted(index) => {
                let sent_since = self.admitted.saturating_sub(number.0);
                self.counters[index].apply_headers(headers, sent_since, now.utc);
            }
            MatchingLimit::Spaced => {}
            MatchingLimit::Undeclared if headers.remaining == 0 => {
                let wait = headers.reset.and_then(|reset| (reset - now.utc).to_std().ok());
                if let Some(until) = wait.and_then(|wait| now.monotonic.checked_add(wait)) {
                    self.pace.pause(until);
                }
            }
            MatchingLimit::Undeclared => {}
        }
    }

    /// Finds the declared limit with the number of requests in `headers`; of several, the one with the shortest period that can end at
    /// the reset. A key may have another limit than the manifest declares: then it is the counted limit with the shortest such period.
    pub(super) fn matching_limit(&self, headers: &RateLimitHeaders, now: DateTime<Utc>) -> MatchingLimit {
        let can_end = |limit: &RateWindow| headers.reset.is_none_or(|reset| can_end_at(limit, reset, now));
        let declared = self.limits.iter().filter(|limit| Some(limit.requests) == headers.limit);
        if let Some(limit) = declared.clone().find(|limit| can_end(limit)).or(declared.clone().next()) {
            let index = self.counters.iter().position(|counter| counter.limit() == limit);
            return index.map_or(MatchingLimit::Spaced, MatchingLimit::Counted);
        }
        let index = match headers.reset {
            Some(reset) if reset <= later(now, MAX_UNCOUNTED_RESET) => None,
            Some(_) => self.counters.iter().position(|counter| can_end(counter.limit())),
            None => self.counters.len().checked_sub(1),
        };
        index.map_or(MatchingLimit::Undeclared, MatchingLimit::Counted)
    }

    /// What is left of every counted limit that was used.
    pub(super) fn quota_left(&self, now: DateTime<Utc>) -> Vec<QuotaLeft> {
        self.counters.iter().filter_map(|counter| counter.quota_left(now)).collect()
    }
}

fn exhausted_reason(counter: &WindowCounter, renews_at: DateTime<Utc>) -> String {
    let cause = if counter.is_exhausted_by_api() { ", by the API's own count" } else { "" };
    format!("the limit of {} is used up until {}{cause}", counter.limit(), format_seconds(renews_at))
}
