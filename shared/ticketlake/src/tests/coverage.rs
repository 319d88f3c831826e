//! Coverage: what a run reads after others, and that nothing lies in a gap that nobody reads.

use std::sync::{Arc, Mutex};

use super::{Mine, Request, Response, Stub, ended, stub};
use serde_json::{Value, json};

/// How an API compares a cursor with the ends of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bounds {
    /// Both ends belong to the range.
    Inclusive,
    /// No end belongs to the range.
    Exclusive,
    /// Both ends belong to the range, and fractions of a second count as nothing.
    WholeSeconds,
}

/// A list of records with the cursor `at`, in pages of `offset` and `limit`, limited by `since` and `until`.
struct Dated {
    stub: Stub,
    records: Arc<Mutex<Vec<Value>>>,
    mine: Mine,
    manifest: Value,
}

fn page(request: &Request, records: &[Value], bounds: Bounds) -> Response {
    let is_in = |at: &str| {
        let at = if bounds == Bounds::WholeSeconds { format!("{}Z", &at[..19]) } else { at.to_owned() };
        // `2026-01-01T00:00:00Z` is greater than `2026-01-01T00:00:00.5Z` as a text.
        let at = at.replace('Z', "");
        let (since, until) = (request.param("since").replace('Z', ""), request.param("until").replace('Z', ""));
        let (after, before) =
            if bounds == Bounds::Exclusive { (at > since, at < until) } else { (at >= since, at <= until) };
        (since.is_empty() || after) && (until.is_empty() || before)
    };
    let found: Vec<&Value> = records.iter().filter(|record| is_in(record["at"].as_str().unwrap())).collect();
    let offset = request.number("offset").min(found.len());
    let end = (offset + request.number("limit")).min(found.len());
    Response::json(&json!({"events": found[offset..end], "total": found.len()}))
}

impl Dated {
    fn start(records: Vec<Value>, bounds: Bounds) -> Self {
        let records = Arc::new(Mutex::new(records));
        let now = Arc::clone(&records);
        let stub = stub(move |request| page(request, &now.lock().unwrap(), bounds));
        let manifest = json!({
            "client": {"base_url": stub.base_url},
            "resources": [{
                "name": "events", "primary_key": "id", "write_disposition": "merge",
                "endpoint": {
                    "path": "events", "data_selector": "events", "total_path": "total",
                    "paginator": {"type": "offset", "limit": 10}, "filters": {"kind": {}},
                    "incremental": {"cursor_path": "at", "start_param": "since", "end_param": "until"},
                },
            }],
        });
        let mine = Mine::json(&manifest);
        Self { stub, records, mine, manifest }
    }

    fn add(&self, record: Value) {
        self.records.lock().unwrap().push(record);
    }

    /// Reads completely. Returns the ranges that were asked for, each once.
    fn ranges(&self, arguments: &[&str]) -> Vec<(String, String)> {
        self.stub.take();
        self.mine.reading("events").with(arguments).complete();
        let mut ranges: Vec<_> = self
            .stub
            .take()
            .iter()
            .map(|request| (request.param("since").to_owned(), request.param("until").to_owned()))
            .collect();
        ranges.dedup();
        ranges
    }

    fn missing(&self) -> usize {
        self.records.lock().unwrap().len() - self.mine.ids("events").len()
    }
}

fn range(since: &str, until: &str) -> (String, String) {
    (since.to_owned(), until.to_owned())
}

fn at(id: usize, at: &str) -> Value {
    json!({"id": id, "at": at})
}

/// One record a day in October.
fn october() -> Vec<Value> {
    (1..=31).map(|day| at(day, &format!("2026-10-{day:02}T12:00:00Z"))).collect()
}

