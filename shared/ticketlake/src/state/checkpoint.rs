//! How far a reading that was cut short has come: what the next run of the same request need not read again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use client::{Position, Resumption};
use manifest::time::{self, Instant, TimeRange};
use manifest::{Cursor, QueryId};
use serde::{Deserialize, Serialize};

use crate::request::RequestId;

/// A reading that began longer ago than this begins again: what it has is too old to be called one state of the API.
const MAX_AGE: TimeDelta = TimeDelta::days(7);

/// The saved progress of a reading that goes on over several runs. Everything that it names is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What is read.
    pub request: RequestId,
    /// When the first of its runs began, RFC 3339.
    pub began: String,
    /// The queries that were read completely.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    finished: BTreeSet<QueryId>,
    /// By query that is split by time: the windows that were read completely, in order, and none beside the next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    covered: BTreeMap<QueryId, Vec<TimeRange>>,
    /// By query: how far it was read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    queries: BTreeMap<QueryId, QueryProgress>,
    /// By query that is split by its parameters: the parts that were read completely.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<QueryId, Vec<FinishedPart>>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// The digest of the keys that were received so far, which are stored in an object of their own. None while a run is under way: a
    /// checkpoint that a killed run leaves names queries whose keys nobody knows any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_keys: Option<u64>,
}

/// How far a query was read: everything before a page. The page itself is read again, so that a few records fewer in front of it lose none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryProgress {
    /// Where the page lies.
    pub position: Position,
    /// The distinct records before it.
    pub before: u64,
    /// The records of the query, as the API said.
    pub total: Option<u64>,
    /// The furthest cursor before it.
    pub newest: Option<Cursor>,
}

impl QueryProgress {
    /// What the reader needs to go on.
    pub fn resumption(&self) -> Resumption {
        Resumption { position: self.position.clone(), before: self.before }
    }
}

/// A part of a query that is split by its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedPart {
    /// The parameter that the query is split by.
    pub param: String,
    /// The values that the part asks for.
    pub values: Vec<String>,
    /// The hashes of its records' keys. Parts can have records in common, so that numbers of records could not be added up.
    #[serde(with = "packed")]
    pub keys: Vec<u64>,
}

impl Checkpoint {
    /// The checkpoint of a reading of `request` that begins at `now`.
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

    /// Whether a reading of `request` can go on with it at `now`.
    pub fn can_resume(&self, request: RequestId, now: Instant) -> bool {
        self.request == request && self.begin().is_some_and(|began| began <= now && now - began <= MAX_AGE)
    }

    /// When the reading began.
    pub fn begin(&self) -> Option<Instant> {
        time::parse_instant(&self.began)
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.covered.is_empty() && self.queries.is_empty() && self.parts.is_empty()
    }

    /// Notes that `query` was read completely.
    pub fn finish(&mut self, query: QueryId) {
        self.finished.insert(query);
        self.queries.remove(&query);
    }

    /// Whether `query` was read completely.
    pub fn is_finished(&self, query: QueryId) -> bool {
        self.finished.contains(&query)
    }

    /// Sets how far `query` was read.
    pub fn set_progress(&mut self, query: QueryId, progress: QueryProgress) {
        self.queries.insert(query, progress);
    }

    /// How far `query` was read.
    pub fn progress(&self, query: QueryId) -> Option<&QueryProgress> {
        self.queries.get(&query)
    }

    /// Drops how far `query` was read: it is read from its beginning.
    pub fn clear_progress(&mut self, query: QueryId) {
        self.queries.remove(&query);
    }

    /// Notes that `query` was read completely within `window`.
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

    /// Whether `query` was read completely within `window`.
    pub fn covers(&self, query: QueryId, window: TimeRange) -> bool {
        self.is_finished(query) || self.gaps(query, window).is_empty()
    }

    /// The windows within `wanted` in which `query` is still to be read, in order.
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

    /// Notes that a part of `query` was read completely.
    pub fn finish_part(&mut self, query: QueryId, part: FinishedPart) {
        let parts = self.parts.entry(query).or_default();
        parts.retain(|known| known.param != part.param || known.values != part.values);
        parts.push(part);
    }

    /// The parts of `query` that were read completely.
    pub fn parts(&self, query: QueryId) -> &[FinishedPart] {
        self.parts.get(&query).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The ends of a window; open ones are the least and the greatest second that there is.
fn bounds(window: TimeRange) -> (i64, i64) {
    (window.from.unwrap_or(i64::MIN), window.to.unwrap_or(i64::MAX))
}

/// The window with these ends.
fn range(from: i64, to: i64) -> TimeRange {
    TimeRange { from: (from != i64::MIN).then_some(from), to: (to != i64::MAX).then_some(to) }
}

/// Numbers as the Base64 of their bytes: a third of their decimal digits.
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
    fn gaps_are_the_complement_of_what_is_covered() {
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
    fn gaps_lie_within_what_is_wanted() {
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
        fn covering_is_a_union_whatever_the_order(
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
            checkpoint.finish_part(QueryId::default(), FinishedPart { param: "p".into(), values: vec!["a".into()], keys });
            let text = serde_json::to_string(&checkpoint).unwrap();
            prop_assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
        }
    }
}
