//! A generic event-management API, by a dlt configuration as it was given: six resources, three of them by a bare `{event_id}`.

use std::path::{Path, PathBuf};

use sandbox::Server;
use sandbox::event_api::{IdKind, Options, Total, Truth, start_blocking};
use sandbox::function::{self, Function};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::lake::Lake;
use crate::records::{Table, moved, written};

const SOURCE: &str = "event_management";
const RESOURCES: [&str; 6] = ["events", "attendees", "categories", "tickets", "users", "transactions"];
const CHILDREN: [&str; 3] = ["attendees", "tickets", "transactions"];

fn manifest() -> PathBuf {
    function::root().join("tests/end_to_end/manifests/event_management.yaml")
}

/// The function that reads `resource` by the manifest in `file`.
fn by(file: &Path, resource: &str, server: &Server, lake: &Lake) -> Function {
    Function::reading("resource", SOURCE, lake.path())
        .with(&["--sources", file.to_str().unwrap(), "--resource", resource, "--base-url", &server.base_url])
        .env("EVENT_MANAGEMENT_API_KEY", "sandbox-key")
}

fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    by(&manifest(), resource, server, lake)
}

fn table(lake: &Lake, resource: &str) -> Table {
    Table::read(lake, &format!("{SOURCE}/{resource}"))
}

/// Everything that the sandbox has of a resource. A key that no column declares is a text.
fn all_of(truth: &Truth, resource: &str, revision: u32) -> Vec<Value> {
    let mut records: Vec<Value> = match resource {
        "events" => truth.events(revision).collect(),
        "categories" => truth.categories().collect(),
        "users" => truth.users(revision).collect(),
        "attendees" => truth.attendees(revision).map(|(_, record)| record).collect(),
        "tickets" => truth.tickets(revision).map(|(_, record)| record).collect(),
        _ => truth.transactions(revision).map(|(_, record)| record).collect(),
    };
    records.iter_mut().for_each(|record| record["id"] = plain(&record["id"]).into());
    records
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// The lake has everything that the sandbox has.
fn assert_complete(lake: &Lake, truth: &Truth, revision: u32) {
    for resource in RESOURCES {
        table(lake, resource).assert_holds(all_of(truth, resource, revision));
    }
}

/// The report of `resource` in that of a run over all.
fn of<'r>(report: &'r Value, resource: &str) -> &'r Value {
    let reports = report["resources"].as_array().unwrap();
    reports.iter().find(|report| report["resource"] == resource).unwrap()
}

#[test]
fn all_six_resources_land_whole_in_one_run_and_the_next_finds_nothing() {
    let options = Options { without_children: vec![3], ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = reading("all", &server, &lake).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(0), &json!("complete")), "{}", ended.errors);
    let order: Vec<&str> =
        ended.report["resources"].as_array().unwrap().iter().map(|one| one["resource"].as_str().unwrap()).collect();
    assert_eq!(order, RESOURCES);
    assert_complete(&lake, &truth, 0);
    let counts = RESOURCES.map(|resource| all_of(&truth, resource, 0).len());
    assert_eq!(counts, [250, 747, 7, 498, 120, 249]);
    assert_eq!(ended.report["records"]["new"], json!(counts.iter().sum::<usize>()));
    assert_eq!(of(&ended.report, "attendees")["expected"], 747, "the API's own totals, event by event");
    assert_eq!(of(&ended.report, "attendees")["slices"], json!({"planned": 250, "whole": 250}));

    // The log says what the bare placeholder was taken for, once for each path that has one.
    for child in CHILDREN {
        let line = format!("`{{event_id}}` in the path of `{child}` is taken for the `id` of `events`");
        assert_eq!(ended.errors.matches(&line).count(), 1, "`{line}`: {}", ended.errors);
    }
    assert_eq!(ended.errors.matches("is taken for").count(), CHILDREN.len(), "{}", ended.errors);

    let before = lake.objects();
    let again = reading("all", &server, &lake).complete();
    assert_eq!(written(&again), [0, 0, 0]);
    assert_eq!(again["records"]["unchanged"], json!(counts.iter().sum::<usize>()));
    let after = lake.objects();
    assert!(
        before
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "parquet"))
            .all(|(path, object)| after.get(path) == Some(object))
    );
}

