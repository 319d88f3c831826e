//! The rate limits of more than ten seconds, as one run counts them: in rate windows that start with the first request.

use chrono::{DateTime, Utc};
use manifest::RateWindow;
use serde::Serialize;

use super::headers::RateLimitHeaders;
use super::quota::{Reservation, RunShare};
use super::window::{Alignment, ApiCount, Window, can_end_at};

/// Counts the requests of one run against one rate limit.
#[derive(Debug)]
pub(super) struct WindowCounter {
    limit: RateWindow,
    /// The current rate window, as it was last seen; `None` before the first reservation in it.
    window: Option<Window>,
    /// When the window started, by the shared quota. Response headers may have moved `window` since.
    quota_start: Option<DateTime<Utc>>,
    /// Requests that are reserved and not sent.
    reserved: u32,
    /// The API's own count.
    api_count: Option<ApiCount>,
    /// Requests that the shared quota had left after the last reservation.
    quota_left: u32,
    /// Whether the shared quota granted no request at the last reservation.
    quota_is_empty: bool,
    /// Counts the windows, so that a request that was reserved in an earlier one is recognised.
    window_number: u64,
}

/// Whether a request may be sent, as far as one rate limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    /// A reserved request is left.
    Available,
    /// The shared quota has to be asked for a reservation first.
    NeedsReservation,
    /// All requests are used, or the window is just ending. The next request may be sent at this time.
    ExhaustedUntil(DateTime<Utc>),
}

impl WindowCounter {
    /// Creates the counter of `limit`, with nothing reserved.
    pub(super) fn new(limit: RateWindow) -> Self {
        Self {
            limit,
            window: None,
            quota_start: None,
            reserved: 0,
            api_count: None,
            quota_left: 0,
            quota_is_empty: false,
            window_number: 0,
        }
    }

    /// The rate limit that is counted.
    pub(super) fn limit(&self) -> &RateWindow {
        &self.limit
    }

    /// Leaves the current window if it is over.
    fn leave_past_window(&mut self, now: DateTime<Utc>) {
        if self.window.is_some_and(|window| window.renews_at() <= now) {
            self.window = None;
            self.reserved = 0;
            self.quota_is_empty = false;
            self.window_number += 1;
            // An API count without a reset of its own ends with the window.
            self.api_count = self.current_api_count(now).filter(|count| count.reset.is_some());
        }
    }

    /// Whether a request may be sent now.
    pub(super) fn availability(&mut self, now: DateTime<Utc>) -> Availability {
        self.leave_past_window(now);
        let Some(window) = self.window else { return Availability::NeedsReservation };
        let api_has_none = self.api_count.is_some_and(|count| count.remaining == 0);
        // A request that leaves between the end and the renewal would be counted here and belong to the next window.
        if api_has_none || window.end <= now || (self.reserved == 0 && self.quota_is_empty) {
            Availability::ExhaustedUntil(window.renews_at())
        } else if self.reserved == 0 {
            Availability::NeedsReservation
        } else {
            Availability::Available
        }
    }

    /// Whether it is only the API's own count that leaves no request.
    pub(super) fn is_exhausted_by_api(&self) -> bool {
        self.api_count.is_some_and(|count| count.remaining == 0) && self.quota_left.saturating_add(self.reserved) > 0
    }

    /// Uses one reserved request. Returns the window's number, for [`Self::is_in_window`] and [`Self::put_back`].
    pub(super) fn take(&mut self) -> u64 {
        self.reserved = self.reserved.saturating_sub(1);
        if let Some(count) = &mut self.api_count {
            count.remaining = count.remaining.saturating_sub(1);
        }
        self.window_number
    }

    /// Whether a request that was taken in window `number` still belongs to that window if it leaves now.
    pub(super) fn is_in_window(&self, number: u64, now: DateTime<Utc>) -> bool {
        self.window_number == number && self.window.is_some_and(|window| now < window.end)
    }

    /// Takes back a request that was taken in window `number` and did not leave.
    pub(super) fn put_back(&mut self, number: u64) {
        if self.window_number == number {
            self.reserved += 1;
            if let Some(count) = &mut self.api_count {
                count.remaining += 1;
            }
        }
    }

