//! A run in memory is fast enough that a test may start hundreds.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Mine, events, page, stub};

/// The fastest of several, since the machine may be busy with other tests.
#[test]
fn a_small_run_takes_less_than_a_millisecond() {
    let stub = stub(|request| page(request, 5, 5));
    let endpoint = json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 5}});
    let mine = Mine::json(&events(&stub, &endpoint));
    mine.reading("events").complete();
    let run = || {
        let started = Instant::now();
        mine.reading("events").complete();
        started.elapsed()
    };
    let fastest = (0..50).map(|_| run()).min().unwrap();
    assert!(fastest < Duration::from_millis(1), "{fastest:?}");
}