#[test]
fn a_first_run_with_a_range_leaves_no_silent_gap() {
    let api = Dated::start(october(), Bounds::Inclusive);
    let from_to = ["--from", "2026-10-10", "--to", "2026-10-12"];
    assert_eq!(api.ranges(&from_to), [range("2026-10-10T00:00:00Z", "2026-10-13T00:00:00Z")]);
    assert_eq!(api.mine.reading("events").with(&from_to).complete()["watermark"], Value::Null);
    assert_eq!(api.ranges(&[]), [range("", "2026-10-10T00:00:00Z"), range("2026-10-13T00:00:00Z", "")]);
    assert_eq!(api.missing(), 0);
    // Everything is read: the next run reads what is new.
    assert_eq!(api.ranges(&[]), [range("2026-10-31T11:59:59Z", "")]);
}

#[test]
fn a_backfill_by_windows_is_not_read_again() {
    let api = Dated::start(october(), Bounds::Inclusive);
    for day in (1..=29).rev().step_by(2) {
        let (from, to) = (format!("2026-10-{day:02}"), format!("2026-10-{:02}", day + 1));
        api.ranges(&["--from", &from, "--to", &to]);
    }
    assert_eq!(api.ranges(&[]), [range("", "2026-10-01T00:00:00Z"), range("2026-10-31T00:00:00Z", "")]);
    assert_eq!((api.missing(), api.ranges(&[])), (0, vec![range("2026-10-31T11:59:59Z", "")]));
}

#[test]
fn a_backfill_by_days_misses_nothing_at_the_seams() {
    let seam = |day: usize, time: &str| at(day * 10 + time.len(), &format!("2026-10-{day:02}T{time}Z"));
    let records: Vec<Value> = (1..=7)
        .flat_map(|day| [seam(day, "00:00:00"), seam(day, "12:00:00.25"), seam(day, "23:59:59.75123")])
        .collect();
    for bounds in [Bounds::Inclusive, Bounds::WholeSeconds] {
        let api = Dated::start(records.clone(), bounds);
        for day in 1..=7 {
            let day = format!("2026-10-{day:02}");
            api.ranges(&["--from", &day, "--to", &day]);
        }
        assert_eq!(api.missing(), 0, "{bounds:?}");
    }
}

/// A record with the cursor of the newest one comes after the run.
#[test]
fn a_later_record_with_the_same_cursor_is_read() {
    for bounds in [Bounds::Inclusive, Bounds::Exclusive, Bounds::WholeSeconds] {
        let api = Dated::start(october(), bounds);
        api.ranges(&[]);
        api.add(at(32, "2026-10-31T12:00:00Z"));
        api.ranges(&[]);
        assert_eq!(api.missing(), 0, "{bounds:?}");
    }
}

/// The record lies on the first page, which was read already, and the one dated in the future does not hide it.
#[test]
fn a_record_that_is_made_while_the_run_reads_is_read_by_the_next_one() {
    for future in [true, false] {
        let api = Dated::start(october(), Bounds::Inclusive);
        if future {
            api.add(at(100, "2027-06-01T00:00:00Z"));
        }
        let records = Arc::clone(&api.records);
        let made = stub(move |request| {
            let mut records = records.lock().unwrap();
            if request.number("offset") == 20 && !records.iter().any(|record| record["id"] == 200) {
                // The run began at noon, half a second ago.
                records.push(at(200, "2026-11-28T12:00:00.5Z"));
            }
            let newest_first: Vec<Value> = records.iter().rev().cloned().collect();
            page(request, &newest_first, Bounds::Inclusive)
        });
        let mut manifest = api.manifest.clone();
        manifest["client"]["base_url"] = made.base_url.clone().into();
        let without_total = manifest["resources"][0]["endpoint"].as_object_mut().unwrap();
        without_total.remove("total_path");
        without_total["paginator"]["total_path"] = Value::Null;
        api.mine.now(&manifest);
        api.mine.reading("events").complete();
        api.mine.reading("events").complete();
        assert!(api.mine.ids("events").contains(&"200".to_owned()), "future: {future}");
        assert_eq!(api.missing(), 0);
    }
}