    /// Adds the requests that the shared quota granted.
    pub(super) fn add_reservation(&mut self, reservation: &Reservation) {
        self.window = Some(reservation.window);
        self.quota_start = Some(reservation.window.start);
        self.reserved += reservation.granted;
        self.quota_left = reservation.left;
        self.quota_is_empty = reservation.granted == 0;
    }

    /// Takes over what a response's headers say about this limit. `sent_since` requests were admitted after the one that was answered,
    /// and none of them is in the API's count. Responses overtake each other, so within one window only a smaller count is news.
    pub(super) fn apply_headers(&mut self, headers: &RateLimitHeaders, sent_since: u64, now: DateTime<Utc>) {
        if headers.reset.is_some_and(|reset| reset <= now) {
            return;
        }
        let reset = headers.reset.filter(|reset| can_end_at(&self.limit, *reset, now));
        let remaining = u32::try_from(u64::from(headers.remaining).saturating_sub(sent_since)).unwrap_or(u32::MAX);
        let alignment = match (&mut self.window, reset) {
            (Some(window), Some(reset)) => window.align(reset, &self.limit),
            _ => Alignment::SameWindow,
        };
        if alignment == Alignment::NewWindow {
            // The reserved requests belong to the window before.
            self.reserved = 0;
            self.quota_is_empty = false;
            self.api_count = None;
        }
        self.api_count = Some(ApiCount {
            remaining: self.api_count.map_or(remaining, |known| known.remaining.min(remaining)),
            reset: reset.or(self.api_count.and_then(|known| known.reset)),
        });
    }

    /// Records that the reserved requests were given back, after which the shared quota has `left` requests.
    pub(super) fn clear_reservation(&mut self, left: u32) {
        self.reserved = 0;
        self.quota_left = left;
    }

    /// Returns what the run holds and knows of this limit, for the shared quota.
    pub(super) fn share(&self, now: DateTime<Utc>) -> RunShare {
        RunShare {
            limit: self.limit,
            window_start: self.quota_start,
            api_count: self.current_api_count(now),
            reserved: self.reserved,
        }
    }

    /// The API's own count, unless it has started again since.
    fn current_api_count(&self, now: DateTime<Utc>) -> Option<ApiCount> {
        self.api_count.filter(|count| count.reset.is_none_or(|reset| reset > now))
    }

    /// Returns what is left, for the report; `None` if nothing was ever reserved.
    pub(super) fn quota_left(&self, now: DateTime<Utc>) -> Option<QuotaLeft> {
        let window = self.window?;
        let (requests, period_seconds) = (self.limit.requests, self.limit.period.as_secs());
        if window.end <= now {
            return Some(QuotaLeft { requests, period_seconds, left: requests, resets_at: None });
        }
        let left = self.quota_left.saturating_add(self.reserved);
        let left = self.api_count.map_or(left, |count| left.min(count.remaining));
        Some(QuotaLeft { requests, period_seconds, left, resets_at: Some(manifest::time::format_instant(window.end)) })
    }
}

