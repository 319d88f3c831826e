//! The plan of one resource: what it covers, and what it proves to be read.

use std::collections::BTreeMap;

use manifest::query::QueryScope;
use manifest::time::{Instant, TimeRange};
use manifest::{Cursor, Faults, Manifest, QueryId, Resource};

use super::changes::Changes;
use super::check;
use super::parent_record::ParentRecord;
use super::planned_query::QueryKind;
use super::proven_range::{ProvenRange, RangeReading};
use super::range::wanted;
use crate::request::Request;
use crate::state::{Checkpoint, Coverage, Interval, ReadCoverage};

/// The plan of the run of one resource.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    pub(super) request: &'p Request,
    pub(super) manifest: &'p Manifest,
    pub(super) resource: &'p Resource,
    /// What all queries of the plan have in common.
    pub(super) scope: QueryScope,
    /// The cursors that the request asks for.
    pub(super) wanted: Interval,
    /// The ranges that are read, in order. If the resource has a parent, each batch has its own range instead.
    pub(super) ranges: Vec<Interval>,
    /// Whether what earlier runs have read is not read again.
    pub(super) skips_covered: bool,
    /// Whether everything in the ranges is read, so that it adds to the coverage.
    pub(super) adds_coverage: bool,
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
    /// The range of the query.
    pub(super) range: Interval,
}

impl<'p> Plan<'p> {
    /// Creates the plan for everything that `request` asks for. The read begins at `begin`: the start of its first run, if it is resumed, so
    /// that each of its runs has the same plan.
    ///
    /// # Errors
    ///
    /// A fault for each option that the resource does not support.
    pub fn new(
        request: &'p Request,
        manifest: &'p Manifest,
        resource: &'p Resource,
        begin: Instant,
    ) -> Result<Self, Faults> {
        let faults = check::faults(request, resource);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let wanted = wanted(request, resource, begin).map_err(|fault| Faults(vec![fault]))?;
        // With an end of its own, a resource is read from the same beginning each time.
        let goes_on = resource.endpoint.incremental.as_ref().is_some_and(|incremental| incremental.end_value.is_none());
        let has_range = request.from.is_some() || request.to.is_some();
        let skips_covered = goes_on && !has_range && !request.full;
        let everything = Self::everything(request, manifest, resource);
        Ok(Self { wanted, ranges: vec![wanted], skips_covered, adds_coverage: goes_on, ..everything })
    }

