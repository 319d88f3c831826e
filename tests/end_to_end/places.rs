//! Venues and attractions, which no date cuts: complete by their own searches, and how many requests that takes.

use std::collections::BTreeSet;

use sandbox::function::Function;
use sandbox::ticketmaster::{Options, TreeSize, start_blocking};
use sandbox::{Faults, Server};
use serde_json::{Value, json};

use crate::deep::{reading, stored};
use crate::lake::Lake;

/// Skewed: six in ten venues lie in the US, 2,600 of 30,000 in California, one in a hundred has no country; of 20,000 attractions one
/// genre has more than 2,000 and one sub-genre more than 1,000.
fn options() -> Options {
    let classes = TreeSize { genres: 40, subgenres: 200, ..TreeSize::default() };
    Options { events: 1_500, venues: Some(30_000), attractions: Some(20_000), images: 1, classes, ..Options::default() }
}

/// Returns the ratio of the requests to the number that 200 records on a page need.
fn ratio(kind: &str, report: &Value, records: usize) -> f64 {
    let least = records.div_ceil(200);
    let sent = report["requests"]["sent"].as_u64().unwrap();
    let ratio = sent as f64 / least as f64;
    println!(
        "{kind}: {records} records, {sent} requests ({} retried), {ratio:.2} of {least}",
        report["requests"]["retried"]
    );
    ratio
}

fn complete(ended: &sandbox::function::Ended) -> &Value {
    assert_eq!(ended.report["status"], Value::from("complete"), "{}\n{}", ended.report, ended.errors);
    &ended.report
}

fn unchanged(report: &Value) {
    let records = &report["records"];
    assert_eq!((&records["new"], &records["changed"]), (&json!(0), &json!(0)), "{report}");
}

/// Whether the ids are the same ones; a list of thousands says nothing.
fn same(stored: &BTreeSet<String>, truth: &BTreeSet<String>) {
    let missing: Vec<&String> = truth.difference(stored).take(5).collect();
    let strange: Vec<&String> = stored.difference(truth).take(5).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "{} of {}: missing {missing:?} …, strange {strange:?} …",
        stored.len(),
        truth.len()
    );
}

fn no_refusals(server: &Server) {
    let refused: Vec<String> =
        server.requests().into_iter().filter(|seen| seen.status == Some(400)).map(|seen| seen.query).collect();
    assert!(refused.is_empty(), "what the API refuses is not asked for: {refused:?}");
}

