//! The parameters that both connectors of the seeds have: by flag and by variable, in range and out of it. `emulator.rs` has them as
//! fields of an event.

use std::time::{Duration, Instant};

use sandbox::function::Function;
use sandbox::see_tickets::{Options, start_blocking};
use sandbox::{Fault, Faults, Server};
use serde_json::{Value, json};

use crate::lake::Lake;

fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    Function::reading(resource, "see_tickets", lake.path()).against("see_tickets", &server.base_url, "sandbox-key")
}

/// The limits that were asked for, in the query or in the body.
fn limits(server: &Server) -> Vec<u64> {
    let limit = |query: &str, body: &str| {
        let in_query = query.split('&').find_map(|pair| pair.strip_prefix("limit=")?.parse().ok());
        in_query.unwrap_or_else(|| serde_json::from_str::<Value>(body).unwrap()["limit"].as_u64().unwrap())
    };
    let mut limits: Vec<u64> = server.requests().iter().map(|seen| limit(&seen.query, &seen.body)).collect();
    limits.dedup();
    limits
}

#[test]
fn what_is_out_of_range_is_named_with_its_range_before_anything_is_sent() {
    let server = start_blocking(Options::default()).unwrap();
    let lake = Lake::new();
    let wrong = [
        ("initial_days", "1 to 365", ["0", "366"]),
        ("page_size", "1 to 1000000", ["0", "1000001"]),
        ("request_timeout", "1 to 300", ["0", "301"]),
        ("attempts", "1 to 10", ["0", "11"]),
    ];
    let refused = |function: Function, field: &str, range: &str| {
        let ended = function.run();
        assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(2), &json!("Config")), "{}", ended.errors);
        let fault = &ended.report["error"]["faults"][0];
        assert_eq!(fault["place"], field, "{}", ended.errors);
        assert!(fault["message"].as_str().unwrap().contains(range), "{range}: {fault}");
    };
    for (field, range, values) in wrong {
        for value in values {
            let flag = format!("--{}", field.replace('_', "-"));
            refused(reading("sales", &server, &lake).with(&[&flag, value]), field, range);
            refused(reading("sales", &server, &lake).env(&field.to_uppercase(), value), field, range);
        }
    }
    let all = ["--initial-days", "many", "--page-size", "-1", "--request-timeout", "1.5", "--attempts", "many"];
    let all: Vec<String> = all.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
    let ended = reading("sales", &server, &lake).with(&all.iter().map(String::as_str).collect::<Vec<_>>()).run();
    let faults = ended.report["error"]["faults"].as_array().unwrap();
    let places: Vec<&str> = faults.iter().map(|fault| fault["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["initial_days", "page_size", "request_timeout", "attempts"], "all at once: {}", ended.errors);
    assert_eq!(server.count(), 0);
    assert!(lake.objects().is_empty());
}

#[test]
fn the_page_size_is_what_is_asked_for_in_one_request() {
    for resource in ["events", "sales"] {
        let server = start_blocking(Options { sales: 300, ..Options::default() }).unwrap();
        let run = |function: Function| assert_eq!(function.complete()["records"]["rejected"], 0);
        run(reading(resource, &server, &Lake::new()));
        run(reading(resource, &server, &Lake::new()).with(&["--page-size", "7"]));
        run(reading(resource, &server, &Lake::new()).env("PAGE_SIZE", "9"));
        run(reading(resource, &server, &Lake::new()).env("PAGE_SIZE", "9").with(&["--page-size", "250"]));
        assert_eq!(limits(&server), [100, 7, 9, 250], "{resource}");
    }
}

#[test]
fn attempts_are_the_requests_for_one_page() {
    for (attempts, function) in [
        (1, Function::new("events").with(&["--attempts", "1"])),
        (3, Function::new("events").env("ATTEMPTS", "3")),
        (2, Function::new("events").env("ATTEMPTS", "3").with(&["--attempts", "2"])),
    ] {
        let at = (1..9).map(|number| (number, Fault::Status503)).collect();
        let server =
            start_blocking(Options { faults: Faults { at, ..Faults::default() }, ..Options::default() }).unwrap();
        let lake = Lake::new();
        let function = function.with(&["--source", "see_tickets", "--lake", lake.path().to_str().unwrap()]);
        let ended = function.against("see_tickets", &server.base_url, "sandbox-key").run();
        assert_eq!((ended.code, server.count()), (Some(1), attempts), "{}", ended.errors);
        assert_eq!(ended.report["requests"]["retried"], json!(attempts - 1));
    }
}

#[test]
fn an_answer_that_takes_longer_than_the_timeout_is_given_up() {
    let late = Duration::from_secs(20);
    let faults = Faults { at: vec![(1, Fault::Delay(late))], ..Faults::default() };
    for function in [
        Function::new("events").with(&["--request-timeout", "1", "--attempts", "1"]),
        Function::new("events").env("REQUEST_TIMEOUT", "1").env("ATTEMPTS", "1"),
    ] {
        let server = start_blocking(Options { faults: faults.clone(), ..Options::default() }).unwrap();
        let lake = Lake::new();
        let function = function.with(&["--source", "see_tickets", "--lake", lake.path().to_str().unwrap()]);
        let function = function.against("see_tickets", &server.base_url, "sandbox-key");
        let begin = Instant::now();
        let ended = function.run();
        assert!(begin.elapsed() < late / 2, "{:?}", begin.elapsed());
        assert_eq!((ended.code, &ended.report["error"]["retryable"]), (Some(1), &json!(true)), "{}", ended.errors);
        assert!(ended.errors.contains("timed out"), "{}", ended.errors);
        // The next answer is not late.
        function.complete();
    }
}

/// Sales of the last forty days: the first run takes those of the last ten, the next begins at the watermark and not there.
#[test]
fn the_initial_days_bound_the_first_run_alone() {
    let today = chrono::Utc::now().date_naive();
    let days_ago = |days| (today - chrono::TimeDelta::days(days)).to_string();
    let options = Options { sales: 800, days: 40, until: days_ago(1), ..Options::default() };
    let all: Vec<String> =
        options.truth().sales(0).map(|sale| sale["date"].as_str().unwrap()[..10].to_owned()).collect();
    let start = |server: &Server, seen: usize| {
        let bodies = server.requests()[seen..]
            .iter()
            .filter(|request| request.method == "POST")
            .map(|request| request.body.clone())
            .collect::<Vec<_>>();
        let body: Value = serde_json::from_str(&bodies[0]).unwrap();
        body["filteredBy"]["salesStartDate"].as_str().map(|start| start[..10].to_owned())
    };
    for (function, days) in [
        (Function::new("sales").with(&["--initial-days", "10"]), 10),
        (Function::new("sales").env("INITIAL_DAYS", "20"), 20),
    ] {
        let server = start_blocking(options.clone()).unwrap();
        let lake = Lake::new();
        let function = function.with(&["--source", "see_tickets", "--lake", lake.path().to_str().unwrap()]);
        let function = function.against("see_tickets", &server.base_url, "sandbox-key");
        let report = function.complete();
        assert_eq!(start(&server, 0).as_deref(), Some(days_ago(days).as_str()));
        // The day that the range begins in is there in part.
        let within = |from: i64| all.iter().filter(|day| **day >= days_ago(from)).count() as u64;
        let new = report["records"]["new"].as_u64().unwrap();
        assert!((within(days - 1)..=within(days)).contains(&new), "{new} of {}", all.len());
        assert!(report["watermark"].as_str().unwrap().starts_with(&days_ago(1)), "{report}");

        let seen = server.count();
        let report = function.complete();
        assert_eq!(start(&server, seen).as_deref(), Some(days_ago(8).as_str()), "the watermark less seven days");
        assert_eq!(report["records"]["new"], 0);

        // All of it, for whoever asks.
        assert_eq!(function.with(&["--full"]).complete()["records"]["received"], 800);
    }
}

#[test]
fn a_resource_without_a_cursor_takes_no_initial_days() {
    let server = start_blocking(Options::default()).unwrap();
    let ended = reading("events", &server, &Lake::new()).with(&["--initial-days", "30"]).run();
    assert_eq!((ended.code, &ended.report["error"]["faults"][0]["place"]), (Some(2), &json!("initial_days")));
    assert_eq!(server.count(), 0);
}

#[test]
fn what_one_of_several_resources_does_not_take_is_left_out_and_what_none_can_is_refused_first() {
    let server = start_blocking(Options { sales: 300, ..Options::default() }).unwrap();
    let lake = Lake::new();
    let all = Function::reading("resource", "see_tickets", lake.path())
        .against("see_tickets", &server.base_url, "sandbox-key")
        .with(&["--resource", "all"]);
    let report = all.clone().with(&["--from", "2026-11-01"]).complete();
    let [events, sales] = report["resources"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert!(events["warnings"][0].as_str().unwrap().starts_with("`from` is ignored"), "{events}");
    assert!(sales["warnings"].as_array().is_none_or(|warnings| !warnings[0].as_str().unwrap().contains("left out")));

    let seen = server.count();
    for option in [["--page-size", "1000001"], ["--param", "event_code=DF-1"]] {
        let ended = all.clone().with(&option).run();
        assert_eq!(ended.code, Some(2), "{option:?}: {}", ended.errors);
    }
    assert_eq!(server.count(), seen, "nothing was sent");
}
