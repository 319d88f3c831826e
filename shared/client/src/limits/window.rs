//! The limits of more than ten seconds: requests are counted, in fixed windows that begin with the first one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::headers::RateLimitHeaders;
use super::quota::Entry;
use manifest::RateWindow;

/// What is waited for after a window's end.
const RENEWAL_DELAY: Duration = Duration::from_secs(1);

/// One turn of a window: from its first request to where its count begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// RFC 3339, UTC.
    pub(super) began: DateTime<Utc>,
    /// RFC 3339, UTC.
    pub(super) ends: DateTime<Utc>,
}

impl Span {
    /// One that begins with the request that is about to leave.
    pub(super) fn beginning(now: DateTime<Utc>, window: &RateWindow) -> Self {
        Self { began: now, ends: later(now, window.period) }
    }

    /// When the next may begin: a little after the end, because an end that is told in whole seconds lies up to one before the
    /// true one, and a window begins at the server when a request arrives.
    pub(super) fn renews(&self) -> DateTime<Utc> {
        later(self.ends, RENEWAL_DELAY)
    }

    /// Takes up when the API says that its window ends. Gives whether that is another window than this one: it ends later
    /// than one that began with this one's first request could, by more than delays and clocks explain.
    pub(super) fn reconcile(&mut self, reset: DateTime<Utc>, window: &RateWindow) -> bool {
        let began = earlier(reset, window.period);
        let another = began > later(self.began, tolerance(window));
        *self = Self { began: if another { began } else { self.began.min(began) }, ends: reset };
        another
    }
}

/// How far the API's times and ours may lie apart: a minute, or a tenth of a shorter window.
fn tolerance(window: &RateWindow) -> Duration {
    Duration::from_secs(60).min(window.period / 10)
}

/// Whether `reset` can be the end of `window`: it has not come, and is no further off than the window is long.
pub(super) fn may_end(window: &RateWindow, reset: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    reset > now && reset <= later(now, window.period + tolerance(window))
}

