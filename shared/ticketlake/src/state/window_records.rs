//! The complete time windows of a query that is split by time, and the keys of their records.

use std::collections::HashSet;

use manifest::time::TimeRange;
use serde::{Deserialize, Serialize};

use super::packed_keys;
use crate::evidence::Unproven;

/// The complete windows of one query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredWindows {
    /// The windows, in order and not adjacent.
    windows: Vec<TimeRange>,
    /// The total of the query before its windows were read. `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The reason why a window proves nothing about its records, whatever the totals are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
    /// The records of the windows.
    pub records: WindowRecords,
}

/// The records of windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowRecords {
    /// The hashes of their keys.
    Keys(#[serde(with = "packed_keys")] HashSet<u64>),
    /// Their number, if there are more than the API counts: then its total proves nothing.
    Count(u64),
}

impl Default for WindowRecords {
    fn default() -> Self {
        Self::Keys(HashSet::new())
    }
}

impl WindowRecords {
    /// Returns the number of records. A record in two windows counts twice if the keys are not kept.
    pub fn len(&self) -> u64 {
        match self {
            Self::Keys(keys) => keys.len() as u64,
            Self::Count(count) => *count,
        }
    }

    /// Returns the hashes of the keys. There are none if they are not kept.
    pub fn into_keys(self) -> HashSet<u64> {
        match self {
            Self::Keys(keys) => keys,
            Self::Count(_) => HashSet::new(),
        }
    }

    /// Adds the records of a window. `total_limit` is the total at which the API stops counting.
    fn add(&mut self, more: &HashSet<u64>, total_limit: Option<u64>) {
        match self {
            Self::Keys(keys) => {
                keys.extend(more);
                if total_limit.is_some_and(|limit| keys.len() as u64 >= limit) {
                    *self = Self::Count(keys.len() as u64);
                }
            }
            Self::Count(count) => *count += more.len() as u64,
        }
    }
}

impl CoveredWindows {
    /// Adds a window whose records have the key hashes `keys`. `total_limit` is the total at which the API stops counting.
    pub fn add(&mut self, window: TimeRange, keys: &HashSet<u64>, total_limit: Option<u64>) {
        let (mut from, mut to) = bounds(window);
        let begin = self.windows.partition_point(|known| bounds(*known).1.saturating_add(1) < from);
        let end = self.windows.partition_point(|known| bounds(*known).0 <= to.saturating_add(1));
        if begin < end {
            (from, to) = (from.min(bounds(self.windows[begin]).0), to.max(bounds(self.windows[end - 1]).1));
        }
        self.windows.splice(begin..end, [range(from, to)]);
        self.records.add(keys, total_limit);
    }

    /// Returns the windows within `wanted` that are not covered, in order.
    pub fn gaps(&self, wanted: TimeRange) -> Vec<TimeRange> {
        let (mut at, last) = bounds(wanted);
        let mut gaps = Vec::new();
        for known in &self.windows {
            let (begin, end) = bounds(*known);
            if end < at {
                continue;
            }
            if begin > last {
                break;
            }
            if at < begin {
                gaps.push(range(at, begin - 1));
            }
            if end >= last {
                return gaps;
            }
            at = end + 1;
        }
        gaps.push(range(at, last));
        gaps
    }
}

/// Returns the first and the last second of a window. Open ends are the least and the greatest second that can be represented.
fn bounds(window: TimeRange) -> (i64, i64) {
    (window.from.unwrap_or(i64::MIN), window.to.unwrap_or(i64::MAX))
}

/// Returns the window from `from` to `to`. It is the inverse of [`bounds`].
fn range(from: i64, to: i64) -> TimeRange {
    TimeRange { from: (from != i64::MIN).then_some(from), to: (to != i64::MAX).then_some(to) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(from: Option<i64>, to: Option<i64>) -> TimeRange {
        TimeRange { from, to }
    }

    fn covering(windows: &[(Option<i64>, Option<i64>)]) -> CoveredWindows {
        let mut covered = CoveredWindows::default();
        windows.iter().for_each(|(from, to)| covered.add(window(*from, *to), &HashSet::new(), None));
        covered
    }

    #[test]
    fn gaps_are_the_complement_of_coverage() {
        for (windows, gaps) in [
            (vec![], vec![(None, None)]),
            (vec![(None, Some(9))], vec![(Some(10), None)]),
            (vec![(None, Some(9)), (Some(20), Some(29))], vec![(Some(10), Some(19)), (Some(30), None)]),
            (vec![(Some(20), Some(29)), (None, Some(9)), (Some(10), Some(19))], vec![(Some(30), None)]),
            (vec![(Some(30), None), (Some(5), Some(9))], vec![(None, Some(4)), (Some(10), Some(29))]),
            (vec![(Some(5), Some(9)), (Some(7), Some(12)), (None, Some(5)), (Some(13), None)], vec![]),
            (vec![(None, None)], vec![]),
        ] {
            let covered = covering(&windows);
            let gaps: Vec<TimeRange> = gaps.into_iter().map(|(from, to)| window(from, to)).collect();
            assert_eq!(covered.gaps(TimeRange::ALL), gaps, "{windows:?}");
        }
    }

    #[test]
    fn gaps_lie_within_the_wanted_window() {
        let covered = covering(&[(None, Some(9)), (Some(20), Some(29))]);
        for (wanted, gaps) in [
            ((Some(0), Some(9)), vec![]),
            ((Some(5), Some(15)), vec![(Some(10), Some(15))]),
            ((Some(12), Some(40)), vec![(Some(12), Some(19)), (Some(30), Some(40))]),
            ((Some(40), Some(50)), vec![(Some(40), Some(50))]),
        ] {
            let gaps: Vec<TimeRange> = gaps.into_iter().map(|(from, to)| window(from, to)).collect();
            assert_eq!(covered.gaps(window(wanted.0, wanted.1)), gaps, "{wanted:?}");
        }
    }

    #[test]
    fn keys_are_kept_up_to_the_number_that_the_api_counts() {
        let mut covered = CoveredWindows::default();
        covered.add(window(Some(0), Some(9)), &HashSet::from([1, 2]), Some(4));
        assert_eq!(covered.records, WindowRecords::Keys(HashSet::from([1, 2])));
        covered.add(window(Some(10), Some(19)), &HashSet::from([2, 3, 4]), Some(4));
        assert_eq!(covered.records, WindowRecords::Count(4));
    }

    proptest! {
        #[test]
        fn coverage_is_a_union_in_any_order(
            windows in prop::collection::vec((0_i64..40, 0_i64..6), 0..12),
            at in -2_i64..50,
        ) {
            let covered = covering(&windows.iter().map(|(from, length)| (Some(*from), Some(from + length))).collect::<Vec<_>>());
            let is_covered = windows.iter().any(|(from, length)| (*from..=from + length).contains(&at));
            prop_assert_eq!(covered.gaps(window(Some(at), Some(at))).is_empty(), is_covered);
        }
    }
}
