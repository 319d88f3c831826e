//! Predicts the next window by the latest ones: a week is like the week before it.

use std::collections::VecDeque;

use super::counted_range::CountedRange;

const DAY: i64 = 86_400;
/// The periods after which starts repeat, in seconds. Days are compared until a full week has been read.
const PERIODS: [i64; 2] = [7 * DAY, DAY];
/// The factor between two periods comes from the latest windows that together have this share of the limit: fewer records would make it
/// unreliable.
const LATEST_SHARE: f64 = 0.5;

/// The latest windows, in order.
#[derive(Clone, Debug)]
pub(super) struct RecentWindows {
    windows: VecDeque<CountedRange>,
    /// The most records that a window can have.
    limit: f64,
}

/// A prediction: the records of one period are repeated over and over, multiplied by a factor.
#[derive(Clone, Debug)]
pub(super) struct Repetition<'p> {
    recent: &'p RecentWindows,
    /// The first second after the period that is repeated.
    begin: i64,
    /// The length of the period in seconds.
    period: i64,
    /// The number of records in the period.
    period_records: f64,
    /// The ratio of the records in the latest windows to those one period earlier.
    factor: f64,
}

impl RecentWindows {
    /// Creates an empty list of windows of at most `limit` records.
    pub(super) fn new(limit: f64) -> Self {
        Self { windows: VecDeque::new(), limit }
    }

    /// Adds a window with a sample of its starts. Drops windows that are too old for a comparison.
    pub(super) fn add(&mut self, window: CountedRange) {
        self.windows.push_back(window);
        let Some((begin, _)) = self.latest() else { return };
        while self.windows.get(1).is_some_and(|second| second.from <= begin - PERIODS[0]) {
            self.windows.pop_front();
        }
    }

    /// Replaces the sample of the window that begins at `from` by the starts of all its records.
    pub(super) fn set_starts(&mut self, from: i64, starts: &[i64]) {
        if let Some(window) = self.windows.iter_mut().rev().find(|window| window.from == from) {
            window.starts = starts.to_vec();
            window.starts.sort_unstable();
        }
    }

    /// Adds the `starts` that an earlier run read from `from` to `to`, as one window for each day.
    pub(super) fn add_earlier(&mut self, mut from: i64, to: i64, mut starts: Vec<i64>) {
        starts.sort_unstable();
        for starts in starts.chunk_by(|one, next| one.div_euclid(DAY) == next.div_euclid(DAY)) {
            let last = starts.last().copied().unwrap_or(to);
            self.add(CountedRange { from, to: last, total: starts.len() as f64, exact: true, starts: starts.to_vec() });
            from = last + 1;
        }
        if let Some(window) = self.windows.back_mut() {
            window.to = to;
        }
    }

    /// Returns the first second of the latest windows, and the number of their records.
    fn latest(&self) -> Option<(i64, f64)> {
        let (mut begin, mut records) = (self.windows.back()?.from, 0.0);
        for window in self.windows.iter().rev() {
            begin = window.from;
            records += window.total;
            if records >= LATEST_SHARE * self.limit {
                break;
            }
        }
        Some((begin, records))
    }

    /// Returns the number of records from `from` to `to`.
    fn records(&self, from: i64, to: i64) -> f64 {
        self.windows.iter().map(|window| window.records(from, to)).sum()
    }

    /// Returns the prediction for the time after the last window. `None` if there is no earlier period to compare the latest windows with.
    pub(super) fn repetition(&self) -> Option<Repetition<'_>> {
        let (first, last) = (self.windows.front()?.from, self.windows.back()?.to);
        let (begin, records) = self.latest()?;
        PERIODS.into_iter().filter(|period| first <= begin - period).find_map(|period| {
            let period_records = self.records(begin - period, begin - 1);
            let repeated = Repetition { recent: self, begin, period, period_records, factor: 1.0 };
            let before = repeated.records(begin, last);
            // No record counts as half a record, since the expected number must grow with the window.
            (before > 0.0).then(|| Repetition { factor: records.max(0.5) / before, ..repeated })
        })
    }
}

impl Repetition<'_> {
    /// Returns the number of records that is expected from `from` to `to`.
    pub(super) fn records(&self, from: i64, to: i64) -> f64 {
        self.factor * (self.before(to + 1) - self.before(from))
    }

    /// Returns the number of records from `begin` to the second before `end`, if each period has as many as the last one.
    fn before(&self, end: i64) -> f64 {
        let seconds = end - self.begin;
        let first = self.begin - self.period;
        let rest = self.recent.records(first, first + seconds.rem_euclid(self.period) - 1);
        seconds.div_euclid(self.period) as f64 * self.period_records + rest
    }
}
