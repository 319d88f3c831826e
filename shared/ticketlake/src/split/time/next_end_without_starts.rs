//! Chooses the end of a window if the records do not say when they start, so that only totals are known.
//!
//! No record of Ticketmaster says when its event was announced, and halving the time from the year 1 to 9999 takes a dozen requests to
//! get near the present. Until totals are known, most records are therefore assumed to lie shortly before now, fewer the longer ago, and
//! hardly any after now.

use super::counted_range::CountedRange;
use super::window_splitter::WindowSplitter;

/// The length in seconds of the last half year, which is assumed to have half of the records before now.
const HALF_YEAR_SECONDS: f64 = 182.5 * 86_400.0;
/// The assumed ratio of the records before now to those after it.
const BEFORE_TO_AFTER: f64 = 50.0;
/// The target number of records of a window, as a share of the limit. It is greater than for other windows, since the total of the range
/// is known and only the distribution is not.
const TARGET_FILL: f64 = 0.85;

impl WindowSplitter {
    /// Returns the last second of the next window, which begins at `at`.
    pub(super) fn next_end_without_starts(&self, at: i64, now: i64) -> i64 {
        let total: f64 = self.deep_ranges.iter().map(|range| range.total).sum();
        if total <= self.limit && self.deep_ranges.iter().all(|range| range.exact) {
            return self.last();
        }
        // The quantile function of the Cauchy distribution, except for a factor, and its inverse.
        let quantile = |second: i64| {
            let quantile = ((second - now) as f64 / HALF_YEAR_SECONDS).atan();
            if quantile > 0.0 { quantile / BEFORE_TO_AFTER } else { quantile }
        };
        let second_of = |quantile: f64| {
            HALF_YEAR_SECONDS * if quantile > 0.0 { quantile * BEFORE_TO_AFTER } else { quantile }.tan()
        };
        let (mut wanted, mut begin) = (TARGET_FILL * self.limit, at);
        for CountedRange { to, total, .. } in &self.deep_ranges {
            if *total > wanted {
                let (first, last) = (quantile(begin), quantile(*to));
                let end = now as f64 + second_of(first + (last - first) * wanted / total);
                return (end as i64).clamp(begin, (to - 1).max(begin));
            }
            wanted -= total;
            begin = to.saturating_add(1);
        }
        self.last()
    }
}
