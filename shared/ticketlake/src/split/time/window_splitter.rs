//! The state of a split by time: which window comes next, and what the windows so far had.

use manifest::time::TimeRange;

use super::counted_range::CountedRange;
use super::forecast::CalendarForecast;
use super::recent::RecentWindows;
use crate::state::{Calendar, Recorder};

/// The first second of the year 1. A window without a beginning is treated as if it began there.
const EARLIEST_SECOND: i64 = -62_135_596_800;
/// The last second of the year 9999. A window without an end is treated as if it ended there.
const LATEST_SECOND: i64 = 253_402_300_799;
/// A total of at least this many records may be only a lower bound.
const MAX_EXACT_TOTAL: f64 = 10_000.0;

/// Returns the first and the last second of a window. An open end lies in the year 1 or in the year 9999.
pub(super) fn seconds(window: TimeRange) -> (i64, i64) {
    (window.from.unwrap_or(EARLIEST_SECOND).max(EARLIEST_SECOND), window.to.unwrap_or(LATEST_SECOND).min(LATEST_SECOND))
}

/// Whether a window can be read. The total on its first page decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WindowFit {
    /// The window has at most as many records as the API serves. Its other pages are to be read.
    Fits,
    /// The window has more records than the API serves. The next window is a part of it.
    TooDeep,
    /// The window is one second with more records than the API serves, so it must be split by another parameter. It counts as covered.
    Moment,
}

/// Splits a time range into windows, one after the other.
#[derive(Clone, Debug)]
pub struct WindowSplitter {
    range: TimeRange,
    /// The number of seconds by which a query reaches beyond its window on each side.
    pub(super) overlap: i64,
    /// The greatest number of records that the API serves for one query.
    pub(super) limit: f64,
    /// The number of records on a full page.
    pub(super) page_size: f64,
    /// The forecast by `earlier_calendar`.
    pub(super) forecast: Option<CalendarForecast>,
    /// The calendar that an earlier run recorded.
    earlier_calendar: Option<Calendar>,
    /// Records the calendar of this run.
    recorder: Recorder,
    /// The latest windows that this run has read.
    pub(super) recent: RecentWindows,
    /// The first second that is not covered. `None` if everything is covered.
    at: Option<i64>,
    /// The ranges from `at` on that were too deep, in order and without a gap between them.
    pub(super) deep_ranges: Vec<CountedRange>,
    /// The last second that the next window may include. It lies before the end of each window that was too deep.
    pub(super) max_end: i64,
    /// The number of windows from `at` on that were too deep.
    pub(super) deep_windows: u32,
    /// The present, in seconds since 1970. Records without a start are expected around it.
    pub(super) now: Option<i64>,
    /// Whether no record on the first page of the latest deep window has a start.
    pub(super) lacks_starts: bool,
}

impl WindowSplitter {
    /// Creates a splitter of `range` into windows of at most `limit` records, which are read in pages of `page_size` records.
    pub fn new(range: TimeRange, limit: u64, page_size: u64) -> Self {
        let (first, last) = seconds(range);
        Self {
            range,
            overlap: 0,
            limit: limit.max(1) as f64,
            page_size: page_size.max(1) as f64,
            forecast: None,
            earlier_calendar: None,
            recorder: Recorder::default(),
            recent: RecentWindows::new(limit.max(1) as f64),
            at: (first <= last).then_some(first),
            deep_ranges: Vec::new(),
            max_end: last,
            deep_windows: 0,
            now: None,
            lacks_starts: false,
        }
    }

    /// Sets the number of seconds by which a query reaches beyond its window on each side.
    pub fn with_overlap(mut self, seconds: i64) -> Self {
        self.overlap = seconds;
        self
    }

    /// Sets the present, in seconds since 1970. Records that do not say when they start are expected around it.
    pub fn around(mut self, now: i64) -> Self {
        self.now = Some(now);
        self
    }

