//! Cutting by the calendar of an earlier run: nearly exact, as far as records start as they did.

use super::super::calendar::Calendar;
use super::{Stretch, Sweep};

/// What part of a window's records is taken to have changed, before any window has shown it.
const FIRST_CHANGED: f64 = 0.1;
/// The weight of the latest window in that, and the most that one can count for: a single festival must not end it.
const GAIN: f64 = 0.1;
const OUTLIER: f64 = 8.0;
/// Above this part it is not cut by the calendar, until it predicts better. Chance alone makes 1, and what is learned
/// on the way errs by more.
const USELESS: f64 = 2.5;
/// What a window counts for in how records have grown, after each further one.
const MEMORY: f64 = 0.9;
/// Records' worth of doubt that they have grown at all.
const STEADY: f64 = 1_000.0;

/// The calendar of an earlier run, and how well it has predicted so far.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The second before its range, and the ends of its marks.
    ends: Vec<i64>,
    /// Records up to each.
    records: Vec<f64>,
    /// Records that came, and that it had for them.
    grown: (f64, f64),
    /// The squared error as a part of what was expected.
    changed: f64,
}

impl Known {
    pub(super) fn new(calendar: &Calendar) -> Self {
        let (mut ends, mut records) = (vec![calendar.first().saturating_sub(1)], vec![0.0]);
        let mut sum = 0.0;
        for (end, count) in calendar.marks() {
            sum += f64::from(count);
            ends.push(end);
            records.push(sum);
        }
        Self { ends, records, grown: (STEADY, STEADY), changed: FIRST_CHANGED }
    }

    /// Whether it covers all from `from` to `to`.
    fn covers(&self, from: i64, to: i64) -> bool {
        self.ends[0] < from && self.ends.last().is_some_and(|last| to <= *last)
    }

    /// Records that it has up to the second `to`.
    fn up_to(&self, to: i64) -> f64 {
        let after = self.ends.partition_point(|end| *end <= to);
        let Some(before) = after.checked_sub(1) else { return 0.0 };
        let (Some(end), Some(records)) = (self.ends.get(after), self.records.get(after)) else {
            return self.records[before];
        };
        let part = (to as f64 - self.ends[before] as f64) / (*end as f64 - self.ends[before] as f64);
        self.records[before] + part * (records - self.records[before])
    }

    /// Records from `from` to `to` by now.
    fn expected(&self, from: i64, to: i64) -> f64 {
        self.grown.0 / self.grown.1 * (self.up_to(to) - self.up_to(from.saturating_sub(1))).max(0.0)
    }

    /// Takes in how many records a window has.
    pub(super) fn counted(&mut self, from: i64, to: i64, total: f64) {
        if !self.covers(from, to) {
            return;
        }
        let expected = self.expected(from, to);
        let off = (total - expected) * (total - expected) / expected.max(10.0);
        self.changed += GAIN * (off.min(OUTLIER) - self.changed);
        let due = expected * self.grown.1 / self.grown.0;
        let keep = |sum: f64, new: f64| STEADY + (sum - STEADY) * MEMORY + new;
        self.grown = (keep(self.grown.0, total), keep(self.grown.1, due));
    }
}

impl Sweep {
    /// The last second of the next window, which begins at `at`, by the calendar; `None`: it says nothing of that.
    pub(super) fn cut_as_known(&self, at: i64) -> Option<i64> {
        let known = self.known.as_ref().filter(|known| known.changed < USELESS && known.covers(at, at))?;
        let stretch = self.ahead.first().filter(|stretch| stretch.exact);
        let mut best: Option<(f64, i64)> = None;
        let first = known.ends.partition_point(|end| *end < at);
        for end in &known.ends[first..] {
            let to = *end.min(&self.last());
            if to > self.below {
                break;
            }
            let (mean, variance) = self.as_known(known, stretch, at, to);
            let cost = self.cost(mean, variance);
            if best.is_none_or(|(least, _)| cost <= least) {
                best = Some((cost, to));
            }
            if mean > super::cut::BEYOND * self.limit || to == self.last() {
                break;
            }
        }
        best.map(|(_, to)| to)
    }

    /// Records from `at` to `to` by the calendar and, where a query has told it, the number in the whole stretch.
    fn as_known(&self, known: &Known, stretch: Option<&Stretch>, at: i64, to: i64) -> (f64, f64) {
        let changed = known.changed;
        let Some(stretch) = stretch else {
            let mean = known.expected(at, to);
            return (mean, 1.0 + changed * mean * (1.0 + mean / known.grown.1));
        };
        if to >= stretch.to {
            let beyond = known.expected(stretch.to.saturating_add(1), to);
            return (stretch.total + beyond, 1.0 + changed * beyond);
        }
        let share = known.expected(at, to) / known.expected(at, stretch.to).max(1.0);
        let mean = stretch.total * share.min(1.0);
        (mean, 1.0 + changed * mean * (1.0 - share).max(0.0))
    }
}
