//! From a request and a manifest to slices: queries that together cover what was asked for, each read to its end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Fault, Faults};
use crate::manifest::template::plain;
use crate::manifest::{Client, Endpoint, Filter, Resource, Template, nearest};
use crate::request::Request;
use crate::time::{self, Instant};

/// What a run will read.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The range's first instant; `None`: from the beginning.
    pub start: Option<Instant>,
    /// The range's last instant; `None`: to the end.
    pub end: Option<Instant>,
    /// Whether a complete run may move the watermark: not when `params` left records out, nor when the range begins after it.
    pub moves_watermark: bool,
    /// In the order they are read.
    pub slices: Vec<Slice>,
}

/// One query, to be read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// For messages and the report: its window or its extra parameters.
    pub name: String,
    /// Query parameters without page and key.
    pub params: BTreeMap<String, String>,
    /// The JSON body without page.
    pub body: Option<Value>,
}

impl Plan {
    /// The plan for `request`, with what the watermark of the last run says.
    pub fn new(request: &Request, resource: &Resource, watermark: Option<Instant>) -> Result<Self, Faults> {
        let endpoint = &resource.endpoint;
        let mut faults = Vec::new();
        for (place, given) in [("from", request.from.is_some()), ("to", request.to.is_some())] {
            if given && endpoint.incremental.is_none() && resource.slices.time.is_none() {
                faults
                    .push(Fault::new(place, format!("`{}` of {} has no range of time", resource.name, request.source)));
            }
        }
        for name in request.params.keys().filter(|name| !endpoint.filters.contains_key(*name)) {
            let known: Vec<&str> = endpoint.filters.keys().map(String::as_str).collect();
            let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!("`{}` does not take it; it takes: {list}{}", resource.name, nearest(name, &known));
            faults.push(Fault::new(format!("params.{name}"), message));
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let (start, end) = range(request, endpoint, watermark);
        let gap = matches!((watermark, start), (Some(watermark), Some(start)) if start > watermark);
        Ok(Self {
            start,
            end,
            moves_watermark: endpoint.incremental.is_some() && request.params.is_empty() && !gap,
            slices: slices(request, resource, start, end),
        })
    }

    /// Whether it covers every record that the API has now.
    pub fn is_everything(&self, request: &Request) -> bool {
        self.start.is_none() && self.end.is_none() && request.params.is_empty()
    }

    /// The plan as `--check` prints it.
    pub fn describe(&self, request: &Request, client: &Client, resource: &Resource) -> Value {
        json!({
            "source": request.source,
            "resource": resource.name,
            "lake": request.lake.to_string(),
            "format": request.format.name(),
            "request": format!("{} {}/{}", resource.endpoint.method.name(), client.base_url, resource.endpoint.path),
            "from": self.start.map(time::format_instant),
            "to": self.end.map(time::format_instant),
            "slices": self.slices.iter().map(|slice| slice.name.as_str()).collect::<Vec<_>>(),
            "depth_limit": resource.endpoint.depth_limit,
            "rate": client.rate.windows.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "primary_key": resource.primary_key,
            "partition": resource.partition.iter().map(|field| format!("{}={}({})", field.name, field.transform, field.from)).collect::<Vec<_>>(),
            "columns": resource.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        })
    }
}

fn range(request: &Request, endpoint: &Endpoint, watermark: Option<Instant>) -> (Option<Instant>, Option<Instant>) {
    let resumed = endpoint.incremental.as_ref().and_then(|incremental| {
        let lag = chrono::TimeDelta::seconds(i64::try_from(incremental.lag).unwrap_or(i64::MAX / 1000));
        let resumed = watermark.filter(|_| !request.full).map(|watermark| watermark - lag);
        resumed.or(incremental.initial_value)
    });
    let start = match (request.from, request.to) {
        (Some(from), _) => Some(from),
        // A range that has only its end begins at the beginning, not at the watermark, which may lie after it.
        (None, Some(_)) => endpoint.incremental.as_ref().and_then(|incremental| incremental.initial_value),
        (None, None) => resumed,
    };
    (start, request.to)
}

fn slices(request: &Request, resource: &Resource, start: Option<Instant>, end: Option<Instant>) -> Vec<Slice> {
    let endpoint = &resource.endpoint;
    let bind = |name: &str| {
        let instant = if name == "incremental.start_value" { start } else { end };
        instant.map(|instant| Value::from(time::format_seconds(instant)))
    };
    let mut params = rendered(&endpoint.params, &bind);
    let mut body = endpoint.json.as_ref().and_then(|json| json.render(&bind));
    for (name, value) in &request.params {
        if let Some(filter) = endpoint.filters.get(name) {
            apply(filter, name, value, &mut params, &mut body);
        }
    }
    let dated = |dated: &mut Slice| {
        let Some(time) = &resource.slices.time else { return };
        for (name, instant) in [(&time.start_param, start), (&time.end_param, end)] {
            if let Some(instant) = instant {
                dated.params.insert(name.clone(), time::format_seconds(instant));
            }
        }
    };
    let name = match (start, end) {
        (None, None) => "all".to_owned(),
        (start, end) => format!("{}/{}", edge(start), edge(end)),
    };
    let mut first = Slice { name, params: params.clone(), body: body.clone() };
    dated(&mut first);
    let mut slices = vec![first];
    // What has no date yet belongs to a range that is open towards the future.
    if end.is_none() {
        for extra in &resource.slices.undated {
            let name = extra.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
            let mut params = params.clone();
            params.extend(extra.clone());
            slices.push(Slice { name, params, body: body.clone() });
        }
    }
    slices
}

fn edge(instant: Option<Instant>) -> String {
    instant.map_or_else(|| "..".to_owned(), time::format_instant)
}

fn rendered(params: &BTreeMap<String, Template>, bind: &dyn Fn(&str) -> Option<Value>) -> BTreeMap<String, String> {
    params.iter().filter_map(|(name, template)| Some((name.clone(), plain(&template.render(bind)?)))).collect()
}

fn apply(filter: &Filter, name: &str, text: &str, params: &mut BTreeMap<String, String>, body: &mut Option<Value>) {
    let value = if filter.list {
        text.split(',').map(|element| Value::from(element.trim())).collect()
    } else {
        Value::from(text)
    };
    let bind = |_: &str| Some(value.clone());
    if filter.params.is_empty() && filter.json.is_none() {
        params.insert(name.to_owned(), plain(&value));
    }
    params.extend(rendered(&filter.params, &bind));
    if let Some(addition) = filter.json.as_ref().and_then(|json| json.render(&bind)) {
        graft(body.get_or_insert_with(|| json!({})), addition);
    }
}

/// Lays `addition` over `base`, object by object.
fn graft(base: &mut Value, addition: Value) {
    match (base, addition) {
        (Value::Object(base), Value::Object(addition)) => {
            for (name, value) in addition {
                graft(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, addition) => *base = addition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::catalog;
    use crate::request::Draft;
    use crate::settings::Settings;

    fn plan(source: &str, resource: &str, draft: Draft, watermark: Option<&str>) -> Result<Plan, Faults> {
        let draft =
            Draft { source: Some(source.into()), resource: Some(resource.into()), lake: Some("lake".into()), ..draft };
        let request = draft.check(None, &Settings::default()).unwrap();
        let manifest = catalog::find(source, &[]).unwrap();
        Plan::new(&request, manifest.resource(resource).unwrap(), watermark.and_then(time::parse_instant))
    }

    fn sales(from: Option<&str>, to: Option<&str>, watermark: Option<&str>) -> Plan {
        let draft = Draft { from: from.map(Into::into), to: to.map(Into::into), ..Draft::default() };
        plan("see_tickets", "sales", draft, watermark).unwrap()
    }

    #[test]
    fn a_first_run_of_sales_asks_for_everything() {
        let plan = sales(None, None, None);
        assert_eq!(plan.slices, [Slice { name: "all".into(), params: BTreeMap::new(), body: None }]);
        assert!(plan.moves_watermark);
    }

    #[test]
    fn a_later_run_reads_back_a_week() {
        let plan = sales(None, None, Some("2026-11-20T10:00:00Z"));
        assert_eq!(plan.slices[0].body, Some(json!({"filteredBy": {"salesStartDate": "2026-11-13T10:00:00Z"}})));
        assert!(plan.moves_watermark);
    }

    #[test]
    fn a_backfill_leaves_the_watermark_unless_it_joins_it() {
        let before = sales(Some("2026-01-01"), Some("2026-01-31"), Some("2026-11-20T10:00:00Z"));
        let filter = json!({"salesStartDate": "2026-01-01T00:00:00Z", "salesEndDate": "2026-01-31T23:59:59Z"});
        assert_eq!(before.slices[0].body, Some(json!({"filteredBy": filter})));
        assert!(before.moves_watermark);
        assert!(!sales(Some("2026-11-21"), None, Some("2026-11-20T10:00:00Z")).moves_watermark);
    }

    #[test]
    fn a_filter_finds_its_place_and_keeps_the_watermark() {
        let draft = Draft { params: [("event_codes".into(), "DF-1, DF-2".into())].into(), ..Draft::default() };
        let plan = plan("see_tickets", "sales", draft, None).unwrap();
        let search = json!({"search": {"forSearchItemType": "EVENT", "searchItemCodes": ["DF-1", "DF-2"]}});
        assert_eq!(plan.slices[0].body, Some(search));
        assert!(!plan.moves_watermark);
    }

    #[test]
    fn ticketmaster_events_come_dated_and_undated() {
        let plan = plan("ticketmaster", "events", Draft { from: Some("2026-12-01".into()), ..Draft::default() }, None)
            .unwrap();
        let names: Vec<&str> = plan.slices.iter().map(|slice| slice.name.as_str()).collect();
        assert_eq!(names, ["2026-12-01T00:00:00Z/..", "includeTBA=only", "includeTBD=only"]);
        assert_eq!(plan.slices[0].params["startDateTime"], "2026-12-01T00:00:00Z");
        assert_eq!(plan.slices[0].params["locale"], "*");
        assert!(!plan.slices[1].params.contains_key("startDateTime"));
    }

    #[test]
    fn what_a_resource_does_not_take_is_refused_by_name() {
        let draft = Draft {
            from: Some("2026-01-01".into()),
            params: [("contryCode".into(), "DE".into())].into(),
            ..Draft::default()
        };
        let Faults(faults) = plan("ticketmaster", "venues", draft, None).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), ["from", "params.contryCode"]);
        assert!(faults[1].message.contains("Did you mean `countryCode`?"), "{}", faults[1]);
    }
}
