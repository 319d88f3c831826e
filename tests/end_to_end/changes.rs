//! Ticketmaster between two full readings: what is due, what changed, and what is missing.

use std::collections::BTreeSet;

use chrono::{Days, TimeDelta, Utc};
use sandbox::ticketmaster::{Options, Truth, start_blocking};
use sandbox::{Fault, Faults, Server};
use serde_json::{Value, json};

use crate::deep::reading;
use crate::lake::Lake;

const EVENTS: &str = "ticketmaster/events";
const HISTORY: &str = "ticketmaster/events_history";

/// A calendar that begins in three days: nothing in it passes while a test runs.
fn options(events: usize) -> Options {
    let now = (Utc::now().date_naive() + Days::new(3)).format("%Y-%m-%dT00:00:00Z").to_string();
    Options { events, images: 1, revised: 0.2, now, ..Options::default() }
}

fn serving(options: &Options) -> (Server, Truth) {
    (start_blocking(options.clone()).unwrap(), options.truth().unwrap())
}

fn ids(lake: &Lake, table: &str, condition: &str) -> BTreeSet<String> {
    let rows = lake.query(table, &format!("SELECT id FROM {{table}} WHERE {condition}"));
    let count = rows.len();
    let ids: BTreeSet<String> = rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), count, "an id is there twice");
    ids
}

fn state(lake: &Lake) -> Value {
    serde_json::from_slice(&std::fs::read(state_file(lake)).unwrap()).unwrap()
}

fn state_file(lake: &Lake) -> std::path::PathBuf {
    lake.path().join("_state/ticketmaster/events/progress.json")
}

/// As if the lake had last been read so many hours earlier than it was.
fn hours_pass(lake: &Lake, hours: i64) {
    fn earlier(value: &mut Value, by: TimeDelta) {
        match value {
            Value::String(text) => {
                let instant = chrono::DateTime::parse_from_rfc3339(text).unwrap() - by;
                *text = instant.to_rfc3339();
            }
            Value::Object(members) => members.values_mut().for_each(|value| earlier(value, by)),
            _ => panic!("{value} is no mark"),
        }
    }
    let mut state = state(lake);
    earlier(&mut state["scopes"][0]["refresh"], TimeDelta::hours(hours));
    std::fs::write(state_file(lake), state.to_string()).unwrap();
}