#[test]
fn every_venue_of_a_deep_result_arrives_once() {
    let options = Options { faults: Faults { fail_ratio: 0.02, ..Faults::default() }, ..options() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = reading("venues", &server, &lake).run();
    let report = complete(&ended);
    println!("{}", serde_json::to_string_pretty(report).unwrap());
    same(&stored(&lake, "ticketmaster/venues"), &truth.venue_ids());
    assert_eq!(report["expected"], json!(truth.venue_ids().len()));
    // No total proves it: the API stops counting at 10,000.
    assert_eq!(report["proof"]["unproven"]["records"], report["expected"], "{report}");
    let first = ratio("venues", report, truth.venue_ids().len());
    let again = reading("venues", &server, &lake).run();
    unchanged(complete(&again));
    let second = ratio("venues again", &again.report, truth.venue_ids().len());
    assert!(first < 3.5 && second < 3.5, "{first} {second}");
    no_refusals(&server);
}

#[test]
fn every_attraction_of_a_deep_result_arrives_once() {
    let options = Options { faults: Faults { fail_ratio: 0.02, ..Faults::default() }, ..options() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = reading("attractions", &server, &lake).run();
    let report = complete(&ended);
    println!("{}", serde_json::to_string_pretty(report).unwrap());
    same(&stored(&lake, "ticketmaster/attractions"), &truth.attraction_ids());
    let most = |level: &str| {
        let query = format!("SELECT max(n) FROM (SELECT count(*) AS n FROM {{table}} GROUP BY {level})");
        lake.value("ticketmaster/attractions", &query).as_u64().unwrap()
    };
    assert!(most("genre_id") > 2_000 && most("sub_genre_id") > 1_000, "{} {}", most("genre_id"), most("sub_genre_id"));
    let first = ratio("attractions", report, truth.attraction_ids().len());
    let again = reading("attractions", &server, &lake).run();
    unchanged(complete(&again));
    reading("classifications", &server, &lake).complete();
    let known = reading("attractions", &server, &lake).run();
    unchanged(complete(&known));
    let second = ratio("attractions with known classes", &known.report, truth.attraction_ids().len());
    assert!(first < 1.5 && second < 1.5, "{first} {second}");
    no_refusals(&server);
}

/// Invocations of few requests each give the same lake, and the parts that are whole are not read again; and what the events bring is
/// in the same tables, once.
#[test]
fn a_reading_of_parts_goes_on_where_it_stopped() {
    let options =
        Options { events: 1_500, venues: Some(6_000), attractions: Some(9_000), images: 1, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    reading("events", &server, &lake).complete();
    for (kind, truth, harvested) in [
        ("venues", truth.venue_ids(), truth.harvested_venue_ids(0)),
        ("attractions", truth.attraction_ids(), truth.harvested_attraction_ids(0)),
    ] {
        let table = format!("ticketmaster/{kind}");
        same(&stored(&lake, &table), &harvested);
        assert!(harvested.len() > 100 && harvested.is_subset(&truth));
        let whole = Lake::new();
        let report = reading(kind, &server, &whole).complete();
        let needed = report["requests"]["sent"].as_u64().unwrap();
        let (mut sent, mut new) = (0, 0);
        for invocation in 1.. {
            assert!(invocation <= 12, "it never ends");
            let ended = reading(kind, &server, &lake).with(&["--max-requests", "30"]).run();
            sent += ended.report["requests"]["sent"].as_u64().unwrap();
            new += ended.report["records"]["new"].as_u64().unwrap();
            if ended.code == Some(0) {
                assert!(invocation > 1);
                break;
            }
            assert_eq!((ended.code, &ended.report["status"]), (Some(3), &json!("partial")), "{}", ended.errors);
        }
        println!("{kind}: {sent} requests in parts, {needed} in one go");
        assert!(sent < needed * 2, "{sent} requests in parts, {needed} in one go");
        same(&stored(&lake, &table), &truth);
        assert_eq!(new as usize, truth.len() - harvested.len());
        unchanged(&reading(kind, &server, &lake).complete());
    }
}

/// Some venues are found by no parameter: the run reports the shortfall of the query, and stores the others.
#[test]
fn records_that_no_parameter_finds_are_reported() {
    let options = Options { events: 100, venues: Some(2_500), ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    // Without places and sources, what has no country is not found.
    let text =
        std::fs::read_to_string(sandbox::function::root().join("shared/manifest/sources/ticketmaster.yaml")).unwrap();
    let kept = |line: &&str| {
        let line = line.trim_start();
        !["rate:", "- {param: source", "- param: geoPoint", "geohash:", "reverse:"]
            .iter()
            .any(|cut| line.starts_with(cut))
    };
    let file = lake.path().with_extension("yaml");
    std::fs::write(&file, text.lines().filter(kept).collect::<Vec<_>>().join("\n")).unwrap();
    let ended = Function::reading("venues", "ticketmaster", lake.path())
        .against("ticketmaster", &server.base_url, "sandbox-key")
        .with(&["--sources", file.to_str().unwrap()])
        .run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(4), &json!("incomplete")), "{}", ended.errors);
    let slice = &ended.report["slices"]["incomplete"][0];
    let lack = "SELECT count(*) FROM {table} WHERE country_code IS NULL";
    assert_eq!((&slice["name"], &slice["expected"]), (&json!("all"), &json!(truth.venue_ids().len())));
    let received = slice["received"].as_u64().unwrap() as usize;
    assert!(received < truth.venue_ids().len() && received > 2_300, "{slice}");
    assert!(slice["reason"].as_str().unwrap().contains("countryCode, stateCode"), "{slice}");
    assert_eq!(stored(&lake, "ticketmaster/venues").len(), received, "what was read is stored");
    assert!(lake.value("ticketmaster/venues", lack).as_u64().unwrap() < 25);
    assert_eq!(server.answered(400), 0, "what the API refuses is not asked for");
}
