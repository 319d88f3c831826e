//! Cuts a range of time into windows of which each has at most as many records as can be read of one query.
//!
//! A window costs `total / page` requests, rounded up, and one more for each that was too deep. Which second is the best to
//! end at is learned on the way: totals tell of the level, starts of the weekly shape, and of a window that was too deep, its
//! total and the sample on its first page tell where to cut it.
//!
//! What it has read is the next sweep's [`Calendar`]: as long as that predicts well, windows are cut by it.
//!
//! Measured with 242,500 records, a limit of 1,000 and pages of 200, as the ratio to the least possible, three seeds each: 1.104
//! to 1.109 of a calendar like the sandbox's, 1.071 to 1.079 of an even one. With the density known exactly, the same way of
//! cutting takes 1.07 to 1.08 of the one and 1.06 to 1.07 of the other, its two first and its last requests included: the number of
//! about 950 records varies by 31, and a window must leave room for that. A second sweep takes 1.011 where nothing has changed,
//! 1.019 with 1 % changed and 1.032 to 1.040 with 5 %; of an even calendar 1.007, 1.011 to 1.015 and 1.022 to 1.028.

mod blind;
mod cut;
mod known;
#[cfg(test)]
mod tests;

use self::known::Known;
use super::calendar::{Calendar, Recorder};
use super::density::Density;

/// Where an open end is thought to lie: the years 1 and 9999. Windows at the ends of the range stay open.
const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_300_799;

/// The range of start times of one query, both ends inclusive, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// `None`: from the beginning.
    pub from: Option<i64>,
    /// `None`: to the end.
    pub to: Option<i64>,
}

/// What to do with a window whose first page has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Read its other pages.
    Read,
    /// Leave it: the next window is a part of it.
    TooDeep,
    /// One second has more records than can be read: it must be cut by something else than time. It counts as covered.
    Moment,
}

/// A part of what is still to be covered, of which a query has told how many records it has.
#[derive(Clone, Debug)]
struct Stretch {
    /// Its last second.
    to: i64,
    /// Records; a lower bound when not `exact`.
    total: f64,
    exact: bool,
    /// The starts of some of them, drawn at random, in order.
    sample: Vec<i64>,
    /// Of what is not exact: records and sampled ones that were covered since.
    gone: (f64, f64),
}

impl Stretch {
    /// How many of the sample start up to `to`.
    fn sampled_to(&self, to: i64) -> usize {
        self.sample.partition_point(|start| *start <= to)
    }

    /// Records, by the sample where the total is only a lower bound.
    fn estimate(&self) -> f64 {
        if self.exact {
            return self.total;
        }
        let by_sample = self.gone.0 * (self.sample.len() as f64 + 0.5) / (self.gone.1 + 0.5);
        if self.gone.1 >= 5.0 { by_sample } else { by_sample.max(self.total) }
    }
}

/// The windows of a range, each cut where what is known by then says that it is filled best.
#[derive(Clone, Debug)]
pub struct Sweep {
    from: Option<i64>,
    to: Option<i64>,
    limit: f64,
    page: f64,
    density: Density,
    /// What an earlier run read.
    known: Option<Known>,
    earlier: Option<Calendar>,
    /// What this one reads.
    recorder: Recorder,
    /// The first second that is not covered; `None`: all is.
    at: Option<i64>,
    /// What is known of what comes, in order, without a gap from `at` on.
    ahead: Vec<Stretch>,
    /// The last second that the next window may have, after one that was too deep.
    below: i64,
    /// Windows from `at` on that were too deep.
    tries: u32,
    /// About when records are looked for that do not tell when they start.
    now: Option<i64>,
    /// Whether the records of what is too deep do not tell when they start.
    blind: bool,
}

/// Seconds, 8 weeks, from which on a range has every weekday about as often.
const EVEN: i64 = 56 * 86_400;
/// Totals from here on are lower bounds.
const SATURATED: f64 = 10_000.0;

impl Sweep {
    /// The windows from `from` to `to`, both inclusive, in seconds since 1970, of at most `limit` records each, which are
    /// read `page` at a time.
    pub fn new(from: Option<i64>, to: Option<i64>, limit: u64, page: u64) -> Self {
        let (first, last) = (from.unwrap_or(EARLIEST).max(EARLIEST), to.unwrap_or(LATEST).min(LATEST));
        let at = (first <= last).then_some(first);
        let (limit, page) = (limit.max(1) as f64, page.max(1) as f64);
        Self {
            from,
            to,
            limit,
            page,
            density: Density::default(),
            known: None,
            earlier: None,
            recorder: Recorder::default(),
            at,
            ahead: Vec::new(),
            below: last,
            tries: 0,
            now: None,
            blind: false,
        }
    }

    /// The same of records that, where they do not tell when they start, are thought to do so about `now`, in seconds since 1970.
    pub fn about(mut self, now: i64) -> Self {
        self.now = Some(now);
        self
    }

