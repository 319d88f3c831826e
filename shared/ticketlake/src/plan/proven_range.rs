//! Which cursors a complete read of a range has proven to be read.
//!
//! There is no I/O here, and the start of the read is given: the functions are pure.

use chrono::TimeDelta;
use manifest::time::Instant;
use manifest::{Cursor, Incremental};

use crate::state::{Bound, Interval};

/// How long after an instant the API has all records of it. It is more than clocks that agree differ by, and more than a transaction takes. A
/// resource whose records appear later has a `lag`.
const SETTLING_TIME: TimeDelta = TimeDelta::minutes(5);

/// How the ranges of a resource are read.
#[derive(Clone, Copy, Debug)]
pub struct RangeReading<'r> {
    /// The cursor of the resource.
    pub incremental: &'r Incremental,
    /// Whether requests hold the end of the range, so that an empty response says that there is nothing before it.
    pub sends_end: bool,
    /// The start of the read, by the clock of the API.
    pub began: Instant,
}

/// What a complete read of a range has proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProvenRange {
    /// The cursors that were read. `None` if there are none.
    pub read: Option<Interval>,
    /// The cursors that a scheduled run does not read again. `None` if there are none.
    pub settled: Option<Interval>,
}

impl RangeReading<'_> {
    /// Returns what a complete read of `range` has proven. `newest` is the furthest cursor that it received, also beyond the range.
    ///
    /// A range that ended a while before the read began is proven to its end, if the API was asked for that end or gave a record beyond it.
    /// Any other range is proven up to the newest cursor that was received: what is newer may not have arrived at the API yet. No range is
    /// proven beyond the start of the read, since a record that is made while the run reads may stand on a page that was read already.
    pub fn proven(&self, range: &Interval, newest: Option<Cursor>) -> ProvenRange {
        let incremental = self.incremental;
        let newest = newest.map(|newest| Bound::at(newest, incremental));
        let is_read_to_end = self.sends_end || newest.is_some_and(|newest| newest >= range.to());
        let to = match range.end() {
            Some(end) if is_read_to_end && self.is_settled(end) => {
                let settled = self.limit(end, |began| Cursor::Instant(began).minus_lag(incremental));
                let settled = Interval::new(range.from(), Bound::at(settled, incremental));
                return ProvenRange { read: Some(*range), settled };
            }
            _ => newest.map(|newest| newest.min(range.to())).and_then(Bound::cursor),
        };
        let Some(to) = to.map(|to| self.limit(to, Cursor::Instant)) else { return ProvenRange::default() };
        ProvenRange {
            read: Interval::new(range.from(), Bound::at(to, incremental)),
            settled: Interval::new(range.from(), Bound::at(to.minus_lag(incremental), incremental)),
        }
    }

    /// Returns whether the API has all records before `end`.
    fn is_settled(&self, end: Cursor) -> bool {
        match end {
            Cursor::Instant(end) if !self.incremental.descending => end <= self.began - SETTLING_TIME,
            Cursor::Instant(_) | Cursor::Number(_) => true,
        }
    }

    /// Returns the lesser of `cursor` and the cursor that `limit` returns for the start of the read. If runs go backwards, and for numbers,
    /// there is no limit.
    fn limit(&self, cursor: Cursor, limit: impl Fn(Instant) -> Cursor) -> Cursor {
        match cursor {
            Cursor::Instant(_) if !self.incremental.descending => cursor.min(limit(self.began)),
            Cursor::Instant(_) | Cursor::Number(_) => cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use manifest::Manifest;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The start of the read in seconds since 1970. Cursors lie around it.
    const BEGAN: i64 = 10_000;

    fn incremental(lag: u64) -> Incremental {
        let manifest = json!({
            "client": {"base_url": "https://api.example"},
            "resources": [{"name": "things", "primary_key": "id", "endpoint": {"incremental": {"cursor_path": "at", "lag": lag}}}],
        });
        let manifest = Manifest::parse("test.json", &manifest.to_string()).unwrap();
        manifest.resources[0].endpoint.incremental.clone().unwrap()
    }

    fn at(seconds: i64) -> Cursor {
        Cursor::Instant(manifest::time::from_seconds(seconds).unwrap())
    }

    /// The seconds where what was read, and what is settled, ends. 0 if nothing was.
    fn ends(range: (i64, Option<i64>), newest: Option<i64>, sends_end: bool, lag: u64) -> (i64, i64) {
        let incremental = incremental(lag);
        let bound = |seconds| Bound::at(at(seconds), &incremental);
        let range = Interval::new(bound(range.0), range.1.map_or(Bound::End, bound)).unwrap();
        let began = at(BEGAN).instant().unwrap();
        let proven = RangeReading { incremental: &incremental, sends_end, began }.proven(&range, newest.map(at));
        let end = |interval: Option<Interval>| {
            interval.and_then(|interval| interval.end()).and_then(Cursor::instant).map_or(0, |end| end.timestamp())
        };
        assert!(proven.read.is_none_or(|read| read.from() == range.from()));
        (end(proven.read), end(proven.settled))
    }

    #[test]
    fn a_range_is_proven_to_its_end_or_to_the_newest_cursor() {
        for (range, newest, sends_end, lag, proven) in [
            // A range without an end: up to the newest cursor, less the lag. Without a record nothing is proven.
            ((0, None), Some(5_000), true, 60, (5_000, 4_940)),
            ((0, None), None, true, 60, (0, 0)),
            ((6_000, None), Some(5_000), true, 60, (0, 0)),
            // Never beyond the start of the read.
            ((0, None), Some(20_000), true, 0, (10_000, 9_999)),
            // A range in the past: to its end, with and without records.
            ((0, Some(5_000)), None, true, 60, (5_000, 5_000)),
            ((0, Some(5_000)), Some(100), true, 60, (5_000, 5_000)),
            // The last lag before the read is not settled.
            ((0, Some(9_000)), None, true, 3_600, (9_000, 6_400)),
            ((8_000, Some(9_000)), None, true, 3_600, (9_000, 0)),
            // An API that is not asked for the end, and had nothing beyond it.
            ((0, Some(5_000)), Some(4_000), false, 60, (4_000, 3_940)),
            ((0, Some(5_000)), Some(5_000), false, 60, (5_000, 5_000)),
            ((0, Some(5_000)), None, false, 60, (0, 0)),
            // A range that ends at about the start of the read, or after it.
            ((0, Some(9_900)), Some(9_000), true, 0, (9_000, 8_999)),
            ((0, Some(20_000)), Some(9_000), true, 0, (9_000, 8_999)),
            ((0, Some(20_000)), None, true, 0, (0, 0)),
        ] {
            assert_eq!(ends(range, newest, sends_end, lag), proven, "{range:?} {newest:?} {sends_end} {lag}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_proven_beyond_the_range_or_the_start_of_the_read(
            from in 0_i64..15_000,
            length in prop::option::of(1_i64..15_000),
            newest in prop::option::of(0_i64..20_000),
            sends_end: bool,
            lag in 0_u64..5_000,
        ) {
            let to = length.map(|length| from + length);
            let (read, settled) = ends((from, to), newest, sends_end, lag);
            prop_assert!(read <= to.unwrap_or(i64::MAX) && read <= BEGAN);
            prop_assert!(settled <= read && settled <= BEGAN - lag.cast_signed());
            if newest.is_none() && to.is_none() {
                prop_assert_eq!(read, 0);
            }
        }
    }
}