    /// Creates the plan to read every record of `resource`, for example as the parent of another resource.
    pub fn everything(request: &'p Request, manifest: &'p Manifest, resource: &'p Resource) -> Self {
        Self {
            request,
            manifest,
            resource,
            scope: QueryScope::new(&manifest.client.base_url, &resource.endpoint, request.page_size),
            wanted: Interval::ALL,
            ranges: vec![Interval::ALL],
            skips_covered: false,
            adds_coverage: false,
            changes: None,
            batches: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// Leaves out what earlier runs have read, unless the request has a range or asks for everything.
    #[must_use]
    pub fn without_covered(self, settled: &Coverage) -> Self {
        Self { ranges: self.missing(Some(settled)), ..self }
    }

    /// Returns the ranges to read if earlier runs have read `settled`.
    ///
    /// Each gap is a range of its own if reading can stop at the end of a gap. It costs one request more, while a range over several gaps
    /// reads again what lies between them. If reading cannot stop there, every range contains those after it, so that one from the first gap
    /// on costs least.
    fn missing(&self, settled: Option<&Coverage>) -> Vec<Interval> {
        let gaps = match settled.filter(|_| self.skips_covered) {
            Some(settled) => settled.gaps(&self.wanted),
            None => vec![self.wanted],
        };
        match gaps.as_slice() {
            [first, .., last] if !self.resource.endpoint.can_stop_at_range_end() => vec![first.span(last)],
            _ => gaps,
        }
    }

    /// Limits the plan to `changes`.
    #[must_use]
    pub fn with_changes(self, changes: Changes) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// Returns the plan before the parent's records were set.
    #[must_use]
    pub fn without_parents(&self) -> Self {
        Self { batches: Vec::new(), parents: Vec::new(), ..self.clone() }
    }

    /// Sets the parent's records. `settled` is what earlier runs have read of the children of each.
    #[must_use]
    pub fn with_parents(mut self, parents: Vec<ParentRecord>, settled: &BTreeMap<String, Coverage>) -> Self {
        let size = self.resource.parent.as_ref().and_then(|parent| parent.batch).unwrap_or(1);
        let with_ranges = |parent: ParentRecord| (self.missing(settled.get(&parent.key)), parent);
        let mut parents: Vec<(Vec<Interval>, ParentRecord)> = parents.into_iter().map(with_ranges).collect();
        // The children of a new record are read from the beginning. A query for them and for others would read the others from the beginning,
        // too. So the records of a batch have the same number of ranges, and all of them or none begin at the beginning.
        let shape = |ranges: &[Interval]| (ranges.first().and_then(Interval::start).is_some(), ranges.len());
        parents.sort_by_key(|(ranges, _)| (shape(ranges), ranges.first().map(Interval::from)));
        let mut from = 0;
        while let Some((first, _)) = parents.get(from) {
            let alike = parents[from..].iter().take(size).take_while(|(ranges, _)| shape(ranges) == shape(first));
            let alike: Vec<&[Interval]> = alike.map(|(ranges, _)| ranges.as_slice()).collect();
            let in_batch = from..from + alike.len();
            let ranges = union(&alike).into_iter();
            self.batches.extend(ranges.map(|range| Batch { parents: in_batch.clone(), range }));
            from = in_batch.end;
        }
        self.parents = parents.into_iter().map(|(_, parent)| parent).collect();
        self
    }

    /// Returns what is proven if the query number `index` was read completely, and `newest` is its furthest cursor.
    pub fn proven_by(&self, index: usize, newest: Option<Cursor>, reading: &RangeReading<'_>) -> ReadCoverage {
        let mut proven = ReadCoverage::default();
        if let Some(batch) = self.batches.get(index) {
            let settled = reading.proven(&batch.range, newest).settled;
            if let Some(settled) = settled.filter(|_| self.adds_coverage && self.reads_all_children()) {
                let parents = self.parents[batch.parents.clone()].iter();
                proven.parents = parents.map(|parent| (parent.key.clone(), Coverage::from_iter([settled]))).collect();
            }
        } else if let Some(range) = self.range_of(index).filter(|_| self.adds_coverage()) {
            let ProvenRange { read, settled } = reading.proven(&range, newest);
            proven.read.extend(read);
            proven.settled.extend(settled);
        }
        proven
    }

    /// Returns what is proven if all queries were read completely, and `newest` is the furthest cursor of all.
    pub fn proven_by_all(&self, newest: Option<Cursor>, reading: &RangeReading<'_>) -> ReadCoverage {
        let mut proven = ReadCoverage::default();
        if !self.adds_coverage() {
            return proven;
        }
        let ranges = if self.resource.parent.is_some() { std::slice::from_ref(&self.wanted) } else { &self.ranges };
        for range in ranges {
            let ProvenRange { read, settled } = reading.proven(range, newest);
            proven.read.extend(read);
            proven.settled.extend(settled);
        }
        proven
    }

    /// Returns whether all children of the chosen parent records are read. They add to the coverage of each parent record, even if `params`
    /// choose the parents.
    fn reads_all_children(&self) -> bool {
        let filters = &self.resource.endpoint.filters;
        self.request.params.keys().all(|name| filters.get(name).is_some_and(|filter| filter.parent.is_some()))
    }

    /// Returns whether a complete run adds to the coverage. It does not if `params` exclude records, if only changes are read, or if the
    /// manifest has an `end_value`.
    pub fn adds_coverage(&self) -> bool {
        self.adds_coverage && self.changes.is_none() && !has_conditions(self.request)
    }

    /// Returns whether the plan covers every record that the API has.
    pub fn covers_everything(&self) -> bool {
        let mut ranges = self.ranges.iter().chain(self.batches.iter().map(|batch| &batch.range));
        ranges.all(|range| *range == Interval::ALL) && self.changes.is_none() && !has_conditions(self.request)
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

    /// Returns the id of the calendar of a query: that of the query without its time window. `None` if the query has conditions or reads
    /// announced records only, since its records are then distributed differently.
    pub(super) fn calendar(&self, kind: QueryKind, base: QueryId) -> Option<QueryId> {
        (kind != QueryKind::Announced && !has_conditions(self.request)).then_some(base)
    }
}

/// Returns the union of the ranges of several parent records, of which each has the same number.
fn union(alike: &[&[Interval]]) -> Vec<Interval> {
    let mut union = Coverage::default();
    if let Some((first, others)) = alike.split_first() {
        for (position, range) in first.iter().enumerate() {
            let others = others.iter().filter_map(|ranges| ranges.get(position));
            union.add(others.fold(*range, |span, other| span.span(other)));
        }
    }
    union.intervals().to_vec()
}

/// Returns whether the request has conditions, which exclude records.
fn has_conditions(request: &Request) -> bool {
    !request.params.is_empty()
}
