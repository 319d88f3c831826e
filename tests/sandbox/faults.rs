//! What goes wrong on purpose, and when.

use std::{
    collections::{HashMap, VecDeque},
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
    /// The right answer without this one of its members.
    WithoutMember(&'static str),
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
    /// of a run and not of a request, [`Fault::WithoutMember`] and [`Fault::Delay`].
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
    /// Requests in any one `second`; what comes on top is answered 429 and does not count.
    pub per_second: u32,
    /// How long that second lasts, for an API that counts in another short time.
    pub second: Duration,
    /// Requests in a `day`; what comes on top is answered 429.
    pub per_day: u32,
    /// How long a day lasts: 24 hours from the first request, an hour for an API that counts in hours, or less for a
    /// test that waits for its end.
    pub day: Duration,
    /// By how much the `second` is shortened, because a request that was sent in time may arrive late and the next one
    /// early.
    pub tolerance: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 5,
            second: Duration::from_secs(1),
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
    /// How long a refused request has to wait.
    pub(crate) wait: Duration,
}

/// What a request costs, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Whose limits it counts against: those of one credential where the API has them apart, else those of all.
    pub(crate) payer: String,
    /// Whether it is neither counted nor refused.
    pub(crate) free: bool,
}

/// Counts requests against a [`Rate`]; when it is not enforced it only counts, for the headers.
#[derive(Debug)]
pub(crate) struct Meter {
    rate: Rate,
    enforced: bool,
    used: Mutex<HashMap<String, Used>>,
}

#[derive(Debug, Default)]
struct Used {
    recent: VecDeque<Instant>,
    day: Option<(Instant, i64)>,
    today: u32,
    over: u32,
}

impl Meter {
    pub(crate) fn new(rate: Rate, enforced: bool) -> Self {
        Self { rate, enforced, used: Mutex::default() }
    }

    pub(crate) fn count(&self, charge: &Charge, arrived: Instant) -> (Allowance, Quota) {
        let mut all = self.used.lock().unwrap();
        let used = all.entry(charge.payer.clone()).or_default();
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
        let second = self.rate.second.saturating_sub(self.rate.tolerance);
        while used.recent.front().is_some_and(|earlier| arrived.duration_since(*earlier) >= second) {
            used.recent.pop_front();
        }
        let refuses = self.enforced && !charge.free;
        let mut wait = Duration::ZERO;
        let allowance = if refuses && used.today >= self.rate.per_day {
            used.over += 1;
            wait = (began + self.rate.day).saturating_duration_since(arrived);
            Allowance::UsedUp
        } else if refuses && used.recent.len() >= self.rate.per_second as usize {
            wait = used.recent.front().map_or(second, |first| (*first + second).saturating_duration_since(arrived));
            Allowance::TooFast
        } else if charge.free {
            Allowance::Granted
        } else {
            used.recent.push_back(arrived);
            used.today += 1;
            Allowance::Granted
        };
        let left = self.rate.per_day.saturating_sub(used.today);
        (allowance, Quota { per_day: self.rate.per_day, left, over: used.over, resets_at_ms, wait })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Allowance, Charge, Fault, Faults, Meter, Rate};

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
        let day = Duration::from_secs(10);
        let rate = Rate { per_second: 2, per_day: 4, day, tolerance: Duration::ZERO, ..Rate::default() };
        let meter = Meter::new(rate, true);
        let start = Instant::now();
        let at = |ms| meter.count(&Charge::default(), start + Duration::from_millis(ms)).0;
        assert_eq!(at(0), Allowance::Granted);
        assert_eq!(at(900), Allowance::Granted);
        assert_eq!(at(950), Allowance::TooFast);
        assert_eq!(at(1_000), Allowance::Granted);
        assert_eq!(at(1_899), Allowance::TooFast);
        assert_eq!(at(1_900), Allowance::Granted);
        assert_eq!(at(5_000), Allowance::UsedUp);
        assert_eq!(at(10_000), Allowance::Granted);
    }

    #[test]
    fn each_payer_has_limits_of_its_own_and_what_is_free_uses_up_none() {
        let (second, day) = (Duration::from_secs(2), Duration::from_secs(60));
        let rate = Rate { per_second: 2, second, per_day: 3, day, tolerance: Duration::ZERO };
        let meter = Meter::new(rate, true);
        let start = Instant::now();
        let at = |payer: &str, free, ms| {
            let (allowance, quota) =
                meter.count(&Charge { payer: payer.into(), free }, start + Duration::from_millis(ms));
            (allowance, quota.left, quota.wait.as_millis())
        };
        assert_eq!(at("a", true, 0), (Allowance::Granted, 3, 0));
        assert_eq!(at("a", false, 0), (Allowance::Granted, 2, 0));
        assert_eq!(at("a", false, 500), (Allowance::Granted, 1, 0));
        assert_eq!(at("a", false, 1_500), (Allowance::TooFast, 1, 500));
        assert_eq!(at("a", true, 1_500), (Allowance::Granted, 1, 0));
        assert_eq!(at("b", false, 1_500), (Allowance::Granted, 2, 0));
        assert_eq!(at("a", false, 2_000), (Allowance::Granted, 0, 0));
        assert_eq!(at("a", false, 40_000), (Allowance::UsedUp, 0, 20_000));
    }
}