    /// The same, cut by what an earlier run read, as far as that still holds.
    pub fn with_calendar(mut self, earlier: Option<Calendar>) -> Self {
        self.known = earlier.as_ref().map(Known::new);
        // Where a reading goes on that was cut short, the shape and the level are those of the time before.
        if let Some((from, to, starts)) = earlier.as_ref().and_then(|earlier| earlier.before(self.first())) {
            self.density.learn(from, to, &starts);
        }
        self.earlier = earlier;
        self
    }

    /// What this run has read by now, and what the earlier one did beside it; `None`: nothing was read.
    pub fn calendar(&self) -> Option<Calendar> {
        self.recorder.calendar(self.earlier.as_ref())
    }

    fn last(&self) -> i64 {
        self.to.unwrap_or(LATEST).min(LATEST)
    }

    fn first(&self) -> i64 {
        self.from.unwrap_or(EARLIEST).max(EARLIEST)
    }

    /// The next window to ask for, the same until it is answered; `None`: all is covered.
    pub fn propose(&self) -> Option<Window> {
        let at = self.at?;
        let to = self.cut(at).clamp(at, self.below.max(at));
        Some(Window {
            from: if at == self.first() { self.from } else { Some(at) },
            to: if to == self.last() { self.to } else { Some(to) },
        })
    }

    /// Takes in a window's first page: how many records it has, and the starts of those on the page.
    pub fn answered(&mut self, window: Window, total: u64, sample: &[i64]) -> Verdict {
        let (from, to) = (window.from.unwrap_or(EARLIEST).max(EARLIEST), window.to.unwrap_or(LATEST).min(LATEST));
        let records = u32::try_from(total).unwrap_or(u32::MAX);
        let total = total as f64;
        let deep = total > self.limit;
        // What comes after a window that was too deep was expected by its total.
        if self.tries == 0
            && let Some(known) = &mut self.known
        {
            known.counted(from, to, total);
        }
        self.cover(to, total);
        if deep && from < to {
            let exact = total < SATURATED;
            let mut sample = sample.to_vec();
            sample.sort_unstable();
            self.blind = sample.is_empty();
            let long = sample.first().zip(sample.last()).is_some_and(|(first, last)| last - first > EVEN);
            if !exact && long {
                self.density.sampled(&sample);
            }
            self.ahead.insert(0, Stretch { to, total, exact, sample, gone: (0.0, 0.0) });
            self.density.crowded();
            self.tries += 1;
            self.below = to - 1;
            return Verdict::TooDeep;
        }
        self.recorder.counted(from, to, records);
        if !deep && let Some((first, last)) = self.bounds(window, sample) {
            self.density.counted(first, last, total);
        }
        self.at = (to < self.last()).then(|| to + 1);
        self.below = self.last();
        self.tries = 0;
        if deep { Verdict::Moment } else { Verdict::Read }
    }

    /// Leaves a window that could not be read: the next begins behind it, and nothing was learned.
    pub fn passed(&mut self, window: Window) {
        let to = window.to.unwrap_or(LATEST).min(LATEST);
        self.cover(to, 0.0);
        self.at = (to < self.last()).then(|| to + 1);
        self.below = self.last();
        self.tries = 0;
    }

    /// Takes in the starts of all records of a window.
    pub fn read(&mut self, window: Window, starts: &[i64]) {
        self.recorder.read(window.from.unwrap_or(EARLIEST).max(EARLIEST), starts);
        if let Some((first, last)) = self.bounds(window, starts) {
            self.density.learn(first, last, starts);
        }
    }

    /// A window's ends; an open one where its records end. `None` of the range's first window, of which nothing is learned:
    /// the time before a range's first record is empty for another reason than its weekday.
    fn bounds(&self, window: Window, starts: &[i64]) -> Option<(i64, i64)> {
        let first = window.from.filter(|from| *from > self.first())?;
        let last = window.to.or_else(|| starts.iter().max().copied())?;
        (first <= last).then_some((first, last))
    }

    /// Takes what lies up to `to`, `total` records, off what is known of what comes.
    fn cover(&mut self, to: i64, total: f64) {
        let mut left = total;
        while let Some(stretch) = self.ahead.first_mut() {
            if stretch.to <= to {
                left -= stretch.total;
                self.ahead.remove(0);
                continue;
            }
            let sampled = stretch.sampled_to(to);
            stretch.sample.drain(..sampled);
            let left = left.max(0.0);
            if stretch.exact && total < SATURATED {
                stretch.total = (stretch.total - left).max(stretch.sample.len() as f64);
            } else {
                stretch.exact = false;
                stretch.gone.0 += left;
                stretch.gone.1 += sampled as f64;
                stretch.total = (stretch.total - left).max(stretch.sample.len() as f64);
            }
            break;
        }
    }
}
