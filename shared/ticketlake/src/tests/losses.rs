//! Losses that a run must not call complete or proven, and rows that it must not remove: records that move, lose their keys, or belong to
//! a parent that was passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Mine, Request, Response, Stub, ended, events_with_tickets, records, stub};

/// The page of `all` that the request asks for by `offset` and `limit`, with the total.
fn counted(request: &Request, all: &[Value]) -> Response {
    let from = request.number("offset").min(all.len());
    let to = (from + request.number("limit")).min(all.len());
    Response::json(&json!({"events": &all[from..to], "total": all.len()}))
}

/// A manifest of the one resource `events` with these members beside its name.
fn manifest(stub: &Stub, resource: &Value) -> Value {
    let mut events = json!({"name": "events", "primary_key": "id", "write_disposition": "merge"});
    events.as_object_mut().unwrap().extend(resource.as_object().unwrap().clone());
    json!({"client": {"base_url": stub.base_url}, "resources": [events]})
}

/// A switch that a script reads.
fn switch() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let switch = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&switch), switch)
}

/// The API counts 30 records. After the first run its list ends early.
#[test]
fn a_page_that_is_read_again_does_not_stand_for_others() {
    let (ends_early, now) = switch();
    let stub = stub(move |request| {
        let from = request.number("page") * 10;
        let to = if now.load(Ordering::Relaxed) == 1 { 25 } else { 30 };
        let next = (from + 10 < to).then(|| format!("?page={}", request.number("page") + 1));
        Response::json(&json!({"events": records(from..(from + 10).min(to)), "count": 30, "next": next}))
    });
    let endpoint = json!({"data_selector": "events", "paginator": {"type": "json_link", "next_url_path": "next"}});
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    ended(&mine.reading("events").with(&["--max-requests", "2"]), 3, &[]);
    ends_early.store(1, Ordering::Relaxed);
    ended(&mine.reading("events"), 4, &["`count` is 30, and 25 records were received"]);
    ends_early.store(0, Ordering::Relaxed);
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 30);
}

/// Records in the order of their numbers. The first one is removed after the first page was read.
#[test]
fn a_removal_in_front_is_seen_at_the_end_of_a_range() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let gone = usize::from(asked.fetch_add(1, Ordering::Relaxed) > 0);
        let all: Vec<Value> = (1 + gone..21).map(|number| json!({"id": number, "at": number})).collect();
        counted(request, &all)
    });
    let incremental = json!({"cursor_path": "at", "initial_value": 1, "end_value": 9, "row_order": "asc"});
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 5},
        "incremental": incremental,
    });
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    mine.reading("events").complete();
    assert!(mine.ids("events").contains(&"6".to_owned()), "{:?}", mine.ids("events"));
}

