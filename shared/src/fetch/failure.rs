//! Why one try had no answer, and whether another can help.

use std::time::Duration;

use super::api::Answer;
use super::{detail, retry};
use crate::manifest::Action;

pub(super) fn tried(failure: &Failure, attempts: u32) -> String {
    if attempts > 1 { format!("{failure}, after {attempts} attempts") } else { failure.to_string() }
}

/// Why one try had no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Status {
        status: u16,
        wish: Option<Duration>,
        detail: String,
        /// What `response_actions` say about it.
        action: Option<Action>,
    },
    Connection(String),
    Unreadable(String),
}

impl Failure {
    pub(super) fn status(answer: &Answer, action: Option<Action>) -> Self {
        let wish = answer.headers.get(reqwest::header::RETRY_AFTER).or_else(|| answer.headers.get("x-retry-after"));
        let wish = wish.and_then(|header| header.to_str().ok());
        let wish = wish.and_then(|header| retry::retry_after(header, chrono::Utc::now()));
        Self::Status { status: answer.status.as_u16(), wish, detail: detail(&answer.body), action }
    }

    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { action: Some(action), .. } => *action == Action::Retry,
            Self::Status { status, .. } => retry::is_transient(*status),
            Self::Connection(_) | Self::Unreadable(_) => true,
        }
    }

    pub(super) fn wish(&self) -> Option<Duration> {
        match self {
            Self::Status { wish, .. } => *wish,
            _ => None,
        }
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
