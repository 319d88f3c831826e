use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Options, start_blocking};
use crate::{
    Fault, Faults, Rate, Server,
    client::{Received, send},
};

fn get(server: &Server, path: &str) -> Received {
    send("GET", &format!("{}{path}", server.base_url), &["x-api-key: sandbox-key"], "").unwrap()
}

fn list(received: &Received, name: &str) -> Vec<Value> {
    assert_eq!(received.status, 200, "{}", received.text());
    received.json()[name].as_array().unwrap().clone()
}

/// Reads a list until the number of records is the total of the first page.
fn all(server: &Server, path: &str, name: &str) -> Vec<Value> {
    let mut records = Vec::new();
    loop {
        let part = get(server, &format!("{path}?limit=100&offset={}", records.len()));
        records.extend(list(&part, name));
        if part.json()["pagination"][0]["total"] == records.len() {
            return records;
        }
    }
}

/// What `read` gives for every event that it finds something for, after the events' ids.
fn children(server: &Server, read: impl Fn(&str) -> Option<Vec<Value>>) -> Vec<(Value, Value)> {
    let events = all(server, "/events", "events");
    let of = |event: &Value| (event["id"].clone(), read(&format!("/events/{}", event["id"])).unwrap_or_default());
    events.iter().map(of).flat_map(|(id, found)| found.into_iter().map(move |child| (id.clone(), child))).collect()
}

fn complete(server: &Server, name: &str) -> Vec<(Value, Value)> {
    children(server, |event| {
        let received = get(server, &format!("{event}/{name}"));
        (received.status == 200).then(|| list(&received, name))
    })
}

fn transactions(server: &Server) -> Vec<(Value, Value)> {
    children(server, |event| {
        let path = format!("{event}/transactions");
        (get(server, &path).status == 200).then(|| all(server, &path, "transactions"))
    })
}

fn distinct(records: &[(Value, Value)], name: &str) -> usize {
    records.iter().map(|(_, record)| record[name].to_string()).collect::<BTreeSet<String>>().len()
}

#[test]
fn every_list_is_read_whole_and_once() {
    let options = Options { transactions_per_event: 2, ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    assert!(server.base_url.ends_with("/api/v2"));
    assert_eq!(all(&server, "/events", "events"), truth.events(0).collect::<Vec<_>>());
    assert_eq!(all(&server, "/users", "users"), truth.users(0).collect::<Vec<_>>());
    assert_eq!(server.count(), 3 + 2);
    assert_eq!(list(&get(&server, "/categories"), "categories"), truth.categories().collect::<Vec<_>>());
    assert_eq!(complete(&server, "attendees"), truth.attendees(0).collect::<Vec<_>>());
    assert_eq!(complete(&server, "tickets"), truth.tickets(0).collect::<Vec<_>>());
    assert_eq!(transactions(&server), truth.transactions(0).collect::<Vec<_>>());
    let counts = [truth.attendees(0).count(), truth.tickets(0).count(), truth.transactions(0).count()];
    assert_eq!(counts, [750, 500, 500]);
}

#[test]
fn pagination_is_a_list_of_one_object_beside_the_records() {
    let server = start_blocking(Options { page_cap: 50, ..Options::default() }).unwrap();
    let told = |path: &str, name: &str| {
        let received = get(&server, path);
        (received.json()["pagination"].clone(), list(&received, name).len())
    };
    let pagination =
        |offset: usize, limit: usize, total: usize| json!([{"offset": offset, "limit": limit, "total": total}]);
    assert_eq!(told("/events", "events"), (pagination(0, 20, 250), 20));
    assert_eq!(told("/events?limit=1000&offset=10", "events"), (pagination(10, 50, 250), 50));
    assert_eq!(told("/users?limit=30&offset=100", "users"), (pagination(100, 30, 120), 20));
    assert_eq!(told("/users?limit=0", "users"), (pagination(0, 1, 120), 1));
    let id = list(&get(&server, "/events?limit=1"), "events")[0]["id"].to_string();
    assert_eq!(told(&format!("/events/{id}/transactions"), "transactions"), (pagination(0, 20, 1), 1));
    let names: Vec<String> = get(&server, "/events").json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["events", "pagination"]);

    let server = start_blocking(Options { pagination_alone: true, ..Options::default() }).unwrap();
    assert_eq!(get(&server, "/events").json()["pagination"], pagination(0, 20, 250)[0]);
}