/// Three records, oldest change first, in pages of two. The first one loses its key after the first page, and moves to the end.
#[test]
fn a_record_that_loses_its_key_while_it_is_read_proves_nothing() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let has_moved = asked.fetch_add(1, Ordering::Relaxed) > 0;
        let mut all = records(usize::from(has_moved)..3);
        all.extend(has_moved.then(|| json!({"name": "n0"})));
        counted(request, &all)
    });
    let endpoint =
        json!({"data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 2}});
    let resource = json!({"endpoint": endpoint, "expect": {"rejected_max": 0.9}});
    let report = Mine::json(&manifest(&stub, &resource)).reading("events").complete();
    assert_eq!(report["proof"]["proven"]["queries"], 0, "{report}");
    let reasons = report["proof"]["reasons"].to_string();
    assert!(reasons.contains("rejected records do not show their keys"), "{report}");
}

/// A record that shows its key counts once, also after it was rejected.
#[test]
fn a_record_that_is_rejected_while_it_is_read_counts_once() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let has_moved = asked.fetch_add(1, Ordering::Relaxed) == 1;
        let record = |id: u32| json!({"id": id, "day": "2026-11-01"});
        let first = if has_moved { json!({"id": 0, "day": "soon"}) } else { record(0) };
        let all = if has_moved { [record(1), record(2), first] } else { [first, record(1), record(2)] };
        counted(request, &all)
    });
    let endpoint =
        json!({"data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 2}});
    let resource = json!({
        "endpoint": endpoint, "expect": {"rejected_max": 0.9},
        "columns": {"id": {"data_type": "bigint"}, "day": {"data_type": "date"}},
        "partition": [{"name": "d", "from": "day", "transform": "day"}],
    });
    let mine = Mine::json(&manifest(&stub, &resource));
    let report = mine.reading("events").complete();
    assert_eq!((mine.ids("events").len(), &report["proof"]["proven"]["queries"]), (3, &json!(1)), "{report}");
}

#[test]
fn a_full_read_takes_the_place_of_an_interrupted_one() {
    let stub = stub(|request| counted(request, &records(0..40)));
    let endpoint =
        json!({"data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 10}});
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    ended(&mine.reading("events").with(&["--max-requests", "3"]), 3, &[]);
    mine.reading("events").with(&["--full"]).complete();
    stub.take();
    mine.reading("events").complete();
    let asked: Vec<usize> = stub.take().iter().map(|request| request.number("offset")).collect();
    assert_eq!(asked, [0, 10, 20, 30, 40]);
    // An interrupted read that is newer is resumed.
    ended(&mine.reading("events").with(&["--max-requests", "3"]), 3, &[]);
    stub.take();
    mine.reading("events").complete();
    assert_eq!(stub.take()[0].number("offset"), 20);
}

/// Four events in pages of two with three guests each. After the first run, the list of the events ends early once.
#[test]
fn a_parent_that_is_passed_over_keeps_the_rows_of_its_children() {
    for paginator in [json!({"type": "json_link", "next_url_path": "next"}), Value::Null] {
        let (ends_early, now) = switch();
        let stub = stub(move |request| match request.path.as_str() {
            "/events" => {
                let from = request.number("page") * 2;
                let is_last = from > 0 || now.swap(0, Ordering::Relaxed) == 1;
                let next = (!is_last).then_some("/events?page=1");
                Response::json(&json!({"events": records(from..from + 2), "next": next}))
            }
            path => {
                let guests: Vec<Value> = (0..3).map(|number| json!({"id": format!("{path}-{number}")})).collect();
                Response::json(&json!({"events": guests, "total": 3}))
            }
        });
        let mut events = json!({"data_selector": "events"});
        if !paginator.is_null() {
            events["paginator"] = paginator.clone();
        }
        let guests = json!({
            "path": "events/{resources.events.id}/guests", "data_selector": "events", "total_path": "total",
            "paginator": {"type": "offset", "limit": 10},
        });
        let mine = Mine::json(&json!({
            "client": {"base_url": stub.base_url},
            "resource_defaults": {"primary_key": "id", "write_disposition": "replace"},
            "resources": [
                {"name": "events", "endpoint": events},
                {"name": "guests", "endpoint": guests},
            ],
        }));
        mine.reading("guests").complete();
        assert_eq!(mine.ids("guests").len(), 12);
        ends_early.store(1, Ordering::Relaxed);
        let report = mine.reading("guests").complete();
        assert_eq!(mine.ids("guests").len(), 12, "{report}");
        assert_eq!(report["proof"]["unproven"]["queries"], 1, "{report}");
    }
}

/// The second of four records has no key in the first run. The API corrects it, and its cursor stays.
#[test]
fn what_too_many_rejections_left_out_is_read_again() {
    let (is_correct, now) = switch();
    let stub = stub(move |request| {
        let record = |number: usize| match now.load(Ordering::Relaxed) {
            0 if number == 2 => json!({"at": number}),
            _ => json!({"id": number, "at": number}),
        };
        let since = request.number("since");
        counted(request, &(1..5).filter(|number| *number >= since).map(record).collect::<Vec<_>>())
    });
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 10},
        "incremental": {"cursor_path": "at", "initial_value": 0, "start_param": "since"},
    });
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    ended(&mine.reading("events"), 4, &["1 of 4 records cannot become rows"]);
    is_correct.store(1, Ordering::Relaxed);
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 4);
}

#[test]
fn too_many_rejected_records_inside_others_are_not_complete() {
    let stub = stub(|_| {
        let tickets = |event: usize| json!([{"seat": event}]);
        Response::json(&(0..10).map(|event| json!({"id": event, "tickets": tickets(event)})).collect())
    });
    let mine = Mine::json(&events_with_tickets(&stub));
    ended(&mine.reading("events"), 4, &["rejected records of `tickets`", "10 of 10 records cannot become rows"]);
}

/// Two hundred records, one each minute. The API counts no further than 100. After the first run, windows that end within the first 50
/// minutes are ignored.
#[test]
fn an_ignored_window_removes_no_rows() {
    const BEGIN: i64 = 1_790_812_800;
    let (is_gone, now) = switch();
    let stub = stub(move |request| {
        let second = |name: &str| {
            let text = request.param(name);
            (!text.is_empty()).then(|| manifest::time::parse_instant(text).unwrap().timestamp())
        };
        let (from, to) = (second("from"), second("to"));
        if now.load(Ordering::Relaxed) == 1 && to.is_some_and(|to| to < BEGIN + 50 * 60) {
            return Response::status(404, "not found");
        }
        let time = |number: i64| BEGIN + number * 60;
        let found: Vec<Value> = (0..200)
            .filter(|number| from.is_none_or(|from| time(*number) >= from) && to.is_none_or(|to| time(*number) <= to))
            .map(|number| {
                let at = chrono::DateTime::from_timestamp(time(number), 0).unwrap().to_rfc3339();
                json!({"id": number, "at": at})
            })
            .collect();
        let from = (request.number("page") * 10).min(found.len());
        let page = &found[from..(from + 10).min(found.len())];
        let total = found.len().min(100);
        Response::json(&json!({"events": page, "total": total, "pages": total.div_ceil(10)}))
    });
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "total_limit": 100, "depth_limit": 40,
        "page_size": {"param": "size", "maximum": 10}, "paginator": {"type": "page_number", "total_path": "pages"},
        "response_actions": [{"status_code": 404, "action": "ignore"}],
    });
    let slices = json!({"time": {"start_param": "from", "end_param": "to", "path": "at"}});
    let resource = json!({"endpoint": endpoint, "slices": slices, "write_disposition": "replace"});
    let mine = Mine::json(&manifest(&stub, &resource));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 200);
    is_gone.store(1, Ordering::Relaxed);
    let report = mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 200, "{report}");
    assert!(report["warnings"].to_string().contains("no rows were removed"), "{report}");
}

