//! From a request and a manifest to queries that together cover what was asked for, each read to its end.
//!
//! Planning sends no request: it needs the stored progress, the manifest and the time. Of a resource with a parent, the queries follow from
//! the parent's records, which the reader fills in ([`Plan::with_parents`]).

mod check;
mod describe;
pub mod due;
mod filter;
mod query;
mod range;

use manifest::query::QueryScope;
use manifest::time::{Instant, TimeRange};
use manifest::{Cursor, Faults, Manifest, QueryId, Resource, TimeParams};
use serde_json::{Map, Value};

pub use self::check::leave_out_unsupported;
pub use self::describe::Estimate;
pub use self::due::{Changes, Due};
pub use self::filter::values;
pub use self::query::{PlannedQuery, QueryKind, TimeSplit, Unsendable};
use self::range::{has_gap, range};
use crate::request::Request;
use crate::state::{Checkpoint, Watermarks};

/// What a run will read.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    request: &'p Request,
    manifest: &'p Manifest,
    resource: &'p Resource,
    scope: QueryScope,
    /// The range's first value; `None`: from the beginning. Of a resource with a parent, each query has its own.
    start: Option<Cursor>,
    /// The range's last value; `None`: to the end.
    end: Option<Cursor>,
    moves_watermark: bool,
    /// What is read instead of everything.
    changes: Option<Changes>,
    /// Of a resource with a parent: which of the parent's records go into which query.
    batches: Vec<Batch>,
    parents: Vec<ParentRecord>,
}

/// How much a complete reading covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every record that the API has.
    Everything,
    /// The records within a window of the time that the resource is split by.
    Window(TimeRange),
}

/// A record of the parent, as far as its children need it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParentRecord {
    /// What tells it from the others.
    pub key: String,
    /// The fields that fill placeholders and those that rows keep, by their paths.
    pub fields: Map<String, Value>,
}

/// Some records of the parent that are asked for in one query, from where on.
#[derive(Clone, Debug)]
struct Batch {
    parents: std::ops::Range<usize>,
    start: Option<Cursor>,
}

impl<'p> Plan<'p> {
    /// The plan for `request` at `now`, with the watermark of the earlier runs.
    ///
    /// # Errors
    ///
    /// Everything in the request that does not go with the resource.
    pub fn new(
        request: &'p Request,
        manifest: &'p Manifest,
        resource: &'p Resource,
        watermark: Option<Cursor>,
        now: Instant,
    ) -> Result<Self, Faults> {
        let faults = check::faults(request, resource);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let (start, end) = range(request, resource, watermark, now);
        let gap = has_gap(resource, watermark, start);
        let bounded = resource.endpoint.incremental.as_ref().is_some_and(|incremental| incremental.end_value.is_some());
        let partly = leaves_out(request) || gap || (bounded && request.to.is_none());
        let moves_watermark = resource.endpoint.incremental.is_some() && !partly;
        Ok(Self { start, end, moves_watermark, ..Self::whole(request, manifest, resource) })
    }