/// What is left of a counted rate limit, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaLeft {
    /// The requests that the limit allows in one rate window.
    pub requests: u32,
    /// The length of a rate window, in seconds.
    pub period_seconds: u64,
    /// The requests that may still be sent in this rate window, by the shared quota or by the API's own count, whichever is smaller.
    pub left: u32,
    /// When the count starts again, RFC 3339 in UTC; null if the rate window is over and no other one has started.
    pub resets_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use manifest::time::parse_instant;

    use super::*;

    const HOUR: RateWindow = RateWindow { requests: 100, period: Duration::from_secs(3600) };

    fn at(time_of_day: &str) -> DateTime<Utc> {
        parse_instant(&format!("2026-11-21T{time_of_day}Z")).unwrap()
    }

    fn headers(remaining: u32, reset: &str) -> RateLimitHeaders {
        RateLimitHeaders { limit: Some(100), remaining, reset: Some(at(reset)) }
    }

    fn reservation(start: &str, granted: u32, left: u32) -> Reservation {
        Reservation { window: Window::starting_at(at(start), &HOUR), granted, left }
    }

    /// An hour that started at ten, with all of its requests reserved.
    fn counter() -> WindowCounter {
        let mut counter = WindowCounter::new(HOUR);
        assert_eq!(counter.availability(at("10:00:00")), Availability::NeedsReservation);
        counter.add_reservation(&reservation("10:00:00", 100, 0));
        counter
    }

    #[test]
    fn a_window_renews_one_second_after_its_end() {
        let mut counter = counter();
        let window = counter.take();
        assert_eq!(counter.availability(at("10:59:59")), Availability::Available);
        assert!(counter.is_in_window(window, at("10:59:59")));
        assert_eq!(counter.availability(at("11:00:00.5")), Availability::ExhaustedUntil(at("11:00:01")));
        assert!(!counter.is_in_window(window, at("11:00:00.5")), "the request would arrive in the next window");
        assert_eq!(counter.availability(at("11:00:01")), Availability::NeedsReservation);
        counter.add_reservation(&reservation("11:00:01", 5, 95));
        assert!(!counter.is_in_window(window, at("11:00:02")), "the request was counted in the window before");
        counter.put_back(window);
        assert_eq!(counter.reserved, 5, "a request of the window before is worth nothing");
        assert_eq!(counter.quota_left(at("11:00:02")).unwrap().left, 100);
    }

    #[test]
    fn the_smaller_of_both_counts_decides() {
        let mut counter = counter();
        for _ in 0..10 {
            counter.take();
        }
        counter.apply_headers(&headers(93, "11:00:00"), 3, at("10:00:05"));
        assert_eq!(counter.quota_left(at("10:00:05")).unwrap().left, 90, "as many as were counted here");
        counter.apply_headers(&headers(43, "11:00:00"), 3, at("10:00:05"));
        assert_eq!(counter.quota_left(at("10:00:05")).unwrap().left, 40, "others used fifty");
        counter.apply_headers(&headers(95, "11:00:00"), 5, at("10:00:06"));
        assert_eq!(
            counter.quota_left(at("10:00:06")).unwrap().left,
            40,
            "an older response that arrived late changes nothing"
        );
        for _ in 0..40 {
            assert_eq!(counter.availability(at("10:01:00")), Availability::Available);
            counter.take();
        }
        assert_eq!(counter.availability(at("10:01:00")), Availability::ExhaustedUntil(at("11:00:01")));
        assert_eq!(counter.reserved, 50);
    }

    #[test]
    fn the_api_says_when_its_window_ends() {
        let mut counter = counter();
        // The API's window started a little after ours, and is the same one.
        counter.apply_headers(&headers(99, "11:00:20"), 0, at("10:00:21"));
        assert_eq!((counter.reserved, counter.window.unwrap().end), (100, at("11:00:20")));
        // Others started it long before us.
        counter.apply_headers(&headers(99, "10:20:00"), 0, at("10:00:22"));
        assert_eq!((counter.reserved, counter.window.unwrap().end), (100, at("10:20:00")));
        // A reset that is over, or that no window of this limit can have, changes nothing.
        counter.apply_headers(&headers(0, "10:00:10"), 0, at("10:00:22"));
        counter.apply_headers(&headers(99, "18:00:00"), 0, at("10:00:22"));
        assert_eq!((counter.reserved, counter.window.unwrap().end), (100, at("10:20:00")));
        assert_eq!(counter.availability(at("10:00:23")), Availability::Available);
        // The API's window ended before ours, and another one started.
        counter.apply_headers(&headers(99, "11:15:00"), 0, at("10:15:00"));
        assert_eq!(counter.window.unwrap(), Window { start: at("10:15:00"), end: at("11:15:00") });
        let availability = counter.availability(at("10:15:01"));
        assert_eq!(availability, Availability::NeedsReservation, "the reserved requests are of the window before");
        assert_eq!(counter.api_count.unwrap().remaining, 99);
    }

    #[test]
    fn an_api_count_without_a_reset_ends_with_the_window() {
        let mut counter = counter();
        counter.apply_headers(&RateLimitHeaders { limit: None, remaining: 0, reset: None }, 0, at("10:30:00"));
        assert_eq!(counter.availability(at("10:30:01")), Availability::ExhaustedUntil(at("11:00:01")));
        assert_eq!(counter.availability(at("11:00:01")), Availability::NeedsReservation);
        assert_eq!(counter.api_count, None);
    }
}
