//! Ticketmaster: real recordings and the synthetic catalogue, with the API's own traps.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sandbox::function::{self, Function};
use sandbox::ticketmaster::{Options, start_blocking};
use sandbox::{Fault, Faults, Server};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::lake::{Lake, duckdb};

const KEY: &str = "sandbox-key";

fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    Function::reading(resource, "ticketmaster", lake.path()).against("ticketmaster", &server.base_url, KEY)
}

fn ids(rows: Vec<Vec<Value>>) -> BTreeSet<String> {
    let count = rows.len();
    let ids: BTreeSet<String> = rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), count, "an id is stored twice");
    ids
}

/// The folder of recorded answers, which lies beside the project where it is there at all; `None` says so on standard error.
fn recordings() -> Option<PathBuf> {
    let folder = function::root().parent()?.join("shared/fixtures/ticketmaster");
    let there = folder.is_dir();
    if !there {
        eprintln!("no recordings at {}: this test has nothing to read", folder.display());
    }
    there.then_some(folder)
}

/// Every record of the recorded pages of `kind`, read without the sandbox.
fn recorded(folder: &std::path::Path, kind: &str) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut records = Vec::new();
    for file in files {
        match serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() {
            Value::Array(list) => records.extend(list),
            page => records.extend(page["_embedded"][kind].as_array().cloned().unwrap_or_default()),
        }
    }
    records
}

#[test]
fn every_recorded_id_arrives_once_and_nothing_is_rejected() {
    let Some(folder) = recordings() else { return };
    let options = Options { recordings: Some(folder.clone()), ..Options::default() };
    let server = start_blocking(options).unwrap();
    for kind in ["events", "venues", "attractions"] {
        // A lake each: events bring venues and attractions along.
        let lake = Lake::new();
        let records = recorded(&folder, kind);
        let expected: BTreeSet<String> =
            records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
        let report = reading(kind, &server, &lake).complete();
        assert_eq!(report["records"]["rejected"], 0, "{kind}");
        assert_eq!(report["records"]["new"], json!(expected.len()), "{kind}");
        let table = format!("ticketmaster/{kind}");
        assert_eq!(ids(lake.query(&table, "SELECT id FROM {table}")), expected, "{kind}");
        assert_eq!(lake.value(&table, "SELECT count(*) FROM {table} WHERE _issues IS NOT NULL"), 0, "{kind}");
        let again = reading(kind, &server, &lake).complete();
        assert_eq!(
            (&again["records"]["new"], &again["records"]["changed"], &again["objects"]),
            (&json!(0), &json!(0), &json!(0))
        );
    }
    let lake = Lake::new();
    let report = reading("classifications", &server, &lake).complete();
    assert_eq!((&report["records"]["received"], &report["records"]["rejected"]), (&json!(17), &json!(0)));
    let counts = "SELECT count(DISTINCT segment_id), count(DISTINCT genre_id), count(DISTINCT sub_genre_id), count(DISTINCT id) = count(*) FROM {table}";
    assert_eq!(lake.query("ticketmaster/classifications", counts), [[json!(6), json!(124), json!(1086), json!(true)]]);
    // No recorded id is at two places of the tree, so that the id alone is the key of the lookup.
    let levels = "SELECT level, count(*), count(DISTINCT id) FROM {table} GROUP BY level ORDER BY level";
    let rows = [("genre", 124), ("segment", 6), ("sub_genre", 1086), ("sub_type", 128), ("type", 11)];
    let rows = rows.map(|(level, count)| vec![json!(level), json!(count), json!(count)]);
    assert_eq!(lake.query("ticketmaster/classification_levels", levels), rows);
}

