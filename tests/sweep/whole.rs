//! One sweep over a quarter of a million events that move and fail.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::ticketmaster::{Moment, Options, start_blocking};
use sandbox::{Fault, Faults};

use crate::lake::Lake;
use crate::reading::{ATTRACTIONS, EVENTS, PAGE, VENUES, alone, events, ids};

/// All that there ever are.
const COUNT: usize = 250_000;
/// Requests to be sent, retries aside, as a multiple of the least possible: full pages of the records that are there.
const MOST_REQUESTS: f64 = 1.19;
/// Of the function's process, in MiB: half of the 512 MB that the template gives to the function. The tests' binary has 14 MiB more pages of
/// its own than a release binary.
const MOST_MEMORY: u64 = 256;
/// Bytes that are written for each one that stays. Each merge writes the last part of every partition again.
const MOST_WRITTEN: f64 = 2.5;
/// Of a report that many slices are in, in bytes.
const MOST_REPORTED: usize = 4_000;

#[test]
fn a_quarter_of_a_million_events_that_move_and_fail_arrive_once_in_little_memory() {
    let _alone = alone();
    let mut kinds = Faults::default().kinds;
    kinds.extend([Fault::WithoutMember("page"), Fault::Delay(Duration::from_secs(2))]);
    let options = Options {
        events: COUNT,
        // With the others of that evening's eight o'clock, which lie anywhere.
        moment: Some(Moment { count: 1_500, at: "2026-12-31T20:00:00Z".into(), country: "US".into() }),
        undated: 0.03,
        moving: 0.01,
        moving_over: 1_300,
        faults: Faults { fail_ratio: 0.02, kinds, ..Faults::default() },
        ..Options::default()
    };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let (ended, peak) = events(&server, &lake, None).watched();

    let report = serde_json::to_string(&ended.report).unwrap();
    let number = |pointer: &str| ended.report.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap();
    let least = truth.event_ids(0).len().div_ceil(PAGE);
    let (sent, retried) = (number("/requests/sent"), number("/requests/retried"));
    let ratio = (sent - retried) as f64 / least as f64;
    println!("{report}");
    let stored: u64 = lake.parts().values().map(|(size, _)| size).sum();
    let written = number("/bytes_written") as f64 / stored as f64;
    println!("{written:.2} bytes are written for each of {stored} that stay");
    println!("{sent} requests, {retried} of them retries: {ratio:.3} of {least}; {} MiB at most", peak >> 10);

    assert_eq!((ended.code, ended.report["status"].as_str()), (Some(0), Some("complete")), "{}", ended.errors);
    let stored = ids(&lake, EVENTS);
    let missing: Vec<String> = truth.steady_event_ids(0).difference(&stored).cloned().collect();
    assert!(missing.is_empty(), "{} are missing, {:?} …", missing.len(), &missing[..missing.len().min(5)]);
    let possible: BTreeSet<String> = truth.event_ids(0).union(&truth.moving_event_ids()).cloned().collect();
    assert!(stored.is_subset(&possible));
    let (venues, attractions) = truth.harvested_within(&stored);
    assert_eq!(ids(&lake, VENUES), venues);
    assert_eq!(ids(&lake, ATTRACTIONS), attractions);

    assert_eq!(number("/records/new"), stored.len() as u64);
    assert_eq!(number("/slices/planned"), number("/slices/whole"));
    assert!(report.len() <= MOST_REPORTED, "{} bytes of report", report.len());
    assert!(retried > 10 && server.answered(400) == 0, "{retried} retries, {} refused", server.answered(400));
    assert!(ratio <= MOST_REQUESTS, "{ratio:.3} of the least requests");
    assert!(written <= MOST_WRITTEN, "{written:.2} bytes for each that stays");
    assert!(peak >> 10 < MOST_MEMORY, "{} MiB", peak >> 10);
}
