//! What dlt loses in silence of records that belong to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbox::stub::{Request, Response, Stub};
use serde_json::{Value, json};

use super::worker::{extract, load};
use super::{Mine, ended, stub};

/// A manifest of `events` and of `attendees`, which `endpoint` asks for by event.
fn attendees(stub: &Stub, attendees: &Value) -> Value {
    let mut child = json!({"name": "attendees", "write_disposition": "merge", "primary_key": "id"});
    child.as_object_mut().unwrap().extend(attendees.as_object().unwrap().clone());
    let parent = json!({"name": "events", "primary_key": "id", "endpoint": {"path": "events", "data_selector": "$", "paginator": "single_page"}});
    json!({"client": {"base_url": stub.base_url}, "resources": [parent, child]})
}

fn of_each_event() -> Value {
    json!({"path": "events/{resources.events.id}/attendees", "data_selector": "$", "paginator": "single_page"})
}

#[test]
fn a_key_that_is_unique_only_within_its_parent_loses_nothing() {
    let stub = stub(|request| {
        let event = request.path.split('/').nth(2);
        Response::json(&match event {
            None => (1..=4).map(|id| json!({"id": id})).collect(),
            Some(event) => (1..=3).map(|id| json!({"id": id, "name": format!("{id} of {event}")})).collect(),
        })
    });
    let manifest = attendees(&stub, &json!({"endpoint": of_each_event()}));
    assert_eq!(load(&manifest, "attendees", "siblings", "duckdb").succeeded().len(), 3, "dlt keeps 3 of 12");
    let words = ["unique only within `events`", "`include_from_parent: [id]` and `primary_key: [_events_id, …]`"];
    ended(&Mine::json(&manifest).reading("attendees"), 1, &words);

    // As the error says.
    let fixed =
        json!({"endpoint": of_each_event(), "include_from_parent": ["id"], "primary_key": ["_events_id", "id"]});
    let mine = Mine::json(&attendees(&stub, &fixed));
    assert_eq!(mine.reading("attendees").complete()["records"]["new"], 12);
    let keys = mine.lake.query("mine/attendees", "SELECT _events_id, id, name FROM {table} ORDER BY 1, 2");
    assert_eq!((keys.len(), &keys[4]), (12, &vec![json!("2"), json!("2"), json!("2 of 2")]));
}

#[test]
fn a_parent_s_value_stays_in_its_place_of_the_path() {
    let stub = stub(|request| {
        Response::json(&match request.path.as_str() {
            "/events" => json!([{"id": "a/../../admin?x=1#f"}]),
            _ => json!([{"id": 1}]),
        })
    });
    let manifest = attendees(&stub, &json!({"endpoint": of_each_event()}));
    extract(&manifest, "attendees").succeeded();
    assert_eq!(stub.take()[1].path, "/admin", "dlt asks for what the id says");
    Mine::json(&manifest).reading("attendees").complete();
    assert_eq!(stub.take()[1].path, "/events/a%2F..%2F..%2Fadmin%3Fx%3D1%23f/attendees");
}

/// Event 1 has attendees of June, and event 2 of February. The next run reads each event from its own watermark.
fn since(request: &Request, revision: usize) -> Response {
    let records = match (request.path.as_str(), revision) {
        ("/events", _) => return Response::json(&json!([{"id": 1}, {"id": 2}])),
        ("/events/1/attendees", _) => vec![json!({"id": "a", "at": "2026-06-01T00:00:00Z"})],
        (_, 0) => vec![json!({"id": "b", "at": "2026-02-01T00:00:00Z"})],
        _ => vec![json!({"id": "b", "at": "2026-02-01T00:00:00Z"}), json!({"id": "c", "at": "2026-03-01T00:00:00Z"})],
    };
    let since = request.param("since");
    let newer = records.into_iter().filter(|record| record["at"].as_str().is_some_and(|at| at >= since));
    Response::json(&newer.collect())
}

fn since_manifest(stub: &Stub, placeholder: &str) -> Value {
    let mut endpoint = of_each_event();
    endpoint["params"] = json!({"since": placeholder});
    endpoint["incremental"] = json!({"cursor_path": "at", "initial_value": "2026-01-01T00:00:00Z"});
    attendees(stub, &json!({"endpoint": endpoint}))
}

