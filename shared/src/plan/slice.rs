//! One query: the endpoint's templates with everything filled in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ParentRow, Plan, filter};
use crate::cursor::Cursor;
use crate::fetch::Body;
use crate::manifest::template::plain;
use crate::manifest::{BodyTemplate, Incremental, RowOrder, Template};

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
        let extra = index.checked_sub(1).filter(|_| batch.is_none()).and_then(|index| self.undated().get(index));
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
        match extra {
            Some(extra) => params.extend(extra.clone()),
            None => self.add_window(&mut params, start),
        }
        let headers = filter::rendered(&endpoint.headers, &bind);
        Ok(Slice { name, path, params, headers, body, stamp: self.stamp(rows), start, end: self.end })
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

    fn name(&self, rows: &[ParentRow], start: Option<Cursor>, extra: Option<&BTreeMap<String, String>>) -> String {
        if let Some(extra) = extra {
            return extra.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
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

    fn add_window(&self, params: &mut BTreeMap<String, String>, start: Option<Cursor>) {
        let Some(time) = &self.resource.slices.time else { return };
        for (name, cursor) in [(&time.start_param, start), (&time.end_param, self.end)] {
            if let Some(cursor) = cursor {
                params.insert(name.clone(), plain(&cursor.written(crate::manifest::CursorFormat::Rfc3339)));
            }
        }
    }

    fn stamp(&self, rows: &[ParentRow]) -> Map<String, Value> {
        let (Some(parent), [row]) = (&self.resource.parent, rows) else { return Map::new() };
        let included = parent.include.iter();
        included.filter_map(|field| Some((parent.column(field), row.fields.get(field)?.clone()))).collect()
    }
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