#[test]
fn a_lag_of_what_was_read_before_a_range_is_read_again() {
    let mut api = Dated::start(october(), Bounds::Inclusive);
    api.manifest["resources"][0]["endpoint"]["incremental"]["lag"] = 86_400.into();
    api.mine.now(&api.manifest);
    api.ranges(&[]);
    // Someone reads from where the schedule ended, so that both touch. The day before is still read again.
    api.ranges(&["--from", "2026-10-31T12:00:00Z"]);
    api.add(at(32, "2026-10-31T06:00:00Z"));
    assert_eq!(api.ranges(&[]), [range("2026-10-30T12:00:00Z", "")]);
    assert_eq!(api.missing(), 0);
}

#[test]
fn another_address_or_a_corrected_manifest_reads_everything() {
    let mut api = Dated::start(october(), Bounds::Inclusive);
    let sandbox = stub(|request| page(request, &october()[..3], Bounds::Inclusive));
    api.mine.reading("events").with(&["--base-url", &sandbox.base_url]).complete();
    assert_eq!(api.ranges(&[]), [range("", "")]);
    assert_eq!(api.missing(), 0);
    // Both go on from where they were.
    sandbox.take();
    api.mine.reading("events").with(&["--base-url", &sandbox.base_url]).complete();
    assert_eq!(sandbox.take()[0].param("since"), "2026-10-03T11:59:59Z");
    assert_eq!(api.ranges(&[]), [range("2026-10-31T11:59:59Z", "")]);
    // A filter that hid records is taken out.
    api.manifest["resources"][0]["endpoint"]["params"] = json!({"archived": "true"});
    api.mine.now(&api.manifest);
    assert_eq!(api.ranges(&[]), [range("", "")]);
    // A smaller page returns the same records.
    assert_eq!(api.ranges(&["--page-size", "5"]), [range("2026-10-31T11:59:59Z", "")]);
}

#[test]
fn conditions_and_incomplete_runs_add_nothing() {
    let api = Dated::start(october(), Bounds::Inclusive);
    api.ranges(&["--param", "kind=a"]);
    ended(&api.mine.reading("events").with(&["--max-requests", "2"]), 3, &["max_requests"]);
    assert_eq!(api.mine.reading("events").complete()["watermark"], "2026-10-31T12:00:00Z");
    assert_eq!(api.missing(), 0);
}

/// The range of `initial_days` begins at the start of the read, not at that of each invocation.
#[test]
fn a_first_read_of_the_last_days_resumes() {
    let records = (0..55).map(|number| at(number, &format!("2026-11-{:02}T00:00:00Z", 1 + number % 28))).collect();
    let api = Dated::start(records, Bounds::Inclusive);
    let last_days = ["--initial-days", "20", "--max-requests", "2"];
    for (time, offsets, code) in [
        ("2026-11-28T12:00:00Z", vec![0, 10], 3),
        ("2026-11-28T23:30:00Z", vec![10, 20], 3),
        ("2026-11-29T01:00:00Z", vec![20, 30], 0),
    ] {
        api.mine.set_clock(time);
        ended(&api.mine.reading("events").with(&last_days), code, &[]);
        let asked: Vec<(usize, String)> = api
            .stub
            .take()
            .iter()
            .map(|request| (request.number("offset"), request.param("since").to_owned()))
            .collect();
        let expected: Vec<_> = offsets.into_iter().map(|offset| (offset, "2026-11-08T12:00:00Z".to_owned())).collect();
        assert_eq!(asked, expected);
    }
    assert_eq!(api.ranges(&last_days), [range("2026-11-27T23:59:59Z", "")]);
    // More days are read if they are asked for.
    let more = api.ranges(&["--initial-days", "25"]);
    assert!(more[0].0.starts_with("2026-11-04T01:00") && more[0].1 == "2026-11-08T12:00:00Z", "{more:?}");
}

#[test]
fn a_backfill_of_many_windows_ends() {
    let records = (0..18 * 40).map(|number| at(number, &format!("2026-10-{:02}T12:00:00Z", 1 + number / 40))).collect();
    let api = Dated::start(records, Bounds::Inclusive);
    let mut left: Vec<String> = (1..=18).map(|day| format!("2026-10-{day:02}")).collect();
    for _ in 0..4 {
        left.retain(|day| {
            api.mine.reading("events").with(&["--from", day, "--to", day, "--max-requests", "2"]).run().code != 0
        });
    }
    assert_eq!((left.len(), api.missing()), (0, 0));
}

