//! The API's limits: all of what it allows is used, and nothing is asked for that it would refuse.

use std::path::PathBuf;
use std::time::Duration;

use sandbox::function::{Ended, Function};
use sandbox::ticketmaster::{Options, start_blocking};
use sandbox::{Fault, Faults, Rate, RetryAfter, Server};
use serde_json::{Value, json};

use crate::lake::Lake;

const KEY: &str = "sandbox-key";
/// No second's limit comes in the way.
const FAST: u32 = 1_000;

/// So many events and attractions, three to a page of [`manifest`].
fn server(events: usize, rate: Rate) -> Server {
    let options = Options {
        events,
        attractions: Some(events),
        images: 0,
        undated: 0.0,
        revised: 0.0,
        enforce_rate: Some(rate),
        ..Options::default()
    };
    start_blocking(options).unwrap()
}

/// Ticketmaster in small pages, with limits of its own.
fn manifest(lake: &Lake, rate: &Value) -> PathBuf {
    let file = lake.path().join("_mine.json");
    let list = |name: &str, sort: &str| {
        json!({
            "name": name,
            "endpoint": {
                "path": format!("{name}.json"),
                "data_selector": format!("_embedded.{name}"),
                "params": {"locale": "*", "size": 3, "sort": sort},
            },
        })
    };
    let manifest = json!({
        "name": "mine",
        "client": {
            "base_url": "http://localhost:1",
            "auth": {"type": "api_key", "name": "apikey", "api_key": {"$secret": "api_key"}, "location": "query"},
            "paginator": {"type": "page_number", "total_path": "page.totalPages"},
            "rate": rate,
        },
        "resource_defaults": {"primary_key": "id", "endpoint": {"total_path": "page.totalElements"}},
        "resources": [list("events", "id,asc"), list("venues", "name,asc"), list("attractions", "name,asc")],
    });
    std::fs::write(&file, manifest.to_string()).unwrap();
    file
}

fn reading(resource: &str, server: &Server, lake: &Lake, rate: &Value) -> Function {
    let file = manifest(lake, rate);
    Function::reading("resource", "mine", lake.path())
        .with(&["--resource", resource, "--sources", file.to_str().unwrap()])
        .against("mine", &server.base_url, KEY)
}

/// The run must have ended at the day's limit.
fn used_up(ended: &Ended, limit: &str) {
    assert_eq!(
        (ended.code, &ended.report["status"]),
        (Some(3), &json!("partial")),
        "{}\n{}",
        ended.report,
        ended.errors
    );
    let stopped = ended.report["stopped"].as_str().unwrap();
    assert!(stopped.starts_with(&format!("the limit of {limit} is used up until 20")), "{stopped}");
}

#[test]
fn three_hundred_pages_take_all_of_five_a_second_and_no_more() {
    let server = server(900, Rate::default());
    let lake = Lake::new();
    let report = reading("events", &server, &lake, &json!({"per_second": 5, "per_day": 5000})).complete();
    assert_eq!(server.answered(200), 300, "{report}");
    // On a machine that does other things a request can arrive late, and the next one within its second.
    let sent = server.count();
    assert!(sent <= 302, "{report}");
    assert_eq!(report["records"]["new"], 900);
    assert!(server.most_within(Duration::from_millis(975)) <= 5 + sent - 300);
    let arrived: Vec<Duration> = server.requests().iter().map(|seen| seen.arrived).collect();
    let rate = (sent - 1) as f64 / (arrived[sent - 1] - arrived[0]).as_secs_f64();
    println!("{rate:.3} requests a second: {:.1} % of 5", rate * 20.0);
    assert!((0.97 * 5.0..=5.0).contains(&rate), "{rate} requests a second");
    let quota = &report["quota"][0];
    assert_eq!((&quota["requests"], &quota["period_seconds"]), (&json!(5000), &json!(86_400)));
    // The API may have counted the next request before it answered this one; the run then counts that one twice.
    let left = quota["left"].as_u64().unwrap() as usize;
    assert!((5000 - sent - 4..=5000 - sent).contains(&left), "{left} left after {sent} requests");
}

