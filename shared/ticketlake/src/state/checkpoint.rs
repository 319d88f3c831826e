//! The progress of an interrupted read: what the next run of the same request does not read again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use client::{Position, Resumption};
use manifest::time::{self, Instant, TimeRange};
use manifest::{Cursor, QueryId};
use serde::{Deserialize, Serialize};

use crate::request::RequestId;

/// The greatest age of a read that is resumed. The records of an older one are too old to be combined with new ones.
const MAX_AGE: TimeDelta = TimeDelta::days(7);

/// The saved progress of a read over several runs. Everything that it names is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The id of the records that are read.
    pub request: RequestId,
    /// The start of the first run, RFC 3339.
    pub began: String,
    /// The queries that are complete.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    finished: BTreeSet<QueryId>,
    /// The time windows that are complete, by query that is split by time. They are in order and not adjacent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    covered: BTreeMap<QueryId, Vec<TimeRange>>,
    /// The progress of queries that are not complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    queries: BTreeMap<QueryId, QueryProgress>,
    /// The complete subqueries, by query that is split by its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<QueryId, Vec<FinishedSubquery>>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// The digest of the seen keys, which are stored in another object. It is `None` during a run, since a run that is killed has not stored
    /// the keys of the queries that its checkpoint names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_keys: Option<u64>,
}

/// The progress of a query: everything before a page was read. The page itself is read again, so that no record is missed if a few records
/// before it were removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryProgress {
    /// The position of the page.
    pub position: Position,
    /// The number of distinct records before the page.
    pub before: u64,
    /// The total of the query.
    pub total: Option<u64>,
    /// The furthest cursor before the page.
    pub newest: Option<Cursor>,
}

impl QueryProgress {
    /// Returns the values from which the reader resumes.
    pub fn resumption(&self) -> Resumption {
        Resumption { position: self.position.clone(), before: self.before }
    }
}

/// A complete subquery of a query that is split by its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedSubquery {
    /// The parameter that the query is split by.
    pub param: String,
    /// The values of that parameter.
    pub values: Vec<String>,
    /// The hashes of the keys received. Subqueries can have records in common, so the numbers of records cannot be added.
    #[serde(with = "packed")]
    pub keys: Vec<u64>,
}

impl Checkpoint {
    /// Creates the checkpoint of a read of `request` that begins at `now`.
    pub fn new(request: RequestId, now: Instant) -> Self {
        Self {
            request,
            began: time::format_instant(now),
            finished: BTreeSet::new(),
            covered: BTreeMap::new(),
            queries: BTreeMap::new(),
            parts: BTreeMap::new(),
            newest: None,
            seen_keys: None,
        }
    }

    /// Returns whether a read of `request` can resume from this checkpoint at `now`.
    pub fn can_resume(&self, request: RequestId, now: Instant) -> bool {
        self.request == request && self.begin().is_some_and(|began| began <= now && now - began <= MAX_AGE)
    }

    /// Returns the start of the read.
    pub fn begin(&self) -> Option<Instant> {
        time::parse_instant(&self.began)
    }