/// Values of recorded events, looked up in the record by hand, against what DuckDB reads in the seed's columns.
#[test]
fn recorded_values_are_where_the_seed_has_them() {
    let Some(folder) = recordings() else { return };
    let server = start_blocking(Options { recordings: Some(folder.clone()), ..Options::default() }).unwrap();
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    let mut last = std::collections::BTreeMap::new();
    for record in recorded(&folder, "events") {
        last.insert(record["id"].as_str().unwrap().to_owned(), record);
    }
    let query = "SELECT id, name, status_code, timezone, venue_id, venue_city, attraction_name, min_price, currency,
                        strftime(start_date_time AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ'), CAST(start_local_date AS VARCHAR),
                        len(attraction_ids), images, classifications
                 FROM {table} ORDER BY id";
    let at = |record: &Value, path: &str| record.pointer(path).cloned().unwrap_or(Value::Null);
    for row in lake.query("ticketmaster/events", query) {
        let record = &last[row[0].as_str().unwrap()];
        let paths = [
            "/name",
            "/dates/status/code",
            "/dates/timezone",
            "/_embedded/venues/0/id",
            "/_embedded/venues/0/city/name",
            "/_embedded/attractions/0/name",
        ];
        for (value, path) in row[1..].iter().zip(paths) {
            assert_eq!(*value, at(record, path), "{path} of {}", row[0]);
        }
        assert_eq!(row[7].as_f64(), at(record, "/priceRanges/0/min").as_f64());
        assert_eq!(row[8], at(record, "/priceRanges/0/currency"));
        assert_eq!(row[9], at(record, "/dates/start/dateTime"));
        assert_eq!(row[10], at(record, "/dates/start/localDate"));
        assert_eq!(row[11].as_u64(), at(record, "/_embedded/attractions").as_array().map(|list| list.len() as u64));
        for (column, path) in [(&row[12], "/images"), (&row[13], "/classifications")] {
            let stored = column.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
            assert_eq!(stored, at(record, path), "{path} of {}", row[0]);
        }
    }
}

#[test]
fn the_synthetic_catalogue_arrives_whole_with_what_has_no_date() {
    let options = Options { events: 900, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("events", &server, &lake).complete();
    assert_eq!(ids(lake.query("ticketmaster/events", "SELECT id FROM {table}")), truth.event_ids(0));
    assert_eq!(report["slices"], json!({"planned": 3, "whole": 3}));
    let undated =
        lake.value("ticketmaster/events", "SELECT count(*) FROM {table} WHERE start_date_tba OR start_date_tbd");
    assert!(undated.as_u64().unwrap() > 0);
    for (kind, expected) in [("venues", truth.venue_ids()), ("attractions", truth.attraction_ids())] {
        reading(kind, &server, &lake).complete();
        let stored = ids(lake.query(&format!("ticketmaster/{kind}"), "SELECT id FROM {table}"));
        assert_eq!(stored, expected, "{kind}");
    }
    assert_eq!(reading("classifications", &server, &lake).complete()["slices"]["whole"], 1);
    let before = lake.parts();
    for kind in ["events", "venues", "attractions", "classifications"] {
        let again = reading(kind, &server, &lake).with(&["--full"]).complete();
        assert_eq!((&again["records"]["new"], &again["records"]["changed"]), (&json!(0), &json!(0)), "{kind}");
    }
    assert_eq!(lake.parts(), before);
}

/// Events are cancelled, rescheduled and repriced: the table has how they are, the history how they were, each version once.
#[test]
fn the_history_tells_how_status_and_prices_moved() {
    let options = Options { events: 900, revised: 0.2, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let mut versions = 0;
    for revision in 0..=2 {
        server.set_revision(revision);
        let report = reading("events", &server, &lake).with(&["--full"]).complete();
        let records = &report["records"];
        if revision > 0 {
            let changed = truth.changed_event_ids(revision - 1, revision).len();
            assert!(changed > 0);
            assert_eq!(records["changed"], json!(changed));
        }
        versions +=
            ["new", "changed", "vanished"].map(|count| records[count].as_u64().unwrap_or(0)).iter().sum::<u64>();
        let stored = "SELECT count(*), count(DISTINCT (id, synced_at)), count(DISTINCT id) FROM {table}";
        let ids = lake.value("ticketmaster/events", "SELECT count(*) FROM {table}");
        assert_eq!(lake.query("ticketmaster/events_history", stored), [[json!(versions), json!(versions), ids]]);
    }
    let current = "SELECT count(*) FROM {table} WHERE status_code = 'cancelled'";
    let cancelled = lake.value("ticketmaster/events", current).as_u64().unwrap();
    let moved = "SELECT count(*) FROM {table} later JOIN {table} earlier ON later.id = earlier.id AND later._replaces = earlier.synced_at
                 WHERE later.status_code = 'cancelled' AND earlier.status_code <> 'cancelled'";
    let moved = lake.value("ticketmaster/events_history", moved).as_u64().unwrap();
    assert!(0 < moved && moved <= cancelled, "{moved} of {cancelled}");
    let before = lake.parts();
    let again = reading("events", &server, &lake).with(&["--full"]).complete();
    assert_eq!((&again["records"]["changed"], &again["objects"]), (&json!(0), &json!(0)));
    assert_eq!(lake.parts(), before);
}

#[test]
fn a_check_says_what_the_run_then_needs_of_the_day_s_quota() {
    let options = Options { events: 900, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    for resource in ["events", "venues"] {
        let plan = &reading(resource, &server, &lake).with(&["--check"]).complete()["plan"];
        assert!(lake.objects().is_empty() || resource == "venues");
        let run = reading(resource, &server, &lake).complete();
        let (estimate, sent) = (&plan["estimate"], run["requests"]["sent"].as_u64().unwrap());
        assert_eq!(
            (&estimate["requests"], &estimate["records"], &estimate["basis"]),
            (&json!(sent), &run["expected"], &json!("the totals of the API")),
            "{resource}"
        );
        assert_eq!(estimate["seconds"], sent.div_ceil(5), "5 a second");
        let share = estimate["quota_percent"].as_f64().unwrap();
        assert!((share - sent as f64 / 50.0).abs() <= 0.05, "{share} of 5,000 a day for {sent}");
    }
    let check = reading("events", &server, &lake).with(&["--check", "--to", "2027-01-31"]).complete();
    let estimate = &check["plan"]["estimate"];
    assert!(estimate["records"].as_u64().unwrap() < 900, "a narrower range is a smaller estimate: {estimate}");
}

#[test]
fn a_class_is_named_and_found_in_what_is_stored() {
    let options = Options { events: 900, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let jazz =
        |lake: &Lake| reading("events", &server, lake).with(&["--param", "segment=music", "--param", "genre=-Rock"]);
    let ended = jazz(&lake).run();
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("no `classifications` are stored; read them first"), "{}", ended.errors);
    assert_eq!(server.count(), 0);

    reading("classifications", &server, &lake).complete();
    let cut_short = jazz(&lake).with(&["--max-requests", "1"]).run();
    let continuation = &cut_short.report["continuation"];
    assert_eq!(continuation["params"], json!({"segment": "music", "genre": "-Rock"}), "{}", cut_short.report);
    jazz(&lake).complete();
    let expected: BTreeSet<String> = truth
        .event_ids(0)
        .into_iter()
        .filter(|id| {
            let event = truth.event(id, 0).unwrap();
            let class = |level: &str| event["classifications"][0][level]["name"].clone();
            class("segment") == "Music" && class("genre") != "Rock"
        })
        .collect();
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!(ids(lake.query("ticketmaster/events", "SELECT id FROM {table}")), expected);
    let ended = reading("events", &server, &lake).with(&["--param", "segment=Musik"]).run();
    assert!(ended.errors.contains("Did you mean `Music`?"), "{}", ended.errors);
}

#[test]
fn filters_narrow_and_unknown_ones_are_refused() {
    let options = Options { events: 900, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report =
        reading("events", &server, &lake).with(&["--param", "countryCode=US", "--to", "2027-01-31"]).complete();
    let new = report["records"]["new"].as_u64().unwrap();
    assert!(0 < new && new < 900, "{new}");
    assert_eq!(
        lake.value("ticketmaster/events", "SELECT count(*) FROM {table} WHERE venue_country_code = 'US'"),
        json!(new)
    );
    let seen = server.count();
    let refused = reading("events", &server, &lake).with(&["--param", "county=US", "--param", "size=5"]).run();
    assert_eq!(refused.code, Some(2));
    assert!(refused.errors.contains("params.county") && refused.errors.contains("params.size"), "{}", refused.errors);
    assert_eq!(server.count(), seen);
}

#[test]
fn every_way_to_fail_is_outlived() {
    let faults = Faults { fail_ratio: 0.3, at: vec![(2, Fault::SpikeArrest)], ..Faults::default() };
    let options = Options { events: 900, faults, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("events", &server, &lake).complete();
    assert!(report["requests"]["retried"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["requests"]["sent"], json!(server.count()));
    assert_eq!(ids(lake.query("ticketmaster/events", "SELECT id FROM {table}")), truth.event_ids(0));
}

#[test]
fn the_rate_is_held() {
    let options = Options { events: 900, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    assert!(server.most_within(std::time::Duration::from_millis(975)) <= 5);
}

#[test]
fn the_same_over_s3() {
    let aws = Aws::start();
    aws.keep_secret("ticketmaster", KEY);
    let options = Options { events: 600, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let function = Function::reading("events", "ticketmaster", "s3://lake")
        .env("SECRET_ID", "ticketmaster")
        .env("TICKETMASTER_BASE_URL", &server.base_url);
    let function = aws.grant(function);
    let count = truth.event_ids(0).len();
    assert_eq!(function.complete()["records"]["new"], json!(count));
    let again = function.with(&["--full"]).complete();
    assert_eq!((&again["records"]["unchanged"], &again["objects"]), (&json!(count), &json!(0)));
    let copy = Lake::new();
    aws.download("", copy.path());
    let stored = duckdb(copy.path(), "ticketmaster/events", "SELECT id FROM {table}");
    assert_eq!(ids(stored), truth.event_ids(0));
}
