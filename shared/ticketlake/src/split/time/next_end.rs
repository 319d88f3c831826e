//! Chooses the end of the next window.

use super::counted_range::CountedRange;
use super::recent::Repetition;
use super::window_splitter::WindowSplitter;

/// The target number of records of a window, as a share of the limit. With Ticketmaster's limit of 1,000 and pages of 200, a window of 780
/// records fills four pages and leaves the fifth as a reserve. A window with slightly more records costs one request more, as
/// a deep window does, but the records on its fifth page are read.
const TARGET_FILL: f64 = 0.78;
/// The rest of the range is requested as one window if at most this many records of its sample are left.
const MAX_REST_SAMPLE: usize = 2;
/// After this many deep windows in a row, windows are halved. Halving the years 1 to 9999 takes 38 steps down to one second.
const MAX_DEEP_WINDOWS: u32 = 8;

impl WindowSplitter {
    /// Returns the last second of the next window, which begins at `at`. Records lie close behind the chosen ends. Where a query reaches
    /// beyond its window, it ends before them.
    pub(super) fn next_end(&self, at: i64) -> i64 {
        let end = self.chosen_end(at);
        if end < self.max_end { (end - 2 * self.overlap).max(at) } else { end }
    }

    /// Returns the last second of the next window of a query that reaches no further than its window.
    fn chosen_end(&self, at: i64) -> i64 {
        if self.deep_windows > MAX_DEEP_WINDOWS {
            return at + (self.max_end - at) / 2;
        }
        if let Some(to) = self.next_end_by_calendar(at) {
            return to;
        }
        if let Some(now) = self.now.filter(|_| self.lacks_starts) {
            return self.next_end_without_starts(at, now);
        }
        if self.is_rest_small() {
            return self.last();
        }
        let repetition = self.recent.repetition();
        self.last_that(at, |to| self.expected(at, to, repetition.as_ref()) <= TARGET_FILL * self.limit)
    }

    /// Returns whether the rest of the range is requested as one window. It is if its total is known and fits. It is also if only a sample
    /// of it is known and hardly anything of the sample is left: the rest may fit, and if it does not, the answer gives its total.
    fn is_rest_small(&self) -> bool {
        let (counted, sampled): (Vec<_>, Vec<_>) = self.deep_ranges.iter().partition(|range| range.exact);
        let few = sampled.iter().map(|range| range.starts.len()).sum::<usize>() <= MAX_REST_SAMPLE;
        counted.iter().map(|range| range.total).sum::<f64>() <= self.limit
            && (sampled.is_empty() || self.deep_windows == 0 && few)
    }

    /// Returns the last second that `fits` as the end of the next window. No later second fits after one that does not. If no second
    /// fits, it is `at`, since a window has at least one second.
    fn last_that(&self, at: i64, fits: impl Fn(i64) -> bool) -> i64 {
        let (mut fitting, mut beyond) = (at, self.max_end.max(at));
        if fits(beyond) {
            return beyond;
        }
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            if fits(middle) {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
        fitting
    }

    /// Returns the number of records that is expected from `at` to `to`. If a total is exact, the sample gives its distribution. If it is
    /// only a lower bound, the recent windows decide if they predict more records.
    fn expected(&self, at: i64, to: i64, repetition: Option<&Repetition>) -> f64 {
        let in_range = |range: &CountedRange| {
            let by_sample = range.records(at, to);
            let (from, to) = (at.max(range.from), to.min(range.to));
            match repetition {
                Some(repetition) if !range.exact && from <= to => by_sample.max(repetition.records(from, to)),
                _ => by_sample,
            }
        };
        self.deep_ranges.iter().map(in_range).sum()
    }
}
