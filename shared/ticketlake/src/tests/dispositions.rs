//! What becomes of a record whose key is stored already, and of one that comes no more.

use std::sync::{Arc, Mutex};

use super::{Response, Stub};
use serde_json::{Value, json};

use super::rows::{Row, text};
use super::{Mine, ended, stub};

/// An API that gives whatever it was last given: records, or an error's status.
struct Changing {
    answer: Arc<Mutex<Value>>,
    manifest: Value,
    mine: Mine,
    _stub: Stub,
}

impl Changing {
    fn start(disposition: &Value, key: &Value) -> Self {
        let answer = Arc::new(Mutex::new(Value::Null));
        let now = Arc::clone(&answer);
        let stub = stub(move |request| {
            let answer = now.lock().unwrap().clone();
            let Some(records) = answer.as_array() else { return Response::status(400, "no") };
            let page = request.number("page");
            let page = records.iter().skip(page * 2).take(2).cloned().collect::<Vec<_>>();
            // Where the records say so, the API promises more than it gives.
            let promised = records.iter().filter_map(|record| record["promised"].as_u64()).sum::<u64>();
            Response::json(&json!({"events": page, "count": records.len() as u64 + promised}))
        });
        let manifest = json!({
            "client": {"base_url": stub.base_url},
            "resources": [{
                "name": "events", "primary_key": key, "write_disposition": disposition,
                "endpoint": {
                    "data_selector": "events", "paginator": {"type": "page_number", "total_path": null},
                    "filters": {"kind": {}},
                },
            }],
        });
        Self { answer, mine: Mine::json(&manifest), manifest, _stub: stub }
    }

    /// Gives `records` to a run, which must be complete.
    fn run(&self, records: &Value) -> Value {
        *self.answer.lock().unwrap() = records.clone();
        self.mine.now(&self.manifest);
        self.mine.reading("events").complete()
    }

    /// The stored ids with their names, `1=a 2=b`.
    fn stored(&self) -> String {
        stored(&self.mine, "events")
    }
}

/// The ids of a table with their names, `1=a 2=b`.
fn stored(mine: &Mine, resource: &str) -> String {
    let row = |row: Row| format!("{}={}", text(row.get("id")), text(row.get("name")));
    let mut rows: Vec<String> = mine.rows(resource).into_iter().map(row).collect();
    rows.sort();
    rows.join(" ")
}

fn rows(pairs: &[(u32, &str)]) -> Value {
    pairs.iter().map(|(id, name)| json!({"id": id, "name": name})).collect()
}

fn counts(report: &Value) -> [u64; 4] {
    ["new", "changed", "unchanged", "removed"].map(|name| report["records"][name].as_u64().unwrap_or(0))
}

#[test]
fn append_keeps_the_first_version_of_a_key() {
    let api = Changing::start(&json!("append"), &json!("id"));
    api.run(&rows(&[(1, "a"), (2, "b")]));
    assert_eq!(counts(&api.run(&rows(&[(2, "changed"), (3, "c")]))), [1, 0, 1, 0]);
    assert_eq!(api.stored(), "1=a 2=b 3=c");
}

#[test]
fn append_without_a_key_keeps_each_record_once() {
    let mut api = Changing::start(&Value::Null, &Value::Null);
    // dlt's default.
    api.manifest["resources"][0].as_object_mut().unwrap().remove("write_disposition");
    let records = rows(&[(1, "a"), (1, "b"), (2, "c")]);
    assert_eq!(counts(&api.run(&records)), [3, 0, 0, 0]);
    assert_eq!(counts(&api.run(&records)), [0, 0, 3, 0]);
    api.run(&rows(&[(1, "a"), (1, "d")]));
    assert_eq!(api.stored(), "1=a 1=b 1=d 2=c");
}