#[test]
fn a_day_that_is_used_up_ends_the_run_and_the_next_sends_nothing() {
    let server = server(300, Rate { per_second: FAST, per_day: 40, ..Rate::default() });
    let lake = Lake::new();
    let function = reading("events", &server, &lake, &json!({"per_second": 50, "per_day": 40}));
    let ended = function.run();
    used_up(&ended, "40 requests per day");
    assert_eq!((server.count(), server.answered(200)), (40, 40));
    assert_eq!(ended.report["records"]["new"], 120, "what was read is stored");
    assert_eq!((&ended.report["quota"][0]["requests"], &ended.report["quota"][0]["left"]), (&json!(40), &json!(0)));
    let again = function.run();
    used_up(&again, "40 requests per day");
    assert_eq!((&again.report["requests"]["sent"], server.count()), (&json!(0), 40));
    assert_eq!(again.report["quota"], ended.report["quota"]);
}

/// The key's quota is another one than the manifest's: the API's own headers say so.
#[test]
fn the_api_s_own_count_ends_the_day_when_it_is_the_smaller_one() {
    let server = server(300, Rate { per_second: FAST, per_day: 40, ..Rate::default() });
    let lake = Lake::new();
    let function = reading("events", &server, &lake, &json!({"per_second": 50, "per_day": 5000}));
    let ended = function.run();
    used_up(&ended, "5000 requests per day");
    assert!(ended.report["stopped"].as_str().unwrap().ends_with(", by the API's own count"), "{}", ended.report);
    assert_eq!(server.answered(429), 0);
    // An answer that overtakes another at 50 a second can cost one.
    assert!((39..=40).contains(&server.count()), "{}", server.count());
    let seen = server.count();
    used_up(&function.run(), "5000 requests per day");
    assert_eq!(server.count(), seen);
}

#[test]
fn two_functions_at_once_share_the_day() {
    let server = server(600, Rate { per_second: FAST, per_day: 60, ..Rate::default() });
    let lake = Lake::new();
    let rate = json!({"per_second": 20, "per_day": 60});
    let ended: Vec<Ended> = std::thread::scope(|scope| {
        let runs = ["events", "attractions"].map(|resource| reading(resource, &server, &lake, &rate));
        let threads = runs.map(|function| scope.spawn(move || function.run()));
        threads.map(|thread| thread.join().unwrap()).into()
    });
    let sent = ended.iter().map(|ended| ended.report["requests"]["sent"].as_u64().unwrap());
    assert_eq!(sent.clone().sum::<u64>(), 60, "{:?}", sent.collect::<Vec<_>>());
    assert_eq!((server.count(), server.answered(200)), (60, 60));
    ended.iter().filter(|ended| ended.code != Some(0)).for_each(|ended| used_up(ended, "60 requests per day"));
    used_up(&reading("venues", &server, &lake, &rate).run(), "60 requests per day");
    assert_eq!(server.count(), 60);
}

#[test]
fn a_limit_that_renews_soon_is_waited_for() {
    let rate = Rate { per_second: FAST, per_day: 30, day: Duration::from_secs(12), ..Rate::default() };
    let server = server(180, rate);
    let lake = Lake::new();
    let limits = json!([{"requests": 30, "seconds": 12}, {"requests": 50, "seconds": 1}]);
    let report = reading("events", &server, &lake, &limits).complete();
    assert_eq!((server.count(), server.answered(200)), (60, 60), "{report}");
    let arrived: Vec<Duration> = server.requests().iter().map(|seen| seen.arrived).collect();
    let wait = arrived[30] - arrived[0];
    assert!((12.0..15.0).contains(&wait.as_secs_f64()), "{wait:?}");
}

#[test]
fn a_wish_for_more_than_an_hour_ends_the_run() {
    let wish = Fault::TooManyRequests { retry_after: Some(RetryAfter::Seconds(86_400)) };
    let faults = Faults { at: vec![(3, wish)], ..Faults::default() };
    let server = start_blocking(Options { events: 90, faults, ..Options::default() }).unwrap();
    let lake = Lake::new();
    // One request at a time.
    let ended = reading("events", &server, &lake, &json!([{"requests": 1, "seconds": 0.99}])).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(3), &json!("partial")), "{}", ended.errors);
    let stopped = ended.report["stopped"].as_str().unwrap();
    assert!(stopped.starts_with("answered 429") && stopped.contains("requests a pause until 20"), "{stopped}");
    assert_eq!((server.count(), &ended.report["records"]["new"]), (3, &json!(6)));
}
