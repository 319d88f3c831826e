//! Sales are asked for by their events' codes: those that the API lists, or those that the request names.

use std::collections::BTreeSet;

use sandbox::Server;
use sandbox::see_tickets::{Options, start_blocking};
use serde_json::{Value, json};

use super::{SALES, codes, sales};
use crate::lake::Lake;
use crate::records::written;

/// The first request of each query since request `seen`: its codes, and from when on.
fn queries(server: &Server, seen: usize) -> Vec<(BTreeSet<String>, Option<String>)> {
    let bodies = server.requests().into_iter().skip(seen).filter(|request| request.method == "POST");
    let bodies = bodies.map(|request| serde_json::from_str::<Value>(&request.body).unwrap());
    let first = bodies.filter(|body| body["offset"] == 0);
    let query = |body: Value| {
        assert_eq!(body["search"]["forSearchItemType"], "EVENT");
        let codes = body["search"]["searchItemCodes"].as_array().unwrap();
        let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        (codes, body["filteredBy"]["salesStartDate"].as_str().map(str::to_owned))
    };
    first.map(query).collect()
}

fn listed(server: &Server, seen: usize) -> usize {
    server.requests().iter().skip(seen).filter(|request| request.path.ends_with("/events/search")).count()
}

#[test]
fn the_codes_of_all_events_are_asked_for_fifty_at_a_time() {
    let options = Options { events: 120, sales: 2_000, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = sales(&server, &lake).complete();
    assert_eq!(report["slices"], json!({"planned": 3, "whole": 3}));
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth.unique_codes(0).collect());

    let queries = queries(&server, 0);
    assert_eq!(queries.iter().map(|(codes, _)| codes.len()).collect::<Vec<_>>(), [50, 50, 20]);
    let asked: BTreeSet<String> = queries.into_iter().flat_map(|(codes, _)| codes).collect();
    let all = truth.events().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, all);
}

#[test]
fn codes_that_the_request_names_stand_for_those_of_the_api() {
    let options = Options { sales: 1_000, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let named: BTreeSet<String> =
        truth.events()[..2].iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let list = named.iter().cloned().collect::<Vec<_>>().join(", ");
    let report = sales(&server, &lake).with(&["--param", &format!("event_codes={list}")]).complete();
    assert_eq!((listed(&server, 0), queries(&server, 0)), (0, vec![(named.clone(), None)]));
    let of_named = |sale: &Value| named.contains(sale["eventId"].as_str().unwrap());
    assert_eq!(report["records"]["new"], json!(truth.sales(0).filter(of_named).count()));
    assert!(report["warnings"][0].as_str().unwrap().contains("watermark"), "{report}");

    // The next run reads these two events from their watermark, and the others from the beginning.
    let seen = server.count();
    sales(&server, &lake).complete();
    let queries = queries(&server, seen);
    let starts: Vec<(usize, Option<&str>)> =
        queries.iter().map(|(codes, start)| (codes.len(), start.as_deref().map(|start| &start[..10]))).collect();
    assert_eq!(starts, [(10, None), (2, Some("2026-11-13"))]);
    assert_eq!(queries[1].0, named);
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth.unique_codes(0).collect());
}

/// An event can have been on sale for months when it is first listed: that the others' sales are known until yesterday says nothing
/// about its own.
#[test]
fn a_newly_listed_event_s_sales_are_read_from_the_beginning() {
    let options = Options { sales: 3_000, unlisted: 2, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let first = sales(&server, &lake).complete();
    assert!(first["watermark"].as_str().unwrap().starts_with("2026-11-20"), "{first}");
    let events = truth.events();
    let late: BTreeSet<&str> = events[10..].iter().map(|event| event["id"].as_str().unwrap()).collect();
    let of_late = truth.sales(0).filter(|sale| late.contains(sale["eventId"].as_str().unwrap())).count();
    assert!(of_late > 50, "{of_late}");
    assert_eq!(first["records"]["new"], json!(3_000 - of_late));

    server.set_revision(1);
    let seen = server.count();
    let second = sales(&server, &lake).complete();
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth.unique_codes(1).collect());
    let queries = queries(&server, seen);
    assert_eq!(queries[0], (late.iter().map(|code| (*code).to_owned()).collect(), None));
    assert!(queries[1].1.as_deref().unwrap().starts_with("2026-11-13"), "{queries:?}");
    assert!(second["records"]["received"].as_u64().unwrap() < 1_000, "the others' past is not read again: {second}");
    assert_eq!(written(&sales(&server, &lake).complete()), [0, 0, 0]);
}
