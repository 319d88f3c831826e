use std::time::Duration;

use super::{HEADERS, get};
use crate::{
    Fault, Faults, Rate, RetryAfter,
    client::{Received, send},
    clock,
    xurrent::{Options, limits, start_blocking, token_url},
};

fn number(received: &Received, header: &str) -> i64 {
    received.header(header).unwrap().parse().unwrap()
}

#[test]
fn without_enforcement_the_headers_count_down_all_the_same() {
    let server = start_blocking(Options::default()).unwrap();
    let before = clock::wall();
    for used in 1..=30 {
        let page = get(&server, "/projects?per_page=1");
        assert_eq!((page.status, number(&page, "x-ratelimit-remaining")), (200, 3_600 - used));
        assert_eq!(number(&page, "x-ratelimit-limit"), 3_600);
        let reset = number(&page, "x-ratelimit-reset");
        assert!((before + 3_600..=before + 3_660).contains(&reset), "{reset}");
    }
    // What is refused for what it asks has been counted, and says so.
    assert_eq!(number(&get(&server, "/projects?sort=name"), "x-ratelimit-remaining"), 3_600 - 31);
}

#[test]
fn the_state_of_the_limit_is_free() {
    let server = start_blocking(Options { enforce_rate: Some(limits()), ..Options::default() }).unwrap();
    get(&server, "/projects");
    for _ in 0..25 {
        let state = get(&server, "/rate_limit");
        assert_eq!((state.status, state.json()["rate"]["remaining"].as_u64()), (200, Some(3_599)));
        assert_eq!(state.json()["rate"]["limit"], 3_600);
        assert_eq!(state.json()["rate"]["reset"].as_i64(), Some(number(&state, "x-ratelimit-reset")));
    }
    assert_eq!(number(&get(&server, "/projects"), "x-ratelimit-remaining"), 3_598);
}

#[test]
fn more_than_the_short_window_takes_is_told_when_to_come_back() {
    let rate = Rate { per_second: 2, second: Duration::from_secs(3), ..limits() };
    let server = start_blocking(Options { enforce_rate: Some(rate), ..Options::default() }).unwrap();
    let statuses = [1, 2, 3].map(|_| get(&server, "/projects?per_page=1").status);
    assert_eq!(statuses, [200, 200, 429]);
    let refused = get(&server, "/projects");
    assert_eq!((refused.status, refused.json()["message"].as_str()), (429, Some("Too Many Requests")));
    let wait = number(&refused, "retry-after");
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 3_598);
    std::thread::sleep(Duration::from_secs(wait.unsigned_abs()));
    assert_eq!(get(&server, "/projects").status, 200);
}

#[test]
fn each_token_has_an_hour_of_its_own_and_a_new_token_costs_nothing() {
    let rate = Rate { per_day: 2, ..limits() };
    let server = start_blocking(Options { enforce_rate: Some(rate), ..Options::default() }).unwrap();
    assert_eq!([1, 2, 3].map(|_| get(&server, "/projects").status), [200, 200, 429]);
    let refused = get(&server, "/projects");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    let wait = number(&refused, "retry-after");
    assert!((3_590..=3_600).contains(&wait), "{wait}");

    let form = "client_id=sandbox-client&client_secret=sandbox-secret&grant_type=client_credentials";
    let fetch = || {
        let answer =
            send("POST", &token_url(&server), &["Content-Type: application/x-www-form-urlencoded"], form).unwrap();
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    for _ in 0..3 {
        let authorization = format!("Authorization: Bearer {}", fetch());
        let url = format!("{}/projects", server.base_url);
        let status = || send("GET", &url, &[&authorization, HEADERS[1]], "").unwrap().status;
        assert_eq!([status(), status(), status()], [200, 200, 429]);
    }
}

#[test]
fn a_throttling_fault_says_when_to_come_back_or_does_not() {
    let at = vec![
        (1, Fault::TooManyRequests { retry_after: None }),
        (2, Fault::TooManyRequests { retry_after: Some(RetryAfter::Seconds(1_200)) }),
        (3, Fault::TooManyRequests { retry_after: Some(RetryAfter::Date(7)) }),
    ];
    let server = start_blocking(Options { faults: Faults { at, ..Faults::default() }, ..Options::default() }).unwrap();
    let answers = [1, 2, 3].map(|_| get(&server, "/products"));
    assert!(answers.iter().all(|answer| answer.status == 429));
    assert_eq!(answers[0].header("retry-after"), None);
    assert_eq!(answers[1].header("retry-after"), Some("1200"));
    assert!(answers[2].header("retry-after").unwrap().ends_with(" GMT"));
}
