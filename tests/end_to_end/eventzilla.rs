//! Eventzilla: children that are unique within their event alone, lists without parts, and errors where others end with an empty page.

use sandbox::Server;
use sandbox::eventzilla::{Options, Truth, start_blocking};
use sandbox::function::Function;
use serde_json::{Value, json};

use crate::lake::Lake;
use crate::records::{Table, moved, written};

const RESOURCES: [&str; 6] = ["events", "attendees", "categories", "tickets", "users", "transactions"];

fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    Function::reading("resource", "eventzilla", lake.path()).with(&["--resource", resource]).against(
        "eventzilla",
        &server.base_url,
        "sandbox-key",
    )
}

fn table(lake: &Lake, resource: &str) -> Table {
    Table::read(lake, &format!("eventzilla/{resource}"))
}

/// Everything that the sandbox has of a resource, a child with its event's id.
fn all_of(truth: &Truth, resource: &str, revision: u32) -> Vec<Value> {
    let stamped = |(event, mut record): (Value, Value)| {
        record["_events_id"] = event;
        record
    };
    match resource {
        "events" => truth.events(revision).collect(),
        "categories" => truth.categories().collect(),
        "users" => truth.users(revision).collect(),
        "attendees" => truth.attendees(revision).map(stamped).collect(),
        "tickets" => truth.tickets(revision).map(stamped).collect(),
        _ => truth.transactions(revision).map(stamped).collect(),
    }
}

/// The lake has everything that the sandbox has, each value in the column of its name.
fn assert_complete(lake: &Lake, truth: &Truth, revision: u32) {
    for resource in RESOURCES {
        let table = table(lake, resource);
        table.assert_holds(all_of(truth, resource, revision));
    }
}

#[test]
fn all_six_resources_land_whole_each_value_in_its_column() {
    let options =
        Options { transactions_per_event: 2, without_children: vec![7], deleted: vec![3, 200], ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("all", &server, &lake).complete();
    assert_complete(&lake, &truth, 0);
    let counts = RESOURCES.map(|resource| all_of(&truth, resource, 0).len());
    assert_eq!(counts, [250, 741, 7, 494, 120, 494]);
    let new: Vec<&Value> = report["resources"].as_array().unwrap().iter().map(|one| &one["records"]["new"]).collect();
    assert_eq!(json!(new), json!(counts));
    for resource in RESOURCES {
        let aside = "SELECT count(_extra) + count(_issues) FROM {table}";
        assert_eq!(lake.value(&format!("eventzilla/{resource}"), aside), 0, "{resource}: every field has its column");
    }

    let again = reading("all", &server, &lake).complete();
    assert_eq!(written(&again), [0, 0, 0]);
}

#[test]
fn columns_have_the_types_of_their_values() {
    let server = start_blocking(Options { events: 30, ..Options::default() }).unwrap();
    let lake = Lake::new();
    reading("all", &server, &lake).complete();
    let time = "TIMESTAMP WITH TIME ZONE";
    let types: [(&str, &[(&str, &str)]); 6] = [
        (
            "events",
            &[
                ("id", "BIGINT"),
                ("title", "VARCHAR"),
                ("start_date", time),
                ("tickets_sold", "BIGINT"),
                ("show_remaining", "BOOLEAN"),
            ],
        ),
        (
            "attendees",
            &[("_events_id", "BIGINT"), ("id", "BIGINT"), ("transaction_amount", "DOUBLE"), ("questions", "VARCHAR")],
        ),
        ("categories", &[("category", "VARCHAR")]),
        (
            "tickets",
            &[
                ("_events_id", "BIGINT"),
                ("price", "DOUBLE"),
                ("sales_end_date", time),
                ("allow_partial_payment", "BOOLEAN"),
            ],
        ),
        ("users", &[("id", "BIGINT"), ("last_seen", time), ("zip_code", "VARCHAR")]),
        (
            "transactions",
            &[("_events_id", "BIGINT"), ("refno", "VARCHAR"), ("checkout_id", "BIGINT"), ("eventzilla_fee", "DOUBLE")],
        ),
    ];
    for (resource, expected) in types {
        table(&lake, resource).assert_types(expected);
    }
    let joined = "SELECT count(*) FROM {table} JOIN read_parquet('EVENTS') AS event ON event.id = _events_id AND _events_id = event_id";
    let events = lake.path().join("eventzilla/events/**/*.parquet").display().to_string();
    assert_eq!(lake.value("eventzilla/transactions", &joined.replace("EVENTS", &events)), 30);
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
    let key = |record: &Value| ["_events_id", "id", "refno", "category"].map(|name| record[name].to_string());
    for (resource, report) in RESOURCES.iter().zip(report["resources"].as_array().unwrap()) {
        let [new, changed] = moved(&all_of(&truth, resource, 0), &all_of(&truth, resource, 1), key);
        assert_eq!(written(report)[..2], [new, changed], "{resource}");
        assert!(new + changed > 0 || *resource == "categories", "{resource}");
    }
    assert_eq!(written(&reading("all", &server, &lake).complete()), [0, 0, 0]);
}

/// The server gives fewer than asked for and an error past the end: no request may go there. Whether the total lies in a list or not
/// is no matter.
#[test]
fn smaller_pages_are_read_to_the_end_and_not_past_it() {
    for pagination_alone in [false, true] {
        let options = Options {
            events: 65,
            users: 115,
            transactions_per_event: 45,
            page_cap: 20,
            pagination_alone,
            ..Options::default()
        };
        let truth = options.truth();
        let server = start_blocking(options).unwrap();
        let lake = Lake::new();
        for resource in ["events", "users", "transactions"] {
            let report = reading(resource, &server, &lake).complete();
            assert_eq!(report["expected"], json!(all_of(&truth, resource, 0).len()), "{resource}");
            table(&lake, resource).assert_holds(all_of(&truth, resource, 0));
        }
        assert_eq!(server.answered(200), server.count());
    }
}

/// An empty list that has parts is an error of the API, and here what it is: nothing to read.
#[test]
fn empty_lists_are_complete() {
    let options = Options { events: 3, users: 0, categories: 0, without_children: vec![0, 1, 2], ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("all", &server, &lake).complete();
    let received: Vec<u64> = report["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["records"]["received"].as_u64().unwrap())
        .collect();
    assert_eq!(received, [3, 0, 0, 0, 0, 0]);
    assert_eq!(server.answered(404), 1 + 3, "the users, and each event's transactions");

    let none = start_blocking(Options { events: 0, ..Options::default() }).unwrap();
    let report = reading("events,tickets", &none, &Lake::new()).complete();
    assert_eq!(report["records"]["received"], 0);
    let warning = &report["resources"][1]["warnings"][0];
    assert!(warning.as_str().unwrap().contains("received 0 records of the parent"), "{report}");
}