/// `duration` after `at`.
pub(super) fn later(at: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(duration).ok();
    delta.and_then(|delta| at.checked_add_signed(delta)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn earlier(at: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(duration).ok();
    delta.and_then(|delta| at.checked_sub_signed(delta)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// What the API's own count leaves to this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// Requests that may still be admitted.
    pub(super) left: u32,
    /// When the API's count begins anew, if it says so.
    pub(super) reset: Option<DateTime<Utc>>,
}

/// What a run has of one window.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) window: RateWindow,
    /// As it was last seen; `None` before the first look into the ledger.
    pub(super) span: Option<Span>,
    /// When it began by the ledger: an answer may have moved `span` since.
    began: Option<DateTime<Utc>>,
    /// Reserved and not used.
    pub(super) in_hand: u32,
    pub(super) ceiling: Option<Ceiling>,
    /// What the ledger had left after the last reservation.
    behind: u32,
    /// Whether the ledger had nothing to give.
    exhausted: bool,
    /// Counts the spans, to know a credit of an earlier one.
    turn: u64,
}

/// Whether a request may go by one window's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// One is in hand.
    Ready,
    /// None is in hand: the ledger is to be asked.
    Empty,
    /// All are used, or the window is just ending: not before this time.
    Closed(DateTime<Utc>),
}

impl Count {
    pub(super) fn new(window: RateWindow) -> Self {
        Self { window, span: None, began: None, in_hand: 0, ceiling: None, behind: 0, exhausted: false, turn: 0 }
    }

    /// Leaves a span behind that is over.
    fn turn_over(&mut self, now: DateTime<Utc>) {
        if self.span.is_some_and(|span| span.renews() <= now) {
            self.span = None;
            self.in_hand = 0;
            self.exhausted = false;
            self.turn += 1;
            // A count without an end of its own ends with the span.
            self.ceiling = self.ceiling.filter(|ceiling| ceiling.reset.is_some_and(|reset| reset > now));
        }
    }

    pub(super) fn standing(&mut self, now: DateTime<Utc>) -> Standing {
        self.turn_over(now);
        let Some(span) = self.span else {
            return Standing::Empty;
        };
        let none_left = self.ceiling.is_some_and(|ceiling| ceiling.left == 0);
        // What leaves between the end and the renewal would be counted here and belong to the next.
        if none_left || span.ends <= now || (self.in_hand == 0 && self.exhausted) {
            Standing::Closed(span.renews())
        } else if self.in_hand == 0 {
            Standing::Empty
        } else {
            Standing::Ready
        }
    }

    /// Whether it is the API's own count that leaves nothing.
    pub(super) fn is_closed_by_the_api(&self) -> bool {
        self.ceiling.is_some_and(|ceiling| ceiling.left == 0) && self.behind.saturating_add(self.in_hand) > 0
    }

    /// Uses one that is in hand. Gives the span's number, for [`Self::still_counts`] and [`Self::release`].
    pub(super) fn take(&mut self) -> u64 {
        self.in_hand = self.in_hand.saturating_sub(1);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.left = ceiling.left.saturating_sub(1);
        }
        self.turn
    }

    /// Whether what was taken in span `turn` still counts when it leaves now.
    pub(super) fn still_counts(&self, turn: u64, now: DateTime<Utc>) -> bool {
        self.turn == turn && self.span.is_some_and(|span| now < span.ends)
    }

    /// Takes back one that did not leave.
    pub(super) fn release(&mut self, turn: u64) {
        if self.turn == turn {
            self.in_hand += 1;
            if let Some(ceiling) = &mut self.ceiling {
                ceiling.left += 1;
            }
        }
    }

    /// Takes up what the ledger gave, and what it has left.
    pub(super) fn grant(&mut self, span: Span, granted: u32, behind: u32) {
        self.span = Some(span);
        self.began = Some(span.began);
        self.in_hand += granted;
        self.behind = behind;
        self.exhausted = granted == 0;
    }

    /// Takes up what an answer told, `after` further requests having been admitted since the one that it answers: none of
    /// those is in its count. Answers overtake each other, so within one span only a smaller count is news.
    pub(super) fn apply_headers(&mut self, told: &RateLimitHeaders, after: u64, now: DateTime<Utc>) {
        if told.reset.is_some_and(|reset| reset <= now) {
            return;
        }
        let reset = told.reset.filter(|reset| may_end(&self.window, *reset, now));
        let left = u32::try_from(u64::from(told.remaining).saturating_sub(after)).unwrap_or(u32::MAX);
        let window = self.window;
        let another = match (&mut self.span, reset) {
            (Some(span), Some(reset)) => span.reconcile(reset, &window),
            _ => false,
        };
        if another {
            // What was reserved counts in a window that is over.
            self.in_hand = 0;
            self.exhausted = false;
            self.ceiling = None;
        }
        let known = self.ceiling.filter(|known| known.left < left);
        self.ceiling = Some(Ceiling {
            left: known.map_or(left, |known| known.left),
            reset: reset.or(self.ceiling.and_then(|known| known.reset)),
        });
    }

    /// What is given back with [`super::quota::Quota::give_back`] is in the ledger again.
    pub(super) fn returned(&mut self, behind: u32) {
        self.in_hand = 0;
        self.behind = behind;
    }

    /// What to ask the ledger for, or to give back to it.
    pub(super) fn entry(&self, now: DateTime<Utc>) -> Entry {
        let ceiling = self.ceiling.filter(|ceiling| ceiling.reset.is_none_or(|reset| reset > now));
        Entry { window: self.window, began: self.began, ceiling, in_hand: self.in_hand }
    }

    /// For the report; `None` when the ledger was never asked.
    pub(super) fn left(&self, now: DateTime<Utc>) -> Option<QuotaLeft> {
        let span = self.span?;
        let (requests, period_seconds) = (self.window.requests, self.window.period.as_secs());
        if span.ends <= now {
            return Some(QuotaLeft { requests, period_seconds, left: requests, resets_at: None });
        }
        let left = self.behind.saturating_add(self.in_hand);
        let left = self.ceiling.map_or(left, |ceiling| left.min(ceiling.left));
        Some(QuotaLeft { requests, period_seconds, left, resets_at: Some(manifest::time::format_instant(span.ends)) })
    }
}