/// Two hundred records, oldest change first. The first one changes after the first page was read, and moves to the end.
#[test]
fn a_move_to_the_end_is_seen_at_the_end_of_a_range() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let has_moved = asked.fetch_add(1, Ordering::Relaxed) > 0;
        let record = |id: usize, at: usize| json!({"id": id, "at": at});
        let mut all: Vec<Value> = (1 + usize::from(has_moved)..201).map(|number| record(number, number)).collect();
        all.extend(has_moved.then(|| record(1, 201)));
        counted(request, &all)
    });
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 50},
        "incremental": {"cursor_path": "at", "initial_value": 1, "end_value": 90, "row_order": "asc"},
    });
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    mine.reading("events").complete();
    assert!(mine.ids("events").contains(&"51".to_owned()), "{:?}", mine.ids("events"));
}

/// Two events with three guests each. After the first run, the guests of one of them are not found, which the manifest ignores.
#[test]
fn an_ignored_response_marks_no_rows() {
    let (is_gone, now) = switch();
    let stub = stub(move |request| match request.path.as_str() {
        "/events" => Response::json(&json!([{"id": 1}, {"id": 2}])),
        "/events/2/guests" if now.load(Ordering::Relaxed) == 1 => Response::status(404, "not found"),
        path => Response::json(&(0..3).map(|number| json!({"id": format!("{path}-{number}")})).collect()),
    });
    let ignored = json!([{"status_code": 404, "action": "ignore"}]);
    let mine = Mine::json(&json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {
            "primary_key": "id", "write_disposition": "merge",
            "endpoint": {"data_selector": "$", "paginator": "single_page"},
        },
        "resources": ["events", {
            "name": "guests", "vanished": {"column": "gone_at"},
            "columns": {"id": {"data_type": "text"}},
            "endpoint": {"path": "events/{resources.events.id}/guests", "response_actions": ignored},
        }],
    }));
    mine.reading("guests").complete();
    is_gone.store(1, Ordering::Relaxed);
    let report = mine.reading("guests").complete();
    assert!(report["records"]["vanished"].as_u64().unwrap_or(0) == 0, "{report}");
    assert!(report["warnings"].to_string().contains("no rows are marked as vanished"), "{report}");
}

/// The API counts no further than 100 of 300 records, one of which is removed in front after the first page.
#[test]
fn a_removal_in_front_is_seen_behind_a_limit_of_totals() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let gone = usize::from(asked.fetch_add(1, Ordering::Relaxed) > 0);
        let all = records(gone..300);
        let from = request.number("offset").min(all.len());
        let to = (from + request.number("limit")).min(all.len());
        Response::json(&json!({"events": &all[from..to], "total": 100}))
    });
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "total_limit": 100,
        "paginator": {"type": "offset", "limit": 60},
    });
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 300, "none of those that are there is missing, and the removed one stays");
}

/// A record that lies in the future is corrected to lie in the past. Another one lies in the past from the beginning on.
#[test]
fn a_stored_row_does_not_outlive_its_correction() {
    let (is_past, now) = switch();
    let stub = stub(move |_| {
        let year = if now.load(Ordering::Relaxed) == 1 { 2025 } else { 2027 };
        let event = |id: u32, year: u32| json!({"id": id, "start": format!("{year}-05-01T20:00:00Z")});
        Response::json(&json!([event(1, 2027), event(2, year), event(3, 2024)]))
    });
    let resource = json!({
        "columns": {"id": {"data_type": "bigint"}, "start": {"data_type": "timestamp"}}, "passed_by": ["start"],
        "endpoint": {"data_selector": "$", "paginator": "single_page"},
    });
    let mine = Mine::json(&manifest(&stub, &resource));
    let reading = mine.reading("events").with(&["--retention-days", "30"]);
    let report = reading.complete();
    assert_eq!((mine.ids("events"), &report["records"]["removed"]), (vec!["1".into(), "2".into()], &Value::Null));
    is_past.store(1, Ordering::Relaxed);
    reading.complete();
    assert_eq!(mine.ids("events"), ["1"]);
    // What is past is not stored for a moment.
    assert_eq!(reading.complete()["records"]["removed"], Value::Null);
}
