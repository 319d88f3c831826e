//! A clock for tests without real waits.

use chrono::{DateTime, TimeDelta, Utc};
use manifest::time::{Clock, parse_instant};
use tokio::time::Instant;

/// A clock that starts at ten o'clock and follows tokio's time, which tests pause: a wait of an hour moves it by an hour, at once.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: DateTime<Utc>,
    started: Instant,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { start: parse_instant("2026-11-21T10:00:00Z").unwrap(), started: Instant::now() }
    }

    /// The time that it will be in so many seconds.
    pub(crate) fn in_seconds(&self, seconds: i64) -> DateTime<Utc> {
        self.now() + TimeDelta::seconds(seconds)
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.start + self.started.elapsed()
    }
}
