//! Coverage: the intervals of cursors that were read and proven. There is no I/O and no clock here, and every law is a property test.

use std::cmp::Ordering;

use manifest::{Cursor, Incremental};

/// An end of an interval. Bounds compare in the direction in which runs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// The place before the first cursor.
    Beginning,
    /// A cursor.
    At(DirectedCursor),
    /// The place after the last cursor.
    End,
}

impl Bound {
    /// Returns the bound at `cursor`, a time of a resource without `incremental`.
    pub fn ascending(cursor: Cursor) -> Self {
        Self::At(DirectedCursor { cursor, descending: false })
    }

    /// Returns the bound at `cursor`, a cursor of a resource with `incremental`.
    pub fn at(cursor: Cursor, incremental: &Incremental) -> Self {
        Self::At(DirectedCursor { cursor, descending: incremental.descending })
    }

    /// Returns the cursor. `None` for the beginning and the end.
    pub fn cursor(self) -> Option<Cursor> {
        match self {
            Self::At(directed) => Some(directed.cursor),
            Self::Beginning | Self::End => None,
        }
    }
}

/// A cursor that compares in the direction in which the runs of its resource go: the one that is reached later is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectedCursor {
    cursor: Cursor,
    descending: bool,
}

impl Ord for DirectedCursor {
    fn cmp(&self, other: &Self) -> Ordering {
        let ascending = self.cursor.cmp(&other.cursor);
        if self.descending { ascending.reverse() } else { ascending }
    }
}

impl PartialOrd for DirectedCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The cursors from one bound on and before another one. It is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    from: Bound,
    to: Bound,
}

impl Interval {
    /// The interval of all cursors.
    pub const ALL: Self = Self { from: Bound::Beginning, to: Bound::End };

    /// Returns the interval of the cursors from `from` on and before `to`. `None` if there is no such cursor.
    pub fn new(from: Bound, to: Bound) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// Returns the bound at which the interval begins.
    pub fn from(&self) -> Bound {
        self.from
    }

    /// Returns the bound before which the interval ends.
    pub fn to(&self) -> Bound {
        self.to
    }

    /// Returns the first cursor. `None` if the interval has no beginning.
    pub fn start(&self) -> Option<Cursor> {
        self.from.cursor()
    }

    /// Returns the cursor before which the interval ends. `None` if it has no end.
    pub fn end(&self) -> Option<Cursor> {
        self.to.cursor()
    }