    /// Returns whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.covered.is_empty() && self.queries.is_empty() && self.parts.is_empty()
    }

    /// Records that `query` is complete.
    pub fn finish(&mut self, query: QueryId) {
        self.finished.insert(query);
        self.queries.remove(&query);
    }

    /// Returns whether `query` is complete.
    pub fn is_finished(&self, query: QueryId) -> bool {
        self.finished.contains(&query)
    }

    /// Sets the progress of `query`.
    pub fn set_progress(&mut self, query: QueryId, progress: QueryProgress) {
        self.queries.insert(query, progress);
    }

    /// Returns the progress of `query`.
    pub fn progress(&self, query: QueryId) -> Option<&QueryProgress> {
        self.queries.get(&query)
    }

    /// Removes the progress of `query`, which is then read from its beginning.
    pub fn clear_progress(&mut self, query: QueryId) {
        self.queries.remove(&query);
    }

    /// Records that `query` is complete in `window`.
    pub fn cover(&mut self, query: QueryId, window: TimeRange) {
        let (mut from, mut to) = bounds(window);
        let covered = self.covered.entry(query).or_default();
        let begin = covered.partition_point(|known| bounds(*known).1.saturating_add(1) < from);
        let end = covered.partition_point(|known| bounds(*known).0 <= to.saturating_add(1));
        if begin < end {
            (from, to) = (from.min(bounds(covered[begin]).0), to.max(bounds(covered[end - 1]).1));
        }
        covered.splice(begin..end, [range(from, to)]);
    }

    /// Returns whether `query` is complete in `window`.
    pub fn covers(&self, query: QueryId, window: TimeRange) -> bool {
        self.is_finished(query) || self.gaps(query, window).is_empty()
    }

    /// Returns the windows within `wanted` that `query` does not cover, in order.
    pub fn gaps(&self, query: QueryId, wanted: TimeRange) -> Vec<TimeRange> {
        let (mut at, last) = bounds(wanted);
        let mut gaps = Vec::new();
        for known in self.covered.get(&query).into_iter().flatten() {
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

    /// Records that a subquery of `query` is complete.
    pub fn finish_subquery(&mut self, query: QueryId, subquery: FinishedSubquery) {
        let parts = self.parts.entry(query).or_default();
        parts.retain(|earlier| earlier.param != subquery.param || earlier.values != subquery.values);
        parts.push(subquery);
    }

    /// Returns the complete subqueries of `query`.
    pub fn subqueries(&self, query: QueryId) -> &[FinishedSubquery] {
        self.parts.get(&query).map(Vec::as_slice).unwrap_or_default()
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

/// Writes numbers as the Base64 of their bytes, which has about a third of their decimal digits.
mod packed {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(keys: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (keys, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(D::Error::custom("the keys of a part are cut off"));
        }
        Ok(keys.iter().map(|key| u64::from_le_bytes(*key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(from: Option<i64>, to: Option<i64>) -> TimeRange {
        TimeRange { from, to }
    }

    fn covering(windows: &[(Option<i64>, Option<i64>)]) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(RequestId::default(), Instant::default());
        windows.iter().for_each(|(from, to)| checkpoint.cover(QueryId::default(), window(*from, *to)));
        checkpoint
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
            let checkpoint = covering(&windows);
            let gaps: Vec<TimeRange> = gaps.into_iter().map(|(from, to)| window(from, to)).collect();
            assert_eq!(checkpoint.gaps(QueryId::default(), TimeRange::ALL), gaps, "{windows:?}");
        }
    }

    #[test]
    fn gaps_lie_within_the_wanted_window() {
        let checkpoint = covering(&[(None, Some(9)), (Some(20), Some(29))]);
        for (wanted, gaps) in [
            ((Some(0), Some(9)), vec![]),
            ((Some(5), Some(15)), vec![(Some(10), Some(15))]),
            ((Some(12), Some(40)), vec![(Some(12), Some(19)), (Some(30), Some(40))]),
            ((Some(40), Some(50)), vec![(Some(40), Some(50))]),
        ] {
            let gaps: Vec<TimeRange> = gaps.into_iter().map(|(from, to)| window(from, to)).collect();
            assert_eq!(checkpoint.gaps(QueryId::default(), window(wanted.0, wanted.1)), gaps, "{wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn coverage_is_a_union_in_any_order(
            windows in prop::collection::vec((0_i64..40, 0_i64..6), 0..12),
            at in -2_i64..50,
        ) {
            let checkpoint = covering(&windows.iter().map(|(from, length)| (Some(*from), Some(from + length))).collect::<Vec<_>>());
            let is_covered = windows.iter().any(|(from, length)| (*from..=from + length).contains(&at));
            prop_assert_eq!(checkpoint.covers(QueryId::default(), window(Some(at), Some(at))), is_covered);
        }

        #[test]
        fn a_checkpoint_is_read_back_as_it_was_written(keys in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut checkpoint = covering(&[(None, Some(-3)), (Some(5), None)]);
            checkpoint.finish_subquery(QueryId::default(), FinishedSubquery { param: "p".into(), values: vec!["a".into()], keys });
            let text = serde_json::to_string(&checkpoint).unwrap();
            prop_assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
        }
    }
}
