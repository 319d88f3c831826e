//! One query: the endpoint's templates with everything filled in.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Map, Value};

use super::{ParentRow, Plan, filter};
use manifest::Cursor;
use client::Body;
use manifest::template::plain;
use manifest::{BodyTemplate, Incremental, RowOrder, Template, TimeEnds, TimeParams, Undated};
use manifest::time;

/// One query, to be read to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// For messages and the report: its window, its extra parameters, its parent.
    pub name: String,
    /// The path, or a whole address.
    pub path: String,
    /// Query parameters without page and key.
    pub params: BTreeMap<String, String>,
    /// Headers beside the client's.
    pub headers: BTreeMap<String, String>,
    /// The body without page.
    pub body: Option<Body>,
    /// What each record takes over from its parent, by the column's name.
    pub stamp: Map<String, Value>,
    /// The range's first value.
    pub start: Option<Cursor>,
    /// The range's last value.
    pub end: Option<Cursor>,
    /// The window of a deeper query that it is all of, or a part.
    pub part_of: Option<Part>,
}

/// A window of a query that is cut by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// The query's name.
    pub query: String,
    /// The window's first second since 1970; `None`: from the beginning.
    pub from: Option<i64>,
    /// Its last; `None`: to the end.
    pub to: Option<i64>,
}

impl Slice {
    /// Whether a record lies beyond the end of a range that is read in order. The last page has such ones, where the API has no
    /// parameter for the end.
    pub(crate) fn ends_before(&self, cursor: Cursor, incremental: &Incremental) -> bool {
        // A cursor that goes down has its range's start at the top.
        let (first, last) = if incremental.descending { (self.end, self.start) } else { (self.start, self.end) };
        match incremental.row_order {
            Some(RowOrder::Asc) => last.is_some_and(|last| cursor > last),
            Some(RowOrder::Desc) => first.is_some_and(|first| cursor < first),
            None => false,
        }
    }
}

impl Plan<'_> {
    /// The query number `index`, below [`Plan::len`]. An error says which value cannot be sent.
    pub fn slice(&self, index: usize) -> Result<Slice, (String, String)> {
        let batch = self.batches.get(index);
        let rows = batch.map_or(&[][..], |batch| &self.rows[batch.rows.clone()]);
        let start = batch.map_or(self.start, |batch| batch.start);
        let query = self.query(index);
        let extra = query.and_then(|query| query.extra);
        let name = self.name(rows, start, extra);
        let bind = |name: &str| self.value(name, rows, start);
        let endpoint = &self.resource.endpoint;
        let path = endpoint.path.render_path(&bind).map_err(|reason| (name.clone(), reason))?;
        let mut params = filter::rendered(&endpoint.params, &bind);
        let mut body = endpoint.body.as_ref().and_then(|body| rendered_body(body, &bind));
        if let Some(incremental) = &endpoint.incremental {
            for (param, cursor) in [(&incremental.params.0, start), (&incremental.params.1, self.end)] {
                if let (Some(param), Some(cursor)) = (param, cursor) {
                    params.insert(param.clone(), plain(&cursor.written(incremental.format)));
                }
            }
        }
        self.add_filters(&mut params, &mut body);
        if let Some(extra) = extra {
            params.extend(extra.params.clone());
        }
        let headers = filter::rendered(&endpoint.headers, &bind);
        let mut slice =
            Slice { name, path, params, headers, body, stamp: self.stamp(rows), start, end: self.end, part_of: None };
        let time = match query {
            Some(query) => query.time,
            None => self.resource.slices.time.as_ref().map(|time| (time, seconds(start), seconds(self.end))),
        };
        if let Some((time, from, to)) = time {
            slice = slice.within(time, from, to);
            let label = query.map_or("", |query| query.label);
            if !label.is_empty() {
                // Windows of different queries can have the same ends.
                let undated = extra.map(|extra| format!(" {}", joined(&extra.params))).unwrap_or_default();
                slice.name = format!("{label}{undated} {}", slice.name);
            }
        }
        Ok(slice)
    }

    /// The query that leaves no record out by time. An error says which value cannot be sent.
    pub fn base(&self) -> Result<Slice, (String, String)> {
        Self { start: None, end: None, changes: None, ..self.clone() }.slice(0)
    }

    /// How query `index` is cut by time, and the range that it covers, in seconds since 1970; `None`: it is not.
    pub fn cut_by(&self, index: usize) -> Option<(&TimeParams, Option<i64>, Option<i64>)> {
        self.query(index)?.time
    }

    /// Whether its queries are cut by their parameters where time does not cut them.
    pub fn is_cut_by_params(&self) -> bool {
        !self.resource.slices.then.is_empty() || !self.resource.slices.reverse.is_empty()
    }

    /// What a placeholder stands for.
    fn value(&self, name: &str, rows: &[ParentRow], start: Option<Cursor>) -> Option<Value> {
        if let Some(setting) = name.strip_prefix("settings.") {
            return self.manifest.values.get(setting).map(|value| value.as_str().into());
        }
        if let Some(field) = name.strip_prefix("resources.").and_then(|rest| rest.split_once('.')) {
            let parent = self.resource.parent.as_ref()?;
            let mut values = rows.iter().filter_map(|row| row.fields.get(field.1).cloned());
            return match parent.batch {
                Some(_) => Some(values.collect()),
                None => values.next(),
            };
        }
        let incremental = self.resource.endpoint.incremental.as_ref()?;
        let cursor = match name {
            "incremental.start_value" | "incremental.last_value" => start,
            "incremental.initial_value" => incremental.initial_value,
            "incremental.end_value" => self.end,
            _ => None,
        };
        Some(cursor?.written(incremental.format))
    }

    fn name(&self, rows: &[ParentRow], start: Option<Cursor>, extra: Option<&Undated>) -> String {
        if let Some(extra) = extra {
            return joined(&extra.params);
        }
        let edge = |cursor: Option<Cursor>| cursor.map_or_else(|| "..".to_owned(), |cursor| cursor.to_string());
        let window = match (start, self.end) {
            (None, None) => "all".to_owned(),
            (start, end) => format!("{}/{}", edge(start), edge(end)),
        };
        let parent = self.resource.parent.as_ref().map_or("", |parent| parent.resource.as_str());
        match rows {
            [] => window,
            [row] => format!("{parent} {}: {window}", row.key),
            [first, .., last] => format!("{} {parent}, {} to {}: {window}", rows.len(), first.key, last.key),
        }
    }

    fn add_filters(&self, params: &mut BTreeMap<String, String>, body: &mut Option<Body>) {
        for (name, value) in &self.request.params {
            if let Some(filter) = self.resource.endpoint.filters.get(name).filter(|filter| filter.parent.is_none()) {
                filter::apply(filter, name, value, params, body);
            }
        }
    }

    fn stamp(&self, rows: &[ParentRow]) -> Map<String, Value> {
        let (Some(parent), [row]) = (&self.resource.parent, rows) else { return Map::new() };
        let included = parent.include.iter();
        included.filter_map(|field| Some((parent.column(field), row.fields.get(field)?.clone()))).collect()
    }
}

