use chrono::{DateTime, Utc};
use manifest::{Body, Cursor, CursorKind, Faults, Manifest, Query, Settings, built_in};
use serde_json::{Value, json};

use super::*;
use crate::options::{Draft, Given};
use crate::request::Request;

/// The queries of a plan, and whether it moves the watermark.
#[derive(Debug)]
struct Planned {
    queries: Vec<PlannedQuery<'static>>,
    moves_watermark: bool,
}

impl Planned {
    fn body(&self) -> Option<&Body> {
        self.queries[0].query.body.as_ref()
    }
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

fn plan(
    source: &str,
    resource: &str,
    draft: Draft,
    watermark: Option<&str>,
    parents: &[&str],
) -> Result<Planned, Faults> {
    let request: &'static Request = Box::leak(Box::new(request(source, resource, draft)));
    let manifest = manifest(source);
    let watermark = watermark.map(instant);
    let mut plan = Plan::new(request, manifest, manifest.resource(resource).unwrap(), watermark, now())?;
    if !parents.is_empty() {
        let known = watermark.into_iter().flat_map(|at| parents.iter().map(move |id| ((*id).to_owned(), at)));
        plan = plan.with_parents(parents.iter().map(|id| parent(id)).collect(), &known.collect(), now());
    }
    let queries = (0..plan.len()).map(|index| plan.query(index).unwrap()).collect();
    Ok(Planned { queries, moves_watermark: plan.moves_watermark() })
}

fn sales(from: Option<&str>, to: Option<&str>, watermark: Option<&str>) -> Planned {
    let range = [("from", from), ("to", to)].into_iter().filter_map(|(name, value)| Some((name, value?)));
    plan("see_tickets", "sales", Draft::new(range), watermark, &["DF-1", "DF-2"]).unwrap()
}

fn search(filtered_by: Option<Value>) -> Body {
    let mut body = json!({"search": {"forSearchItemType": "EVENT", "searchItemCodes": ["DF-1", "DF-2"]}});
    if let Some(filtered_by) = filtered_by {
        body["filteredBy"] = filtered_by;
    }
    Body::Json(body)
}

#[test]
fn a_first_run_requests_everything() {
    let plan = sales(None, None, None);
    assert_eq!(plan.queries.len(), 1);
    assert_eq!(plan.body(), Some(&search(None)));
    assert!(plan.moves_watermark);
}

#[test]
fn a_later_run_begins_the_lag_before_the_watermark() {
    let plan = sales(None, None, Some("2026-11-20T10:00:00Z"));
    assert_eq!(plan.body(), Some(&search(Some(json!({"salesStartDate": "2026-11-13T10:00:00Z"})))));
    assert!(plan.moves_watermark);
}

#[test]
fn a_range_moves_the_watermark_if_it_leaves_no_gap() {
    let before = sales(Some("2026-01-01"), Some("2026-01-31"), Some("2026-11-20T10:00:00Z"));
    let filter = json!({"salesStartDate": "2026-01-01T00:00:00Z", "salesEndDate": "2026-01-31T23:59:59Z"});
    assert_eq!(before.body(), Some(&search(Some(filter))));
    assert!(before.moves_watermark);
    assert!(!sales(Some("2026-11-21"), None, Some("2026-11-20T10:00:00Z")).moves_watermark);
}

#[test]
fn children_of_new_parents_are_read_from_the_beginning() {
    let request = request("see_tickets", "sales", Draft::default());
    let manifest = manifest("see_tickets");
    let known = [("a".to_owned(), instant("2026-11-20")), ("c".to_owned(), instant("2026-11-10"))];
    let plan = Plan::new(&request, manifest, manifest.resource("sales").unwrap(), None, now()).unwrap();
    let plan = plan.with_parents(["a", "b", "c"].map(parent).to_vec(), &known.into_iter().collect(), now());
    let starts: Vec<_> = (0..plan.len()).map(|index| plan.query(index).unwrap().query.start).collect();
    assert_eq!(
        starts,
        [None, Some(instant("2026-11-03"))],
        "b alone, then a and c from a week before the earlier of the two"
    );
}

#[test]
fn records_without_a_date_have_their_own_queries() {
    let plan = plan("ticketmaster", "events", Draft::new([("from", "2026-12-01")]), None, &[]).unwrap();
    let names: Vec<&str> = plan.queries.iter().map(|planned| planned.query.label.as_str()).collect();
    assert_eq!(names, ["2026-12-01T00:00:00Z/..", "includeTBA=only", "includeTBD=only"]);
    assert_eq!(plan.queries[0].query.params["startDateTime"], "2026-12-01T00:00:00Z");
    assert_eq!(plan.queries[0].query.params["locale"], "*");
    assert!(!plan.queries[1].query.params.contains_key("startDateTime"));
}

#[test]
fn each_unsupported_option_is_a_fault() {
    let draft = Draft::new([("from", "2026-01-01")]).with_param("contryCode", "DE");
    let Faults(faults) = plan("ticketmaster", "venues", draft, None, &[]).unwrap_err();
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
