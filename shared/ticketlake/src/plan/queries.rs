//! The queries of a plan: the templates of the endpoint with the values of their placeholders.

use std::collections::BTreeMap;

use manifest::query::join_params;
use manifest::template::param_text;
use manifest::time::TimeRange;
use manifest::{Body, BodyTemplate, Cursor, Query, Template, TimeParams, Undated};
use serde_json::{Map, Value};

use super::filter;
use super::parent_record::ParentRecord;
use super::planned_query::{PlannedQuery, QueryKind, TimeSplit, Unsendable};
use super::range::seconds;
use super::resource_plan::Plan;
use crate::state::Interval;

/// What distinguishes one query of a resource without a parent from the others.
#[derive(Clone, Copy, Debug)]
struct Variant<'p> {
    kind: QueryKind,
    /// The records without a date that the query requests, with their parameters. `None` if it requests records by their dates.
    undated: Option<&'p Undated>,
    /// How the query is split by time. `None` if it is not.
    time: Option<TimeSplit<'p>>,
    /// The range of the query.
    range: Interval,
}

impl<'p> Plan<'p> {
    /// Returns the number of queries.
    pub fn len(&self) -> usize {
        match &self.resource.parent {
            Some(_) => self.batches.len(),
            None => self.variants().len(),
        }
    }

