//! What a run may use of an API, and what it used.

use std::time::Duration;

use manifest::time::Instant;

use crate::retry::DEFAULT_ATTEMPTS;

/// What a run may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The requests that may be sent, retries included; `None`: no limit.
    pub max_requests: Option<u64>,
    /// When reading must end, so that what was read can still be stored.
    pub deadline: Option<Instant>,
    /// The requests sent for one page, the first included.
    pub attempts: u32,
    /// How long one request may take, from its sending to its answer's last byte.
    pub request_timeout: Duration,
    /// The records asked for in one page; `None`: the most that the API gives.
    pub page_size: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            max_requests: None,
            deadline: None,
            attempts: DEFAULT_ATTEMPTS,
            request_timeout: Duration::from_secs(60),
            page_size: None,
        }
    }
}

/// The requests of a run, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// All requests that were sent, those for access tokens included.
    pub sent: u64,
    /// The requests among them that repeated a failed one.
    pub retried: u64,
    /// The answers with status 429.
    pub throttled: u64,
}

impl std::ops::AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.retried += other.retried;
        self.throttled += other.throttled;
    }
}
