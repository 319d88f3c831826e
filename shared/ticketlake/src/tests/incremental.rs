//! Cursors: what is asked for from run to run, and what becomes of records by theirs.

use std::sync::{Arc, Mutex};

use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, ended, stub};

/// A list whose records change between runs, all of which come in one page.
struct Changing {
    stub: Stub,
    records: Arc<Mutex<Value>>,
    manifest: Value,
    mine: Mine,
}

impl Changing {
    fn start(records: Value, incremental: &Value) -> Self {
        let records = Arc::new(Mutex::new(records));
        let now = Arc::clone(&records);
        let stub = stub(move |_| Response::json(&now.lock().unwrap()));
        let manifest = json!({
            "client": {"base_url": stub.base_url},
            "resources": [{
                "name": "events", "primary_key": "id", "write_disposition": "merge",
                "endpoint": {
                    "data_selector": "$", "paginator": "single_page", "incremental": incremental,
                    "params": {
                        "since": "{incremental.start_value}", "last": "{incremental.last_value}",
                        "initial": "{incremental.initial_value}", "until": "{incremental.end_value}",
                    },
                },
            }],
        });
        let mine = Mine::json(&manifest);
        Self { stub, records, manifest, mine }
    }

    fn give(&self, records: Value) {
        *self.records.lock().unwrap() = records;
    }

    /// The report of a complete run, and what it asked for.
    fn run(&self, arguments: &[&str]) -> (Value, Request) {
        self.mine.now(&self.manifest);
        let report = self.mine.reading("events").with(arguments).complete();
        let mut seen = self.stub.take();
        assert_eq!(seen.len(), 1);
        (report, seen.remove(0))
    }

    /// What `since` a run asked for.
    fn since(&self, arguments: &[&str]) -> String {
        self.run(arguments).1.param("since").to_owned()
    }
}

fn at(id: u32, at: &str) -> Value {
    json!({"id": id, "at": at})
}

