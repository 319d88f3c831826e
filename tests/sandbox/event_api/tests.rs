use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{IdKind, Options, Total, start_blocking};
use crate::{
    Fault, Faults, Rate, Server,
    client::{Received, send},
};

fn get(server: &Server, path: &str) -> Received {
    send("GET", &format!("{}{path}", server.base_url), &["api_key: sandbox-key"], "").unwrap()
}

fn page(server: &Server, path: &str, name: &str) -> Vec<Value> {
    let received = get(server, path);
    assert_eq!(received.status, 200, "{path}: {}", received.text());
    received.json()[name].as_array().unwrap().clone()
}

/// A whole list, read until a part of it is empty.
fn all(server: &Server, path: &str, name: &str) -> Vec<Value> {
    let mut records = Vec::new();
    loop {
        let part = page(server, &format!("{path}?limit=100&offset={}", records.len()), name);
        if part.is_empty() {
            return records;
        }
        records.extend(part);
    }
}

/// All children of one name, after their events' ids.
fn children(server: &Server, name: &str) -> Vec<(Value, Value)> {
    let mut found = Vec::new();
    for event in all(server, "/v1/events", "events") {
        let id = event["id"].as_str().map_or_else(|| event["id"].to_string(), str::to_owned);
        let path = format!("/v1/events/{}/{name}", utf8_percent_encode(&id, NON_ALPHANUMERIC));
        if get(server, &path).status != 404 {
            found.extend(all(server, &path, name).into_iter().map(|child| (event["id"].clone(), child)));
        }
    }
    found
}

fn ids(records: &[(Value, Value)]) -> BTreeSet<String> {
    records.iter().map(|(_, record)| record["id"].to_string()).collect()
}

#[test]
fn every_list_is_read_whole_and_once() {
    let options = Options::default();
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    assert_eq!(all(&server, "/v1/events", "events"), truth.events(0).collect::<Vec<Value>>());
    assert_eq!(all(&server, "/v1/categories", "categories"), truth.categories().collect::<Vec<Value>>());
    assert_eq!(all(&server, "/v1/users", "users"), truth.users(0).collect::<Vec<Value>>());
    assert_eq!((truth.events(0).count(), truth.categories().count(), truth.users(0).count()), (250, 7, 120));
    assert_eq!(server.count(), (3 + 1) + (1 + 1) + (2 + 1));
    for (name, records, count) in [
        ("attendees", truth.attendees(0).collect::<Vec<_>>(), 750),
        ("tickets", truth.tickets(0).collect(), 500),
        ("transactions", truth.transactions(0).collect(), 250),
    ] {
        assert_eq!(ids(&records).len(), count, "{name}");
        assert_eq!(children(&server, name), records);
    }
}

#[test]
fn a_page_is_as_large_as_asked_for_up_to_the_cap() {
    let server = start_blocking(Options { page_cap: 50, ..Options::default() }).unwrap();
    let size = |query: &str| page(&server, &format!("/v1/events{query}"), "events").len();
    assert_eq!([size(""), size("?limit=30"), size("?limit=100"), size("?offset=240&limit=30")], [20, 30, 50, 10]);
    assert_eq!(get(&server, "/v1/events?offset=250").json(), json!({"events": [], "total": 250}));
    assert_eq!(get(&server, "/v1/events?offset=-1").status, 400);
}

#[test]
fn the_total_is_told_or_not() {
    let told = start_blocking(Options::default()).unwrap();
    assert_eq!(get(&told, "/v1/events/1001/attendees?limit=2").json()["total"], 3);
    let untold = start_blocking(Options { total: Total::Absent, ..Options::default() }).unwrap();
    let names: Vec<String> = get(&untold, "/v1/users").json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["users"]);
}

#[test]
fn ids_may_be_unique_per_event_only() {
    let options = Options { events: 4, ids_per_event: true, ..Options::default() };
    let server = start_blocking(options.clone()).unwrap();
    let attendees = children(&server, "attendees");
    assert_eq!(attendees, options.truth().attendees(0).collect::<Vec<_>>());
    assert_eq!((attendees.len(), ids(&attendees).len()), (12, 3));
    assert!(attendees.iter().all(|(event, attendee)| attendee["event_id"] == *event));
}

