//! Cutting where records do not tell when they start. Only their number is known.
//!
//! No record of Ticketmaster says when an event was announced, and halving the time from the year 1 to 9999 takes a dozen requests to
//! come near the present. Therefore most records are taken to lie shortly before now, fewer the longer ago, and hardly any after now,
//! until totals say better.

use super::{Stretch, WindowSplitter};

/// Half of the records before now are taken to lie in the last half year, which has this many seconds.
const NEAR: f64 = 182.5 * 86_400.0;
/// This many times fewer records are taken to lie after now than before it.
const AHEAD: f64 = 50.0;
/// The records that a window aims at, as a part of the limit. It can be more than for other windows, since the records of a stretch
/// are counted and only their spread is unknown.
const FILL: f64 = 0.85;

impl WindowSplitter {
    /// The last second of the next window, which begins at `at`.
    pub(super) fn cut_blind(&self, at: i64, now: i64) -> i64 {
        let all: f64 = self.ahead.iter().map(|stretch| stretch.total).sum();
        if all <= self.limit && self.ahead.iter().all(|stretch| stretch.exact) {
            return self.last();
        }
        // These are Cauchy's distribution, except for a factor, and its inverse.
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
