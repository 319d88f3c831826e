//! Cutting where records do not tell when they start: by how many there are alone.
//!
//! When an event was announced stands in no record of Ticketmaster's, and a query from the year 1 to 9999 halved again and again
//! takes a dozen requests to come near the present. So records are thought to lie about now, ever fewer with the distance, until
//! totals say better.

use super::{Stretch, Sweep};

/// Half of all records are thought to lie within this many seconds, half a year, of now.
const NEAR: f64 = 182.5 * 86_400.0;
/// How full a window is to come, in parts of the limit: within a stretch whose records are counted, only their spread is unknown.
const FILL: f64 = 0.85;

impl Sweep {
    /// The last second of the next window, which begins at `at`.
    pub(super) fn cut_blind(&self, at: i64, now: i64) -> i64 {
        let all: f64 = self.ahead.iter().map(|stretch| stretch.total).sum();
        if all <= self.limit && self.ahead.iter().all(|stretch| stretch.exact) {
            return self.last();
        }
        // The quantile of a Cauchy distribution, but for its factor.
        let place = |second: i64| ((second - now) as f64 / NEAR).atan();
        let (mut wanted, mut begin) = (FILL * self.limit, at);
        for Stretch { to, total, .. } in &self.ahead {
            if *total > wanted {
                let (first, last) = (place(begin), place(*to));
                let end = now as f64 + NEAR * (first + (last - first) * wanted / total).tan();
                return (end as i64).clamp(begin, (to - 1).max(begin));
            }
            wanted -= total;
            begin = to.saturating_add(1);
        }
        self.last()
    }
}