#[test]
fn complete_lists_know_no_parts() {
    let server = start_blocking(Options { attendees_per_event: 130, ..Options::default() }).unwrap();
    let id = list(&get(&server, "/events?limit=1"), "events")[0]["id"].to_string();
    for (path, name, count) in [
        ("/categories".to_owned(), "categories", 7),
        (format!("/events/{id}/attendees"), "attendees", 130),
        (format!("/events/{id}/tickets"), "tickets", 2),
    ] {
        for query in ["", "?limit=1", "?offset=1000&limit=100"] {
            let received = get(&server, &format!("{path}{query}"));
            assert_eq!(list(&received, name).len(), count, "{path}{query}");
            assert_eq!(received.json().as_object().unwrap().len(), 1, "{path}{query}");
        }
    }
}

#[test]
fn past_the_end_is_an_error_and_so_is_an_empty_list() {
    let options = Options { events: 3, users: 0, without_children: vec![2], ..Options::default() };
    let server = start_blocking(options.clone()).unwrap();
    let found = |path: &str| {
        let received = get(&server, path);
        (received.status, received.json()["message"].as_str().map(str::to_owned))
    };
    let id = |index: usize| options.truth().event_id(index);
    assert_eq!(found("/events?offset=2"), (200, None));
    assert_eq!(found("/events?offset=3"), (404, Some("No events found".into())));
    assert_eq!(found("/users"), (404, Some("No users found".into())));
    assert_eq!(found(&format!("/events/{}/transactions", id(0))), (200, None));
    let none = (404, Some("No transactions found".into()));
    assert_eq!(found(&format!("/events/{}/transactions?offset=1", id(0))), none);
    assert_eq!(found(&format!("/events/{}/transactions", id(2))), none);
    assert_eq!(get(&server, &format!("/events/{}/attendees", id(2))).json(), json!({"attendees": []}));
    assert_eq!(get(&server, &format!("/events/{}/tickets", id(2))).json(), json!({"tickets": []}));
}