#[test]
fn between_two_full_readings_a_run_reads_the_announced_and_the_near_alone() {
    let (server, truth) = serving(&Options { revised: 0.5, ..options(6_000) });
    let lake = Lake::new();
    let events = reading("events", &server, &lake);
    let full = events.complete();
    assert_eq!(full["refresh"]["kind"], "full");
    assert_eq!(ids(&lake, EVENTS, "true"), truth.event_ids(0));

    // Nothing is due but the announced: a query for those with a date, and one each for those without.
    let nothing = events.complete();
    assert_eq!((&nothing["refresh"]["kind"], &nothing["refresh"]["near_to"]), (&json!("changes"), &Value::Null));
    assert_eq!((&nothing["requests"]["sent"], &nothing["records"]["changed"]), (&json!(3), &json!(0)));

    server.set_revision(1);
    hours_pass(&lake, 24);
    let check = events.clone().with(&["--check"]).complete();
    let due = check["refresh"].clone();
    assert_eq!(check["plan"]["slices"].as_array().unwrap().len(), 4, "{check}");
    let run = events.complete();
    assert_eq!((&run["refresh"]["kind"], &due["kind"]), (&json!("changes"), &json!("changes")));
    assert!(due["why"].as_str().unwrap().contains("the next 14 days are due"), "{due}");
    let sent = |report: &Value| report["requests"]["sent"].as_u64().unwrap();
    assert!(sent(&run) * 3 < sent(&full), "{} requests, {} for all", sent(&run), sent(&full));

    let edge = |name: &str| run["refresh"][name].as_str().unwrap().to_owned();
    // Those in the window, and those that have left it since: they are asked for by their ids.
    let within = |revision| truth.event_ids_between(revision, &edge("near_from"), &edge("near_to"));
    let near: BTreeSet<String> = within(0).union(&within(1)).cloned().collect();
    let changed = truth.changed_event_ids(0, 1);
    let expected: BTreeSet<String> = near.intersection(&changed).cloned().collect();
    let left: BTreeSet<String> = expected.difference(&within(1)).cloned().collect();
    assert!(expected.len() > 20 && !left.is_empty(), "{} in 14 days, {} of them left", expected.len(), left.len());
    let updated = ids(&lake, HISTORY, "_replaces IS NOT NULL AND vanished_at IS NULL");
    assert!(updated.is_superset(&expected) && updated.is_subset(&changed));
    assert_eq!(run["records"]["changed"], json!(updated.len()));
    // It is no reading of everything: what it says of others than those is nothing.
    let gone: BTreeSet<String> = truth.event_ids(0).difference(&truth.event_ids(1)).cloned().collect();
    let near_gone: BTreeSet<String> = gone.intersection(&within(0)).cloned().collect();
    let marked = ids(&lake, EVENTS, "vanished_at IS NOT NULL");
    assert!(!near_gone.is_empty() && marked.len() < gone.len(), "{} of {}", marked.len(), gone.len());
    assert!(marked.is_superset(&near_gone) && marked.is_subset(&gone));
    // Whatever was announced is there, wherever it lies.
    let stored = ids(&lake, EVENTS, "true");
    assert!(truth.event_ids(1).is_subset(&stored));
    assert_eq!(run["records"]["new"], json!(truth.event_ids(1).difference(&truth.event_ids(0)).count()));

    // The table says how they are, the history how they were.
    let query = "SELECT later.id, earlier.status_code, later.status_code, earlier.min_price, later.min_price,
                        strftime(later.start_date_time AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')
                 FROM {table} later JOIN {table} earlier ON later.id = earlier.id AND later._replaces = earlier.synced_at
                 WHERE later.vanished_at IS NULL";
    let mut seen = BTreeSet::new();
    for row in lake.query(HISTORY, query) {
        let at = |revision: u32, path: &str| {
            truth.event(row[0].as_str().unwrap(), revision).unwrap().pointer(path).cloned().unwrap_or(Value::Null)
        };
        assert_eq!((&row[1], &row[2]), (&at(0, "/dates/status/code"), &at(1, "/dates/status/code")));
        assert_eq!(row[3].as_f64(), at(0, "/priceRanges/0/min").as_f64());
        assert_eq!(row[4].as_f64(), at(1, "/priceRanges/0/min").as_f64());
        assert_eq!(row[5], at(1, "/dates/start/dateTime"));
        seen.extend((row[1] != row[2]).then(|| row[2].as_str().unwrap().to_owned()));
        seen.extend((row[3] != row[4]).then(|| "price".to_owned()));
    }
    for change in ["cancelled", "rescheduled", "price"] {
        assert!(seen.contains(change), "{change} is not among {seen:?}");
    }

    // Three days later the longer window is due, and after a week everything.
    hours_pass(&lake, 72);
    let check = events.clone().with(&["--check"]).complete();
    assert!(check["refresh"]["why"].as_str().unwrap().contains("the next 60 days are due"), "{check}");
    hours_pass(&lake, 72);
    let check = events.clone().with(&["--check"]).complete();
    assert_eq!(check["refresh"]["kind"], "full");
    // A range that is asked for is no part of it.
    let range = events.with(&["--from", "2027-01-01", "--to", "2027-01-02"]).complete();
    assert_eq!(range.get("refresh"), None);
}

#[test]
fn a_part_that_is_not_whole_is_due_again() {
    let options = options(3_000);
    let (counted, _) = serving(&options);
    reading("events", &counted, &Lake::new()).complete();
    // The fourth query of the second run is the window's, after those for what was announced; its one attempt fails. What was read
    // belongs to a base URL, so that both runs ask one server.
    let faults = Faults { at: vec![(counted.count() + 4, Fault::Status500)], ..Faults::default() };
    let (server, _) = serving(&Options { faults, ..options });
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    hours_pass(&lake, 24);
    let before = state(&lake)["scopes"][0]["refresh"].clone();
    let ended = reading("events", &server, &lake).with(&["--attempts", "1"]).run();
    assert_eq!((ended.code, &ended.report["refresh"]["kind"]), (Some(4), &json!("changes")), "{}", ended.report);
    let after = state(&lake)["scopes"][0]["refresh"].clone();
    assert_eq!((&after["near"], &after["full"]), (&before["near"], &before["full"]));
    let again = reading("events", &server, &lake).complete();
    assert!(again["refresh"]["near_to"].is_string(), "{again}");
    assert_ne!(state(&lake)["scopes"][0]["refresh"]["near"], before["near"]);
}

fn missing_is_marked_and_comes_back(arguments: &[&str]) {
    let (server, truth) = serving(&options(3_000));
    let lake = Lake::new();
    let events = reading("events", &server, &lake).with(arguments);
    assert_eq!(events.complete()["records"].get("vanished"), None);
    server.set_revision(2);
    let full = events.clone().with(&["--full"]);
    let gone: BTreeSet<String> = truth.event_ids(0).difference(&truth.event_ids(2)).cloned().collect();
    assert!(gone.len() > 20);
    let before = Utc::now();
    assert_eq!(full.complete()["records"]["vanished"], json!(gone.len()));
    assert_eq!(ids(&lake, EVENTS, "vanished_at IS NOT NULL"), gone);
    let since = "SELECT min(vanished_at)::TIMESTAMPTZ >= '{}'::TIMESTAMPTZ FROM {table}".replacen(
        "{}",
        &before.to_rfc3339(),
        1,
    );
    assert_eq!(lake.value(EVENTS, &since), true);
    assert_eq!(ids(&lake, EVENTS, "true").len(), truth.event_ids(0).union(&truth.event_ids(2)).count());
    // A version that says so is in the history; what the record says is the same.
    assert_eq!(ids(&lake, HISTORY, "vanished_at IS NOT NULL"), gone);
    let same = "SELECT count(*) FROM {table} later JOIN {table} earlier ON later.id = earlier.id
                AND later._replaces = earlier.synced_at AND later._fingerprint = earlier._fingerprint
                WHERE later.vanished_at IS NOT NULL";
    assert_eq!(lake.value(HISTORY, same), json!(gone.len()));

    let stored = lake.parts();
    let again = full.complete();
    assert_eq!((&again["records"]["changed"], again["records"].get("vanished")), (&json!(0), None));
    assert_eq!(lake.parts(), stored, "the second run writes nothing");

    // What comes back loses its mark; what revision 2 brought is missing now.
    server.set_revision(0);
    full.complete();
    let brought: BTreeSet<String> = truth.event_ids(2).difference(&truth.event_ids(0)).cloned().collect();
    assert_eq!(ids(&lake, EVENTS, "vanished_at IS NOT NULL"), brought);
    let back = "SELECT count(DISTINCT later.id) FROM {table} later JOIN {table} earlier ON later.id = earlier.id
                AND later._replaces = earlier.synced_at WHERE earlier.vanished_at IS NOT NULL AND later.vanished_at IS NULL";
    assert_eq!(lake.value(HISTORY, back), json!(gone.len()));
}

#[test]
fn what_is_missing_is_marked_and_loses_its_mark_when_it_comes_back() {
    missing_is_marked_and_comes_back(&[]);
}

#[test]
fn what_is_missing_is_marked_in_json_too() {
    missing_is_marked_and_comes_back(&["--format", "json"]);
}

/// Runs until it is complete, 20 requests at a time; every invocation must be one of the same full reading.
fn in_pieces(server: &Server, lake: &Lake, between: impl Fn()) -> Value {
    for invocation in 1..=20 {
        let events = reading("events", server, lake).with(&["--max-requests", "20"]);
        // An empty request, as a schedule sends it, resumes the read that `full` began.
        let ended = if invocation == 1 { events.with(&["--full"]).run() } else { events.run() };
        assert_eq!(ended.report["refresh"]["kind"], "full", "{}", ended.report);
        if ended.code == Some(0) {
            assert!(invocation > 2);
            return ended.report;
        }
        assert_eq!(ended.code, Some(3), "{}", ended.report);
        between();
    }
    panic!("it never ends")
}

#[test]
fn a_full_reading_in_pieces_marks_the_same_and_a_killed_one_nothing() {
    let (server, truth) = serving(&options(9_000));
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    server.set_revision(1);
    let gone: BTreeSet<String> = truth.event_ids(0).difference(&truth.event_ids(1)).cloned().collect();

    // Keys of another moment than the checkpoint's, as a killed invocation leaves them.
    let keys = lake.path().join("_state/ticketmaster/events/seen_keys");
    let report = in_pieces(&server, &lake, || std::fs::write(&keys, [0; 16]).unwrap());
    assert!(report["warnings"].to_string().contains("no rows are marked as vanished"), "{report}");
    assert_eq!(lake.value(EVENTS, "SELECT count(vanished_at) FROM {table}"), 0);

    let report = in_pieces(&server, &lake, || {});
    assert_eq!(report["records"]["vanished"], json!(gone.len()), "{report}");
    assert_eq!(ids(&lake, EVENTS, "vanished_at IS NOT NULL"), gone);
    assert_eq!(state(&lake).get("checkpoints"), None);
}

#[test]
fn a_reading_with_a_slice_that_is_not_whole_marks_nothing() {
    let options = options(3_000);
    let (server, _) = serving(&options);
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    let faults = Faults { at: vec![(3, Fault::Status500)], ..Faults::default() };
    let (broken, _) = serving(&Options { faults, revision: 1, ..options });
    let ended = reading("events", &broken, &lake).with(&["--full", "--attempts", "1"]).run();
    assert_eq!(ended.code, Some(4), "{}", ended.report);
    assert_eq!(lake.value(EVENTS, "SELECT count(vanished_at) FROM {table}"), 0);
}

/// An answer in which a record is missing that is there tells nothing of the others.
#[test]
fn an_api_that_does_not_find_by_key_makes_nothing_missing() {
    let (server, _) = serving(&options(600));
    let lake = Lake::new();
    let events = reading("events", &server, &lake);
    let file = lake.path().with_extension("yaml");
    let manifest = std::fs::read_to_string(&file).unwrap();
    assert!(manifest.contains("confirm: {param: id,"));
    std::fs::write(&file, manifest.replace("confirm: {param: id,", "confirm: {param: keyword,")).unwrap();
    events.complete();
    server.set_revision(1);
    let report = events.with(&["--full"]).complete();
    assert!(report["warnings"].to_string().contains("no rows are marked as vanished: `keyword`"), "{report}");
    assert_eq!(lake.value(EVENTS, "SELECT count(vanished_at) FROM {table}"), 0);
}

/// The API drops what has passed: that is not missing.
#[test]
fn what_has_passed_is_not_missing() {
    let now = (Utc::now().date_naive() - Days::new(60)).format("%Y-%m-%dT00:00:00Z").to_string();
    let (server, truth) = serving(&Options { now, ..options(3_000) });
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    server.set_revision(3);
    reading("events", &server, &lake).with(&["--full"]).complete();
    let gone: BTreeSet<String> = truth.event_ids(0).difference(&truth.event_ids(3)).cloned().collect();
    let marked = ids(&lake, EVENTS, "vanished_at IS NOT NULL");
    assert!(marked.is_subset(&gone) && !marked.is_empty() && marked.len() < gone.len());
    let over = ids(&lake, EVENTS, "start_date_time < now()");
    assert!(marked.is_disjoint(&over));
    let left = gone.difference(&marked).filter(|id| !over.contains(*id)).count();
    let days = ids(&lake, EVENTS, "start_date_time IS NULL AND start_local_date <= current_date + 1");
    assert!(left <= gone.intersection(&days).count(), "{left} are neither marked nor over");
}

/// Events that are past go after so many days; a gap in the parts' numbers, as one that expired leaves it, changes nothing.
fn past_events_go(arguments: &[&str]) {
    let now = (Utc::now().date_naive() - Days::new(60)).format("%Y-%m-%dT00:00:00Z").to_string();
    let (server, truth) = serving(&Options { now, ..options(3_000) });
    let lake = Lake::new();
    let events = reading("events", &server, &lake).with(arguments);
    events.complete();
    let past = "coalesce(start_date_time, start_local_date::TIMESTAMP AT TIME ZONE 'UTC' - INTERVAL 14 HOUR) < now() - INTERVAL 30 DAY";
    let gone = ids(&lake, EVENTS, past);
    let kept: BTreeSet<String> = truth.event_ids(0).difference(&gone).cloned().collect();
    assert!(gone.len() > 100 && kept.len() > 100, "{} of {}", gone.len(), kept.len());
    let versions = lake.value(HISTORY, "SELECT count(*) FROM {table}");

    let keeping = events.clone().with(&["--retention-days", "30"]);
    let run = keeping.complete();
    assert_eq!((&run["records"]["removed"], &run["refresh"]["kind"]), (&json!(gone.len()), &json!("changes")));
    assert_eq!(ids(&lake, EVENTS, "true"), kept);
    // The history lies by days, which expire as a whole in the store.
    assert_eq!(lake.value(HISTORY, "SELECT count(*) FROM {table}"), versions);

    // This API still tells them all: they are not stored to be taken out again.
    let stored = lake.parts();
    let again = keeping.clone().with(&["--full"]).complete();
    let counts = &again["records"];
    assert_eq!((&counts["new"], counts.get("removed"), &counts["excluded"]), (&json!(0), None, &json!(gone.len())));
    assert_eq!(lake.parts(), stored, "the second run writes nothing");

    // As if it had expired: what lay there comes again, everything once.
    let expired = stored.keys().find(|path| path.to_string_lossy().contains("/events/")).unwrap();
    std::fs::remove_file(expired).unwrap();
    keeping.with(&["--full"]).complete();
    assert_eq!(ids(&lake, EVENTS, "true"), kept);
}

#[test]
fn events_that_are_past_are_kept_so_long_and_no_longer() {
    past_events_go(&[]);
}

#[test]
fn events_that_are_past_are_kept_so_long_in_json_too() {
    past_events_go(&["--format", "json"]);
}

#[test]
fn retention_of_what_has_no_date_is_refused() {
    let (server, _) = serving(&options(60));
    let lake = Lake::new();
    let ended = reading("venues", &server, &lake).with(&["--retention-days", "30"]).run();
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("retention_days") && ended.errors.contains("passed_by"), "{}", ended.errors);
    assert_eq!(server.count(), 0);
}
