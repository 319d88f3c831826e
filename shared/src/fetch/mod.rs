//! From slices to pages: auth, pacing, retry and pagination over one HTTP client.
//!
//! [`Api::answer`] sends one request until it has an answer worth reading; [`paginate`] asks for page after page of
//! a slice. Neither knows what a column is.

mod actions;
mod api;
mod auth;
mod call;
mod failure;
mod http;
pub mod limits;
pub mod paginate;
mod record;
pub mod records;
pub mod retry;

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

pub use self::api::Api;
pub use self::call::{Body, Call};
pub use self::http::Http;
pub use self::record::Record;
use crate::error::Error;

/// How much of an error's body is told.
const DETAIL_CHARS: usize = 300;

/// Why fetching stopped: an error, or a limit that the next run does not have.
#[derive(Debug)]
pub enum Stop {
    /// Out of requests, time or quota: what was read is good, the rest remains.
    Limit(String),
    /// Something is wrong.
    Error(Error),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit(reason) => f.write_str(reason),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Throttled { .. } => Self::Limit(error.to_string()),
            error => Self::Error(error),
        }
    }
}

/// What a run may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Requests, retries included.
    pub requests: Option<u64>,
    /// When fetching must end, so that what was read can still be stored.
    pub until: Option<SystemTime>,
    /// Requests sent for one page, the first included.
    pub attempts: u32,
    /// How long one request may take, from its sending to its answer's last byte.
    pub request_timeout: Duration,
    /// Records asked for in one page; `None`: the most that the API gives.
    pub page_size: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests: None,
            until: None,
            attempts: retry::ATTEMPTS,
            request_timeout: Duration::from_secs(60),
            page_size: None,
        }
    }
}

/// Requests of a run, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// All that were sent.
    pub sent: u64,
    /// Those of them that repeated a failed one.
    pub retried: u64,
    /// Answers 429.
    pub throttled: u64,
}

impl std::ops::AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.retried += other.retried;
        self.throttled += other.throttled;
    }
}

/// The beginning of an error's body, on one line.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no text".into(),
        None => line,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
