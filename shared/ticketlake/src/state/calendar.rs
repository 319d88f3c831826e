//! The start times of the records of a query, as an earlier run read them. The next run chooses its time windows by them.

use std::collections::BTreeMap;

use manifest::time::TimeRange;
use serde::{Deserialize, Serialize};

/// The width of a bin in seconds. Nearly all events start on a quarter of an hour, and a bin begins with one.
pub const BIN_SECONDS: i64 = 900;

/// The least number of records for a mark, which is set at the end of a bin. 250,000 records make about 12,000 marks.
const MIN_MARK_RECORDS: u32 = 12;

/// The greatest number of records in a mark. A stored mark with more was not written by this code.
const MAX_MARK_RECORDS: i64 = 10_000;
/// The length in seconds of the time before a range that [`Calendar::before`] covers.
const HALF_YEAR_SECONDS: i64 = 26 * 7 * 86_400;

/// The distribution of start times over one range without a gap. It is a hint: a wrong calendar costs requests, and loses no record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// The first second of the range, since 1970.
    first: i64,
    /// Each mark: the seconds since the previous mark (for the first one, since the second before `first`), and the records in between.
    marks: Vec<(u64, u32)>,
}

impl Calendar {
    /// Returns the last second of the range.
    fn last(&self) -> i64 {
        self.marks.iter().fold(self.first.saturating_sub(1), |at, (seconds, _)| at.saturating_add_unsigned(*seconds))
    }

    /// Returns the end of each mark in seconds since 1970, with the number of records since the previous mark.
    pub fn marks(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        self.marks.iter().scan(self.first.saturating_sub(1), |at, (seconds, records)| {
            *at = at.saturating_add_unsigned(*seconds);
            Some((*at, *records))
        })
    }

    /// Returns the approximate starts in the half year before `end`, with the first and the last second that they cover. `None` if the
    /// calendar does not reach `end`.
    pub fn before(&self, end: i64) -> Option<(i64, i64, Vec<i64>)> {
        let (begin, last) = (end.saturating_sub(HALF_YEAR_SECONDS), end.saturating_sub(1));
        let mut starts = Vec::new();
        let (mut at, mut from) = (self.first.saturating_sub(1), last);
        for (to, records) in self.marks() {
            if at >= begin && to <= last && records > 0 {
                from = from.min(at.saturating_add(1));
                let records = i64::from(records).clamp(1, MAX_MARK_RECORDS);
                let step = (to - at) / records;
                starts.extend((0..records).map(|record| to - record * step));
            }
            at = to;
        }
        (at >= last && !starts.is_empty()).then_some((from, last, starts))
    }

    /// Returns the number of records within `range`, about.
    pub fn records_within(&self, range: TimeRange) -> u64 {
        let ends_within = |(end, _): &(i64, u32)| range.contains(*end);
        self.marks().filter(ends_within).map(|(_, records)| u64::from(records)).sum()
    }

    /// Returns the first second of the range.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Creates a calendar that begins at `first`, from the ends of marks with their numbers of records.
    fn from_marks(first: i64, marks: impl Iterator<Item = (i64, u32)>) -> Self {
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

    /// Returns this calendar, extended by what `earlier` has before and after it. Where a gap lies between the two, nothing is added.
    pub fn extended_by(self, earlier: &Self) -> Self {
        let (first, last) = (self.first, self.last());
        let joins_before = earlier.first < first && earlier.last() >= first.saturating_sub(1);
        let joins_after = earlier.first <= last.saturating_add(1) && earlier.last() > last;
        let before = earlier.marks().filter(|(to, _)| joins_before && *to < first);
        let after = earlier.marks().filter(|(to, _)| joins_after && *to > last);
        let begin = if joins_before { earlier.first } else { first };
        Self::from_marks(begin, before.chain(self.marks()).chain(after))
    }
}

/// Records the windows of a run, in any order.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The marks of each window by its first second. The last mark is at the end of the window.
    windows: BTreeMap<i64, Vec<(i64, u32)>>,
}

impl Recorder {
    /// Adds a window with `total` records.
    pub fn add_window(&mut self, from: i64, to: i64, total: u32) {
        self.windows.insert(from, vec![(to, total)]);
    }

    /// Sets the starts of the records in the window that begins at `from`.
    pub fn set_starts(&mut self, from: i64, starts: &[i64]) {
        let Some(marks) = self.windows.get_mut(&from) else { return };
        let Some((to, total)) = marks.last().copied() else { return };
        let mut starts: Vec<i64> = starts.iter().copied().filter(|start| (from..=to).contains(start)).collect();
        starts.sort_unstable();
        marks.clear();
        let (mut noted, mut count) = (0, 0);
        for (index, start) in starts.iter().enumerate() {
            count += 1;
            let end = start.div_euclid(BIN_SECONDS) * BIN_SECONDS + BIN_SECONDS - 1;
            if count >= MIN_MARK_RECORDS && end < to && starts.get(index + 1).is_none_or(|next| *next > end) {
                marks.push((end, count));
                noted += count;
                count = 0;
            }
        }
        marks.push((to, total.saturating_sub(noted)));
    }

    /// Returns the calendar of the recorded windows, extended by `earlier`. `None` if no window was recorded.
    pub fn calendar(&self, earlier: Option<&Calendar>) -> Option<Calendar> {
        let first = *self.windows.keys().next()?;
        let recorded = Calendar::from_marks(first, self.windows.values().flatten().copied());
        Some(match earlier {
            Some(earlier) => recorded.extended_by(earlier),
            None => recorded,
        })
    }
}
