//! Ticketmaster's results deeper than the API serves: every event, and how many requests that takes.

use std::collections::BTreeSet;

use sandbox::function::{self, Function};
use sandbox::ticketmaster::{Moment, Options, start_blocking};
use sandbox::{Faults, Server};
use serde_json::{Value, json};

use crate::lake::Lake;

const EVENTS: &str = "ticketmaster/events";

/// A run of `resource` by the built-in manifest without its rate: 1,400 requests at 5 a second are nearly five minutes.
pub(crate) fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    let text = std::fs::read_to_string(function::root().join("shared/manifest/sources/ticketmaster.yaml")).unwrap();
    let unpaced: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("rate:")).collect();
    let file = lake.path().with_extension("yaml");
    std::fs::write(&file, unpaced.join("\n")).unwrap();
    Function::reading(resource, "ticketmaster", lake.path())
        .against("ticketmaster", &server.base_url, "sandbox-key")
        .with(&["--sources", file.to_str().unwrap()])
}

pub(crate) fn stored(lake: &Lake, table: &str) -> BTreeSet<String> {
    let rows = lake.query(table, "SELECT id FROM {table}");
    let count = rows.len();
    let ids: BTreeSet<String> = rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), count, "an id is stored twice");
    ids
}

#[test]
fn every_event_of_a_deep_result_arrives_once_while_it_moves_and_fails() {
    let moment = Moment { count: 1_500, at: "2026-12-31T20:00:00Z".into(), country: "US".into() };
    let faults = Faults { fail_ratio: 0.02, ..Faults::default() };
    let options = Options {
        events: 12_000,
        images: 1,
        moment: Some(moment),
        moving: 0.01,
        // Twenty times as often as among 250,000 events; it ends before the last pass over slices that did not add up.
        moving_over: 70,
        faults,
        ..Options::default()
    };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = reading("events", &server, &lake).run();
    println!("{}", serde_json::to_string_pretty(&ended.report).unwrap());
    let ids = stored(&lake, EVENTS);
    let missing: Vec<String> = truth.steady_event_ids(0).difference(&ids).cloned().collect();
    assert!(missing.is_empty(), "{} are missing, {:?} …", missing.len(), &missing[..missing.len().min(5)]);
    let possible: BTreeSet<String> = truth.event_ids(0).union(&truth.moving_event_ids()).cloned().collect();
    assert!(ids.is_subset(&possible));
    assert_eq!(ended.report["status"], Value::from("complete"), "{}", ended.errors);
    let refused: Vec<String> =
        server.requests().into_iter().filter(|seen| seen.status == Some(400)).map(|seen| seen.query).collect();
    assert!(refused.is_empty(), "what the API refuses is not asked for: {refused:?}");
}

#[test]
fn a_reading_that_is_cut_short_goes_on_where_it_stopped() {
    let options = Options { events: 12_000, images: 1, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let whole = Lake::new();
    let report = reading("events", &server, &whole).complete();
    let needed = report["requests"]["sent"].as_u64().unwrap();

    let lake = Lake::new();
    let mut sent = 0;
    for invocation in 1.. {
        assert!(invocation <= 12, "it never ends");
        let ended = reading("events", &server, &lake).with(&["--max-requests", "20"]).run();
        sent += ended.report["requests"]["sent"].as_u64().unwrap();
        if ended.code == Some(0) {
            assert!(invocation > 3);
            break;
        }
        assert_eq!((ended.code, &ended.report["status"]), (Some(3), &Value::from("partial")), "{}", ended.errors);
        assert_eq!(ended.report["continuation"]["resource"], "events");
    }
    assert_eq!(stored(&lake, EVENTS), truth.event_ids(0));
    assert!(sent < needed * 3 / 2, "{sent} requests in parts, {needed} in one go");
    // What lies inside the events is there too, read with no request of its own.
    assert_eq!(stored(&lake, "ticketmaster/venues"), truth.harvested_venue_ids(0));
    assert_eq!(stored(&lake, "ticketmaster/attractions"), truth.harvested_attraction_ids(0));
    // The reading is over: the next run reads everything again.
    let again = reading("events", &server, &lake).with(&["--full"]).complete();
    assert_eq!((&again["records"]["new"], &again["records"]["changed"]), (&Value::from(0), &Value::from(0)));
    assert!(again["requests"]["sent"].as_u64() < report["requests"]["sent"].as_u64(), "it knows when events start");
}

#[test]
fn a_second_run_knows_when_events_start_and_a_broken_calendar_costs_requests_alone() {
    let options = Options { events: 12_000, images: 1, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let sent = |report: &Value| report["requests"]["sent"].as_u64().unwrap();
    let first = sent(&reading("events", &server, &lake).complete());
    let calendar = lake.path().join("_state/ticketmaster/events/calendar.json");
    assert!(std::fs::metadata(&calendar).unwrap().len() < 20_000);
    let full = || reading("events", &server, &lake).with(&["--full"]);
    let second = sent(&full().complete());
    assert!(second + 4 <= first, "{second} requests, {first} at first");
    // A run of some events alone has another calendar, and leaves this one as it is.
    let kept = std::fs::read(&calendar).unwrap();
    reading("events", &server, &lake).with(&["--param", "countryCode=US"]).complete();
    assert_eq!(std::fs::read(&calendar).unwrap(), kept);

    let whole: Value = serde_json::from_slice(&kept).unwrap();
    // Values that decode, and are those of no calendar: beyond any second, out of order, below zero.
    let with = |calendar: Value| {
        let mut broken = whole.clone();
        broken["queries"].as_object_mut().unwrap().values_mut().for_each(|value| *value = calendar.clone());
        broken.to_string()
    };
    let far = with(json!({"first": i64::MAX, "marks": [[u64::MAX, u32::MAX], [0, 0]]}));
    let below = with(json!({"first": 0, "marks": [[1, -1]]}));
    for broken in ["", "{", "[]", &below, &far] {
        std::fs::write(&calendar, broken).unwrap();
        let report = full().complete();
        assert_eq!((&report["records"]["new"], &report["records"]["changed"]), (&Value::from(0), &Value::from(0)));
        assert!(sent(&report) <= first + 2, "{} requests, {first} at first, with {broken:?}", sent(&report));
    }
    assert_eq!(stored(&lake, EVENTS), truth.event_ids(0));
    assert!(sent(&full().complete()) <= second, "the calendar is whole again");
}
