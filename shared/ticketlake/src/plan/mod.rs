//! From a request and a manifest to slices: queries that together cover what was asked for, each read to its end.

pub mod calendar;
mod changes;
mod density;
mod describe;
mod filter;
mod slice;
pub mod sweep;

use serde_json::{Map, Value};

pub use self::changes::Changes;
pub use self::describe::Estimate;
pub use self::filter::values;
pub use self::slice::{Part, Slice};
use manifest::Cursor;
use manifest::{Fault, Faults};
use manifest::{CursorKind, Manifest, PageSize, Place, Resource, TimeEnds, TimeParams, Undated, nearest};
use crate::request::Request;
use crate::state::Watermarks;

/// What a run will read.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    request: &'p Request,
    manifest: &'p Manifest,
    resource: &'p Resource,
    /// The range's first value; `None`: from the beginning. Of a resource with a parent, each query has its own.
    pub start: Option<Cursor>,
    /// The range's last value; `None`: to the end.
    pub end: Option<Cursor>,
    /// Whether a complete run may move the watermark: not when `params` left records out, nor when the range begins after it.
    pub moves_watermark: bool,
    /// What it reads instead of everything.
    changes: Option<Changes>,
    /// Of a resource with a parent: which of its records go into which query.
    batches: Vec<Batch>,
    rows: Vec<ParentRow>,
}

/// One query of a resource without a parent.
#[derive(Clone, Copy, Debug)]
struct Query<'p> {
    /// Before its name.
    label: &'static str,
    /// What it asks for beside the resource's own parameters.
    extra: Option<&'p Undated>,
    /// The time that it can be cut by, and the range of it that it covers, in seconds since 1970.
    time: Option<(&'p TimeParams, Option<i64>, Option<i64>)>,
}

/// A record of the parent, as far as its children need it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParentRow {
    /// What tells it from the others.
    pub key: String,
    /// The fields that fill placeholders and those that rows keep, by their paths.
    pub fields: Map<String, Value>,
}

/// Some records of the parent that are asked for in one query, from where on.
#[derive(Clone, Debug)]
struct Batch {
    rows: std::ops::Range<usize>,
    start: Option<Cursor>,
}

impl<'p> Plan<'p> {
    /// The plan for `request`, with what the watermark of the last run says.
    pub fn new(
        request: &'p Request,
        manifest: &'p Manifest,
        resource: &'p Resource,
        watermark: Option<Cursor>,
    ) -> Result<Self, Faults> {
        let faults = faults(request, resource);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let (start, end) = range(request, resource, watermark);
        let gap = is_gap(resource, watermark, start);
        let bounded = resource.endpoint.incremental.as_ref().is_some_and(|incremental| incremental.end_value.is_some());
        let partly = leaves_out(request) || gap || (bounded && request.to.is_none());
        let moves_watermark = resource.endpoint.incremental.is_some() && !partly;
        let (batches, rows) = (Vec::new(), Vec::new());
        Ok(Self { request, manifest, resource, start, end, moves_watermark, changes: None, batches, rows })
    }