#[test]
fn instants_go_on_from_the_newest_less_the_lag() {
    let first = json!([at(1, "2026-01-05T10:00:00Z"), at(2, "2026-03-01T12:00:00+02:00"), at(3, "2026-02-01")]);
    let api = Changing::start(first, &json!({"cursor_path": "at", "initial_value": "2026-01-01", "lag": 3600}));
    let (report, seen) = api.run(&[]);
    assert_eq!((seen.param("since"), seen.param("initial")), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"));
    assert_eq!((seen.param("last"), seen.param("until")), ("2026-01-01T00:00:00Z", ""));
    assert_eq!(report["watermark"], "2026-03-01T10:00:00Z");
    let (_, seen) = api.run(&[]);
    assert_eq!((seen.param("since"), seen.param("last")), ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z"));
    assert_eq!(seen.param("initial"), "2026-01-01T00:00:00Z");
    // Older records do not carry it back, nor does an empty answer; a date in the future does not carry it away.
    api.give(json!([at(4, "2026-01-01")]));
    api.run(&[]);
    api.give(json!([]));
    assert_eq!(api.run(&[]).0["watermark"], "2026-03-01T10:00:00Z");
    api.give(json!([at(5, "2999-01-01T00:00:00Z")]));
    let watermark = api.run(&[]).0["watermark"].as_str().unwrap().to_owned();
    assert!(watermark.as_str() > "2026-03-01" && watermark.as_str() < "2999", "{watermark}");
    // The request's own range goes before it; `full` begins at the beginning.
    assert_eq!(api.since(&["--from", "2026-02-01"]), "2026-02-01T00:00:00Z");
    assert_eq!(api.since(&["--full"]), "2026-01-01T00:00:00Z");
    let (_, seen) = api.run(&["--from", "2026-02-01", "--to", "2026-02-03T00:00:00Z"]);
    assert_eq!(seen.param("until"), "2026-02-03T00:00:00Z");
}

#[test]
fn instants_are_written_as_the_manifest_says() {
    for (format, expected) in [
        ("rfc3339", "2026-01-02T00:00:00Z"),
        ("date", "2026-01-02"),
        ("epoch", "1767312000"),
        ("epoch_ms", "1767312000000"),
    ] {
        let incremental = json!({"cursor_path": "at", "initial_value": "2026-01-02", "format": format});
        assert_eq!(Changing::start(json!([]), &incremental).since(&[]), expected);
    }
}

#[test]
fn a_date_s_lag_is_in_days() {
    let incremental = json!({"cursor_path": "at", "initial_value": "2026-01-01", "lag": 2, "format": "date"});
    let mut api = Changing::start(json!([at(1, "2026-01-31")]), &incremental);
    api.manifest["resources"][0]["columns"] = json!({"at": {"data_type": "date"}});
    api.run(&[]);
    assert_eq!(api.since(&[]), "2026-01-29");
}

#[test]
fn numbers_go_on_too() {
    let records = json!([{"id": 1, "at": 17}, {"id": 2, "at": 40}, {"id": 3, "at": "25"}]);
    let api = Changing::start(records, &json!({"cursor_path": "at", "initial_value": 5, "lag": 10}));
    let (report, seen) = api.run(&[]);
    assert_eq!((seen.param("since"), &report["watermark"]), ("5", &json!("40")));
    assert_eq!(api.since(&[]), "30");
    ended(&api.mine.reading("events").with(&["--from", "2026-01-01"]), 2, &["the cursor of `events` is a number"]);
}

#[test]
fn a_number_is_known_by_its_first_value_or_its_column() {
    let mut api = Changing::start(json!([{"id": 1, "at": 40}]), &json!({"cursor_path": "at"}));
    ended(&api.mine.reading("events"), 1, &["no day or instant (for numbers, give `initial_value: 0`)"]);
    api.stub.take();
    api.manifest["resources"][0]["columns"] = json!({"at": {"data_type": "bigint"}});
    assert_eq!(api.run(&[]).0["watermark"], "40");
    ended(
        &Changing::start(json!([{"id": 1, "at": 1.5}]), &json!({"cursor_path": "at", "initial_value": 0}))
            .mine
            .reading("events"),
        1,
        &["no whole number"],
    );
}

#[test]
fn a_cursor_may_go_down() {
    let records = json!([{"id": 1, "at": 90}, {"id": 2, "at": 40}]);
    let api = Changing::start(
        records,
        &json!({"cursor_path": "at", "initial_value": 100, "last_value_func": "min", "lag": 5}),
    );
    assert_eq!((api.since(&[]), api.since(&[])), ("100".to_owned(), "45".to_owned()));
    api.give(json!([{"id": 3, "at": 60}]));
    assert_eq!(api.run(&[]).0["watermark"], "40");
}

#[test]
fn an_end_value_leaves_the_watermark_where_it_is() {
    let records = json!([at(1, "2026-01-05T00:00:00Z")]);
    let incremental = json!({"cursor_path": "at", "initial_value": "2026-01-01", "end_value": "2026-02-01"});
    let api = Changing::start(records, &incremental);
    for _ in 0..2 {
        let (report, seen) = api.run(&[]);
        assert_eq!((seen.param("since"), seen.param("until")), ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"));
        assert_eq!(report["watermark"], Value::Null);
    }
}

#[test]
fn a_record_without_a_cursor_is_what_the_manifest_says() {
    let records = json!([at(1, "2026-01-05T00:00:00Z"), {"id": 2}, {"id": 3, "at": null}, {"id": 4, "at": "soon"}]);
    let mut api = Changing::start(records, &json!({"cursor_path": "at"}));
    let words = ["at `at`, which is the cursor", "set `on_cursor_value_missing` to `include` or `exclude`"];
    ended(&api.mine.reading("events"), 1, &words);
    api.manifest["resources"][0]["endpoint"]["incremental"]["on_cursor_value_missing"] = "exclude".into();
    api.stub.take();
    let (report, _) = api.run(&[]);
    assert_eq!((&report["records"]["excluded"], &report["watermark"]), (&json!(3), &json!("2026-01-05T00:00:00Z")));
    assert_eq!(api.mine.ids("events"), ["1"]);
    api.manifest["resources"][0]["endpoint"]["incremental"]["on_cursor_value_missing"] = "include".into();
    api.run(&[]);
    assert_eq!(api.mine.ids("events"), ["1", "2", "3", "4"]);
}

#[test]
fn the_older_form_is_a_parameter() {
    let mut api = Changing::start(json!([{"id": 1, "at": 40}]), &Value::Null);
    let endpoint = &mut api.manifest["resources"][0]["endpoint"];
    endpoint.as_object_mut().unwrap().remove("incremental");
    endpoint["params"] = json!({"after": {"type": "incremental", "cursor_path": "at", "initial_value": 3}, "a": 1});
    let (_, seen) = api.run(&[]);
    assert_eq!((seen.param("after"), seen.param("a")), ("3", "1"));
    assert_eq!(api.run(&[]).1.param("after"), "39", "an API may return only what lies after it");

    let endpoint = &mut api.manifest["resources"][0]["endpoint"];
    endpoint["params"]["before"] = json!({"type": "incremental", "cursor_path": "at"});
    api.mine.now(&api.manifest);
    ended(&api.mine.reading("events"), 2, &["a second incremental parameter"]);

    // And the parameters' names may stand in `incremental`.
    let endpoint = &mut api.manifest["resources"][0]["endpoint"];
    endpoint["params"] = json!({});
    endpoint["incremental"] =
        json!({"cursor_path": "at", "initial_value": 3, "end_value": 90, "start_param": "from", "end_param": "to"});
    let (_, seen) = api.run(&["--full"]);
    assert_eq!((seen.param("from"), seen.param("to")), ("3", "90"));
}

/// Twenty records by `offset` in the order of their numbers, or the other way round.
fn ordered(order: &str) -> (Stub, Mine) {
    let descending = order == "desc";
    let stub = stub(move |request| {
        let offset = request.number("offset").min(20);
        let number = |index: usize| if descending { 20 - index } else { index + 1 };
        let records: Vec<Value> =
            (offset..(offset + 5).min(20)).map(|index| json!({"id": number(index), "at": number(index)})).collect();
        Response::json(&json!({"events": records, "total": 20}))
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url},
        "resources": [{
            "name": "events", "primary_key": "id", "write_disposition": "merge",
            "endpoint": {
                "data_selector": "events", "paginator": {"type": "offset", "limit": 5},
                "incremental": {"cursor_path": "at", "initial_value": 1, "row_order": order},
            },
        }],
    });
    let mine = Mine::json(&manifest);
    if !descending {
        let mut manifest = manifest;
        manifest["resources"][0]["endpoint"]["incremental"]["end_value"] = 7.into();
        mine.now(&manifest);
    }
    (stub, mine)
}

#[test]
fn an_order_that_is_known_ends_a_reading_early() {
    let (stub, mine) = ordered("desc");
    assert_eq!(mine.reading("events").complete()["records"]["new"], 20);
    assert_eq!(stub.take().len(), 4);
    // The second page's last record lies before the watermark, 20.
    let again = mine.reading("events").complete();
    assert_eq!((stub.take().len(), &again["status"]), (1, &json!("complete")));

    let (stub, mine) = ordered("asc");
    let report = mine.reading("events").complete();
    // The second page extends beyond the end of the range. Only its records within the range are stored.
    assert_eq!((stub.take().len(), &report["records"]["new"]), (2, &json!(7)));
}

#[test]
fn a_partial_run_leaves_the_watermark() {
    let (stub, mine) = ordered("desc");
    ended(&mine.reading("events").with(&["--max-requests", "2"]), 3, &["max_requests of 2 is used up"]);
    stub.take();
    let report = mine.reading("events").complete();
    // The last page that was read, again, and the two behind it.
    assert_eq!((stub.take().len(), &report["watermark"]), (3, &json!("20")));
    assert_eq!(mine.ids("events").len(), 20);
}
