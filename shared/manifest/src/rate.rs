//! How often an API may be asked: several limits at once.

use std::time::Duration;

/// Up to this period a limit is kept by even spacing; above it, requests are counted.
pub(crate) const LONGEST_PACED: Duration = Duration::from_secs(10);
/// The units of the mapping's form, with their seconds.
pub(crate) const UNITS: [(&str, f64); 4] =
    [("per_second", 1.0), ("per_minute", 60.0), ("per_hour", 3_600.0), ("per_day", 86_400.0)];

/// What an API allows one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Every limit, that of the shortest period first; empty: as fast as the API answers.
    pub windows: Vec<RateWindow>,
}

/// So many requests in every so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// At least 1.
    pub requests: u32,
    /// Whole seconds above 10 s.
    pub period: Duration,
}

impl RateWindow {
    /// Whether requests are counted against it (above 10 s), not spaced evenly.
    pub fn is_long(&self) -> bool {
        self.period > LONGEST_PACED
    }
}

impl Rate {
    /// Seconds that so many requests take at least.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of something positive"
    )]
    pub fn seconds(&self, requests: u64) -> Option<u64> {
        let taken = |window: &RateWindow| requests as f64 * window.period.as_secs_f64() / f64::from(window.requests);
        // A counted window lets the first so many leave as fast as the spaced ones do.
        let binding = self.windows.iter().filter(|window| !window.is_long() || requests > u64::from(window.requests));
        binding.map(taken).max_by(f64::total_cmp).map(|seconds| seconds.ceil() as u64)
    }

    /// The share of the longest limit that so many requests are, in percent.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn quota_percent(&self, requests: u64) -> Option<f64> {
        let longest = self.windows.iter().rfind(|window| window.is_long())?;
        Some((requests as f64 / f64::from(longest.requests) * 1000.0).round() / 10.0)
    }
}

impl std::fmt::Display for RateWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = if self.requests == 1 { "request" } else { "requests" };
        let seconds = self.period.as_secs_f64();
        match UNITS.iter().find(|(_, unit)| *unit == seconds) {
            Some((name, _)) => write!(f, "{} {noun} {}", self.requests, name.replace('_', " ")),
            None => write!(f, "{} {noun} per {seconds} s", self.requests),
        }
    }
}
