//! Cutting where records do not tell when they start: by how many there are alone.
//!
//! When an event was announced stands in no record of Ticketmaster's, and a query from the year 1 to 9999 halved again and again
//! takes a dozen requests to come near the present. So records are thought to lie before now, ever fewer with the distance, and hardly
//! any after it, until totals say better.

use super::{Stretch, Sweep};

/// Half of what lies before now is thought to lie within this many seconds, half a year, of it.
const NEAR: f64 = 182.5 * 86_400.0;
/// How many times fewer are thought to lie after now.
const AHEAD: f64 = 50.0;
/// How full a window is to come, in parts of the limit: within a stretch whose records are counted, only their spread is unknown.
const FILL: f64 = 0.85;

impl Sweep {
    /// The last second of the next window, which begins at `at`.
    pub(super) fn cut_blind(&self, at: i64, now: i64) -> i64 {
        let all: f64 = self.ahead.iter().map(|stretch| stretch.total).sum();
        if all <= self.limit && self.ahead.iter().all(|stretch| stretch.exact) {
            return self.last();
        }
        // Cauchy's distribution, but for a factor, and the place of a quantile in it.
        let quantile = |second: i64| {
            let quantile = ((second - now) as f64 / NEAR).atan();
            if quantile > 0.0 { quantile / AHEAD } else { quantile }
        };
        let place = |quantile: f64| NEAR * if quantile > 0.0 { quantile * AHEAD } else { quantile }.tan();
        let (mut wanted, mut begin) = (FILL * self.limit, at);
        for Stretch { to, total, .. } in &self.ahead {
            if *total > wanted {
                let (first, last) = (quantile(begin), quantile(*to));
                let end = now as f64 + place(first + (last - first) * wanted / total);
                return (end as i64).clamp(begin, (to - 1).max(begin));
            }
            wanted -= total;
            begin = to.saturating_add(1);
        }
        self.last()
    }
}