#[test]
fn merge_replaces_by_every_strategy_but_insert_only() {
    for (disposition, expected) in [
        (json!("merge"), "1=a 2=new 3=c"),
        (json!({"disposition": "merge"}), "1=a 2=new 3=c"),
        (json!({"disposition": "merge", "strategy": "upsert"}), "1=a 2=new 3=c"),
        (json!({"disposition": "merge", "strategy": "delete-insert", "deduplicated": true}), "1=a 2=new 3=c"),
        (json!({"disposition": "merge", "strategy": "insert-only"}), "1=a 2=b 3=c"),
        (json!({"disposition": "merge", "strategy": "scd2"}), "1=a 2=new 3=c"),
    ] {
        let api = Changing::start(&disposition, &json!("id"));
        api.run(&rows(&[(1, "a"), (2, "b")]));
        api.run(&rows(&[(2, "new"), (3, "c")]));
        assert_eq!(api.stored(), expected, "{disposition}");
        let keeps_history = disposition["strategy"] == "scd2";
        assert_eq!((api.mine.count_objects("mine/events_history") > 0), keeps_history);
        if keeps_history {
            let versions = stored(&api.mine, "events_history");
            assert_eq!(versions, "1=a 2=b 2=new 3=c");
        }
    }
    for (disposition, words) in [
        (json!({"disposition": "append", "strategy": "upsert"}), "goes with `disposition: merge` alone"),
        (json!({"disposition": "merge", "strategy": "upserts"}), "Did you mean `upsert`?"),
        (json!("mergee"), "Did you mean `merge`?"),
    ] {
        let api = Changing::start(&disposition, &json!("id"));
        ended(&api.mine.reading("events"), 2, &["resources[0].write_disposition", words]);
    }
}

#[test]
fn replace_takes_out_what_a_complete_run_did_not_have() {
    let api = Changing::start(&json!("replace"), &json!("id"));
    api.run(&rows(&[(1, "a"), (2, "b"), (3, "c")]));
    // No total proves the read, so that a second one confirms what is gone: each of its three records is unchanged.
    assert_eq!(counts(&api.run(&rows(&[(1, "a"), (3, "new"), (4, "d")]))), [1, 1, 4, 1]);
    assert_eq!(api.stored(), "1=a 3=new 4=d");
}

#[test]
fn replace_takes_out_nothing_after_a_run_that_was_not_whole() {
    let mut api = Changing::start(&json!("replace"), &json!("id"));
    let all = rows(&[(1, "a"), (2, "b"), (3, "c")]);
    api.run(&all);
    *api.answer.lock().unwrap() = rows(&[(1, "a"), (2, "new"), (4, "d")]);
    let kept = "1=a 2=new 3=c";
    // Partial: one page of two.
    let partial = ended(&api.mine.reading("events").with(&["--max-requests", "1"]), 3, &["max_requests"]);
    assert_eq!((counts(&partial.report)[3], api.stored().as_str()), (0, kept));
    // Filtered.
    let filtered = api.mine.reading("events").with(&["--param", "kind=x"]).complete();
    assert_eq!((counts(&filtered)[3], api.stored()), (0, format!("{kept} 4=d")));
    // Incomplete: the API says that there is more than it gives.
    api.manifest["resources"][0]["endpoint"]["total_path"] = "count".into();
    api.mine.now(&api.manifest);
    *api.answer.lock().unwrap() = json!([{"id": 1, "name": "a", "promised": 2}]);
    let incomplete = ended(&api.mine.reading("events"), 4, &["fewer records than the total"]);
    assert_eq!((counts(&incomplete.report)[3], api.stored()), (0, format!("{kept} 4=d")));
    // Failed.
    *api.answer.lock().unwrap() = json!("an error");
    ended(&api.mine.reading("events"), 1, &["answered 400"]);
    assert_eq!(api.stored(), format!("{kept} 4=d"));
    // Whole again.
    assert_eq!(counts(&api.run(&rows(&[(1, "a")])))[3], 3);
    assert_eq!(api.stored(), "1=a");
}

#[test]
fn replace_by_nothing_is_a_warning_unless_the_api_says_so() {
    let mut api = Changing::start(&json!("replace"), &json!("id"));
    api.run(&rows(&[(1, "a"), (2, "b")]));
    let report = api.run(&json!([]));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("no rows were removed: received 0 records"), "{report}");
    assert!(warnings.contains("the previous complete run received 2; check the filters and the key"), "{report}");
    assert_eq!(api.stored(), "1=a 2=b");
    api.manifest["resources"][0]["endpoint"]["total_path"] = "count".into();
    assert_eq!(counts(&api.run(&json!([])))[3], 2);
    let parts = api.mine.count_objects("mine/events");
    assert!(parts == 0 || api.stored().is_empty());
}

