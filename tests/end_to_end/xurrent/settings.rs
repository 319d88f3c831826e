//! The account, the region, and what Fivetran's sample lets one configure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sandbox::function::Function;
use sandbox::xurrent::{Options, Resource, start_blocking};
use sandbox::{Fault, Faults};
use serde_json::json;

use super::{options, param, reading, rows};
use crate::lake::Lake;

#[test]
fn the_domain_says_where_the_account_lives() {
    for (domain, address) in [
        (None, "https://api.xurrent.com/v1"),
        (Some("uk.xurrent.com"), "https://api.uk.xurrent.com/v1"),
        (Some("au.xurrent.qa"), "https://api.au.xurrent.qa/v1"),
        (Some("xurrent-demo.com"), "https://api.xurrent-demo.com/v1"),
    ] {
        let lake = Lake::new();
        // Without a key: nothing is sent.
        let function = Function::reading("resource", "xurrent", lake.path())
            .with(&["--resource", "products", "--check"])
            .env("XURRENT_ACCOUNT", "wdc");
        let function = domain.into_iter().fold(function, |function, domain| function.env("XURRENT_DOMAIN", domain));
        let plan = &function.complete()["plan"];
        assert_eq!(plan["request"], format!("GET {address}/products"));
        assert_eq!(plan["rate"], json!(["20 requests per 2 s", "3600 requests per hour"]));
        assert!(lake.objects().is_empty());
    }
}

#[test]
fn a_wrong_domain_and_a_missing_account_are_named_at_once_and_nothing_is_sent() {
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    let function = Function::reading("resource", "xurrent", lake.path())
        .with(&["--resource", "all"])
        .env("XURRENT_BASE_URL", &server.base_url)
        .env("XURRENT_OAUTH_TOKEN", "sandbox-key")
        .env("XURRENT_DOMAIN", "eu.xurrent.com");
    let ended = function.run();
    assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(2), &json!("Config")), "{}", ended.errors);
    for word in ["XURRENT_ACCOUNT", "XURRENT_DOMAIN", "eu.xurrent.com", "uk.xurrent.com", "ch.xurrent.qa"] {
        assert!(ended.errors.contains(word), "`{word}`: {}", ended.errors);
    }
    let faults = ended.report["error"]["faults"].as_array().unwrap();
    let places: Vec<&str> = faults.iter().map(|fault| fault["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["XURRENT_ACCOUNT", "XURRENT_DOMAIN"]);
    assert_eq!(server.count(), 0);
    assert!(lake.objects().is_empty());
}

/// `account_id`: the header `X-Xurrent-Account`.
#[test]
fn another_account_is_asked_for_as_it_is_set() {
    let server = start_blocking(Options { account: Some("quayside".into()), ..options() }).unwrap();
    let lake = Lake::new();
    let ended = reading("projects", &server, &lake).run();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("Account 'wdc' not found"), "{}", ended.errors);
    let report = reading("projects", &server, &lake).env("XURRENT_ACCOUNT", "quayside").complete();
    assert_eq!(rows(&report)[0], 180);
}

/// `initial_sync_days`, which the sample reads and does not use.
#[test]
fn the_first_run_begins_so_many_days_ago() {
    let now = Utc::now() - TimeDelta::hours(1);
    let options = Options { now: now.to_rfc3339_opts(SecondsFormat::Secs, true), ..options() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("products", &server, &lake).env("INITIAL_DAYS", "20").complete();
    let window = param(&server.requests()[0], "updated_at").unwrap();
    let since = window.strip_prefix(">=").unwrap();
    let days = (Utc::now() - since.parse::<DateTime<Utc>>().unwrap()).num_minutes() as f64 / 1_440.0;
    assert!((19.99..20.01).contains(&days), "{window}");
    let expected = truth.updated_within(Resource::Products, 0, since, "2100-01-01T00:00:00Z") as u64;
    assert!(expected > 0 && expected < 300, "{expected}");
    assert_eq!(rows(&report), [expected, 0, 0]);
    // `enable_incremental_sync: false`.
    let report = reading("products", &server, &lake).env("INITIAL_DAYS", "20").with(&["--full"]).complete();
    assert_eq!(rows(&report), [300 - expected, 0, expected]);
}

/// `max_records_per_page`: more than the API serves is refused here, where the API would cut it without a word.
#[test]
fn a_page_has_as_many_records_as_asked_for() {
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    let report = reading("products", &server, &lake).env("PAGE_SIZE", "40").complete();
    assert_eq!((rows(&report)[0], server.count()), (300, 8));
    assert!(server.requests().iter().all(|seen| param(seen, "per_page").as_deref() == Some("40")));
    for size in ["0", "101", "many"] {
        let ended = reading("products", &server, &lake).with(&["--page-size", size]).run();
        assert_eq!(ended.code, Some(2), "{size}: {}", ended.errors);
        assert!(ended.errors.contains("page_size") && ended.errors.contains(size), "{}", ended.errors);
    }
    assert_eq!(server.count(), 8);
}

/// `retry_attempts` and `request_timeout_seconds`.
#[test]
fn a_request_is_tried_as_often_and_waited_for_as_long_as_asked_for() {
    let failing = |at: Vec<(usize, Fault)>| {
        start_blocking(Options { faults: Faults { at, ..Faults::default() }, ..options() }).unwrap()
    };
    for (attempts, code) in [("1", 1), ("2", 0)] {
        let (server, lake) = (failing(vec![(2, Fault::Status503)]), Lake::new());
        let ended = reading("products", &server, &lake).env("ATTEMPTS", attempts).run();
        assert_eq!(ended.code, Some(code), "{attempts}: {}", ended.errors);
        assert_eq!(server.count(), if code == 0 { 4 } else { 2 });
    }
    let (server, lake) = (failing(vec![(2, Fault::Delay(Duration::from_secs(20)))]), Lake::new());
    let report = reading("products", &server, &lake).env("REQUEST_TIMEOUT", "1").complete();
    assert_eq!((&report["requests"]["retried"], rows(&report)[0]), (&json!(1), 300));
    assert!(report["elapsed_ms"].as_u64().unwrap() < 10_000, "{report}");
}
