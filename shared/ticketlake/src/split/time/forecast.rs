//! The forecast that the calendar of an earlier run makes for this one.

use crate::state::Calendar;

/// The relative squared error of the forecast that is assumed before the first window.
const INITIAL_ERROR: f64 = 0.1;
/// The weight of the latest window in the error.
const ERROR_GAIN: f64 = 0.1;
/// The greatest error that one window can add: a single festival must not end the use of the calendar.
const MAX_WINDOW_ERROR: f64 = 8.0;
/// The factor by which the weight of a window in the growth falls with each further window.
const GROWTH_MEMORY: f64 = 0.9;
/// The growth is averaged with a growth of 1 that weighs as much as this many records.
const NO_GROWTH_RECORDS: f64 = 1_000.0;

/// The calendar of an earlier run, and how well it has predicted this run so far.
#[derive(Clone, Debug)]
pub(super) struct CalendarForecast {
    /// The second before the calendar's range, then the last second of each of its marks.
    pub(super) ends: Vec<i64>,
    /// The number of records up to each of `ends`.
    records: Vec<f64>,
    /// The number of records that were received.
    received: f64,
    /// The number of records that the calendar has for the same windows.
    pub(super) recorded: f64,
    /// The squared error, relative to the expected number of records.
    pub(super) error: f64,
}

impl CalendarForecast {
    /// Creates the forecast by `calendar`, before any window of this run.
    pub(super) fn new(calendar: &Calendar) -> Self {
        let (mut ends, mut records) = (vec![calendar.first().saturating_sub(1)], vec![0.0]);
        let mut sum = 0.0;
        for (end, count) in calendar.marks() {
            sum += f64::from(count);
            ends.push(end);
            records.push(sum);
        }
        Self { ends, records, received: NO_GROWTH_RECORDS, recorded: NO_GROWTH_RECORDS, error: INITIAL_ERROR }
    }

    /// Returns whether the calendar covers everything from `from` to `to`.
    pub(super) fn covers(&self, from: i64, to: i64) -> bool {
        self.ends[0] < from && self.ends.last().is_some_and(|last| to <= *last)
    }

    /// Returns the number of records that the calendar has up to the second `to`.
    fn up_to(&self, to: i64) -> f64 {
        let after = self.ends.partition_point(|end| *end <= to);
        let Some(before) = after.checked_sub(1) else { return 0.0 };
        let (Some(end), Some(records)) = (self.ends.get(after), self.records.get(after)) else {
            return self.records[before];
        };
        let part = (to as f64 - self.ends[before] as f64) / (*end as f64 - self.ends[before] as f64);
        self.records[before] + part * (records - self.records[before])
    }

    /// Returns the number of records that is expected from `from` to `to`.
    pub(super) fn expected(&self, from: i64, to: i64) -> f64 {
        self.received / self.recorded * (self.up_to(to) - self.up_to(from.saturating_sub(1))).max(0.0)
    }

    /// Adds a window with `total` records, which shows how well the calendar predicts.
    pub(super) fn add_window(&mut self, from: i64, to: i64, total: f64) {
        if !self.covers(from, to) {
            return;
        }
        let expected = self.expected(from, to);
        let error = (total - expected) * (total - expected) / expected.max(10.0);
        self.error += ERROR_GAIN * (error.min(MAX_WINDOW_ERROR) - self.error);
        let recorded = expected * self.recorded / self.received;
        let keep = |sum: f64, new: f64| NO_GROWTH_RECORDS + (sum - NO_GROWTH_RECORDS) * GROWTH_MEMORY + new;
        self.received = keep(self.received, total);
        self.recorded = keep(self.recorded, recorded);
    }
}