    /// Returns the least interval that contains this one and `other`.
    #[must_use]
    pub fn span(&self, other: &Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// A set of cursors, as intervals that are in order, disjoint and not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(Vec<Interval>);

impl Coverage {
    /// Returns the intervals, in order.
    pub fn intervals(&self) -> &[Interval] {
        &self.0
    }

    /// Returns whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the cursors of `interval`.
    pub fn add(&mut self, interval: Interval) {
        let begin = self.0.partition_point(|known| known.to < interval.from);
        let end = self.0.partition_point(|known| known.from <= interval.to);
        let joined = self.0[begin..end].iter().fold(interval, |joined, known| joined.span(known));
        self.0.splice(begin..end, [joined]);
    }

    /// Returns the parts of `wanted` that are not covered, in order.
    pub fn gaps(&self, wanted: &Interval) -> Vec<Interval> {
        let mut from = wanted.from;
        let mut gaps = Vec::new();
        for known in self.0.iter().filter(|known| known.to > wanted.from && known.from < wanted.to) {
            gaps.extend(Interval::new(from, known.from));
            from = known.to;
        }
        gaps.extend(Interval::new(from, wanted.to));
        gaps
    }

    /// Returns the bound up to which everything from `beginning` on is covered. `None` if `beginning` is not covered.
    pub fn covered_to(&self, beginning: Bound) -> Option<Bound> {
        self.0.iter().find(|known| known.from <= beginning && beginning < known.to).map(|known| known.to)
    }
}

impl Extend<Interval> for Coverage {
    fn extend<I: IntoIterator<Item = Interval>>(&mut self, intervals: I) {
        intervals.into_iter().for_each(|interval| self.add(interval));
    }
}

impl FromIterator<Interval> for Coverage {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut coverage = Self::default();
        coverage.extend(intervals);
        coverage
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bound at a place of a line: 0 is the beginning and 12 is the end.
    fn bound(place: i64, descending: bool) -> Bound {
        match place {
            0 => Bound::Beginning,
            12 => Bound::End,
            number => Bound::At(DirectedCursor {
                cursor: Cursor::Number(if descending { -number } else { number }),
                descending,
            }),
        }
    }

    fn interval(descending: bool) -> impl Strategy<Value = Interval> {
        (0_i64..12, 1_i64..6).prop_filter_map("it is empty", move |(from, length)| {
            Interval::new(bound(from, descending), bound((from + length).min(12), descending))
        })
    }

    fn contains(intervals: &[Interval], place: Bound) -> bool {
        intervals.iter().any(|interval| interval.from <= place && place < interval.to)
    }

    fn is_normal(intervals: &[Interval]) -> bool {
        intervals.iter().all(|interval| interval.from < interval.to)
            && intervals.windows(2).all(|pair| pair[0].to < pair[1].from)
    }

    /// A few intervals, all in one direction, and one more.
    fn few() -> impl Strategy<Value = (Vec<Interval>, Interval, bool)> {
        any::<bool>().prop_flat_map(|descending| {
            (prop::collection::vec(interval(descending), 0..8), interval(descending), Just(descending))
        })
    }

    #[test]
    fn an_interval_is_not_empty() {
        assert_eq!(Interval::new(bound(3, false), bound(3, false)), None);
        assert_eq!(
            Interval::new(bound(3, true), bound(4, true)).and_then(|interval| interval.end()),
            Some(Cursor::Number(-4))
        );
        assert!(Interval::new(Bound::End, Bound::End).is_none());
    }

    proptest! {
        #[test]
        fn coverage_is_the_union_of_what_was_added((added, _, descending) in few()) {
            let coverage: Coverage = added.iter().copied().collect();
            prop_assert!(is_normal(coverage.intervals()));
            for place in 0..12 {
                let place = bound(place, descending);
                prop_assert_eq!(contains(coverage.intervals(), place), contains(&added, place));
            }
        }

        #[test]
        fn the_order_of_calls_does_not_matter_and_a_second_call_changes_nothing((added, _, _) in few()) {
            let coverage: Coverage = added.iter().copied().collect();
            let reversed: Coverage = added.iter().rev().chain(&added).copied().collect();
            prop_assert_eq!(coverage, reversed);
        }

        #[test]
        fn gaps_are_the_complement_of_coverage((added, wanted, descending) in few()) {
            let mut coverage: Coverage = added.into_iter().collect();
            let gaps = coverage.gaps(&wanted);
            prop_assert!(is_normal(&gaps));
            for place in 0..12 {
                let place = bound(place, descending);
                let is_missing = contains(&[wanted], place) && !contains(coverage.intervals(), place);
                prop_assert_eq!(contains(&gaps, place), is_missing);
            }
            gaps.into_iter().for_each(|gap| coverage.add(gap));
            prop_assert!(coverage.gaps(&wanted).is_empty());
        }

        #[test]
        fn everything_before_the_end_of_what_has_no_gap_is_covered((added, _, descending) in few(), beginning in 0_i64..12) {
            let coverage: Coverage = added.into_iter().collect();
            let beginning = bound(beginning, descending);
            match coverage.covered_to(beginning) {
                Some(to) => prop_assert_eq!(coverage.gaps(&Interval { from: beginning, to }), vec![]),
                None => prop_assert!(!contains(coverage.intervals(), beginning)),
            }
        }
    }
}