/// A parent's children, of which some are read with an end: nothing moves, as the report says.
#[test]
fn an_end_value_adds_nothing_to_the_coverage_of_children() {
    let stub = stub(|request| {
        if request.path.ends_with("parents") {
            return Response::json(&json!([{"id": 1}, {"id": 2}]));
        }
        let parent: usize = request.path.split('/').nth(2).unwrap().parse().unwrap();
        let records: Vec<Value> =
            (0..10).map(|day| at(parent * 100 + day, &format!("2026-10-{:02}T00:00:00Z", day + 1))).collect();
        let until = request.param("until");
        let found = records.into_iter().filter(|record| until.is_empty() || record["at"].as_str().unwrap() <= until);
        let found = found.filter(|record| record["at"].as_str().unwrap() >= request.param("since"));
        Response::json(&json!(found.collect::<Vec<_>>()))
    });
    let manifest = |end_value: Value| {
        json!({
            "client": {"base_url": stub.base_url},
            "resources": [
                {"name": "parents", "primary_key": "id", "endpoint": {"path": "parents", "data_selector": "$", "paginator": "single_page"}},
                {
                    "name": "events", "primary_key": "id", "write_disposition": "merge",
                    "endpoint": {
                        "path": "parents/{resources.parents.id}/events", "data_selector": "$", "paginator": "single_page",
                        "incremental": {
                            "cursor_path": "at", "start_param": "since", "end_param": "until", "end_value": end_value,
                        },
                    },
                },
            ],
        })
    };
    let mine = Mine::json(&manifest("2026-10-03".into()));
    let report = mine.reading("events").complete();
    assert_eq!((&report["watermark"], mine.ids("events").len()), (&Value::Null, 6));
    mine.now(&manifest(Value::Null));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 20);
    // Each parent goes on from its own newest record.
    stub.take();
    mine.reading("events").complete();
    let since: Vec<String> = stub.take()[1..].iter().map(|request| request.param("since").to_owned()).collect();
    assert_eq!(since, ["2026-10-09T23:59:59Z", "2026-10-09T23:59:59Z"]);
}

/// Windows of children, then the schedule: it reads what lies before, between and behind them.
#[test]
fn children_are_read_in_each_gap() {
    let stub = stub(|request| {
        if request.path.ends_with("parents") {
            return Response::json(&json!([{"id": 1}, {"id": 2}]));
        }
        let parent: usize = request.path.split('/').nth(2).unwrap().parse().unwrap();
        let records: Vec<Value> = october()
            .iter()
            .map(|record| at(parent * 100 + record["id"].as_u64().unwrap() as usize, record["at"].as_str().unwrap()))
            .collect();
        page(request, &records, Bounds::Inclusive)
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url},
        "resources": [
            {"name": "parents", "primary_key": "id", "endpoint": {"path": "parents", "data_selector": "$", "paginator": "single_page"}},
            {
                "name": "events", "primary_key": "id", "write_disposition": "merge",
                "endpoint": {
                    "path": "parents/{resources.parents.id}/events", "data_selector": "events", "total_path": "total",
                    "paginator": {"type": "offset", "limit": 100},
                    "incremental": {"cursor_path": "at", "start_param": "since", "end_param": "until"},
                },
            },
        ],
    });
    let mine = Mine::json(&manifest);
    mine.reading("events").with(&["--from", "2026-10-05", "--to", "2026-10-10"]).complete();
    mine.reading("events").with(&["--from", "2026-10-11", "--to", "2026-10-20"]).complete();
    stub.take();
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 62);
    let mut ranges: Vec<_> =
        stub.take()[1..].iter().map(|request| range(request.param("since"), request.param("until"))).collect();
    ranges.sort();
    let expected = [range("", "2026-10-05T00:00:00Z"), range("2026-10-21T00:00:00Z", "")];
    assert_eq!(ranges, [&expected[0], &expected[0], &expected[1], &expected[1]].map(Clone::clone));
}