    /// Returns whether the plan has no query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the query number `index`, which is less than [`Plan::len`]. Queries are not stored: a plan can have 100,000 of them.
    ///
    /// # Errors
    ///
    /// An error that names the value that cannot be sent.
    pub fn query(&self, index: usize) -> Result<PlannedQuery<'p>, Unsendable> {
        let batch = self.batches.get(index);
        let parents = batch.map_or(&[][..], |batch| &self.parents[batch.parents.clone()]);
        let variant = if self.resource.parent.is_some() { None } else { self.variants().get(index).copied() };
        let range = batch.map(|batch| batch.range).or(variant.map(|variant| variant.range)).unwrap_or(self.wanted);
        let undated = variant.and_then(|variant| variant.undated);
        let kind = variant.map_or(QueryKind::Range, |variant| variant.kind);
        let time = match variant {
            Some(variant) => variant.time,
            None => self.resource.slices.time.as_ref().map(|time| time_split(time, &range)),
        };
        let base = self.base_query(parents, &range, undated)?;
        let calendar = self.calendar(kind, base.id());
        let mut query = match time {
            Some(TimeSplit { time, window }) => base.within(time, window),
            None => base,
        };
        if time.is_some() && kind != QueryKind::Range {
            // Two queries can have the same time window, so that the window alone does not identify them.
            let undated = undated.map(|undated| format!(" {}", join_params(&undated.params))).unwrap_or_default();
            query.label = format!("{}{undated} {}", kind.label(), query.label);
        }
        // The time range only limits a query with a parent. The query is not split by time, since it is one of many by its parent.
        let time = if variant.is_some() { time } else { None };
        Ok(PlannedQuery { kind, query, time, calendar })
    }

    /// Returns the query without a time range.
    ///
    /// # Errors
    ///
    /// An error that names the value that cannot be sent.
    pub fn unbounded_query(&self) -> Result<Query, Unsendable> {
        let unbounded = Self { wanted: Interval::ALL, ranges: vec![Interval::ALL], changes: None, ..self.clone() };
        unbounded.query(0).map(|planned| planned.query)
    }

    /// Returns the range of the query number `index`. `None` if it reads records without a date.
    pub(super) fn range_of(&self, index: usize) -> Option<Interval> {
        if let Some(batch) = self.batches.get(index) {
            return Some(batch.range);
        }
        self.variants().get(index).filter(|variant| variant.undated.is_none()).map(|variant| variant.range)
    }

    /// Returns the variants of the query of a resource without a parent.
    fn variants(&self) -> Vec<Variant<'p>> {
        if let Some(changes) = &self.changes {
            return self.change_variants(changes.announced.map(|since| since.timestamp()), changes.near);
        }
        let slices = &self.resource.slices;
        let dated = self.ranges.iter().map(|range| Variant {
            kind: QueryKind::Range,
            undated: None,
            time: slices.time.as_ref().map(|time| time_split(time, range)),
            range: *range,
        });
        let mut variants: Vec<Variant<'p>> = dated.collect();
        // Records without a date may get one in the future, so they belong to a range without an end.
        if let Some(range) = self.ranges.last().filter(|range| range.end().is_none()) {
            variants.extend(slices.undated.iter().map(|undated| Variant {
                kind: QueryKind::Range,
                undated: Some(undated),
                time: undated.time.as_ref().map(|time| TimeSplit { time, window: TimeRange::ALL }),
                range: *range,
            }));
        }
        variants
    }

    /// Returns the variants for the records announced since `announced` and for those in the window `near`.
    fn change_variants(&self, announced: Option<i64>, near: Option<TimeRange>) -> Vec<Variant<'p>> {
        let mut variants = Vec::new();
        let declared = self.resource.refresh.as_ref().and_then(|refresh| refresh.announced.as_ref());
        if let (Some(declared), Some(since)) = (declared, announced) {
            let window = TimeRange { from: Some(since), to: None };
            let time = Some(TimeSplit { time: &declared.time, window });
            let range = self.wanted;
            variants.push(Variant { kind: QueryKind::Announced, undated: None, time, range });
            // A record without a date is in no query by dates, and so not in the one above.
            let undated = self.resource.slices.undated.iter();
            variants.extend(undated.map(|undated| Variant {
                kind: QueryKind::Announced,
                undated: Some(undated),
                time,
                range,
            }));
        }
        if let (Some(time), Some(window)) = (&self.resource.slices.time, near) {
            let time = Some(TimeSplit { time, window });
            variants.push(Variant { kind: QueryKind::Near, undated: None, time, range: self.wanted });
        }
        variants
    }

    /// Returns the query for `parents` in `range`, without the parameters that it is split by.
    fn base_query(
        &self,
        parents: &[ParentRecord],
        range: &Interval,
        undated: Option<&Undated>,
    ) -> Result<Query, Unsendable> {
        let label = self.label(parents, range, undated);
        let bind = |name: &str| self.value(name, parents, range);
        let endpoint = &self.resource.endpoint;
        let mut query = Query::new(self.scope, label);
        let unsendable = |reason| Unsendable { label: query.label.clone(), reason };
        query.path = endpoint.path.render_path(&bind).map_err(unsendable)?;
        query.params = filter::render_all(&endpoint.params, &bind);
        query.body = endpoint.body.as_ref().and_then(|body| render_body(body, &bind));
        query.headers = filter::render_all(&endpoint.headers, &bind);
        query.parent_fields = self.parent_fields(parents);
        (query.start, query.end) = (range.start(), range.end());
        if let Some(incremental) = &endpoint.incremental {
            let start = range.start().map(|start| start.format(incremental.format));
            let end = range.end().map(|end| end.format_end(incremental));
            for (param, value) in [(&incremental.start_param, start), (&incremental.end_param, end)] {
                query.params.extend(param.clone().zip(value.as_ref().map(param_text)));
            }
        }
        self.add_filters(&mut query.params, &mut query.body);
        if let Some(undated) = undated {
            query.params.extend(undated.params.clone());
        }
        Ok(query)
    }

    /// Returns the value of the placeholder `name`.
    fn value(&self, name: &str, parents: &[ParentRecord], range: &Interval) -> Option<Value> {
        if let Some(setting) = name.strip_prefix("settings.") {
            return self.manifest.values.get(setting).map(|value| value.as_str().into());
        }
        if let Some((_, field)) = name.strip_prefix("resources.").and_then(|rest| rest.split_once('.')) {
            let parent = self.resource.parent.as_ref()?;
            let mut values = parents.iter().filter_map(|parent| parent.fields.get(field).cloned());
            return match parent.batch {
                Some(_) => Some(values.collect()),
                None => values.next(),
            };
        }
        let incremental = self.resource.endpoint.incremental.as_ref()?;
        match name {
            "incremental.start_value" | "incremental.last_value" => Some(range.start()?.format(incremental.format)),
            "incremental.initial_value" => Some(incremental.initial_value?.format(incremental.format)),
            "incremental.end_value" => Some(range.end()?.format_end(incremental)),
            _ => None,
        }
    }

    /// Returns the label of a query, for reports and logs.
    fn label(&self, parents: &[ParentRecord], range: &Interval, undated: Option<&Undated>) -> String {
        if let Some(undated) = undated {
            return join_params(&undated.params);
        }
        let edge = |cursor: Option<Cursor>| cursor.map_or_else(|| "..".to_owned(), |cursor| cursor.to_string());
        let range = match (range.start(), range.end()) {
            (None, None) => "all".to_owned(),
            (start, end) => format!("{}/{}", edge(start), edge(end)),
        };
        let parent = self.resource.parent.as_ref().map_or("", |parent| parent.resource.as_str());
        match parents {
            [] => range,
            [only] => format!("{parent} {}: {range}", only.key),
            [first, .., last] => format!("{} {parent}, {} to {}: {range}", parents.len(), first.key, last.key),
        }
    }

    /// Adds the conditions of the request.
    fn add_filters(&self, params: &mut BTreeMap<String, String>, body: &mut Option<Body>) {
        for (name, value) in &self.request.params {
            if let Some(filter) = self.resource.endpoint.filters.get(name).filter(|filter| filter.parent.is_none()) {
                filter::apply(filter, name, value, params, body);
            }
        }
    }

    /// Returns the fields of the parent that each record gets (`include_from_parent`).
    fn parent_fields(&self, parents: &[ParentRecord]) -> Map<String, Value> {
        let (Some(declared), [parent]) = (&self.resource.parent, parents) else { return Map::new() };
        let included = declared.include.iter();
        included.filter_map(|field| Some((declared.column(field), parent.fields.get(field)?.clone()))).collect()
    }
}

/// Returns the split by the parameters `time` over `range`.
fn time_split<'p>(time: &'p TimeParams, range: &Interval) -> TimeSplit<'p> {
    let (from, to) = seconds(range);
    TimeSplit { time, window: TimeRange { from, to } }
}

/// Returns the body of the request. `None` if a placeholder has no value.
fn render_body(body: &BodyTemplate, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Body> {
    let render = |template: &Template| template.render(bind);
    Some(match body {
        BodyTemplate::Json(template) => Body::Json(render(template)?),
        BodyTemplate::Data(template) => match render(template)? {
            Value::Object(fields) => {
                Body::Form(fields.iter().map(|(name, value)| (name.clone(), param_text(value))).collect())
            }
            value => Body::Text(param_text(&value)),
        },
    })
}
