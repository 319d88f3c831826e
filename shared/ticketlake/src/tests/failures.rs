//! What certain answers mean, and how far one failure reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, ended, events, page, records, stub};

/// Answers `status` and `body` so many times, then three records.
fn failing(times: usize, status: u16, body: &'static str) -> Stub {
    let answered = AtomicUsize::new(0);
    stub(move |_| match answered.fetch_add(1, Ordering::Relaxed) < times {
        true => Response::status(status, body),
        false => Response::json(&json!(records(0..3))),
    })
}

fn with_actions(stub: &Stub, actions: &Value) -> Value {
    events(
        stub,
        &json!({"path": "events", "data_selector": "$", "paginator": "single_page", "response_actions": actions}),
    )
}

#[test]
fn an_action_goes_by_status_and_content() {
    // What is answered first, the actions, the exit code, the records, the requests.
    let nobody = r#"{"error": "No users found"}"#;
    for (status, body, actions, code, new, requests) in [
        (404, nobody, json!([{"status_code": 404, "action": "ignore"}]), 0, 0, 1),
        (404, nobody, json!([{"content": "No users", "action": "ignore"}]), 0, 0, 1),
        (404, nobody, json!([{"status_code": 404, "content": "No users", "action": "ignore"}]), 0, 0, 1),
        (404, nobody, json!([{"status_code": 404, "content": "No events", "action": "ignore"}]), 1, 0, 1),
        (404, nobody, json!([{"status_code": 400, "action": "ignore"}]), 1, 0, 1),
        (404, nobody, json!([{"status_code": 404, "action": "retry"}]), 0, 3, 2),
        (
            400,
            nobody,
            json!([{"content": "No users", "action": "retry"}, {"status_code": 400, "action": "ignore"}]),
            0,
            3,
            2,
        ),
        (
            400,
            nobody,
            json!([{"status_code": 400, "action": "ignore"}, {"content": "No users", "action": "retry"}]),
            0,
            0,
            1,
        ),
        // Also of an answer that would be one, and of one that would be asked again or for another key.
        (200, r#"[{"id": 9, "note": "maintenance"}]"#, json!([{"content": "maintenance", "action": "retry"}]), 0, 3, 2),
        (200, r#"{"error": "maintenance"}"#, json!([{"content": "maintenance", "action": "fail"}]), 1, 0, 1),
        (503, nobody, json!([{"status_code": 503, "action": "fail"}]), 1, 0, 1),
        (503, nobody, json!([]), 0, 3, 2),
        (403, nobody, json!([{"status_code": 403, "action": "ignore"}]), 0, 0, 1),
        (403, nobody, json!([]), 5, 0, 1),
        // A firewall's page says nothing about the key.
        (403, "<!DOCTYPE html><title>Access denied</title>", json!([]), 0, 3, 2),
        (403, "<html>", json!([{"status_code": 403, "action": "fail"}]), 1, 0, 1),
    ] {
        let stub = failing(1, status, body);
        let ended = ended(&Mine::json(&with_actions(&stub, &actions)).reading("events"), code, &[]);
        assert_eq!(ended.report["records"]["new"], new, "{status} {actions}: {}", ended.errors);
        assert_eq!(stub.take().len(), requests, "{status} {actions}");
    }
}

#[test]
fn a_retry_ends_with_the_attempts() {
    let stub = failing(9, 404, r#"{"error": "not yet"}"#);
    let manifest = with_actions(&stub, &json!([{"status_code": 404, "action": "retry"}]));
    let function = Mine::json(&manifest);
    let ended = ended(
        &function.reading("events").with(&["--attempts", "2"]),
        1,
        &["answered 404", "not yet", "after 2 attempts"],
    );
    assert_eq!((stub.take().len(), &ended.report["requests"]["retried"]), (2, &json!(1)));
}

#[test]
fn an_action_without_a_condition_is_refused() {
    let stub = failing(0, 200, "");
    for (action, words) in [
        (json!({"action": "ignore"}), "would take every answer"),
        (json!({"status_code": 99, "action": "ignore"}), "99 is out of range: 100 to 599"),
        (json!({"status_code": 404}), "needs `action`"),
    ] {
        ended(
            &Mine::json(&with_actions(&stub, &json!([action]))).reading("events"),
            2,
            &["response_actions[0]", words],
        );
    }
    assert!(stub.take().is_empty());
}

#[test]
fn an_ignored_answer_after_all_that_was_promised_is_the_end() {
    let stub = stub(|request| match request.number("offset") {
        3.. => Response::status(404, "past the end"),
        _ => page(request, 3, 3),
    });
    let paginator = json!({"type": "offset", "limit": 3, "total_path": null});
    let actions = json!([{"status_code": 404, "action": "ignore"}]);
    let endpoint =
        json!({"path": "events", "data_selector": "events", "paginator": paginator, "response_actions": actions});
    let mut manifest = events(&stub, &endpoint);
    // By the numbers of the API it is; without them nobody knows.
    ended(&Mine::json(&manifest).reading("events"), 4, &["page 2 is one that response_actions ignore"]);
    manifest["resources"][0]["endpoint"]["total_path"] = "total".into();
    Mine::json(&manifest).reading("events").complete();
}

/// So many events, with three attendees each but those of which `fails` says otherwise.
fn of_events(
    count: usize,
    fails: impl Fn(&Request, usize) -> Option<Response> + Send + Sync + 'static,
) -> (Stub, Mine) {
    let stub = stub(move |request| {
        let event = request.path.split('/').nth(2).map(|id| id.parse::<usize>().unwrap());
        match event {
            None => Response::json(&(1..=count).map(|id| json!({"id": id})).collect()),
            Some(event) => {
                fails(request, event).unwrap_or_else(|| Response::json(&json!(records(event * 10..event * 10 + 3))))
            }
        }
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
        "resources": ["events", {"name": "attendees", "endpoint": "events/{resources.events.id}/attendees"}],
    });
    (stub, Mine::json(&manifest))
}

#[test]
fn one_parent_that_fails_leaves_the_others() {
    let broken = Arc::new(AtomicUsize::new(3));
    let now = Arc::clone(&broken);
    let (stub, mine) =
        of_events(8, move |_, event| (event == now.load(Ordering::Relaxed)).then(|| Response::status(404, "gone")));
    let run = ended(&mine.reading("attendees"), 4, &["events 3: all", "answered 404: gone"]);
    assert_eq!((&run.report["records"]["new"], &run.report["slices"]["whole"]), (&json!(21), &json!(7)));
    assert_eq!(run.report["slices"]["incomplete"].as_array().map(Vec::len), Some(1));
    assert_eq!(stub.take().len(), 9, "a 404 is final");
    broken.store(0, Ordering::Relaxed);
    assert_eq!(mine.reading("attendees").complete()["records"]["new"], 3);
}

#[test]
fn an_api_that_is_down_ends_the_run() {
    let (stub, mine) = of_events(60, |_, event| (event > 2).then(|| Response::status(400, "down")));
    let run = ended(&mine.reading("attendees"), 1, &["answered 400: down"]);
    assert_eq!(run.report["error"]["kind"], "Api");
    assert_eq!(run.report["records"]["new"], 6, "what came before is stored: {}", run.report);
    // Five in a row, and those that were on their way.
    let asked = stub.take().len();
    assert!(asked < 40, "{asked}");
    assert_eq!(mine.ids("attendees").len(), 6);

    // Every second one fails: never five in a row.
    let (_stub, mine) = of_events(8, |_, event| event.is_multiple_of(2).then(|| Response::status(400, "odd")));
    let run = ended(&mine.reading("attendees"), 4, &["events 2: all", "events 8: all"]);
    assert_eq!((&run.report["records"]["new"], &run.report["slices"]["whole"]), (&json!(12), &json!(4)));
}

#[test]
fn parents_that_fail_or_have_no_value_are_told() {
    // A parent's own list that fails is an error of the child's.
    let stub = stub(|request| match request.path.as_str() {
        "/broken" => Response::status(400, "no events today"),
        "/holes" => Response::json(
            &json!([{"id": 1, "code": "a"}, {"id": 2}, {"id": 3, "code": null}, {"id": 4, "code": ".."}]),
        ),
        "/none" => Response::json(&json!([])),
        _ => Response::json(&json!(records(0..1))),
    });
    let of = |parent: &str, field: &str| {
        json!({
            "client": {"base_url": stub.base_url},
            "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
            "resources": [parent, {"name": "children", "endpoint": format!("of/{{resources.{parent}.{field}}}/children")}],
        })
    };
    ended(&Mine::json(&of("broken", "id")).reading("children"), 1, &["GET broken: answered 400: no events today"]);
    let words = ["records of `holes` have no code, so their children were not read", "which cannot stand in a path"];
    let run = ended(&Mine::json(&of("holes", "code")).reading("children"), 4, &words);
    assert_eq!(run.report["records"]["new"], 1, "{}", run.report);
    let report = Mine::json(&of("none", "id")).reading("children").complete();
    assert!(report["warnings"][0].as_str().unwrap().contains("received 0 records of the parent"), "{report}");
}

#[test]
fn one_resource_that_fails_leaves_the_others() {
    let stub = stub(|request| match request.path.as_str() {
        "/broken" => Response::status(400, "no"),
        _ => Response::json(&json!(records(0..2))),
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
        "resources": ["first", "broken", "last"],
    });
    let mine = Mine::json(&manifest);
    let run = ended(&mine.reading("all"), 1, &["GET broken: answered 400: no"]);
    let statuses = run.report["resources"].as_array().unwrap().iter().map(|one| one["status"].clone());
    assert_eq!(statuses.collect::<Value>(), json!(["complete", "failed", "complete"]));
    assert_eq!(mine.ids("last"), ["0", "1"]);
}

/// GraphQL answers 200 with what it could read, and says what failed.
#[test]
fn errors_in_an_answer_with_status_200_fail_the_run() {
    for body in [
        json!({"data": {"events": null}, "errors": [{"message": "timed out"}]}),
        json!({"data": {"events": [{"id": 1}]}, "errors": [{"message": "timed out"}]}),
        json!({"errors": [{"message": "timed out"}]}),
    ] {
        let stub = stub(move |_| Response::json(&body));
        for endpoint in [json!({"path": "graphql", "data_selector": "data.events"}), json!({"path": "graphql"})] {
            let manifest = events(&stub, &endpoint);
            let mine = Mine::json(&manifest);
            let run = mine.reading("events");
            let ended = ended(&run, 1, &["timed out"]);
            assert_eq!(ended.report["records"]["new"], 0, "{}", ended.report);
        }
    }
}

/// The key was accepted for the parents, so that a child with status 403 is not to be read with it.
#[test]
fn a_forbidden_child_costs_that_child() {
    let stub = stub(|request| match request.path.as_str() {
        "/shops" => Response::json(&json!(records(0..3))),
        "/shops/1/events" => Response::status(403, r#"{"message": "not yours"}"#),
        path => Response::json(&json!([{"id": path}])),
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url, "auth": {"type": "bearer", "token": {"$secret": "token"}}},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
        "resources": [
            {"name": "shops", "columns": {"id": {"data_type": "bigint"}}},
            {"name": "events", "columns": {"id": {"data_type": "text"}}, "endpoint": {"path": "shops/{resources.shops.id}/events"}},
        ],
    });
    let mine = Mine::json(&manifest);
    let run = mine.reading("events").env("MINE_TOKEN", "key-of-mine");
    let ended = ended(&run, 4, &["not yours"]);
    assert_eq!(ended.report["records"]["new"], 2, "{}", ended.report);
    assert_eq!(stub.take().len(), 4, "a key that was accepted is not asked for again");
}

#[test]
fn a_403_that_asks_for_a_wait_or_leaves_no_requests_is_sent_again() {
    for (name, value) in [("retry-after", "1"), ("x-ratelimit-remaining", "0")] {
        let answered = AtomicUsize::new(0);
        let stub = stub(move |_| match answered.fetch_add(1, Ordering::Relaxed) {
            0 => Response::status(403, "{}").with(name, value),
            _ => Response::json(&json!(records(0..3))),
        });
        let mine = Mine::json(&with_actions(&stub, &json!([])));
        assert_eq!(mine.reading("events").complete()["records"]["new"], 3, "{name}");
    }
}