    /// Sets the calendar of an earlier run. Windows are chosen by it as long as it predicts well.
    pub fn with_calendar(mut self, earlier: Option<Calendar>) -> Self {
        self.forecast = earlier.as_ref().map(CalendarForecast::new);
        // A resumed run continues the weeks that the stopped run read.
        if let Some((from, to, starts)) = earlier.as_ref().and_then(|earlier| earlier.before(self.first())) {
            self.recent.add_earlier(from, to, starts);
        }
        self.earlier_calendar = earlier;
        self
    }

    /// Requests the whole range first. The calendar predicts that it fits into one window.
    pub fn whole_first(mut self) -> Self {
        self.forecast = None;
        self
    }

    /// Returns the calendar of this run, and outside of it that of the earlier run. `None` if this run has read nothing.
    pub fn calendar(&self) -> Option<Calendar> {
        self.recorder.calendar(self.earlier_calendar.as_ref())
    }

    /// Returns the range that is split.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Returns the first second of the range.
    fn first(&self) -> i64 {
        seconds(self.range).0
    }

    /// Returns the last second of the range.
    pub(super) fn last(&self) -> i64 {
        seconds(self.range).1
    }

    /// Returns the next window to request. It stays the same until its first page is added, or until it is skipped. `None` if everything
    /// is covered.
    pub fn next_window(&self) -> Option<TimeRange> {
        let at = self.at?;
        let to = self.next_end(at).clamp(at, self.max_end.max(at));
        Some(TimeRange {
            from: if at == self.first() { self.range.from } else { Some(at) },
            to: if to == self.last() { self.range.to } else { Some(to) },
        })
    }

    /// Adds the first page of a window: the number of records in the window, and the starts of the records on the page.
    pub fn add_first_page(&mut self, window: TimeRange, total: u64, sample: &[i64]) -> WindowFit {
        let (from, to) = seconds(window);
        let records = u32::try_from(total).unwrap_or(u32::MAX);
        let total = total as f64;
        let deep = total > self.limit;
        // A window within a deep one was chosen by the total of the deep one, which says nothing about the forecast.
        if self.deep_windows == 0
            && let Some(forecast) = &mut self.forecast
        {
            forecast.add_window(from, to, total);
        }
        self.remove_from_deep_ranges(to, total);
        let mut starts = sample.to_vec();
        starts.sort_unstable();
        let counted = CountedRange { from, to, total, exact: total < MAX_EXACT_TOTAL, starts };
        if deep && from < to {
            self.lacks_starts = sample.is_empty();
            self.deep_ranges.insert(0, counted);
            self.deep_windows += 1;
            self.max_end = to - 1;
            return WindowFit::TooDeep;
        }
        self.recorder.add_window(from, to, records);
        // The first window of the range says nothing about the next one: most of it may lie before the first record.
        if !deep && from > self.first() {
            self.recent.add(counted);
        }
        self.begin_after(to);
        if deep { WindowFit::Moment } else { WindowFit::Fits }
    }

    /// Skips a window that could not be read. The next window begins after it.
    pub fn skip(&mut self, window: TimeRange) {
        let (_, to) = seconds(window);
        self.remove_from_deep_ranges(to, 0.0);
        self.begin_after(to);
    }

    /// Adds the starts of all records of a window.
    pub fn add_starts(&mut self, window: TimeRange, starts: &[i64]) {
        let (from, _) = seconds(window);
        self.recorder.set_starts(from, starts);
        self.recent.set_starts(from, starts);
    }

    /// Lets the next window begin after the second `to`.
    fn begin_after(&mut self, to: i64) {
        self.at = (to < self.last()).then(|| to + 1);
        self.max_end = self.last();
        self.deep_windows = 0;
    }

    /// Removes a window that ends at `to` and has `total` records from the deep ranges.
    fn remove_from_deep_ranges(&mut self, to: i64, total: f64) {
        let mut left = total;
        while self.deep_ranges.first().is_some_and(|range| range.to <= to) {
            left -= self.deep_ranges.remove(0).total;
        }
        if let Some(range) = self.deep_ranges.first_mut() {
            let covered = range.starts.partition_point(|start| *start <= to);
            range.starts.drain(..covered);
            range.from = to + 1;
            range.exact &= total < MAX_EXACT_TOTAL;
            range.total = (range.total - left.max(0.0)).max(range.starts.len() as f64);
        }
    }
}
