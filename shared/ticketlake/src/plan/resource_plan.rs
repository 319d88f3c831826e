//! The plan of one resource: what it covers, and whether it may move a watermark.

use manifest::query::QueryScope;
use manifest::time::{Instant, TimeRange};
use manifest::{Cursor, Faults, Manifest, QueryId, Resource, TimeParams};

use super::changes::Changes;
use super::check;
use super::parent_record::ParentRecord;
use super::planned_query::{QueryKind, TimeSplit};
use super::range::{has_gap, range, seconds};
use crate::request::Request;
use crate::state::{Checkpoint, Watermarks};

/// The plan of the run of one resource.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    pub(super) request: &'p Request,
    pub(super) manifest: &'p Manifest,
    pub(super) resource: &'p Resource,
    /// What all queries of the plan have in common.
    pub(super) scope: QueryScope,
    /// The first cursor of the range. `None` if it has no beginning, or if the resource has a parent: then each batch has its own start.
    pub(super) start: Option<Cursor>,
    /// The last cursor of the range. `None` if it has no end.
    pub(super) end: Option<Cursor>,
    pub(super) moves_watermark: bool,
    /// The changes that are read. `None` if everything in the range is read.
    pub(super) changes: Option<Changes>,
    /// One batch of the parent's records for each query, if the resource has a parent.
    pub(super) batches: Vec<Batch>,
    /// The parent's records, in the order of the batches.
    pub(super) parents: Vec<ParentRecord>,
}

/// The parent's records whose children are requested with one query.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The positions of the records in [`Plan::parents`].
    pub(super) parents: std::ops::Range<usize>,
    /// The first cursor of the query. `None` if the query has no beginning.
    pub(super) start: Option<Cursor>,
}

impl<'p> Plan<'p> {
    /// Creates the plan for `request` at `now`. `watermark` is that of the earlier runs.
    ///
    /// # Errors
    ///
    /// A fault for each option that the resource does not support.
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
        let is_partial = has_conditions(request) || gap || (bounded && request.to.is_none());
        let moves_watermark = resource.endpoint.incremental.is_some() && !is_partial;
        Ok(Self { start, end, moves_watermark, ..Self::everything(request, manifest, resource) })
    }

    /// Creates the plan to read every record of `resource`, for example as the parent of another resource.
    pub fn everything(request: &'p Request, manifest: &'p Manifest, resource: &'p Resource) -> Self {
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

    /// Limits the plan to `changes`.
    #[must_use]
    pub fn with_changes(self, changes: Changes) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// Sets the parent's records. The children of each are read from their own watermark on.
    #[must_use]
    pub fn with_parents(mut self, mut parents: Vec<ParentRecord>, watermarks: &Watermarks, now: Instant) -> Self {
        let batch = self.resource.parent.as_ref().and_then(|parent| parent.batch).unwrap_or(1);
        let start = |parent: &ParentRecord| range(self.request, self.resource, watermarks.get(&parent.key), now).0;
        // The children of a new record have no watermark, and are read from the beginning. A query for them and for others would read the
        // others from the beginning, too.
        parents.sort_by_key(|parent| (start(parent).is_some(), start(parent)));
        let mut from = 0;
        while from < parents.len() {
            let has_start = start(&parents[from]).is_some();
            let alike = parents[from..].iter().take(batch);
            let same = alike.take_while(|parent| start(parent).is_some() == has_start).count();
            let in_batch = from..from + same;
            let first = parents[in_batch.clone()].iter().filter_map(start).min();
            self.batches.push(Batch { parents: in_batch, start: first });
            from += same;
        }
        self.parents = parents;
        self
    }

    /// Returns the watermarks that the query `index` allows for the children of its parent records, if its furthest cursor is `newest`.
    pub fn parent_watermarks(&self, index: usize, newest: Cursor, watermarks: &Watermarks) -> Vec<(String, Cursor)> {
        let Some(batch) = self.batches.get(index).filter(|_| self.reads_all_children()) else {
            return Vec::new();
        };
        let parents = self.parents[batch.parents.clone()].iter();
        let without_gap = parents.filter(|parent| !has_gap(self.resource, watermarks.get(&parent.key), batch.start));
        without_gap.map(|parent| (parent.key.clone(), newest)).collect()
    }

    /// Returns whether all children of the chosen parent records are read. Their watermarks may then move, even if `params` choose the
    /// parents.
    fn reads_all_children(&self) -> bool {
        let filters = &self.resource.endpoint.filters;
        self.request.params.keys().all(|name| filters.get(name).is_some_and(|filter| filter.parent.is_some()))
    }

    /// Returns whether a complete run may move the watermark. It may not if `params` exclude records, or if the range begins after the
    /// watermark.
    pub fn moves_watermark(&self) -> bool {
        self.moves_watermark
    }

    /// Returns whether the plan covers every record that the API has.
    pub fn covers_everything(&self) -> bool {
        let start = self.start.is_some() || self.batches.iter().any(|batch| batch.start.is_some());
        !start && self.end.is_none() && self.changes.is_none() && !has_conditions(self.request)
    }

    /// Returns whether the plan reads only [`Changes`].
    pub fn is_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Returns whether the plan has no condition and no range of the request.
    pub fn is_unfiltered(&self) -> bool {
        let ranged = self.request.from.is_some() || self.request.to.is_some();
        !ranged && self.changes.is_none() && !has_conditions(self.request)
    }

    /// Returns whether queries that are not split by time are split by their parameters.
    pub fn splits_by_params(&self) -> bool {
        !self.resource.slices.then.is_empty() || !self.resource.slices.reverse.is_empty()
    }

    /// Returns whether every query of `kind` was read completely, according to `checkpoint`.
    pub fn has_read(&self, kind: QueryKind, checkpoint: &Checkpoint) -> bool {
        let queries = (0..self.len()).map(|index| self.query(index));
        queries.flatten().filter(|planned| planned.kind == kind).all(|planned| {
            let window = planned.time.map_or(TimeRange::ALL, |time| time.window);
            checkpoint.covers(planned.query.id(), window)
        })
    }

    /// Returns the split by the parameters `time`, over the range of the plan.
    pub(super) fn time_split(&self, time: &'p TimeParams) -> TimeSplit<'p> {
        TimeSplit { time, window: TimeRange { from: seconds(self.start), to: seconds(self.end) } }
    }

    /// Returns the id of the calendar of a query: that of the query without its time window. `None` if the query has conditions or reads
    /// announced records only, since its records are then distributed differently.
    pub(super) fn calendar(&self, kind: QueryKind, base: QueryId) -> Option<QueryId> {
        (kind != QueryKind::Announced && !has_conditions(self.request)).then_some(base)
    }
}

/// Returns whether the request has conditions, which exclude records.
fn has_conditions(request: &Request) -> bool {
    !request.params.is_empty()
}