    /// The plan to read `resource` whole, as the parent of another.
    pub fn whole(request: &'p Request, manifest: &'p Manifest, resource: &'p Resource) -> Self {
        Self {
            request,
            manifest,
            resource,
            scope: QueryScope::new(&manifest.client.base_url, &resource.endpoint, request.page_size),
            start: None,
            end: None,
            moves_watermark: false,
            changes: None,
            batches: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// The plan to read `changes` alone.
    #[must_use]
    pub fn with_changes(self, changes: Changes) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// The same plan for the parent's records `parents`, each from its own watermark on.
    #[must_use]
    pub fn with_parents(mut self, mut parents: Vec<ParentRecord>, watermarks: &Watermarks, now: Instant) -> Self {
        let batch = self.resource.parent.as_ref().and_then(|parent| parent.batch).unwrap_or(1);
        let start = |parent: &ParentRecord| range(self.request, self.resource, watermarks.get(&parent.key), now).0;
        // A record that is new has no watermark, and its past was never read: it shares no query with those that have one.
        parents.sort_by_key(|parent| (start(parent).is_some(), start(parent)));
        let mut from = 0;
        while from < parents.len() {
            let known = start(&parents[from]).is_some();
            let same = parents[from..].iter().take(batch).take_while(|parent| start(parent).is_some() == known).count();
            let in_batch = from..from + same;
            let first = parents[in_batch.clone()].iter().filter_map(start).min();
            self.batches.push(Batch { parents: in_batch, start: first });
            from += same;
        }
        self.parents = parents;
        self
    }

    /// The watermarks that the parent's records of query `index` may move to, if the query's newest record is at `newest`.
    pub fn reached_parents(&self, index: usize, newest: Cursor, watermarks: &Watermarks) -> Vec<(String, Cursor)> {
        let Some(batch) = self.batches.get(index).filter(|_| self.reads_all_of_its_parents()) else {
            return Vec::new();
        };
        let parents = self.parents[batch.parents.clone()].iter();
        let joined = parents.filter(|parent| !has_gap(self.resource, watermarks.get(&parent.key), batch.start));
        joined.map(|parent| (parent.key.clone(), newest)).collect()
    }

    /// Whether the children of the parent's records that it reads are all read: their watermarks may move also where `params` name these
    /// parents alone.
    fn reads_all_of_its_parents(&self) -> bool {
        let filters = &self.resource.endpoint.filters;
        self.request.params.keys().all(|name| filters.get(name).is_some_and(|filter| filter.parent.is_some()))
    }

    /// Whether a complete run may move the watermark: not when `params` left records out, nor when the range begins after it.
    pub fn moves_watermark(&self) -> bool {
        self.moves_watermark
    }

    /// Whether it covers every record that the API has now.
    pub fn covers_everything(&self) -> bool {
        let start = self.start.is_some() || self.batches.iter().any(|batch| batch.start.is_some());
        !start && self.end.is_none() && self.changes.is_none() && !leaves_out(self.request)
    }

    /// Whether it reads the newly announced records and those of a near window, instead of everything.
    pub fn is_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Whether the request leaves no records out of its range.
    pub fn is_unfiltered(&self) -> bool {
        let ranged = self.request.from.is_some() || self.request.to.is_some();
        !ranged && self.changes.is_none() && !leaves_out(self.request)
    }

    /// Whether its queries are split by their parameters where time does not split them.
    pub fn splits_by_params(&self) -> bool {
        !self.resource.slices.then.is_empty() || !self.resource.slices.reverse.is_empty()
    }

    /// Whether every query of `kind` was read completely, as `checkpoint` says.
    pub fn has_read(&self, kind: QueryKind, checkpoint: &Checkpoint) -> bool {
        let queries = (0..self.len()).map(|index| self.query(index));
        queries.flatten().filter(|planned| planned.kind == kind).all(|planned| {
            let window = planned.time.map_or(TimeRange::ALL, |time| time.window);
            checkpoint.covers(planned.query.id(), window)
        })
    }

    /// How the queries of `resource` are split by time, and the window that all of them cover.
    fn time_split(&self, time: &'p TimeParams) -> TimeSplit<'p> {
        TimeSplit { time, window: TimeRange { from: seconds(self.start), to: seconds(self.end) } }
    }

    /// The id under which the calendar of a query is kept for the next run: that of the query without its window. `None`: `params`, or
    /// the time when records were announced, leave some out, which makes another calendar.
    fn calendar(&self, kind: QueryKind, base: QueryId) -> Option<QueryId> {
        (kind != QueryKind::Announced && !leaves_out(self.request)).then_some(base)
    }
}

/// Whether `params` ask for some records only.
fn leaves_out(request: &Request) -> bool {
    !request.params.is_empty()
}

/// The second of a cursor that is a time.
fn seconds(cursor: Option<Cursor>) -> Option<i64> {
    cursor.and_then(Cursor::instant).map(|instant| instant.timestamp())
}

#[cfg(test)]
mod tests;
