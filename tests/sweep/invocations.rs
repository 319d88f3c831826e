//! One sweep in several invocations, each ended by its time.

use sandbox::ticketmaster::{Options, start_blocking};
use sandbox::{Fault, Faults};

use crate::lake::Lake;
use crate::reading::{ATTRACTIONS, EVENTS, VENUES, alone, assert_same_rows, events, ids};

/// Requests that an end by time costs: pages of windows that were not whole, and those that find the windows anew.
const PER_STOP: u64 = 24;

/// Reads `count` events in invocations of `seconds` at `per_second` requests, and in one go; gives how many invocations it took.
fn in_parts(count: usize, per_second: u32, seconds: u32) -> u64 {
    let options = Options {
        events: count,
        // The day's quota is used up once, by the API's word: another reason to stop, and to go on.
        faults: Faults { at: vec![(40, Fault::QuotaViolation)], ..Faults::default() },
        ..Options::default()
    };
    let truth = options.truth().unwrap();
    let whole = Lake::new();
    let calm = start_blocking(Options { faults: Faults::default(), ..options.clone() }).unwrap();
    let needed = events(&calm, &whole, None).complete()["requests"]["sent"].as_u64().unwrap();

    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let function = events(&server, &lake, Some(&format!("{{per_second: {per_second}}}")));
    let function = function.with(&["--max-seconds", &seconds.to_string()]);
    let (mut sent, mut invocations) = (0, 0);
    loop {
        let (ended, peak) = function.watched();
        invocations += 1;
        sent += ended.report["requests"]["sent"].as_u64().unwrap();
        println!("{invocations}: {} MiB at most; {}", peak >> 10, ended.report);
        if ended.code == Some(0) {
            break;
        }
        assert_eq!((ended.code, ended.report["status"].as_str()), (Some(3), Some("partial")), "{}", ended.errors);
        assert!(ended.report["stopped"].is_string() && ended.report["continuation"].is_object(), "{}", ended.report);
        assert!(invocations < 40, "it never ends");
    }
    println!("{sent} requests in {invocations} invocations, {needed} in one");
    assert!(sent <= needed + invocations * PER_STOP, "{sent} requests in {invocations} invocations, {needed} in one");
    assert_eq!(ids(&lake, EVENTS), truth.event_ids(0));
    assert_eq!(ids(&lake, VENUES), truth.harvested_venue_ids(0));
    assert_eq!(ids(&lake, ATTRACTIONS), truth.harvested_attraction_ids(0));
    assert_same_rows(&lake, &whole);
    invocations
}

#[test]
fn invocations_that_end_by_their_time_give_the_lake_of_one_long_one() {
    let _alone = alone();
    // 25,000 events are 155 requests.
    let invocations = in_parts(25_000, 20, 2);
    assert!(invocations >= 4, "{invocations}");
}

/// `cargo test -p ticketlake-tests --test sweep -- --ignored --nocapture`
#[test]
#[ignore = "as long as it says: six minutes"]
fn minutes_of_a_full_sweep_at_the_real_rate_give_the_lake_of_one_long_one() {
    let _alone = alone();
    assert!(in_parts(250_000, 5, 60) <= 7);
}
