//! Splits a range of time into windows. Each window has at most as many records as can be read of one query.
//!
//! A window costs `total / page` requests, rounded up. A window that is too deep costs one request more. Windows therefore aim at a
//! fixed part of the limit, and three sources say where that part is reached:
//!
//! 1. The [`Calendar`] of an earlier run, as long as it predicts well.
//! 2. The sample on the first page of a window that was too deep. It is a random sample, so its quantiles tell where to cut.
//! 3. The week before. The next window is expected to have the records of the same time a week earlier, times the factor by which
//!    the latest windows had more or fewer records than a week earlier.
//!
//! One second that has more records than the limit cannot be cut by time. It is reported as [`WindowFit::Moment`].
//!
//! The tests measure the requests with 242,500 records, a limit of 1,000 and pages of 200, as the ratio to the least possible number.
//! A first sweep takes 1.12 to 1.14 for a calendar like the sandbox's, 1.12 to 1.13 for an even one, 1.13 to 1.15 for one with a
//! festival, and 1.15 to 1.16 for one that is crowded in its first weeks. A second sweep takes 1.01 where nothing has changed, 1.02
//! with 1 % changed and 1.03 to 1.04 with 5 % changed.

mod blind;
mod cut;
mod known;
mod past;
#[cfg(test)]
mod tests;
mod windows;

use self::known::Known;
use self::past::Past;
pub use self::windows::{OpenWindow, Windows};
use manifest::time::TimeRange;

use crate::state::{Calendar, Recorder};

/// An open end is taken to lie in the year 1 or in the year 9999. The windows at the ends of the range stay open.
const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_300_799;
/// A total from here on is only a lower bound.
const SATURATED: f64 = 10_000.0;

/// The first and the last second of a window, where an open end lies in the year 1 or 9999.
fn seconds(window: TimeRange) -> (i64, i64) {
    (window.from.unwrap_or(EARLIEST).max(EARLIEST), window.to.unwrap_or(LATEST).min(LATEST))
}

/// Whether a window can be read, by its first page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WindowFit {
    /// Its other pages are to be read.
    Fits,
    /// It is to be left, since the next window is a part of it.
    TooDeep,
    /// One second has more records than can be read, so it must be cut by something else than time. It counts as covered.
    Moment,
}

/// A stretch of time of which a query has told how many records it has.
#[derive(Clone, Debug)]
struct Stretch {
    /// The first second.
    from: i64,
    /// The last second.
    to: i64,
    /// The number of records. It is a lower bound where `exact` is false.
    total: f64,
    exact: bool,
    /// The starts of all records, or of some that were drawn at random, in order.
    starts: Vec<i64>,
}

impl Stretch {
    /// The number of records from `from` to `to`, by the share of `starts` that lies there. Without any starts, the records are
    /// taken to be spread evenly.
    fn records(&self, from: i64, to: i64) -> f64 {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from > to {
            return 0.0;
        }
        let share = if self.starts.is_empty() {
            (to - from + 1) as f64 / (self.to - self.from + 1) as f64
        } else {
            let up_to = |to: i64| self.starts.partition_point(|start| *start <= to);
            (up_to(to) - up_to(from - 1)) as f64 / self.starts.len() as f64
        };
        self.total * share
    }
}

/// The windows of a range, one after the other.
#[derive(Clone, Debug)]
pub struct WindowSplitter {
    range: TimeRange,
    limit: f64,
    page: f64,
    /// What an earlier run read.
    known: Option<Known>,
    earlier: Option<Calendar>,
    /// What this run has read.
    recorder: Recorder,
    /// The windows that this run has read lately.
    past: Past,
    /// The first second that is not covered; `None` once everything is covered.
    at: Option<i64>,
    /// The stretches from `at` on that were too deep, in order and without a gap between them.
    ahead: Vec<Stretch>,
    /// The last second that the next window may have. It lies before the end of a window that was too deep.
    below: i64,
    /// The number of windows from `at` on that were too deep.
    tries: u32,
    /// The time around which records are looked for that do not tell when they start.
    now: Option<i64>,
    /// Whether the records of the window that was too deep do not tell when they start.
    blind: bool,
}

