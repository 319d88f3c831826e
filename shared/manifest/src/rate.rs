//! How many requests an API allows: several rate limits at once.

use std::time::Duration;

/// The longest period of a limit that is kept by sending requests at even intervals. The requests of a longer one are counted.
pub(crate) const MAX_PACED_PERIOD: Duration = Duration::from_secs(10);
/// The keys of a rate limit by unit of time, each with the seconds of its unit.
pub(crate) const UNITS: [(&str, f64); 4] =
    [("per_second", 1.0), ("per_minute", 60.0), ("per_hour", 3_600.0), ("per_day", 86_400.0)];

/// The rate limits of an API for one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// All limits, the one with the shortest period first. If it is empty, there is no limit.
    pub windows: Vec<RateWindow>,
}

/// A number of requests in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// The number of requests, at least 1.
    pub requests: u32,
    /// The length of the period. Above 10 seconds, it is a whole number of seconds.
    pub period: Duration,
}

impl RateWindow {
    /// Returns whether requests are counted against the limit (a period above 10 seconds), and not sent at even intervals.
    pub fn is_counted(&self) -> bool {
        self.period > MAX_PACED_PERIOD
    }
}

impl Rate {
    /// Estimates the least number of seconds that `requests` requests take. `None` if there is no limit that delays them.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of something positive"
    )]
    pub fn seconds(&self, requests: u64) -> Option<u64> {
        let seconds = |window: &RateWindow| requests as f64 * window.period.as_secs_f64() / f64::from(window.requests);
        // A counted limit delays no request until its number is used up.
        let delaying =
            self.windows.iter().filter(|window| !window.is_counted() || requests > u64::from(window.requests));
        delaying.map(seconds).max_by(f64::total_cmp).map(|seconds| seconds.ceil() as u64)
    }

    /// Returns how much of the longest counted limit `requests` requests use, in percent. `None` if no limit is counted.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn quota_percent(&self, requests: u64) -> Option<f64> {
        let longest = self.windows.iter().rfind(|window| window.is_counted())?;
        Some((requests as f64 / f64::from(longest.requests) * 1000.0).round() / 10.0)
    }
}

impl std::fmt::Display for RateWindow {
    /// Writes the limit for people: `5 requests per second`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = if self.requests == 1 { "request" } else { "requests" };
        let seconds = self.period.as_secs_f64();
        match UNITS.iter().find(|(_, unit)| *unit == seconds) {
            Some((key, _)) => write!(f, "{} {noun} {}", self.requests, key.replace('_', " ")),
            None => write!(f, "{} {noun} per {seconds} s", self.requests),
        }
    }
}