#[test]
fn an_awkward_id_names_its_event_when_it_is_encoded_once() {
    let options = Options { events: 9, ids: IdKind::Awkward, ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    assert_eq!(truth.event_id(0), "a/../../admin?x=1#f-0");
    assert_eq!(children(&server, "transactions"), truth.transactions(0).collect::<Vec<_>>());
    assert_eq!(children(&server, "transactions").len(), 9);
    let attendees = |id: &str| get(&server, &format!("/v1/events/{id}/attendees"));
    for index in 0..4 {
        let id = truth.event_id(index);
        let encoded = utf8_percent_encode(id.as_str().unwrap(), NON_ALPHANUMERIC).to_string();
        assert_eq!(attendees(&encoded).status, 200, "{id}");
        assert_eq!(attendees(&encoded.replace('%', "%25")).status, 404, "{id} encoded twice");
    }
    assert_eq!(attendees("a/../../admin").json()["message"], "No such path");
    assert_eq!(attendees("50%25%20off%20+%201;2").status, 404, "decoded, it lacks its own %25");
}

#[test]
fn a_deleted_event_is_listed_and_its_children_are_not_found() {
    let options = Options { events: 5, missing_child: vec![1, 3], without_children: vec![4], ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    assert_eq!(all(&server, "/v1/events", "events").len(), 5);
    for name in ["attendees", "tickets", "transactions"] {
        let missing = get(&server, &format!("/v1/events/1002/{name}"));
        assert_eq!((missing.status, missing.json()), (404, json!({"message": "Event not found"})));
        assert_eq!(get(&server, &format!("/v1/events/1005/{name}")).json(), json!({name: [], "total": 0}));
    }
    assert_eq!(children(&server, "tickets"), truth.tickets(0).collect::<Vec<_>>());
    assert_eq!(truth.tickets(0).count(), 2 * 2);
}

#[test]
fn refusals_are_messages() {
    let server = start_blocking(Options::default()).unwrap();
    let status = |method, path: &str, headers: &[&str]| {
        let received = send(method, &format!("{}{path}", server.base_url), headers, "").unwrap();
        assert!(received.json()["message"].is_string());
        received.status
    };
    let key = "api_key: sandbox-key";
    assert_eq!(status("GET", "/v1/events", &[]), 401);
    assert_eq!(status("GET", "/v1/events", &["api_key: other"]), 401);
    assert_eq!(status("GET", "/v1/events", &["x-api-key: sandbox-key"]), 401);
    assert_eq!(status("POST", "/v1/events", &[key]), 405);
    assert_eq!(status("GET", "/v1/events/1250x/tickets", &[key]), 404);
    assert_eq!(status("GET", "/v1/events/01001/tickets", &[key]), 404);
    assert_eq!(status("GET", "/v1/events/1251/tickets", &[key]), 404);
    assert_eq!(status("GET", "/v2/events", &[key]), 404);
}

#[test]
fn a_revision_changes_some_records_and_appends_others() {
    let options = Options { events: 60, users: 30, ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    for revision in 0..3 {
        server.set_revision(revision);
        assert_eq!(all(&server, "/v1/events", "events"), truth.events(revision).collect::<Vec<_>>());
        assert_eq!(all(&server, "/v1/users", "users"), truth.users(revision).collect::<Vec<_>>());
        assert_eq!(children(&server, "attendees"), truth.attendees(revision).collect::<Vec<_>>());
    }
    let changed = |before: Vec<Value>, after: Vec<Value>| {
        let same_id = |old: &Value| after.iter().find(|new| new["id"] == old["id"]).unwrap().clone();
        let changed = before.iter().filter(|old| same_id(old) != **old).count();
        (changed, after.len() - before.len())
    };
    let records = |pairs: Vec<(Value, Value)>| pairs.into_iter().map(|(_, record)| record).collect::<Vec<_>>();
    for revision in 1..3 {
        let later_too = if revision == 1 { 3 } else { 0 };
        let before = revision - 1;
        assert_eq!(changed(truth.events(before).collect(), truth.events(revision).collect()), (3, 2));
        assert_eq!(changed(truth.users(before).collect(), truth.users(revision).collect()), (2, 2));
        let of = |revision| records(truth.attendees(revision).collect());
        assert_eq!(changed(of(before), of(revision)), (later_too, 2 + 2 * 3));
        let of = |revision| records(truth.transactions(revision).collect());
        assert_eq!(changed(of(before), of(revision)), (later_too, 2 + 2));
        let of = |revision| records(truth.tickets(revision).collect());
        assert_eq!(changed(of(before), of(revision)), (3, 2 * 2));
    }
}

#[test]
fn another_seed_is_other_data() {
    let first = |seed| Options { seed, ..Options::default() }.truth().attendees(0).next();
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn faults_and_the_limit_come_before_the_answer() {
    let at = vec![(1, Fault::Status503), (2, Fault::MissingEnvelope)];
    let rate = Rate { per_second: 100, per_day: 3, ..Rate::default() };
    let options = Options {
        faults: Faults { at, ..Faults::default() },
        enforce_rate: Some(rate),
        revision: 1,
        ..Options::default()
    };
    let server = start_blocking(options).unwrap();
    assert_eq!(get(&server, "/v1/events").status, 503);
    assert_eq!(get(&server, "/v1/events").json(), json!({}));
    assert_eq!(get(&server, "/v1/events").json()["total"], 252);
    let refused = get(&server, "/v1/events");
    assert_eq!((refused.status, refused.json()), (429, json!({"message": "Daily limit reached"})));
}

#[tokio::test]
async fn a_server_stops_when_it_is_dropped() {
    let server = super::start(Options::default()).await.unwrap();
    let url = format!("{}/v1/events", server.base_url);
    assert_eq!(send("GET", &url, &["api_key: sandbox-key"], "").unwrap().status, 200);
    drop(server);
    assert!(send("GET", &url, &[], "").is_err());
}
