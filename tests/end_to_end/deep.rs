//! Ticketmaster's results deeper than the API serves: every event, and how many requests that takes.

use std::collections::BTreeSet;

use sandbox::function::{self, Function};
use sandbox::ticketmaster::{Moment, Options, start_blocking};
use sandbox::{Faults, Server};
use serde_json::Value;

use crate::lake::Lake;

const EVENTS: &str = "ticketmaster/events";

/// A run of `resource` by the built-in manifest without its rate: 1,300 requests at 5 a second are four minutes.
fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    let text = std::fs::read_to_string(function::root().join("shared/sources/ticketmaster.yaml")).unwrap();
    let unpaced: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("rate:")).collect();
    let file = lake.path().with_extension("yaml");
    std::fs::write(&file, unpaced.join("\n")).unwrap();
    Function::reading(resource, "ticketmaster", lake.path())
        .against("ticketmaster", &server.base_url, "sandbox-key")
        .with(&["--sources", file.to_str().unwrap()])
}

fn stored(lake: &Lake, table: &str) -> BTreeSet<String> {
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
        moving_over: 100,
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
    assert_eq!(server.answered(400), 0, "what the API refuses is not asked for");
}