    /// The plan to read `resource` whole, as the parent of another.
    pub fn whole(request: &'p Request, manifest: &'p Manifest, resource: &'p Resource) -> Self {
        Self {
            request,
            manifest,
            resource,
            start: None,
            end: None,
            moves_watermark: false,
            changes: None,
            batches: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The same plan for the parent's records `rows`, each from its own watermark on.
    pub fn with_parents(mut self, mut rows: Vec<ParentRow>, watermarks: &Watermarks) -> Self {
        let batch = self.resource.parent.as_ref().and_then(|parent| parent.batch).unwrap_or(1);
        let start = |row: &ParentRow| range(self.request, self.resource, watermarks.of(&row.key)).0;
        // A record that is new has no watermark, and its past was never read: it shares no query with those that have one.
        rows.sort_by_key(|row| (start(row).is_some(), start(row)));
        let mut from = 0;
        while from < rows.len() {
            let known = start(&rows[from]).is_some();
            let same = rows[from..].iter().take(batch).take_while(|row| start(row).is_some() == known).count();
            let rows_of = from..from + same;
            let first = rows[rows_of.clone()].iter().filter_map(start).min();
            self.batches.push(Batch { rows: rows_of, start: first });
            from += same;
        }
        self.rows = rows;
        self
    }

    /// The watermarks that the parent's records of query `index` may move to, if its newest record is at `newest`.
    pub fn reached(&self, index: usize, newest: Cursor, watermarks: &Watermarks) -> Vec<(String, Cursor)> {
        let Some(batch) = self.batches.get(index).filter(|_| self.reads_all_of_its_parents()) else {
            return Vec::new();
        };
        let rows = self.rows[batch.rows.clone()].iter();
        let joined = rows.filter(|row| !is_gap(self.resource, watermarks.of(&row.key), batch.start));
        joined.map(|row| (row.key.clone(), newest)).collect()
    }

    /// How many queries it has.
    pub fn len(&self) -> usize {
        match &self.resource.parent {
            Some(_) => self.batches.len(),
            None => self.queries().len(),
        }
    }

    /// Whether there is nothing to ask for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the children of the parent's records that it reads are all read: their watermarks may move also where `params` name
    /// these parents alone.
    fn reads_all_of_its_parents(&self) -> bool {
        let filters = &self.resource.endpoint.filters;
        self.request.params.keys().all(|name| filters.get(name).is_some_and(|filter| filter.parent.is_some()))
    }

    /// The name of what query `index`, `slice`, is a part of, by which its calendar is kept for the next run; `None`: `params`, or
    /// when records were announced, leave some out, which is another calendar.
    pub fn calendar_name<'s>(&self, index: usize, slice: &'s Slice) -> Option<&'s str> {
        let query = self.query(index).filter(|_| !leaves_out(self.request))?;
        match (query.label, query.extra) {
            ("" | "near", None) => Some("dated"),
            ("", Some(_)) => Some(&slice.name),
            _ => None,
        }
    }

    /// Whether it covers every record that the API has now.
    pub fn is_everything(&self) -> bool {
        let start = self.start.is_some() || self.batches.iter().any(|batch| batch.start.is_some());
        !start && self.end.is_none() && self.changes.is_none() && !leaves_out(self.request)
    }

    /// Whether the request leaves no records out of its range.
    pub fn is_unfiltered(&self) -> bool {
        let ranged = self.request.from.is_some() || self.request.to.is_some();
        !ranged && self.changes.is_none() && !leaves_out(self.request)
    }

    /// The queries of a resource without a parent.
    fn queries(&self) -> Vec<Query<'p>> {
        if let Some(changes) = self.changes {
            return self.change_queries(changes);
        }
        let time = self.resource.slices.time.as_ref();
        let dated = time.map(|time| (time, slice::seconds(self.start), slice::seconds(self.end)));
        let mut queries = vec![Query { label: "", extra: None, time: dated }];
        // What has no date yet belongs to a range that is open towards the future.
        if self.end.is_none() {
            queries.extend(self.resource.slices.undated.iter().map(|undated| Query {
                label: "",
                extra: Some(undated),
                time: undated.time.as_ref().map(|time| (time, None, None)),
            }));
        }
        queries
    }

    fn query(&self, index: usize) -> Option<Query<'p>> {
        if self.resource.parent.is_some() { None } else { self.queries().get(index).copied() }
    }
}

/// Whether `params` ask for some records only.
fn leaves_out(request: &Request) -> bool {
    !request.params.is_empty()
}

/// Whether a range that begins at `start` leaves records after `watermark` unread.
fn is_gap(resource: &Resource, watermark: Option<Cursor>, start: Option<Cursor>) -> bool {
    let Some(incremental) = &resource.endpoint.incremental else { return false };
    match (watermark, start) {
        (Some(watermark), Some(start)) if incremental.descending => start < watermark,
        (Some(watermark), Some(start)) => start > watermark,
        _ => false,
    }
}

/// Takes out of `request`, one for several resources, what `resource` does not take; gives a warning for each.
pub fn leave_out(request: &mut Request, resource: &Resource) -> Vec<String> {
    let mut warnings = Vec::new();
    for fault in faults(request, resource) {
        match fault.place.as_str() {
            "from" => request.from = None,
            "to" => request.to = None,
            "initial_days" => request.initial_days = None,
            "retention_days" => request.retention_days = None,
            "page_size" if most_in_a_page(resource).is_none() => request.page_size = None,
            // A condition that is not kept would give more than was asked for.
            _ => continue,
        }
        warnings.push(format!("`{}` is left out: {}", fault.place, fault.message));
    }
    warnings
}

