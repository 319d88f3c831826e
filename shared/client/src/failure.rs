//! Why one attempt brought no page, and whether another attempt can help.

use std::time::Duration;

use manifest::endpoint::Action;
use manifest::time::Instant;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::limits::leaves_no_requests;
use crate::retry;
use crate::text::excerpt;
use crate::transport::HttpResponse;

/// Why one attempt brought no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The status, or `response_actions`, say that the request failed.
    Status {
        status: u16,
        /// The wait that the API asks for.
        retry_after: Option<Duration>,
        /// The beginning of the response's body.
        detail: String,
        /// The action of `response_actions` for this response.
        action: Option<Action>,
    },
    /// There was no response, or only a part of one.
    Connection(String),
    /// The response is not what it should be.
    Unreadable(String),
}

impl Failure {
    /// Creates the failure that a response stands for by its status, or by the manifest's `action`. The response must not hold the key.
    pub(crate) fn of_response(response: &HttpResponse, action: Option<Action>, now: Instant) -> Self {
        Self::Status {
            status: response.status,
            retry_after: wait_asked_for(&response.headers, now),
            detail: excerpt(&response.body),
            action,
        }
    }

    /// Whether another attempt can help.
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

    /// The wait before the next attempt that the API asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Connection(_) | Self::Unreadable(_) => None,
        }
    }

    /// Returns the failure's text with the number of attempts.
    pub(crate) fn after_attempts(&self, attempts: u32) -> String {
        if attempts > 1 { format!("{self}, after {attempts} attempts") } else { self.to_string() }
    }
}

/// Whether a response is a 403 of a firewall or a gateway to requests that come too fast, which says nothing about the key: it asks for a wait,
/// leaves no requests, or is a page of HTML.
pub(crate) fn is_block(response: &HttpResponse) -> bool {
    let HttpResponse { status, headers, body } = response;
    let is_html = || body.trim_ascii_start().starts_with(b"<");
    let asks_for_wait = headers.contains_key(RETRY_AFTER);
    *status == 403 && (asks_for_wait || leaves_no_requests(headers) || is_html())
}

fn wait_asked_for(headers: &HeaderMap, now: Instant) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).or_else(|| headers.get("x-retry-after"))?;
    retry::retry_after(header.to_str().ok()?, now)
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { status, detail, .. } => write!(f, "answered {status}: {detail}"),
            Self::Connection(reason) => write!(f, "could not be read: {reason}"),
            Self::Unreadable(reason) => write!(f, "gave an unreadable answer: {reason}"),
        }
    }
}