#[test]
fn resources_land_one_by_one_and_several_by_their_names() {
    let options = Options { events: 130, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    for resource in ["transactions", "tickets", "events", "users"] {
        let report = reading(resource, &server, &lake).complete();
        assert_eq!(report["records"]["new"], json!(all_of(&truth, resource, 0).len()), "{resource}");
    }
    let report = reading("categories, attendees", &server, &lake).complete();
    assert_eq!(report["resources"].as_array().unwrap().len(), 2);
    assert_complete(&lake, &truth, 0);
}

#[test]
fn columns_are_found_in_the_records_with_sensible_types() {
    let options = Options { events: 40, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    reading("all", &server, &lake).complete();
    let types: [(&str, &[(&str, &str)]); 6] = [
        (
            "events",
            &[
                ("title", "VARCHAR"),
                ("starts_at", "VARCHAR"),
                ("tickets_sold", "BIGINT"),
                ("tags", "VARCHAR"),
                ("_fingerprint", "BIGINT"),
                ("synced_at", "TIMESTAMP WITH TIME ZONE"),
            ],
        ),
        ("attendees", &[("email", "VARCHAR"), ("is_attended", "BOOLEAN"), ("answers", "VARCHAR")]),
        ("categories", &[("name", "VARCHAR")]),
        (
            "tickets",
            &[("title", "VARCHAR"), ("price", "DOUBLE"), ("quantity_total", "BIGINT"), ("is_visible", "BOOLEAN")],
        ),
        ("users", &[("username", "VARCHAR"), ("company", "VARCHAR"), ("is_admin", "BOOLEAN")]),
        ("transactions", &[("amount", "DOUBLE"), ("customer_id", "BIGINT"), ("status", "VARCHAR")]),
    ];
    for (resource, expected) in types {
        table(&lake, resource).assert_types(expected);
    }
}

#[test]
fn what_changed_and_what_is_new_arrives_with_the_next_run() {
    let options = Options { events: 60, users: 30, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    reading("all", &server, &lake).complete();
    server.set_revision(1);
    let report = reading("all", &server, &lake).complete();
    assert_complete(&lake, &truth, 1);
    for resource in RESOURCES {
        let [new, changed] =
            moved(&all_of(&truth, resource, 0), &all_of(&truth, resource, 1), |record| record["id"].to_string());
        assert_eq!(written(of(&report, resource))[..2], [new, changed], "{resource}");
        assert!(new + changed > 0 || resource == "categories", "{resource}");
    }
    assert_eq!(written(&reading("all", &server, &lake).complete()), [0, 0, 0]);
}

#[test]
fn ids_that_a_path_cannot_hold_as_they_are_reach_their_event() {
    let options = Options { events: 12, ids: IdKind::Awkward, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    reading("all", &server, &lake).complete();
    assert_complete(&lake, &truth, 0);
    assert_eq!(server.answered(200), server.count(), "no request went elsewhere");
}

/// By `id` alone, two events' attendees of one id were one row, and one of them lost.
#[test]
fn ids_that_are_unique_within_their_event_alone_end_the_run_before_one_is_lost() {
    let options = Options { events: 12, ids_per_event: true, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    for child in CHILDREN {
        let ended = reading(child, &server, &lake).run();
        assert_eq!((ended.code, &ended.report["status"]), (Some(1), &json!("failed")), "{}", ended.errors);
        for words in ["include_from_parent: [id]", "primary_key: [_events_id, …]", "unique only within `events`"] {
            assert!(ended.errors.contains(words), "`{words}`: {}", ended.errors);
        }
        assert_eq!(written(&ended.report), [0, 0, 0], "{child}");
        assert!(table(&lake, child).types.is_empty(), "nothing of the wrong table is stored");
    }

    // What the error says is what helps.
    let file = lake.path().join("_tmp").join("event_management.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut text = std::fs::read_to_string(manifest()).unwrap();
    for child in CHILDREN {
        let (from, to) =
            (format!("- name: {child}\n"), "    include_from_parent: [id]\n    primary_key: [_events_id, id]\n");
        text = text.replace(&from, &format!("{from}{to}"));
    }
    std::fs::write(&file, text).unwrap();
    by(&file, "all", &server, &lake).complete();
    let stamped = |(event, mut record): (Value, Value)| {
        (record["_events_id"], record["id"]) = (plain(&event).into(), plain(&record["id"]).into());
        record
    };
    table(&lake, "attendees").assert_holds(truth.attendees(0).map(stamped));
    table(&lake, "tickets").assert_holds(truth.tickets(0).map(stamped));
    table(&lake, "transactions").assert_holds(truth.transactions(0).map(stamped));
}

#[test]
fn an_event_whose_children_are_not_found_is_named_and_the_rest_lands() {
    let options = Options { events: 12, missing_child: vec![4], ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = reading("all", &server, &lake).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(4), &json!("incomplete")), "{}", ended.errors);
    for resource in RESOURCES {
        let report = of(&ended.report, resource);
        let missing = report["slices"].get("incomplete");
        if !CHILDREN.contains(&resource) {
            assert_eq!((&report["status"], missing), (&json!("complete"), None), "{resource}");
            continue;
        }
        assert_eq!(report["status"], "incomplete", "{resource}");
        let [slice] = missing.unwrap().as_array().unwrap().as_slice() else { panic!("one slice: {report}") };
        let event = truth.event_id(4).to_string();
        assert!(slice["name"].as_str().unwrap().starts_with(&format!("events {event}:")), "{slice}");
        assert!(slice["reason"].as_str().unwrap().contains("404"), "{slice}");
        assert!(ended.errors.contains(&format!("events {event}")), "{}", ended.errors);
    }
    assert_complete(&lake, &truth, 0);
}

#[test]
fn without_totals_and_with_pages_smaller_than_asked_for_all_is_read() {
    for (total, page_cap) in [(Total::Absent, 100), (Total::TopLevel, 30), (Total::Absent, 30)] {
        let options = Options { events: 65, attendees_per_event: 31, total, page_cap, ..Options::default() };
        let truth = options.truth();
        let server = start_blocking(options).unwrap();
        let lake = Lake::new();
        let report = reading("all", &server, &lake).complete();
        assert_complete(&lake, &truth, 0);
        assert_eq!(report["expected"].is_null(), total == Total::Absent);
    }
}

#[test]
fn a_check_says_what_a_run_needs() {
    let server = start_blocking(Options::default()).unwrap();
    let lake = Lake::new();
    let check = |resource: &str| reading(resource, &server, &lake).with(&["--check"]).complete()["plan"].clone();
    let events = check("events");
    assert_eq!(events["request"], format!("GET {}/v1/events", server.base_url));
    assert_eq!((&events["slices"], &events["primary_key"]), (&json!(["all"]), &json!(["id"])));
    let estimate = &events["estimate"];
    assert_eq!((&estimate["records"], &estimate["requests"]), (&json!(250), &json!(3)));
    assert_eq!(estimate["basis"], "the totals of the API");
    let children = check("attendees");
    assert_eq!(children["slices"], json!(["one for each record of `events`"]));
    assert_eq!(children["estimate"]["basis"], "unknown: the queries depend on the records of `events`");
    assert!(children["notes"][0].as_str().unwrap().contains("{event_id}"), "{children}");
    assert!(lake.objects().is_empty());

    let run = reading("events,attendees", &server, &lake).complete();
    assert_eq!(of(&run, "events")["requests"]["sent"], 3, "as estimated");
    let later = &check("attendees")["estimate"];
    assert!(later["basis"].as_str().unwrap().starts_with("the previous complete run"), "{later}");
    assert_eq!((&later["records"], &later["requests"]), (&json!(750), &of(&run, "attendees")["requests"]["sent"]));
}

#[test]
fn one_resource_that_fails_leaves_the_others() {
    let options = Options { events: 12, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let file = lake.path().join("_tmp").join("event_management.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = std::fs::read_to_string(manifest()).unwrap();
    std::fs::write(&file, text.replace("/v1/categories", "/v1/kinds")).unwrap();
    let ended = by(&file, "all", &server, &lake).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(1), &json!("failed")), "{}", ended.errors);
    for resource in RESOURCES {
        let failed = resource == "categories";
        let report = of(&ended.report, resource);
        assert_eq!(report["status"], if failed { "failed" } else { "complete" }, "{resource}");
        let expected = if failed { Vec::new() } else { all_of(&truth, resource, 0) };
        table(&lake, resource).assert_holds(expected);
    }
    assert!(of(&ended.report, "categories")["error"]["message"].as_str().unwrap().contains("404"), "{}", ended.report);
}

#[test]
fn the_configuration_can_lie_on_s3_too() {
    let aws = Aws::start();
    let copy = Lake::new();
    std::fs::copy(manifest(), copy.path().join("event_management.yaml")).unwrap();
    aws.upload(copy.path());
    let server = start_blocking(Options { events: 5, ..Options::default() }).unwrap();
    let function = by(Path::new("s3://lake/event_management.yaml"), "all", &server, &copy);
    assert_eq!(aws.grant(function).complete()["records"]["new"], 5 + 5 * (3 + 2 + 1) + 7 + 120);
}
