use chrono::{DateTime, Utc};
use manifest::{Body, Cursor, CursorKind, Faults, Manifest, Query, Settings, built_in};
use serde_json::{Value, json};

use super::*;
use crate::options::{Draft, Given};
use crate::request::Request;
use crate::state::{Bound, Coverage, Interval};

/// The queries of a plan, and whether it adds to the coverage.
#[derive(Debug)]
struct Planned {
    queries: Vec<PlannedQuery<'static>>,
    adds_coverage: bool,
}

fn now() -> DateTime<Utc> {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn instant(text: &str) -> Cursor {
    Cursor::parse(text, CursorKind::Instant).unwrap()
}

/// Returns a request for a resource of a built-in source, with the options of `draft`.
fn request(source: &str, resource: &str, mut draft: Draft) -> Request {
    for (name, value) in [("source", source), ("resource", resource), ("lake", "lake")] {
        draft.set(name, Given::Text(value.to_owned()));
    }
    Request::check(&draft, None, &Settings::default()).unwrap()
}

/// Returns the built-in manifest `source`. It is leaked, so that the results of a test may borrow it.
fn manifest(source: &str) -> &'static Manifest {
    Box::leak(Box::new(built_in::find(source).unwrap().unwrap()))
}

fn parent(id: &str) -> ParentRecord {
    ParentRecord { key: id.into(), fields: json!({"id": id}).as_object().unwrap().clone() }
}

/// Returns the coverage of the intervals whose first cursors and ends are `covered`.
fn coverage(covered: &[(Option<&str>, &str)]) -> Coverage {
    let interval = |(from, to): &(Option<&str>, &str)| {
        let from = from.map_or(Bound::Beginning, |from| Bound::ascending(instant(from)));
        Interval::new(from, Bound::ascending(instant(to))).unwrap()
    };
    covered.iter().map(interval).collect()
}

fn plan(source: &str, resource: &str, draft: Draft, settled: &Coverage, parents: &[&str]) -> Result<Planned, Faults> {
    let request: &'static Request = Box::leak(Box::new(request(source, resource, draft)));
    let manifest = manifest(source);
    let mut plan = Plan::new(request, manifest, manifest.resource(resource).unwrap(), now())?.without_covered(settled);
    if !parents.is_empty() {
        let known = parents.iter().map(|id| ((*id).to_owned(), settled.clone())).collect();
        plan = plan.with_parents(parents.iter().map(|id| parent(id)).collect(), &known);
    }
    let queries = (0..plan.len()).map(|index| plan.query(index).unwrap()).collect();
    Ok(Planned { queries, adds_coverage: plan.adds_coverage() })
}

fn sales(from: Option<&str>, to: Option<&str>, settled: &[(Option<&str>, &str)]) -> Planned {
    let range = [("from", from), ("to", to)].into_iter().filter_map(|(name, value)| Some((name, value?)));
    plan("see_tickets", "sales", Draft::new(range), &coverage(settled), &["DF-1", "DF-2"]).unwrap()
}

fn search(filtered_by: Option<Value>) -> Body {
    let mut body = json!({"search": {"forSearchItemType": "EVENT", "searchItemCodes": ["DF-1", "DF-2"]}});
    if let Some(filtered_by) = filtered_by {
        body["filteredBy"] = filtered_by;
    }
    Body::Json(body)
}

/// The bodies of all queries of a plan.
fn bodies(plan: &Planned) -> Vec<Body> {
    plan.queries.iter().filter_map(|planned| planned.query.body.clone()).collect()
}

#[test]
fn a_first_run_requests_everything() {
    let plan = sales(None, None, &[]);
    assert_eq!(bodies(&plan), [search(None)]);
    assert!(plan.adds_coverage);
}

#[test]
fn a_later_run_begins_where_nothing_is_settled() {
    let plan = sales(None, None, &[(None, "2026-11-13T10:00:00Z")]);
    assert_eq!(bodies(&plan), [search(Some(json!({"salesStartDate": "2026-11-13T10:00:00Z"})))]);
    assert!(plan.adds_coverage);
}

#[test]
fn a_later_run_reads_each_gap() {
    let plan = sales(None, None, &[(Some("2026-01-01"), "2026-02-01"), (Some("2026-10-01"), "2026-11-01")]);
    let search = |range| search(Some(range));
    let gaps = [
        search(json!({"salesEndDate": "2026-01-01T00:00:00Z"})),
        search(json!({"salesStartDate": "2026-02-01T00:00:00Z", "salesEndDate": "2026-10-01T00:00:00Z"})),
        search(json!({"salesStartDate": "2026-11-01T00:00:00Z"})),
    ];
    assert_eq!(bodies(&plan), gaps);
}

#[test]
fn a_range_is_read_whatever_is_covered() {
    let range = sales(Some("2026-01-01"), Some("2026-01-31"), &[(None, "2026-11-20T10:00:00Z")]);
    let filter = json!({"salesStartDate": "2026-01-01T00:00:00Z", "salesEndDate": "2026-02-01T00:00:00Z"});
    assert_eq!(bodies(&range), [search(Some(filter))]);
    assert!(range.adds_coverage);
}

