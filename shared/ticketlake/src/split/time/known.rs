//! Cutting by the calendar of an earlier run. It is nearly exact where records start as they did then.

use super::{Stretch, WindowSplitter};
use crate::state::Calendar;

/// The part of a window's records that is taken to have changed before any window has shown it.
const FIRST_CHANGED: f64 = 0.1;
/// The weight of the latest window in that part, and the most that one window can count for: a single festival must not be the end
/// of cutting by the calendar.
const GAIN: f64 = 0.1;
const OUTLIER: f64 = 8.0;
/// Above this part, windows are not cut by the calendar until it predicts better. Chance alone makes 1, and the week before errs by
/// more than that.
const USELESS: f64 = 4.0;
/// The weight that a window keeps, with each further window, in how much the number of records has grown.
const MEMORY: f64 = 0.9;
/// The doubt that the number of records has grown at all weighs as much as this many records.
const STEADY: f64 = 1_000.0;
/// No window is tried that is expected to have more than this many times the limit.
const BEYOND: f64 = 1.6;
/// A window that is cut from one that was too deep is taken to have this part of the limit.
const RECUT: f64 = 0.975;

/// The calendar of an earlier run, and how well it has predicted so far.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The second before the calendar's range, and the last seconds of its marks.
    ends: Vec<i64>,
    /// The number of records up to each of them.
    records: Vec<f64>,
    /// The number of records that came, and the number that the calendar had in their place.
    grown: (f64, f64),
    /// The squared error, as a part of what was expected.
    changed: f64,
}

impl Known {
    /// Nothing is known yet of how well `calendar` predicts.
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

    /// Whether the calendar covers everything from `from` to `to`.
    fn covers(&self, from: i64, to: i64) -> bool {
        self.ends[0] < from && self.ends.last().is_some_and(|last| to <= *last)
    }

    /// The number of records that the calendar has up to the second `to`.
    fn up_to(&self, to: i64) -> f64 {
        let after = self.ends.partition_point(|end| *end <= to);
        let Some(before) = after.checked_sub(1) else { return 0.0 };
        let (Some(end), Some(records)) = (self.ends.get(after), self.records.get(after)) else {
            return self.records[before];
        };
        let part = (to as f64 - self.ends[before] as f64) / (*end as f64 - self.ends[before] as f64);
        self.records[before] + part * (records - self.records[before])
    }

    /// The number of records that is expected now from `from` to `to`.
    fn expected(&self, from: i64, to: i64) -> f64 {
        self.grown.0 / self.grown.1 * (self.up_to(to) - self.up_to(from.saturating_sub(1))).max(0.0)
    }

    /// Takes in how many records a window has, and so how well the calendar predicts.
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

impl WindowSplitter {
    /// The last second of the next window, which begins at `at`, by the calendar. It is the one at which a record costs least. `None`
    /// means that the calendar says nothing of that time, or predicts badly.
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
            if mean > BEYOND * self.limit || to == self.last() {
                break;
            }
        }
        best.map(|(_, to)| to)
    }

    /// The mean and the variance of the number of records from `at` to `to`, by the calendar and, where a query has told it, the
    /// number of records of the whole stretch.
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

    /// The number of requests per record of a window that has `mean` records, with `variance`.
    fn cost(&self, mean: f64, variance: f64) -> f64 {
        let deviation = variance.sqrt().max(0.5);
        let above = |records: f64| upper((records + 0.5 - mean) / deviation);
        let pages = (self.limit / self.page).ceil();
        let mut requests = 1.0;
        let mut page = 1.0;
        while page < pages {
            requests += above(page * self.page);
            page += 1.0;
        }
        let z = (self.limit - mean) / deviation;
        let deep = above(self.limit);
        let cut_off = (deviation * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
            - (self.limit - mean) * upper(z))
        .max(0.0);
        let records = mean - cut_off - deep * (1.0 - RECUT) * self.limit;
        (requests + deep) / records.max(1e-3)
    }
}

/// The probability that a normal deviate is above `z`.
fn upper(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z >= 0.0 { tail } else { 1.0 - tail }
}
