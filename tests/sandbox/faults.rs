//! What goes wrong on purpose, and when.

use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    clock,
    dice::{Dice, Purpose},
};

/// One way for a request to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 with a body that is not the API's.
    Status500,
    /// 503 with a body that is not the API's.
    Status503,
    /// 429, with a `Retry-After` header or without one.
    TooManyRequests {
        /// When to come back, if the answer says so.
        retry_after: Option<RetryAfter>,
    },
    /// 429 in the words of Ticketmaster's per-second limit; without a `Retry-After`.
    SpikeArrest,
    /// 429 in the words of Ticketmaster's daily quota, which echo the caller's API key.
    QuotaViolation,
    /// The connection is reset before a byte of the answer.
    Reset,
    /// The answer's headers and half of its body, then the connection is cut.
    TruncatedBody,
    /// 200 with an HTML page.
    HtmlBody,
    /// 200 with `{}`.
    MissingEnvelope,
    /// The right answer, late.
    Delay(Duration),
}

/// The value of a `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, so many seconds from when the answer is given.
    Date(u64),
}

impl RetryAfter {
    pub(crate) fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(seconds) => clock::http_date(clock::wall() + seconds as i64),
        }
    }
}

/// Which requests fail, and how. Requests are numbered from 1 in the order of their arrival.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The share of requests that fail, chosen by the seed; 0 by default.
    pub fail_ratio: f64,
    /// The kinds that `fail_ratio` chooses from. By default every kind but [`Fault::QuotaViolation`], which is the end
    /// of a run and not of a request, and [`Fault::Delay`].
    pub kinds: Vec<Fault>,
    /// Requests that fail in a certain way, by number. They go before `fail_ratio`.
    pub at: Vec<(usize, Fault)>,
    /// After so many requests the API key is the other one and the first is refused.
    pub rotate_key_after: Option<(usize, String)>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fail_ratio: 0.0,
            kinds: vec![
                Fault::Status500,
                Fault::Status503,
                Fault::TooManyRequests { retry_after: None },
                Fault::TooManyRequests { retry_after: Some(RetryAfter::Seconds(1)) },
                Fault::TooManyRequests { retry_after: Some(RetryAfter::Date(1)) },
                Fault::SpikeArrest,
                Fault::Reset,
                Fault::TruncatedBody,
                Fault::HtmlBody,
                Fault::MissingEnvelope,
            ],
            at: Vec::new(),
            rotate_key_after: None,
        }
    }
}

impl Faults {
    pub(crate) fn of(&self, seed: u64, number: usize) -> Option<Fault> {
        if let Some((_, fault)) = self.at.iter().find(|(at, _)| *at == number) {
            return Some(fault.clone());
        }
        let mut dice = Dice::new(seed, Purpose::Fault, number as u64);
        (!self.kinds.is_empty() && dice.chance(self.fail_ratio)).then(|| dice.pick(&self.kinds).clone())
    }
}

/// A limit that is enforced by when requests really arrive.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Requests in any one second; what comes on top is answered 429 and does not count.
    pub per_second: u32,
    /// Requests in a `day`; what comes on top is answered 429.
    pub per_day: u32,
    /// How long a day lasts: 24 hours from the first request, or less for a test that waits for its end.
    pub day: Duration,
    /// By how much the second is shortened, because a request that was sent in time may arrive late and the next one
    /// early.
    pub tolerance: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 5,
            per_day: 5_000,
            day: Duration::from_secs(24 * 60 * 60),
            tolerance: Duration::from_millis(25),
        }
    }
}

/// How a request stands to the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    Granted,
    TooFast,
    UsedUp,
}

/// What is left of the day, for the answer's headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) per_day: u32,
    pub(crate) left: u32,
    pub(crate) over: u32,
    pub(crate) resets_at_ms: i64,
}

/// Counts requests against a [`Rate`]; without one it only counts, for the headers.
#[derive(Debug)]
pub(crate) struct Meter {
    rate: Rate,
    enforced: bool,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    recent: VecDeque<Instant>,
    day: Option<(Instant, i64)>,
    today: u32,
    over: u32,
}

impl Meter {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { enforced: rate.is_some(), rate: rate.unwrap_or_default(), used: Mutex::default() }
    }

    pub(crate) fn count(&self, arrived: Instant) -> (Allowance, Quota) {
        let mut used = self.used.lock().unwrap();
        let (began, resets_at_ms) = match used.day {
            Some((began, resets_at_ms)) if arrived < began + self.rate.day => (began, resets_at_ms),
            _ => {
                let day_ms = i64::try_from(self.rate.day.as_millis()).unwrap_or(i64::MAX);
                used.today = 0;
                used.over = 0;
                (arrived, clock::wall() * 1000 + day_ms)
            }
        };
        used.day = Some((began, resets_at_ms));
        let second = Duration::from_secs(1).saturating_sub(self.rate.tolerance);
        while used.recent.front().is_some_and(|earlier| arrived.duration_since(*earlier) >= second) {
            used.recent.pop_front();
        }
        let allowance = if self.enforced && used.today >= self.rate.per_day {
            used.over += 1;
            Allowance::UsedUp
        } else if self.enforced && used.recent.len() >= self.rate.per_second as usize {
            Allowance::TooFast
        } else {
            used.recent.push_back(arrived);
            used.today += 1;
            Allowance::Granted
        };
        let left = self.rate.per_day.saturating_sub(used.today);
        (allowance, Quota { per_day: self.rate.per_day, left, over: used.over, resets_at_ms })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Allowance, Fault, Faults, Meter, Rate};

    #[test]
    fn the_script_goes_before_chance_and_chance_follows_the_seed() {
        let faults = Faults { fail_ratio: 0.02, at: vec![(3, Fault::Reset)], ..Faults::default() };
        assert_eq!(faults.of(1, 3), Some(Fault::Reset));
        let failing = |seed| (10..10_010).filter(|number| faults.of(seed, *number).is_some()).collect::<Vec<_>>();
        assert_eq!(failing(1), failing(1));
        assert_ne!(failing(1), failing(2));
        assert!((150..250).contains(&failing(1).len()), "{} of 10,000", failing(1).len());
    }

    #[test]
    fn the_second_slides_and_the_day_starts_with_the_first_request() {
        let rate = Rate { per_second: 2, per_day: 4, day: Duration::from_secs(10), tolerance: Duration::ZERO };
        let meter = Meter::new(Some(rate));
        let start = Instant::now();
        let at = |ms| meter.count(start + Duration::from_millis(ms)).0;
        assert_eq!(at(0), Allowance::Granted);
        assert_eq!(at(900), Allowance::Granted);
        assert_eq!(at(950), Allowance::TooFast);
        assert_eq!(at(1_000), Allowance::Granted);
        assert_eq!(at(1_899), Allowance::TooFast);
        assert_eq!(at(1_900), Allowance::Granted);
        assert_eq!(at(5_000), Allowance::UsedUp);
        assert_eq!(at(10_000), Allowance::Granted);
    }
}
