//! What the latest windows tell about the next one: a week is like the week before it.

use std::collections::VecDeque;

use super::Stretch;

const DAY: i64 = 86_400;
/// The periods after which starts repeat themselves, in seconds. Days are compared until a whole week has been read.
const PERIODS: [i64; 2] = [7 * DAY, DAY];
/// The latest windows tell how full a week is. They are as many as have this part of the limit together, since a window with few
/// records tells little.
const LATEST_SHARE: f64 = 0.5;

/// The windows that were read lately, in order.
#[derive(Clone, Debug)]
pub(super) struct Past {
    windows: VecDeque<Stretch>,
    /// The most records that a window can have.
    limit: f64,
}

/// A prediction: the records of one period are repeated over and over, multiplied by a factor.
#[derive(Clone, Debug)]
pub(super) struct Pattern<'p> {
    past: &'p Past,
    /// The first second after the period that is repeated.
    begin: i64,
    /// The length of the period in seconds.
    period: i64,
    /// The number of records of the whole period.
    whole: f64,
    /// How many times as many records the latest windows had as the same time one period earlier.
    factor: f64,
}

impl Past {
    /// Nothing has been read yet of windows of at most `limit` records.
    pub(super) fn new(limit: f64) -> Self {
        Self { windows: VecDeque::new(), limit }
    }

    /// Adds a window whose number of records is known, with a sample of their starts. Forgets what is too old to be compared with.
    pub(super) fn counted(&mut self, window: Stretch) {
        self.windows.push_back(window);
        let (begin, _) = self.latest();
        while self.windows.get(1).is_some_and(|second| second.from <= begin - PERIODS[0]) {
            self.windows.pop_front();
        }
    }

    /// Replaces the sample of the window that begins at `from` by the starts of all its records.
    pub(super) fn read(&mut self, from: i64, starts: &[i64]) {
        if let Some(window) = self.windows.iter_mut().rev().find(|window| window.from == from) {
            window.starts = starts.to_vec();
            window.starts.sort_unstable();
        }
    }

    /// Adds what an earlier run read from `from` to `to`, as windows of a day each.
    pub(super) fn learn(&mut self, mut from: i64, to: i64, mut starts: Vec<i64>) {
        starts.sort_unstable();
        for starts in starts.chunk_by(|one, next| one.div_euclid(DAY) == next.div_euclid(DAY)) {
            let last = starts.last().copied().unwrap_or(to);
            self.counted(Stretch { from, to: last, total: starts.len() as f64, exact: true, starts: starts.to_vec() });
            from = last + 1;
        }
        if let Some(window) = self.windows.back_mut() {
            window.to = to;
        }
    }

    /// The first second of the latest windows, and the number of their records.
    fn latest(&self) -> (i64, f64) {
        let (mut begin, mut records) = (i64::MAX, 0.0);
        for window in self.windows.iter().rev() {
            begin = window.from;
            records += window.total;
            if records >= LATEST_SHARE * self.limit {
                break;
            }
        }
        (begin, records)
    }

    /// The number of records from `from` to `to`.
    fn records(&self, from: i64, to: i64) -> f64 {
        self.windows.iter().map(|window| window.records(from, to)).sum()
    }

    /// The prediction for the time after the last window; `None` as long as there is nothing to compare the latest windows with.
    pub(super) fn pattern(&self) -> Option<Pattern<'_>> {
        let (first, last) = (self.windows.front()?.from, self.windows.back()?.to);
        let (begin, records) = self.latest();
        PERIODS.into_iter().filter(|period| first <= begin - period).find_map(|period| {
            let whole = self.records(begin - period, begin - 1);
            let repeated = Pattern { past: self, begin, period, whole, factor: 1.0 };
            let before = repeated.records(begin, last);
            // Half a record stands for none, since the next window must end somewhere.
            (before > 0.0).then(|| Pattern { factor: records.max(0.5) / before, ..repeated })
        })
    }
}

impl Pattern<'_> {
    /// The number of records that is expected from `from` to `to`.
    pub(super) fn records(&self, from: i64, to: i64) -> f64 {
        self.factor * (self.before(to + 1) - self.before(from))
    }

    /// The number of records from `begin` to the second before `end`, if each period had those of the last one.
    fn before(&self, end: i64) -> f64 {
        let seconds = end - self.begin;
        let first = self.begin - self.period;
        let rest = self.past.records(first, first + seconds.rem_euclid(self.period) - 1);
        seconds.div_euclid(self.period) as f64 * self.whole + rest
    }
}
