//! The errors that end a run. Each says who has to act, and whether a retry can help.

use client::error::chain;
use lake::{ErrorKind, StoreError};
use manifest::{Fault, Faults};

/// The error that ended a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request, the settings or the manifest are wrong; nothing was sent.
    #[error("{0}")]
    Configuration(Faults),
    /// The API could not be read, or its key could not be obtained.
    #[error(transparent)]
    Client(client::Error),
    /// The lake could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored part is damaged, or rows could not be encoded as a part.
    #[error(transparent)]
    Table(table::Error),
    /// The process could not start its runtime or print its report.
    #[error("{0}")]
    Runtime(String),
}

impl Error {
    /// Returns a configuration error with one fault.
    pub fn configuration(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Configuration(Fault::new(place, message).into())
    }

    /// Returns a stable name, for Lambda's `errorType`, Step Functions' `ErrorEquals` and the report. A retry may help with `Quota`,
    /// `Unavailable` and `Store`. Somebody has to act on the others.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Configuration(_) | Self::Table(table::Error::Configuration(_)) => "Config",
            Self::Client(error) => match error {
                client::Error::Secret { .. } => "Secret",
                client::Error::Unauthorized { .. } => "Auth",
                client::Error::Throttled { .. } => "Quota",
                client::Error::Api { retryable: true, .. } => "Unavailable",
                client::Error::Api { .. } => "Api",
                client::Error::Decode { .. } => "Decode",
                client::Error::Quota(_) => "Store",
                client::Error::Setup(_) => "Runtime",
            },
            Self::Store(StoreError { kind: ErrorKind::Unreadable, .. }) | Self::Table(table::Error::Part { .. }) => {
                "Part"
            }
            Self::Store(_) | Self::Table(table::Error::Store(_)) => "Store",
            Self::Table(table::Error::Internal(_)) | Self::Runtime(_) => "Runtime",
        }
    }

    /// Returns whether the same request may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Client(client::Error::Throttled { .. }) => true,
            Self::Client(client::Error::Api { retryable, .. }) => *retryable,
            Self::Store(error) | Self::Table(table::Error::Store(error)) => error.is_retryable(),
            _ => false,
        }
    }

    /// Returns the exit code of the command line: 2 for the request or configuration, 5 for the secret or key, 1 for any other error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Table(table::Error::Configuration(_)) => 2,
            Self::Client(client::Error::Secret { .. } | client::Error::Unauthorized { .. }) => 5,
            _ => 1,
        }
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}

impl From<table::Error> for Error {
    fn from(error: table::Error) -> Self {
        match error {
            table::Error::Configuration(faults) => Self::Configuration(faults),
            table::Error::Store(error) => Self::Store(error),
            error => Self::Table(error),
        }
    }
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Quota(cause) => match cause.downcast::<StoreError>() {
                Ok(error) => Self::Store(*error),
                Err(cause) => Self::Client(client::Error::Quota(cause)),
            },
            error => Self::Client(error),
        }
    }
}

impl From<Error> for lambda_runtime::Diagnostic {
    /// Converts the error: `errorType` is [`Error::kind`], and the message has all causes.
    fn from(error: Error) -> Self {
        Self { error_type: error.kind().into(), error_message: chain(&error) }
    }
}

/// The reason why a stage stopped: an error, or a limit of this run.
#[derive(Debug)]
pub enum Stop {
    /// The run has used up its requests, time or quota. The records read so far are valid, and the next run reads the rest.
    Limit(String),
    /// An error occurred.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<client::Stop> for Stop {
    fn from(stop: client::Stop) -> Self {
        match stop {
            client::Stop::Limit(reason) => Self::Limit(reason),
            client::Stop::Error(error) => Self::Error(error.into()),
        }
    }
}

impl From<table::Error> for Stop {
    fn from(error: table::Error) -> Self {
        Self::Error(error.into())
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit(reason) => f.write_str(reason),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}
