//! Why one try had no answer, and whether another try can help.

use std::time::Duration;

use manifest::endpoint::Action;
use manifest::time::Instant;

use crate::retry;
use crate::text::detail;
use crate::transport::HttpResponse;

/// Why one try had no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The status is one of failure.
    Status {
        status: u16,
        /// The wait that the API asks for.
        retry_after: Option<Duration>,
        detail: String,
        /// The action of `response_actions` for this answer.
        action: Option<Action>,
    },
    /// There was no answer, or only a part of one.
    Connection(String),
    /// The answer is not what it should be.
    Unreadable(String),
}

impl Failure {
    /// The failure of an answer by its status, or by the manifest's `action`.
    pub(crate) fn of_status(answer: &HttpResponse, action: Option<Action>, now: Instant) -> Self {
        let header = answer.headers.get(reqwest::header::RETRY_AFTER).or_else(|| answer.headers.get("x-retry-after"));
        let header = header.and_then(|header| header.to_str().ok());
        let retry_after = header.and_then(|header| retry::retry_after(header, now));
        Self::Status { status: answer.status, retry_after, detail: detail(&answer.body), action }
    }

    /// Whether another try can help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Status { action: Some(action), .. } => *action == Action::Retry,
            Self::Status { status, .. } => retry::is_transient(*status),
            Self::Connection(_) | Self::Unreadable(_) => true,
        }
    }

    /// Whether the API said that requests come too fast.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Status { status: 429, .. })
    }

    /// The wait that the API asks for before the next try.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The failure's text, with the number of attempts.
    pub(crate) fn after(&self, attempts: u32) -> String {
        if attempts > 1 { format!("{self}, after {attempts} attempts") } else { self.to_string() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { status, detail, .. } => write!(f, "answered {status}: {detail}"),
            Self::Connection(reason) => write!(f, "could not be read: {reason}"),
            Self::Unreadable(reason) => write!(f, "answered what cannot be read: {reason}"),
        }
    }
}