#[test]
fn keys_are_unique_within_their_event_alone() {
    let options = Options { events: 7, transactions_per_event: 2, categories: 3, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let (attendees, tickets, transactions) =
        (complete(&server, "attendees"), complete(&server, "tickets"), transactions(&server));
    assert_eq!([attendees.len(), tickets.len(), transactions.len()], [21, 14, 14]);
    assert_eq!([distinct(&attendees, "id"), distinct(&tickets, "id"), distinct(&transactions, "refno")], [3, 2, 2]);
    assert_eq!(distinct(&transactions, "checkout_id"), 14);
    assert!(transactions.iter().all(|(event, record)| record["event_id"] == *event && record.get("id").is_none()));
    for (event, attendee) in &attendees {
        let bought = |(of, record): &&(Value, Value)| of == event && record["refno"] == attendee["refno"];
        assert_eq!((&attendee["event_id"], transactions.iter().filter(bought).count()), (event, 1));
    }
    let categories = list(&get(&server, "/categories"), "categories");
    assert_eq!(
        categories,
        [json!({"category": "Arts"}), json!({"category": "Business"}), json!({"category": "Charity"})]
    );
}

#[test]
fn live_events_have_another_name() {
    let options = Options::default();
    let server = start_blocking(options.clone()).unwrap();
    let with = |name: &'static str, value: &'static str| {
        options.truth().events(0).filter(move |event| event[name].as_str().unwrap().contains(value)).collect::<Vec<_>>()
    };
    let received = get(&server, "/events?status=live&limit=100&offset=100");
    assert_eq!(list(&received, "events_live"), with("status", "Live")[100..]);
    assert_eq!(received.json().get("events"), None);
    assert_eq!(received.json()["pagination"][0]["total"], with("status", "Live").len());
    assert_eq!(list(&get(&server, "/events?status=draft&limit=100"), "events"), with("status", "Draft"));
    assert_eq!(list(&get(&server, "/events?category=Business&limit=100"), "events"), with("categories", "Business"));
    assert_eq!(get(&server, "/events?status=live&offset=250").json(), json!({"message": "No events found"}));
}

#[test]
fn a_deleted_event_is_listed_and_its_children_are_not_found() {
    let options = Options { events: 5, deleted: vec![1, 3], ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    assert_eq!(all(&server, "/events", "events").len(), 5);
    for name in ["attendees", "tickets", "transactions"] {
        let missing = get(&server, &format!("/events/{}/{name}", truth.event_id(3)));
        assert_eq!((missing.status, missing.json()), (404, json!({"message": "Event not found"})));
    }
    assert_eq!(complete(&server, "attendees"), truth.attendees(0).collect::<Vec<_>>());
    assert_eq!(transactions(&server), truth.transactions(0).collect::<Vec<_>>());
    assert_eq!((truth.attendees(0).count(), truth.transactions(0).count()), (9, 3));
}

#[test]
fn refusals_are_messages() {
    let server = start_blocking(Options::default()).unwrap();
    let status = |method, path: &str, headers: &[&str]| {
        let received = send(method, &format!("{}{path}", server.base_url), headers, "").unwrap();
        assert!(received.json()["message"].is_string());
        received.status
    };
    let key = "x-api-key: sandbox-key";
    assert_eq!(status("GET", "/events", &[]), 401);
    assert_eq!(status("GET", "/events", &["x-api-key: other"]), 401);
    assert_eq!(status("GET", "/events", &["api_key: sandbox-key"]), 401);
    assert_eq!(status("POST", "/events", &[key]), 405);
    assert_eq!(status("GET", "/events?limit=all", &[key]), 400);
    let id: usize = list(&get(&server, "/events?limit=1"), "events")[0]["id"].to_string().parse().unwrap();
    assert_eq!(status("GET", &format!("/events/{}/tickets", id + 1), &[key]), 404);
    assert_eq!(status("GET", "/venues", &[key]), 404);
}

#[test]
fn a_revision_changes_some_records_and_appends_others() {
    let options = Options { events: 60, users: 30, ..Options::default() };
    let (server, truth) = (start_blocking(options.clone()).unwrap(), options.truth());
    let unnamed = |records: Vec<Value>| records.into_iter().map(|record| (Value::Null, record)).collect::<Vec<_>>();
    let read = || {
        [
            unnamed(all(&server, "/events", "events")),
            unnamed(all(&server, "/users", "users")),
            complete(&server, "attendees"),
            complete(&server, "tickets"),
            transactions(&server),
        ]
    };
    let expected = |revision| {
        [
            unnamed(truth.events(revision).collect()),
            unnamed(truth.users(revision).collect()),
            truth.attendees(revision).collect(),
            truth.tickets(revision).collect(),
            truth.transactions(revision).collect(),
        ]
    };
    let first = read();
    assert_eq!(first, expected(0));
    server.set_revision(1);
    let second = read();
    assert_eq!(second, expected(1));
    let key = |(event, record): &(Value, Value)| (event.clone(), record["id"].clone(), record["refno"].clone());
    let changed_and_added = |kind: usize| {
        let after = &second[kind];
        let changed = |old: &&(Value, Value)| !after.contains(old) && after.iter().any(|new| key(new) == key(old));
        (first[kind].iter().filter(changed).count(), after.len() - first[kind].len())
    };
    assert_eq!([0, 1, 2, 3, 4].map(changed_and_added), [(3, 2), (2, 2), (3, 2 + 6), (3, 4), (3, 2 + 2)]);
    assert_ne!(expected(1)[0], expected(2)[0][..62]);
}

#[test]
fn faults_and_the_limit_come_before_the_answer() {
    let at = vec![(1, Fault::Status500), (2, Fault::HtmlBody)];
    let rate = Rate { per_second: 100, per_day: 3, ..Rate::default() };
    let options = Options {
        seed: 2,
        faults: Faults { at, ..Faults::default() },
        enforce_rate: Some(rate),
        revision: 1,
        ..Options::default()
    };
    let server = start_blocking(options).unwrap();
    assert_eq!(get(&server, "/events").status, 500);
    assert!(get(&server, "/events").text().starts_with("<!DOCTYPE html>"));
    assert_eq!(get(&server, "/events").json()["pagination"][0]["total"], 252);
    let refused = get(&server, "/events");
    assert_eq!((refused.status, refused.json()), (429, json!({"message": "Limit Exceeded"})));
}

#[tokio::test]
async fn a_server_stops_when_it_is_dropped() {
    let server = super::start(Options::default()).await.unwrap();
    let url = format!("{}/categories", server.base_url);
    assert_eq!(send("GET", &url, &["x-api-key: sandbox-key"], "").unwrap().status, 200);
    drop(server);
    assert!(send("GET", &url, &[], "").is_err());
}
