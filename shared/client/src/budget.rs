//! What a run may use of an API, and what it used.

use std::time::Duration;

use manifest::time::Instant;

use crate::retry::DEFAULT_ATTEMPTS;

/// How long a request may take if the run does not say.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What a run may use of an API.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The requests that may be sent, retries and requests for tokens included; `None`: no limit.
    pub max_requests: Option<u64>,
    /// The time after which no request is sent, so that the pages that were read can still be stored; `None`: no limit.
    pub deadline: Option<Instant>,
    /// The requests sent for one page or token, the first included.
    pub attempts: u32,
    /// How long one request may take, from its sending to the last byte of its response.
    pub request_timeout: Duration,
    /// The records to ask for in one page; `None`: the most that the API gives.
    pub page_size: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            max_requests: None,
            deadline: None,
            attempts: DEFAULT_ATTEMPTS,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
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
    /// The responses with status 429.
    pub throttled: u64,
}

impl std::ops::AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.retried += other.retried;
        self.throttled += other.throttled;
    }
}