fn faults(request: &Request, resource: &Resource) -> Vec<Fault> {
    let endpoint = &resource.endpoint;
    let mut faults = Vec::new();
    let mut fault = |place: &str, message: String| faults.push(Fault::new(place, message));
    let kind = endpoint.incremental.as_ref().map(|incremental| incremental.kind);
    for (place, given) in [("from", request.from.is_some()), ("to", request.to.is_some())] {
        if given && kind.is_none() && resource.slices.time.is_none() {
            fault(place, format!("`{}` of {} has no range of time", resource.name, request.source));
        } else if given && kind == Some(CursorKind::Number) {
            fault(
                place,
                format!("the cursor of `{}` is a number, not a time; give `full` to read everything", resource.name),
            );
        }
    }
    if request.initial_days.is_some() && kind != Some(CursorKind::Instant) {
        fault("initial_days", format!("`{}` of {} has no cursor that is a time", resource.name, request.source));
    }
    if request.retention_days.is_some() && resource.passed_by.is_empty() {
        fault(
            "retention_days",
            format!(
                "`{}` of {} has no column that says when a record is past (`passed_by`)",
                resource.name, request.source
            ),
        );
    }
    if let (Some(asked), Some(most)) = (request.page_size, most_in_a_page(resource))
        && asked > most
    {
        fault("page_size", format!("{asked} is out of range for `{}`: 1 to {most}", resource.name));
    }
    if request.page_size.is_some() && most_in_a_page(resource).is_none() {
        fault("page_size", format!("`{}` of {} takes none", resource.name, request.source));
    }
    for (name, text) in &request.params {
        let wrong = endpoint.filters.get(name).and_then(|filter| filter.check.fault(text));
        if let Some(message) = wrong {
            fault(&format!("params.{name}"), message);
        }
    }
    for name in request.params.keys().filter(|name| !endpoint.filters.contains_key(*name)) {
        let known: Vec<&str> = endpoint.filters.keys().map(String::as_str).collect();
        let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let hint = instead(name, resource).unwrap_or_else(|| nearest(name, &known));
        let message = format!("`{}` does not take it; it takes: {list}{hint}", resource.name);
        fault(&format!("params.{name}"), message);
    }
    faults
}

/// What to give instead of a parameter that the run itself sets.
fn instead(name: &str, resource: &Resource) -> Option<String> {
    let endpoint = &resource.endpoint;
    let ends = resource.slices.time.as_ref().map(|time| &time.ends);
    let times = match ends {
        Some(TimeEnds::Pair { start_param, end_param }) => vec![start_param, end_param],
        Some(TimeEnds::Range { param }) => vec![param],
        None => Vec::new(),
    };
    if times.iter().any(|param| *param == name) {
        return Some(". The run sets it: give `from` and `to`".into());
    }
    if matches!(&endpoint.page_size, Some(PageSize { place: Place::Query(param), .. }) if param == name) {
        return Some(". The run sets it: give `page_size`".into());
    }
    let undated = resource.slices.undated.iter().any(|undated| undated.params.contains_key(name));
    (undated || endpoint.params.contains_key(name)).then(|| ". The manifest sets it".into())
}

/// Records that one page can have at most; `None`: the manifest does not say.
fn most_in_a_page(resource: &Resource) -> Option<u64> {
    use manifest::Paginator;
    match (&resource.endpoint.page_size, &resource.endpoint.paginator) {
        (Some(size), _) => Some(size.maximum),
        (None, Paginator::Offset { limit, .. }) => Some(*limit),
        _ => None,
    }
}

fn range(request: &Request, resource: &Resource, watermark: Option<Cursor>) -> (Option<Cursor>, Option<Cursor>) {
    let incremental = resource.endpoint.incremental.as_ref();
    let first = incremental.and_then(|incremental| {
        let days = request.initial_days.filter(|_| !request.full).and_then(chrono::TimeDelta::try_days);
        days.map(|days| Cursor::Instant(chrono::Utc::now() - days)).or(incremental.initial_value)
    });
    let start = match (request.from, request.to) {
        (Some(from), _) => Some(Cursor::Instant(from)),
        // A range that has only its end begins at the beginning, not at the watermark, which may lie after it.
        (None, Some(_)) => first,
        (None, None) => {
            let resumed = watermark.filter(|_| !request.full);
            let resumed = incremental.and_then(|incremental| Some(resumed?.less_lag(incremental)));
            resumed.or(first)
        }
    };
    let end = request.to.map(Cursor::Instant).or_else(|| incremental.and_then(|incremental| incremental.end_value));
    (start, end)
}

#[cfg(test)]
mod tests;
