//! The progress of an interrupted read: what the next run of the same request does not read again.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use client::Position;
use manifest::time::{self, Instant, TimeRange};
use manifest::{QueryId, Resource};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::packed_keys;
use super::window_records::CoveredWindows;
use crate::clock::CLOCK_TOLERANCE;
use crate::evidence::{ProvenQuery, StoredEvidence, Unproven};
use crate::request::RequestId;

/// The greatest age of a read that is resumed. The records of an older one are too old to be combined with new ones.
const MAX_AGE: TimeDelta = TimeDelta::days(7);

/// The saved progress of a read over several runs. Everything that it names is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The id of the records that are read.
    pub request: RequestId,
    /// A hash of the resource's declaration. Another declaration gives records other keys, and other rows.
    resource: u64,
    /// The start of the first run, RFC 3339.
    pub began: String,
    /// The queries that are complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    finished: BTreeMap<QueryId, FinishedQuery>,
    /// The time windows that are complete, by query that is split by time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    covered: BTreeMap<QueryId, CoveredWindows>,
    /// The progress of queries that are not complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    queries: BTreeMap<QueryId, QueryProgress>,
    /// The progress of queries that are split by their parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<QueryId, SplitProgress>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// The digest of the seen keys, which are stored in another object. It is `None` during a run, since a run that is killed has not stored
    /// the keys of the queries that its checkpoint names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_keys: Option<u64>,
    /// The number of the reading among those of its table, if it may remove or mark rows at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<u64>,
}

/// The progress of a query: everything up to the end of a page was read. The page itself is read again, to see whether the list has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryProgress {
    /// The position of the page.
    pub position: Position,
    /// The number of records received before the page.
    pub before: u64,
    /// The evidence of all pages so far, with that page.
    pub evidence: StoredEvidence,
}

/// A query that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedQuery {
    /// Whether the query is proven.
    pub proof: ProvenQuery,
    /// Its records, if those of other queries can have the same keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<StoredEvidence>,
}

/// The progress of a query that is split by its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SplitProgress {
    /// The total before the first subquery was read. `None` for a query that is itself a subquery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// The complete subqueries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    finished: Vec<FinishedSubquery>,
}

/// A complete subquery of a query that is split by its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedSubquery {
    /// The parameter that the query is split by.
    pub param: String,
    /// The values of that parameter.
    pub values: Vec<String>,
    /// The hashes of the keys received. Subqueries can have records in common, so the numbers of records cannot be added.
    #[serde(with = "packed_keys")]
    pub keys: Vec<u64>,
}

impl Checkpoint {
    /// Creates the checkpoint of a read of `request` for `resource` that begins at `now`.
    pub fn new(request: RequestId, resource: &Resource, now: Instant) -> Self {
        Self {
            request,
            resource: hash(resource),
            began: time::format_instant(now),
            finished: BTreeMap::new(),
            covered: BTreeMap::new(),
            queries: BTreeMap::new(),
            parts: BTreeMap::new(),
            newest: None,
            seen_keys: None,
            reading: None,
        }
    }

    /// Returns whether a read of `request` for `resource` can resume from this checkpoint at `now`.
    pub fn can_resume(&self, request: RequestId, resource: &Resource, now: Instant) -> bool {
        self.request == request
            && self.resource == hash(resource)
            && self.begin().is_some_and(|began| began <= now && now - began <= MAX_AGE)
    }

    /// Returns whether no read can resume from this checkpoint: it is too old at `now`, or the clock of its run was wrong.
    pub fn is_expired(&self, now: Instant) -> bool {
        self.begin().is_none_or(|began| now - began > MAX_AGE || began - now > CLOCK_TOLERANCE)
    }