#[test]
fn a_cursor_does_not_move_while_the_parents_are_read() {
    let stub = stub(|request| since(request, 0));
    let manifest = since_manifest(&stub, "{incremental.last_value}");
    let rows = extract(&manifest, "attendees").succeeded();
    assert_eq!(rows.len(), 1, "dlt asks for what event 2 has since event 1's newest: {rows:?}");
    let mine = Mine::json(&manifest);
    assert_eq!(mine.reading("attendees").complete()["records"]["new"], 2);
    assert_eq!(mine.ids("attendees"), ["a", "b"]);
}

#[test]
fn each_parent_has_its_own_cursor() {
    let revision = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&revision);
    let stub = stub(move |request| since(request, now.load(Ordering::Relaxed)));
    let manifest = since_manifest(&stub, "{incremental.start_value}");
    let ids = |rows: Vec<Value>| rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(load(&manifest, "attendees", "cursors", "duckdb").succeeded()).len(), 2);
    let mine = Mine::json(&manifest);
    mine.reading("attendees").complete();

    // An attendee of event 2 turns up, of a day before event 1's newest.
    revision.store(1, Ordering::Relaxed);
    let mut rows = ids(load(&manifest, "attendees", "cursors", "duckdb").succeeded());
    rows.sort();
    assert_eq!(rows, ["a", "b"], "dlt has one cursor for all, and never sees it");
    stub.take();
    assert_eq!(mine.reading("attendees").complete()["records"]["new"], 1);
    assert_eq!(mine.ids("attendees"), ["a", "b", "c"]);
    let mut asked: Vec<String> = stub.take().iter().map(|request| request.param("since").to_owned()).collect();
    asked.sort();
    // A record with the same cursor may have come since, so that runs overlap by a second.
    assert_eq!(asked, ["", "2026-01-31T23:59:59Z", "2026-05-31T23:59:59Z"]);
}

#[test]
fn the_cursor_of_a_parent_that_fails_stays() {
    let fails = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&fails);
    let stub = stub(move |request| match request.path.as_str() {
        "/events/1/attendees" if now.load(Ordering::Relaxed) == 1 => Response::status(400, "not now"),
        _ => since(request, 0),
    });
    let mine = Mine::json(&since_manifest(&stub, "{incremental.start_value}"));
    ended(&mine.reading("attendees"), 4, &["events 1: ", "answered 400: not now"]);
    stub.take();
    fails.store(0, Ordering::Relaxed);
    assert_eq!(mine.reading("attendees").complete()["records"]["new"], 1);
    let asked = |event: &str| {
        let path = format!("/events/{event}/attendees");
        stub.requests().iter().find(|request| request.path == path).map(|request| request.param("since").to_owned())
    };
    assert_eq!(asked("1").as_deref(), Some("2026-01-01T00:00:00Z"), "it has none yet");
    assert_eq!(asked("2").as_deref(), Some("2026-01-31T23:59:59Z"));
}

#[test]
fn rows_that_a_clash_of_keys_threw_away_are_read_again() {
    let stage = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&stage);
    let stub = stub(move |request| {
        let stage = now.load(Ordering::Relaxed);
        let event = request.path.split('/').nth(2).map(|id| id.parse::<usize>().unwrap());
        Response::json(&match event {
            None => (1..=if stage == 0 { 1 } else { 4 }).map(|id| json!({"id": id})).collect(),
            // The fourth event's attendee has the third's id, for a while.
            Some(4) if stage == 1 => json!([{"id": 3, "name": "3 of 4"}]),
            Some(event) => json!([{"id": event, "name": format!("{event} of {event}")}]),
        })
    });
    let mine = Mine::json(&attendees(&stub, &json!({"endpoint": of_each_event()})));
    mine.reading("attendees").complete();
    stage.store(1, Ordering::Relaxed);
    ended(&mine.reading("attendees"), 1, &["unique only within `events`"]);
    stage.store(2, Ordering::Relaxed);
    mine.reading("attendees").complete();
    assert_eq!(mine.ids("attendees").len(), 4);
}