#[test]
fn no_records_where_there_were_many_is_a_warning() {
    let api = Changing::start(&json!("merge"), &json!("id"));
    assert!(api.run(&json!([]))["warnings"].is_null(), "a first run may find nothing");
    assert!(api.run(&rows(&[(1, "a"), (2, "b"), (3, "c")]))["warnings"].is_null());
    let report = api.run(&json!([]));
    assert!(report["warnings"][0].as_str().unwrap().contains("the previous complete run received 3"), "{report}");
}

#[test]
fn a_rejected_record_counts_as_received() {
    for disposition in ["replace", "vanished"] {
        let mut api = Changing::start(&json!(if disposition == "replace" { "replace" } else { "merge" }), &json!("id"));
        let resource = api.manifest["resources"][0].as_object_mut().unwrap();
        resource.insert("partition".into(), json!([{"name": "d", "from": "day", "transform": "day"}]));
        let columns =
            json!({"id": {"data_type": "bigint"}, "day": {"data_type": "date"}, "name": {"data_type": "text"}});
        resource.insert("columns".into(), columns);
        resource.insert("expect".into(), json!({"rejected_max": 0.9}));
        if disposition == "vanished" {
            resource.insert("vanished".into(), json!({"column": "gone_at"}));
        }
        let record = |id: u32, day: &str| json!({"id": id, "day": day, "name": "a"});
        let good = "2026-11-01";
        api.run(&json!([record(1, good), record(2, good), record(3, good)]));

        // The second record has no day any more, and the third one is no longer there.
        let removed = |report: &Value| {
            let counts = ["removed", "vanished"].map(|name| report["records"][name].as_u64().unwrap_or(0));
            counts[0] + counts[1]
        };
        *api.answer.lock().unwrap() = json!([record(1, good), record(2, "01/11/2026")]);
        let report = api.mine.reading("events").run().report;
        assert_eq!((removed(&report), &report["records"]["rejected"]), (1, &json!(2)), "{report}");

        // A record without a key may be any of the stored ones.
        *api.answer.lock().unwrap() = json!([record(1, good), {"day": good, "name": "a"}]);
        let report = api.mine.reading("events").run().report;
        assert_eq!(removed(&report), 0, "{report}");
        assert!(report["warnings"].to_string().contains("2 rejected records do not show their keys"), "{report}");
    }
}

#[test]
fn a_key_in_two_partitions_is_reported_and_repaired() {
    let mut api = Changing::start(&json!("merge"), &json!("id"));
    let resource = api.manifest["resources"][0].as_object_mut().unwrap();
    resource.insert("partition".into(), json!([{"name": "d", "from": "day", "transform": "day"}]));
    let columns = json!({"id": {"data_type": "bigint"}, "day": {"data_type": "date"}, "name": {"data_type": "text"}});
    resource.insert("columns".into(), columns);
    let record = |id: u32, day: &str, name: &str| json!({"id": id, "day": day, "name": name});
    assert!(api.run(&json!([record(1, "2026-11-01", "a"), record(2, "2026-11-01", "b")]))["warnings"].is_null());
    let report = api.run(&json!([record(1, "2026-11-02", "c"), record(2, "2026-11-01", "b")]));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("1 rows have a key that lies in another partition too, for example 1"), "{report}");
    assert_eq!(api.stored(), "1=a 1=c 2=b");
    for removed in [1, 0] {
        let report = api.mine.reading("events").with(&["--repair"]).complete();
        assert_eq!((counts(&report), &report["requests"]["sent"]), ([0, 0, 0, removed], &json!(0)));
        assert_eq!(api.stored(), "1=c 2=b");
    }
    ended(&api.mine.reading("events").with(&["--repair", "--full"]), 2, &["repair", "sends no requests"]);
}