impl WindowSplitter {
    /// Splits `range` into windows of at most `limit` records, which are read `page` records at a time.
    pub fn new(range: TimeRange, limit: u64, page: u64) -> Self {
        let (first, last) = seconds(range);
        Self {
            range,
            limit: limit.max(1) as f64,
            page: page.max(1) as f64,
            known: None,
            earlier: None,
            recorder: Recorder::default(),
            past: Past::new(limit.max(1) as f64),
            at: (first <= last).then_some(first),
            ahead: Vec::new(),
            below: last,
            tries: 0,
            now: None,
            blind: false,
        }
    }

    /// Looks around `now`, in seconds since 1970, for records that do not tell when they start.
    pub fn around(mut self, now: i64) -> Self {
        self.now = Some(now);
        self
    }

    /// Cuts by what an earlier run read, as long as that predicts well.
    pub fn with_calendar(mut self, earlier: Option<Calendar>) -> Self {
        self.known = earlier.as_ref().map(Known::new);
        // A run that goes on where another one stopped continues the weeks that the other one read.
        if let Some((from, to, starts)) = earlier.as_ref().and_then(|earlier| earlier.before(self.first())) {
            self.past.learn(from, to, starts);
        }
        self.earlier = earlier;
        self
    }

    /// What this run has read so far, together with what the earlier run read outside of it; `None` if nothing was read.
    pub fn calendar(&self) -> Option<Calendar> {
        self.recorder.calendar(self.earlier.as_ref())
    }

    fn first(&self) -> i64 {
        seconds(self.range).0
    }

    fn last(&self) -> i64 {
        seconds(self.range).1
    }

    /// The next window to ask for. It stays the same until it is answered. `None` means that everything is covered.
    pub fn next_window(&self) -> Option<TimeRange> {
        let at = self.at?;
        let to = self.cut(at).clamp(at, self.below.max(at));
        Some(TimeRange {
            from: if at == self.first() { self.range.from } else { Some(at) },
            to: if to == self.last() { self.range.to } else { Some(to) },
        })
    }

    /// Takes in the first page of a window: how many records the window has, and the starts of those on the page.
    pub fn add_first_page(&mut self, window: TimeRange, total: u64, sample: &[i64]) -> WindowFit {
        let (from, to) = seconds(window);
        let records = u32::try_from(total).unwrap_or(u32::MAX);
        let total = total as f64;
        let deep = total > self.limit;
        // A window within one that was too deep was expected by that one's total, which says nothing about the calendar.
        if self.tries == 0
            && let Some(known) = &mut self.known
        {
            known.counted(from, to, total);
        }
        self.cover(to, total);
        let mut starts = sample.to_vec();
        starts.sort_unstable();
        let counted = Stretch { from, to, total, exact: total < SATURATED, starts };
        if deep && from < to {
            self.blind = sample.is_empty();
            self.ahead.insert(0, counted);
            self.tries += 1;
            self.below = to - 1;
            return WindowFit::TooDeep;
        }
        self.recorder.counted(from, to, records);
        // Nothing is learned from the range's first window: most of it may lie before the first record of all.
        if !deep && from > self.first() {
            self.past.counted(counted);
        }
        self.go_on(to);
        if deep { WindowFit::Moment } else { WindowFit::Fits }
    }

    /// Leaves out a window that could not be read. The next window begins behind it.
    pub fn skip(&mut self, window: TimeRange) {
        let (_, to) = seconds(window);
        self.cover(to, 0.0);
        self.go_on(to);
    }

    /// Takes in the starts of all records of a window.
    pub fn add_starts(&mut self, window: TimeRange, starts: &[i64]) {
        let (from, _) = seconds(window);
        self.recorder.read(from, starts);
        self.past.read(from, starts);
    }

    /// Goes on behind the second `to`.
    fn go_on(&mut self, to: i64) {
        self.at = (to < self.last()).then(|| to + 1);
        self.below = self.last();
        self.tries = 0;
    }

    /// Takes a window that ends at `to` and has `total` records off the stretches ahead.
    fn cover(&mut self, to: i64, total: f64) {
        let mut left = total;
        while self.ahead.first().is_some_and(|stretch| stretch.to <= to) {
            left -= self.ahead.remove(0).total;
        }
        if let Some(stretch) = self.ahead.first_mut() {
            let covered = stretch.starts.partition_point(|start| *start <= to);
            stretch.starts.drain(..covered);
            stretch.from = to + 1;
            stretch.exact &= total < SATURATED;
            stretch.total = (stretch.total - left.max(0.0)).max(stretch.starts.len() as f64);
        }
    }
}