impl Slice {
    /// The same query within a window of time, in seconds since 1970, both ends inclusive. Open ends are not sent.
    pub fn within(&self, time: &TimeParams, from: Option<i64>, to: Option<i64>) -> Self {
        let mut slice = self.clone();
        let written = |seconds: i64| DateTime::from_timestamp(seconds, 0).map(time::format_seconds);
        let (from, to) = (from.and_then(written), to.and_then(written));
        if from.is_none() && to.is_none() {
            return slice;
        }
        let edge = |end: &Option<String>| end.clone().unwrap_or_else(|| "..".into());
        slice.name = format!("{}/{}", edge(&from), edge(&to));
        match &time.ends {
            TimeEnds::Pair { start_param, end_param } => {
                slice.params.extend(from.map(|from| (start_param.clone(), from)));
                slice.params.extend(to.map(|to| (end_param.clone(), to)));
            }
            TimeEnds::Range { param } => {
                let open = |end: Option<String>| end.unwrap_or_else(|| "*".into());
                slice.params.insert(param.clone(), format!("{},{}", open(from), open(to)));
            }
        }
        slice
    }

    /// The same query for some values of a parameter.
    pub fn with(&self, param: &str, values: &[String]) -> Self {
        let mut slice = self.clone();
        slice.name = format!("{}{}", self.part_prefix(param), values.join(","));
        slice.params.insert(param.to_owned(), values.join(","));
        slice
    }

    /// What the names of the parts begin with that this query is cut into by `param`.
    pub fn part_prefix(&self, param: &str) -> String {
        format!("{} {param}=", self.name)
    }
}

fn joined(params: &BTreeMap<String, String>) -> String {
    params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

pub(super) fn seconds(cursor: Option<Cursor>) -> Option<i64> {
    cursor.and_then(Cursor::instant).map(|instant| instant.timestamp())
}

fn rendered_body(body: &BodyTemplate, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Body> {
    let render = |template: &Template| template.render(bind);
    Some(match body {
        BodyTemplate::Json(template) => Body::Json(render(template)?),
        BodyTemplate::Data(template) => match render(template)? {
            Value::Object(fields) => {
                Body::Form(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
            }
            value => Body::Text(plain(&value)),
        },
    })
}
