//! When the records of a query start, as an earlier run read them: what the next run cuts its windows by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The width of a bin, in seconds: nearly all events start on a quarter of an hour, and a bin holds one such moment, at its beginning.
pub const BIN_SECONDS: i64 = 900;

/// Records after which a mark is set, at the end of the quarter of an hour: 250,000 records make about 12,000 marks.
const GRAIN: u32 = 12;

/// A mark with more than this is not one that was written here.
const MOST_IN_A_MARK: i64 = 10_000;
/// Seconds of what is told of the time before a range.
const HALF_YEAR: i64 = 26 * 7 * 86_400;

/// How many records start up to when, over one range without a gap. It is a hint: a wrong one costs requests, and no record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// The range's first second, since 1970.
    first: i64,
    /// Seconds since the mark before, or since the second before `first`; and the records in between.
    marks: Vec<(u64, u32)>,
}

impl Calendar {
    /// The last second of its range.
    fn last(&self) -> i64 {
        self.marks.iter().fold(self.first.saturating_sub(1), |at, (seconds, _)| at.saturating_add_unsigned(*seconds))
    }

    /// The ends of its marks in seconds since 1970, each with the records since the one before.
    pub fn marks(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        self.marks.iter().scan(self.first.saturating_sub(1), |at, (seconds, records)| {
            *at = at.saturating_add_unsigned(*seconds);
            Some((*at, *records))
        })
    }

    /// About the starts of the last half year before `end`, with the first and last second of that time.
    pub fn before(&self, end: i64) -> Option<(i64, i64, Vec<i64>)> {
        let (begin, last) = (end.saturating_sub(HALF_YEAR), end.saturating_sub(1));
        let mut starts = Vec::new();
        let (mut at, mut from) = (self.first.saturating_sub(1), last);
        for (to, records) in self.marks() {
            if at >= begin && to <= last && records > 0 {
                from = from.min(at.saturating_add(1));
                let records = i64::from(records).clamp(1, MOST_IN_A_MARK);
                let step = (to - at) / records;
                starts.extend((0..records).map(|record| to - record * step));
            }
            at = to;
        }
        (at >= last && !starts.is_empty()).then_some((from, last, starts))
    }

    /// The first second of its range.
    pub fn first(&self) -> i64 {
        self.first
    }

    fn of(first: i64, marks: impl Iterator<Item = (i64, u32)>) -> Self {
        let mut at = first.saturating_sub(1);
        let mut steps = Vec::new();
        for (to, records) in marks.filter(|(to, _)| *to >= first) {
            if to > at {
                steps.push((to.abs_diff(at), records));
                at = to;
            }
        }
        Self { first, marks: steps }
    }

    /// This one, with what `earlier` has before and after it; where a gap lies between them, without that.
    pub fn onto(self, earlier: &Self) -> Self {
        let (first, last) = (self.first, self.last());
        let joins_before = earlier.first < first && earlier.last() >= first.saturating_sub(1);
        let joins_after = earlier.first <= last.saturating_add(1) && earlier.last() > last;
        let before = earlier.marks().filter(|(to, _)| joins_before && *to < first);
        let after = earlier.marks().filter(|(to, _)| joins_after && *to > last);
        let begin = if joins_before { earlier.first } else { first };
        Self::of(begin, before.chain(self.marks()).chain(after))
    }
}

/// Takes down the windows of a run, in whatever order they are read.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// By a window's first second: its marks, the last of them at its end.
    windows: BTreeMap<i64, Vec<(i64, u32)>>,
}

impl Recorder {
    /// A window has so many records.
    pub fn counted(&mut self, from: i64, to: i64, total: u32) {
        self.windows.insert(from, vec![(to, total)]);
    }

    /// These are their starts.
    pub fn read(&mut self, from: i64, starts: &[i64]) {
        let Some(marks) = self.windows.get_mut(&from) else { return };
        let Some((to, total)) = marks.last().copied() else { return };
        let mut starts: Vec<i64> = starts.iter().copied().filter(|start| (from..=to).contains(start)).collect();
        starts.sort_unstable();
        marks.clear();
        let (mut noted, mut count) = (0, 0);
        for (index, start) in starts.iter().enumerate() {
            count += 1;
            let end = start.div_euclid(BIN_SECONDS) * BIN_SECONDS + BIN_SECONDS - 1;
            if count >= GRAIN && end < to && starts.get(index + 1).is_none_or(|next| *next > end) {
                marks.push((end, count));
                noted += count;
                count = 0;
            }
        }
        marks.push((to, total.saturating_sub(noted)));
    }

    /// What was taken down, and what `earlier` has beside it; `None`: nothing was.
    pub fn calendar(&self, earlier: Option<&Calendar>) -> Option<Calendar> {
        let first = *self.windows.keys().next()?;
        let own = Calendar::of(first, self.windows.values().flatten().copied());
        Some(match earlier {
            Some(earlier) => own.onto(earlier),
            None => own,
        })
    }
}
