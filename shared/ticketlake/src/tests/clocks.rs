//! The clock of the machine is compared with that of the API, and nothing irreversible depends on one that is wrong.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::rows::seconds;
use super::{Mine, Response, Stub, ended, stub};

/// The `Date` of every response here. The clock of a test begins at that time.
const DATE: &str = "Sat, 28 Nov 2026 12:00:00 GMT";

/// The time of [`DATE`], and two times far from it.
const NOW: &str = "2026-11-28T12:00:00Z";
const YEARS_AHEAD: &str = "2030-03-12T12:00:00Z";
const YEARS_BEHIND: &str = "2020-01-01T00:00:00Z";

/// An API that gives `records` in one page, with the right time.
fn api(records: &Value) -> Stub {
    let records = records.clone();
    stub(move |_| Response::json(&records).with("date", DATE))
}

/// A manifest of the resource `events` with more keys.
fn manifest(stub: &Stub, more: &Value) -> Value {
    let mut resource = json!({
        "name": "events", "primary_key": "id", "write_disposition": "merge",
        "columns": {"id": {"data_type": "bigint"}, "start": {"data_type": "timestamp"}, "at": {"data_type": "timestamp"}},
        "endpoint": {"path": "events", "data_selector": "$", "paginator": "single_page"},
    });
    for (key, value) in more.as_object().unwrap() {
        match value {
            Value::Object(members) if key == "endpoint" => {
                resource["endpoint"].as_object_mut().unwrap().extend(members.clone());
            }
            _ => resource[key] = value.clone(),
        }
    }
    json!({"client": {"base_url": stub.base_url}, "resources": [resource]})
}

#[test]
fn retention_with_a_wrong_clock_removes_nothing() {
    let records: Vec<Value> = (1..6).map(|id| json!({"id": id, "start": format!("2027-0{id}-01T20:00:00Z")})).collect();
    let stub = api(&json!(records));
    let mine = Mine::json(&manifest(&stub, &json!({"passed_by": ["start"]})));
    let retention = mine.reading("events").with(&["--retention-days", "30"]);
    for time in [NOW, YEARS_AHEAD] {
        mine.set_clock(time);
        let code = if time == NOW { 0 } else { 4 };
        let report = ended(&retention, code, &[]).report;
        assert_eq!((mine.ids("events").len(), &report["records"]["removed"]), (5, &Value::Null), "{report}");
        assert_eq!(report["warnings"].to_string().contains("no rows were removed by `retention_days`"), code == 4);
    }
    // With the right time, what is past goes.
    let stub = stub_at("Mon, 15 Mar 2027 12:00:00 GMT", &json!(records));
    mine.now(&manifest(&stub, &json!({"passed_by": ["start"]})));
    mine.set_clock("2027-03-15T12:00:00Z");
    mine.reading("events").with(&["--retention-days", "30"]).complete();
    assert_eq!(mine.ids("events"), ["3", "4", "5"]);
}

fn stub_at(date: &'static str, records: &Value) -> Stub {
    let records = records.clone();
    stub(move |_| Response::json(&records).with("date", date))
}

/// A run that replaces the table stores what it read, and says that it removed nothing.
#[test]
fn a_replacement_with_a_wrong_clock_removes_nothing() {
    let before = stub_at(DATE, &json!([{"id": 1}, {"id": 2}]));
    let mine = Mine::json(&manifest(&before, &json!({"write_disposition": "replace"})));
    mine.reading("events").complete();
    let after = stub_at(DATE, &json!([{"id": 2}, {"id": 3}]));
    mine.now(&manifest(&after, &json!({"write_disposition": "replace"})));
    for time in [YEARS_AHEAD, YEARS_BEHIND] {
        mine.set_clock(time);
        ended(&mine.reading("events"), 4, &["no rows were removed that the API no longer has"]);
        assert_eq!(mine.ids("events"), ["1", "2", "3"]);
    }
}

#[test]
fn a_run_with_a_wrong_clock_does_not_carry_the_coverage_away() {
    let records = json!([{"id": 1, "at": "2026-11-01T00:00:00Z"}, {"id": 2, "at": "2027-06-01T00:00:00Z"}]);
    for time in [YEARS_AHEAD, YEARS_BEHIND, NOW] {
        let stub = api(&records);
        let incremental = json!({"endpoint": {"incremental": {"cursor_path": "at", "start_param": "since"}}});
        let mine = Mine::json(&manifest(&stub, &incremental));
        mine.set_clock(time);
        let report = mine.reading("events").complete();
        assert_eq!(report["watermark"], "2026-11-01T00:00:00Z", "{time}");
        assert_eq!(report["warnings"].is_array(), time != NOW, "{report}");
        stub.take();
        mine.set_clock(NOW);
        mine.reading("events").complete();
        assert_eq!(stub.take()[0].param("since"), "2026-10-31T23:59:59Z", "{time}");
    }
}

/// A row that a run stored with a clock ahead is not newer than what the next run reads.
#[test]
fn rows_have_the_time_of_the_api() {
    let stub = api(&json!([{"id": 1}]));
    let mine = Mine::json(&manifest(&stub, &json!({})));
    mine.set_clock(YEARS_AHEAD);
    mine.reading("events").complete();
    let right = NOW.parse::<DateTime<Utc>>().unwrap().timestamp();
    // A `Date` has whole seconds.
    let stored = seconds(&mine.lake, "mine/events", "synced_at");
    assert!(matches!(stored.as_slice(), [stored] if (right..=right + 1).contains(stored)), "{stored:?}");
}

/// With a clock in 2030 everything is read, but nothing counts as refreshed. Marks from then are ignored.
#[test]
fn a_run_with_a_wrong_clock_leaves_no_refresh_marks() {
    let more = json!({
        "refresh": {"full_every_days": 7, "announced": {"range_param": "since", "lag": 86400}, "near": [{"ahead_days": 14, "every_days": 1}]},
        "slices": {"time": {"start_param": "from", "end_param": "to", "path": "start"}},
    });
    let right = api(&json!([{"id": 1, "start": "2026-12-05T20:00:00Z"}]));
    let without_date = stub(|_| Response::json(&json!([{"id": 1, "start": "2026-12-05T20:00:00Z"}])));
    let kind = |mine: &Mine| mine.reading("events").complete()["refresh"]["kind"].as_str().unwrap().to_owned();
    let mine = Mine::json(&manifest(&right, &more));
    mine.set_clock(YEARS_AHEAD);
    assert_eq!(kind(&mine), "full");
    mine.set_clock(NOW);
    assert_eq!((kind(&mine), kind(&mine)), ("full".to_owned(), "changes".to_owned()));

    // An API without a date: the clock of the machine is trusted, and its marks are ignored once they lie in the future.
    let mine = Mine::json(&manifest(&without_date, &more));
    mine.set_clock(YEARS_AHEAD);
    assert_eq!(kind(&mine), "full");
    mine.set_clock(NOW);
    assert_eq!((kind(&mine), kind(&mine)), ("full".to_owned(), "changes".to_owned()));
}
