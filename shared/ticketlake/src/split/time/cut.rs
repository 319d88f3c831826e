//! Where the next window ends.

use super::past::Pattern;
use super::{Stretch, WindowSplitter};

/// The records that a window aims at, as a part of the limit. With Ticketmaster's limit of 1,000 and pages of 200, a window of 780
/// records fills four pages and leaves the fifth as a reserve: a window with somewhat more records costs one request more, as a
/// window that is too deep does, but the records on its fifth page are read.
const FILL: f64 = 0.78;
/// The rest of the range is asked for as a whole when no more than this many records of its sample are left.
const FEW: usize = 2;
/// After this many windows in a row that were too deep, windows are halved. That ends after 38 more at the latest.
const TRIES: u32 = 8;

impl WindowSplitter {
    /// The last second of the next window, which begins at `at`.
    pub(super) fn cut(&self, at: i64) -> i64 {
        if self.tries > TRIES {
            return at + (self.below - at) / 2;
        }
        if let Some(to) = self.cut_as_known(at) {
            return to;
        }
        if let Some(now) = self.now.filter(|_| self.blind) {
            return self.cut_blind(at, now);
        }
        if self.is_rest_small() {
            return self.last();
        }
        let pattern = self.past.pattern();
        self.last_that(at, |to| self.expected(at, to, pattern.as_ref()) <= FILL * self.limit)
    }

    /// Whether the rest of the range is asked for as a whole. That is so if it is known to fit into one window. It is also so if only
    /// a sample of it is known, of which hardly anything is left: the rest may fit, and if it does not, the answer tells its total.
    fn is_rest_small(&self) -> bool {
        let (counted, sampled): (Vec<_>, Vec<_>) = self.ahead.iter().partition(|stretch| stretch.exact);
        let few = sampled.iter().map(|stretch| stretch.starts.len()).sum::<usize>() <= FEW;
        counted.iter().map(|stretch| stretch.total).sum::<f64>() <= self.limit
            && (sampled.is_empty() || self.tries == 0 && few)
    }

    /// The last second that the next window may end at and that `fits`. No later second fits after one that does not. A window has
    /// one second at least, whether that fits or not.
    fn last_that(&self, at: i64, fits: impl Fn(i64) -> bool) -> i64 {
        let (mut fitting, mut beyond) = (at, self.below.max(at));
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

    /// The number of records that is expected from `at` to `to`. Where the total is known, the sample says how it is spread. Where
    /// the total is only a lower bound, the past says more, if it says more records.
    fn expected(&self, at: i64, to: i64, pattern: Option<&Pattern>) -> f64 {
        let own = |stretch: &Stretch| {
            let by_sample = stretch.records(at, to);
            let (from, to) = (at.max(stretch.from), to.min(stretch.to));
            match pattern {
                Some(pattern) if !stretch.exact && from <= to => by_sample.max(pattern.records(from, to)),
                _ => by_sample,
            }
        };
        self.ahead.iter().map(own).sum()
    }
}
