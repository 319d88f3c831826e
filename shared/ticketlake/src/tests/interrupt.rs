//! A run that is stopped from outside stores what it has read, and the next one goes on.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Response;
use super::{Mine, ended, events, page, stub};

const RECORDS: usize = 60;

/// Reads the first pages, until `response` keeps the run from the page at offset 30, and is stopped. The next run reads the rest.
fn stopped(rate: &Value, response: impl Fn() -> Option<Response> + Send + Sync + 'static) {
    let held = std::sync::atomic::AtomicBool::new(false);
    let stub = stub(move |request| {
        let is_first = request.number("offset") == 30 && !held.swap(true, std::sync::atomic::Ordering::Relaxed);
        response().filter(|_| is_first).unwrap_or_else(|| page(request, RECORDS, 10))
    });
    let endpoint = json!({
        "path": "events", "data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 10},
    });
    let mut manifest = events(&stub, &endpoint);
    manifest["client"]["rate"] = rate.clone();
    let mine = Mine::json(&manifest);
    let words = ["stopped by SIGTERM"];
    let run = ended(&mine.reading("events").interrupted_after(Duration::from_secs(5)), 3, &words);
    assert_eq!(run.report["status"], "partial");
    assert_eq!(run.report["stopped"], "stopped by SIGTERM");
    assert!(run.report["elapsed_ms"].as_u64().unwrap() < 6_000, "{}", run.report);
    assert!(run.report["continuation"].is_object(), "{}", run.report);
    assert_eq!(mine.ids("events").len(), 30, "{}", run.report);
    let sent = stub.take().len();
    let quota = mine.lake.objects().into_iter().find(|(key, _)| key == "_state/mine/_quota.json");
    let quota: Value = serde_json::from_slice(&quota.unwrap().1).unwrap();
    assert_eq!(quota["windows"][0]["used"], sent, "{quota}");

    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), RECORDS);
    assert!(stub.take()[0].number("offset") > 0, "the next run goes on where the first one stopped");
}

#[test]
fn a_request_in_flight_ends() {
    stopped(&json!([{"requests": 1000, "seconds": 3600}]), || {
        Some(Response::status(200, "{}").after(Duration::from_secs(3_000)))
    });
}

#[test]
fn a_wait_for_the_next_attempt_ends() {
    stopped(&json!([{"requests": 1000, "seconds": 3600}]), || {
        Some(Response::status(503, "later").with("retry-after", "600"))
    });
    stopped(&json!([{"requests": 1000, "seconds": 3600}]), || {
        Some(Response::status(429, "later").with("retry-after", "600"))
    });
}

#[test]
fn a_wait_for_a_rate_limit_ends() {
    stopped(&json!([{"requests": 3, "seconds": 60}]), || None);
}