    /// Returns whether this read, which is complete, has read all queries of `other`. Which of the two began later does not matter, and the
    /// clocks of two machines may not say it: a run that still reads `other` saves its checkpoint again.
    pub fn supersedes(&self, other: &Self) -> bool {
        let is_finished = |query: &QueryId| self.finished.contains_key(query);
        let mut queries = other.finished.keys().chain(other.covered.keys()).chain(other.queries.keys()).peekable();
        // The subqueries of a query are queries, too, and have no entry of their own in a complete read.
        let has_read_all = match queries.peek() {
            Some(_) => queries.all(is_finished),
            None => other.parts.keys().any(is_finished),
        };
        has_read_all && self.resource == other.resource
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
    pub fn finish(&mut self, query: QueryId, finished: FinishedQuery) {
        self.finished.insert(query, finished);
        self.queries.remove(&query);
        self.covered.remove(&query);
        self.parts.remove(&query);
    }

    /// Returns `query` if it is complete.
    pub fn finished(&self, query: QueryId) -> Option<&FinishedQuery> {
        self.finished.get(&query)
    }

    /// Returns all complete queries.
    pub fn all_finished(&self) -> impl Iterator<Item = (QueryId, &FinishedQuery)> {
        self.finished.iter().map(|(id, finished)| (*id, finished))
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

    /// Records that `query` is complete in `window`, whose records have the key hashes `keys`. `total_limit` is the total at which the API
    /// stops counting.
    pub fn cover(&mut self, query: QueryId, window: TimeRange, keys: &HashSet<u64>, total_limit: Option<u64>) {
        self.covered.entry(query).or_default().add(window, keys, total_limit);
    }

    /// Records that a window of `query` proves nothing about its records, for this reason.
    pub fn set_window_unproven(&mut self, query: QueryId, reason: Unproven) {
        let known = &mut self.covered.entry(query).or_default().unproven;
        // An ignored response says the least.
        if *known != Some(Unproven::Ignored) {
            *known = Some(reason);
        }
    }

    /// Sets the total of `query` before its windows were read.
    pub fn set_window_total(&mut self, query: QueryId, total: Option<u64>) {
        self.covered.entry(query).or_default().total = total;
    }

    /// Returns the complete windows of `query`.
    pub fn windows(&self, query: QueryId) -> Option<&CoveredWindows> {
        self.covered.get(&query)
    }

    /// Removes the windows of `query`, which are then read again.
    pub fn clear_windows(&mut self, query: QueryId) {
        self.covered.remove(&query);
    }

    /// Returns whether `query` is complete in `window`.
    pub fn covers(&self, query: QueryId, window: TimeRange) -> bool {
        self.finished(query).is_some() || self.gaps(query, window).is_empty()
    }

    /// Returns the windows within `wanted` that `query` does not cover, in order.
    pub fn gaps(&self, query: QueryId, wanted: TimeRange) -> Vec<TimeRange> {
        match self.covered.get(&query) {
            Some(covered) => covered.gaps(wanted),
            None => CoveredWindows::default().gaps(wanted),
        }
    }

    /// Records that a subquery of `query` is complete.
    pub fn finish_subquery(&mut self, query: QueryId, subquery: FinishedSubquery) {
        let finished = &mut self.parts.entry(query).or_default().finished;
        finished.retain(|earlier| earlier.param != subquery.param || earlier.values != subquery.values);
        finished.push(subquery);
    }

    /// Returns the complete subqueries of `query`.
    pub fn subqueries(&self, query: QueryId) -> &[FinishedSubquery] {
        self.parts.get(&query).map(|progress| progress.finished.as_slice()).unwrap_or_default()
    }

    /// Sets the total of `query` before its subqueries were read.
    pub fn set_split_total(&mut self, query: QueryId, total: u64) {
        self.parts.entry(query).or_default().total = Some(total);
    }

    /// Returns the total of `query` before its subqueries were read.
    pub fn split_total(&self, query: QueryId) -> Option<u64> {
        self.parts.get(&query)?.total
    }

    /// Removes the subqueries of all queries, which are then read again.
    pub fn clear_subqueries(&mut self) {
        self.parts.clear();
    }
}

/// Returns a hash of the declaration of a resource.
fn hash(resource: &Resource) -> u64 {
    xxh3_64(format!("{resource:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_as_it_was_written() {
        let manifest = manifest::built_in::find("ticketmaster").unwrap().unwrap();
        let resource = manifest.resource("events").unwrap();
        let mut checkpoint = Checkpoint::new(RequestId::default(), resource, Instant::default());
        let query = QueryId::default();
        checkpoint.set_window_total(query, Some(3));
        checkpoint.cover(query, TimeRange { from: None, to: Some(-3) }, &HashSet::from([1, u64::MAX]), None);
        checkpoint
            .finish_subquery(query, FinishedSubquery { param: "p".into(), values: vec!["a".into()], keys: vec![7] });
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
    }

    #[test]
    fn another_declaration_is_not_resumed() {
        let manifest = manifest::built_in::find("ticketmaster").unwrap().unwrap();
        let resource = manifest.resource("events").unwrap();
        let now = Instant::default();
        let checkpoint = Checkpoint::new(RequestId::default(), resource, now);
        assert!(checkpoint.can_resume(RequestId::default(), resource, now));
        let mut corrected = resource.clone();
        corrected.primary_key = vec!["name".into()];
        assert!(!checkpoint.can_resume(RequestId::default(), &corrected, now));
    }
}