/// Xurrent takes no end of a range, but its records are in order. Without the order, the first gap is read to the end.
#[test]
fn a_range_that_cannot_end_is_read_from_the_first_gap_on() {
    let settled = coverage(&[(Some("2026-01-01"), "2026-02-01")]);
    let request = request("xurrent", "projects", Draft::default());
    let mut manifest = manifest("xurrent").clone();
    for (order, ranges) in
        [(true, vec![(None, Some("2026-01-01")), (Some("2026-02-01"), None)]), (false, vec![(None, None)])]
    {
        let position = manifest.resources.iter().position(|resource| resource.name == "projects").unwrap();
        let incremental = manifest.resources[position].endpoint.incremental.as_mut().unwrap();
        incremental.row_order = incremental.row_order.filter(|_| order);
        let plan =
            Plan::new(&request, &manifest, &manifest.resources[position], now()).unwrap().without_covered(&settled);
        let queries = (0..plan.len()).map(|index| plan.query(index).unwrap().query);
        let expected: Vec<_> = ranges.into_iter().map(|(from, to)| (from.map(instant), to.map(instant))).collect();
        assert_eq!(queries.map(|query| (query.start, query.end)).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn children_of_new_parents_are_read_from_the_beginning() {
    let request = request("see_tickets", "sales", Draft::default());
    let manifest = manifest("see_tickets");
    let known = [("a", "2026-11-13"), ("c", "2026-11-03")];
    let known = known.map(|(key, to)| (key.to_owned(), coverage(&[(None, to)])));
    let plan = Plan::new(&request, manifest, manifest.resource("sales").unwrap(), now()).unwrap();
    let plan = plan.with_parents(["a", "b", "c"].map(parent).to_vec(), &known.into_iter().collect());
    let starts: Vec<_> = (0..plan.len()).map(|index| plan.query(index).unwrap().query.start).collect();
    assert_eq!(starts, [None, Some(instant("2026-11-03"))], "b alone, then a and c from the earlier of the two");
}

#[test]
fn a_range_without_a_cursor_is_a_fault() {
    let draft = Draft::new([("to", "2026-01-01")]);
    let request = request("see_tickets", "sales", draft);
    let mut manifest = manifest("see_tickets").clone();
    for resource in &mut manifest.resources {
        if let Some(incremental) = &mut resource.endpoint.incremental {
            incremental.initial_value = Some(instant("2026-06-01"));
        }
    }
    let Faults(faults) = Plan::new(&request, &manifest, manifest.resource("sales").unwrap(), now()).unwrap_err();
    assert!(
        faults[0].message.contains("begins at 2026-06-01T00:00:00Z and ends at 2026-01-02T00:00:00Z"),
        "{}",
        faults[0]
    );
}

#[test]
fn records_without_a_date_have_their_own_queries() {
    let plan = plan("ticketmaster", "events", Draft::new([("from", "2026-12-01")]), &Coverage::default(), &[]).unwrap();
    let names: Vec<&str> = plan.queries.iter().map(|planned| planned.query.label.as_str()).collect();
    assert_eq!(names, ["2026-12-01T00:00:00Z/..", "includeTBA=only", "includeTBD=only"]);
    assert_eq!(plan.queries[0].query.params["startDateTime"], "2026-12-01T00:00:00Z");
    assert_eq!(plan.queries[0].query.params["locale"], "*");
    assert!(!plan.queries[1].query.params.contains_key("startDateTime"));
}

#[test]
fn each_unsupported_option_is_a_fault() {
    let draft = Draft::new([("from", "2026-01-01")]).with_param("contryCode", "DE");
    let Faults(faults) = plan("ticketmaster", "venues", draft, &Coverage::default(), &[]).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), ["from", "params.contryCode"]);
    assert!(faults[1].message.contains("Did you mean `countryCode`?"), "{}", faults[1]);
}

/// In both orders, for ascending and descending cursors.
#[test]
fn a_cursor_beyond_the_end_of_a_range_is_recognized() {
    for (func, start, end, order, beyond, within) in [
        ("max", 10, 20, "asc", 21, [5, 20]),
        ("max", 10, 20, "desc", 9, [10, 25]),
        ("min", 20, 10, "desc", 9, [10, 25]),
        ("min", 20, 10, "asc", 21, [5, 20]),
    ] {
        let manifest = json!({
            "client": {"base_url": "https://api.example"},
            "resources": [{
                "name": "things", "primary_key": "id", "columns": {"id": {"data_type": "bigint"}},
                "endpoint": {"incremental": {"cursor_path": "id", "last_value_func": func, "row_order": order}},
            }],
        });
        let manifest = Manifest::parse("test.yaml", &manifest.to_string()).unwrap();
        let incremental = manifest.resources[0].endpoint.incremental.as_ref().unwrap();
        let (start, end) = (Some(Cursor::Number(start)), Some(Cursor::Number(end)));
        let mut query = Query::default();
        (query.start, query.end) = (start, end);
        assert!(query.ends_before(Cursor::Number(beyond), incremental), "{func} {order}");
        assert!(within.iter().all(|at| !query.ends_before(Cursor::Number(*at), incremental)), "{func} {order}");
        assert!(!Query::default().ends_before(Cursor::Number(beyond), incremental));
    }
}