/// What is left of a limit, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaLeft {
    /// Requests that the window allows.
    pub requests: u32,
    /// The window's length.
    pub period_seconds: u64,
    /// Requests that may still be sent in it, by the ledger's count or the API's own, whichever is smaller.
    pub left: u32,
    /// When it begins anew, RFC 3339; null when it is over and none has begun.
    pub resets_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::time::parse_instant;

    const HOUR: RateWindow = RateWindow { requests: 100, period: Duration::from_secs(3600) };

    fn at(text: &str) -> DateTime<Utc> {
        parse_instant(&format!("2026-11-21T{text}Z")).unwrap()
    }

    fn apply_headers(remaining: u32, reset: &str) -> RateLimitHeaders {
        RateLimitHeaders { limit: Some(100), remaining, reset: Some(at(reset)) }
    }

    /// An hour that began at ten, with all of it in hand.
    fn count() -> Count {
        let mut count = Count::new(HOUR);
        assert_eq!(count.standing(at("10:00:00")), Standing::Empty);
        count.grant(Span::beginning(at("10:00:00"), &HOUR), 100, 0);
        count
    }

    #[test]
    fn a_window_ends_where_it_began_plus_its_length_and_a_second() {
        let mut count = count();
        let turn = count.take();
        assert_eq!(count.standing(at("10:59:59")), Standing::Ready);
        assert!(count.still_counts(turn, at("10:59:59")));
        assert_eq!(count.standing(at("11:00:00.5")), Standing::Closed(at("11:00:01")));
        assert!(!count.still_counts(turn, at("11:00:00.5")), "it would arrive in the next window");
        assert_eq!(count.standing(at("11:00:01")), Standing::Empty);
        count.grant(Span::beginning(at("11:00:01"), &HOUR), 5, 95);
        assert!(!count.still_counts(turn, at("11:00:02")), "it was counted in the window before");
        count.release(turn);
        assert_eq!(count.in_hand, 5, "a credit of the window before is worth nothing");
        assert_eq!(count.left(at("11:00:02")).unwrap().left, 100);
    }

    #[test]
    fn the_api_s_count_goes_before_when_it_is_smaller() {
        let mut count = count();
        for _ in 0..10 {
            count.take();
        }
        count.apply_headers(&told(93, "11:00:00"), 3, at("10:00:05"));
        assert_eq!(count.left(at("10:00:05")).unwrap().left, 90, "as many as we counted ourselves");
        count.apply_headers(&told(43, "11:00:00"), 3, at("10:00:05"));
        assert_eq!(count.left(at("10:00:05")).unwrap().left, 40, "others used fifty");
        count.apply_headers(&told(95, "11:00:00"), 5, at("10:00:06"));
        assert_eq!(count.left(at("10:00:06")).unwrap().left, 40, "an older answer that came late is no news");
        for _ in 0..40 {
            assert_eq!(count.standing(at("10:01:00")), Standing::Ready);
            count.take();
        }
        assert_eq!(count.standing(at("10:01:00")), Standing::Closed(at("11:00:01")));
        assert_eq!(count.in_hand, 50);
    }

    #[test]
    fn the_api_says_when_its_window_ends() {
        let mut count = count();
        // It began a little after ours, and is the same.
        count.apply_headers(&told(99, "11:00:20"), 0, at("10:00:21"));
        assert_eq!((count.in_hand, count.span.unwrap().ends), (100, at("11:00:20")));
        // Others began it long before us.
        count.apply_headers(&told(99, "10:20:00"), 0, at("10:00:22"));
        assert_eq!((count.in_hand, count.span.unwrap().ends), (100, at("10:20:00")));
        // What says nothing of now, or of this window, moves nothing.
        count.apply_headers(&told(0, "10:00:10"), 0, at("10:00:22"));
        count.apply_headers(&told(99, "18:00:00"), 0, at("10:00:22"));
        assert_eq!((count.in_hand, count.span.unwrap().ends), (100, at("10:20:00")));
        assert_eq!(count.standing(at("10:00:23")), Standing::Ready);
        // It ended before ours and began anew.
        count.apply_headers(&told(99, "11:15:00"), 0, at("10:15:00"));
        assert_eq!(count.span.unwrap(), Span { began: at("10:15:00"), ends: at("11:15:00") });
        assert_eq!(count.standing(at("10:15:01")), Standing::Empty, "what was reserved is of the window before");
        assert_eq!(count.ceiling.unwrap().left, 99);
    }

    #[test]
    fn a_count_without_an_end_ends_with_the_window() {
        let mut count = count();
        count.apply_headers(&RateLimitHeaders { limit: None, remaining: 0, reset: None }, 0, at("10:30:00"));
        assert_eq!(count.standing(at("10:30:01")), Standing::Closed(at("11:00:01")));
        assert_eq!(count.standing(at("11:00:01")), Standing::Empty);
        assert_eq!(count.ceiling, None);
    }
}
