//! What can go wrong between a query and its pages.

/// Why an API could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API's key could not be read.
    #[error("the secret `{name}` of {origin} could not be read: {reason}")]
    Secret {
        /// The name that the manifest gives to the secret.
        name: String,
        /// Where the secret was looked for: a Secrets Manager id or the name of an environment variable.
        origin: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The API refused the key, and refused it again after it was read again.
    #[error("{source_name} refused the key with status {status}: {detail}. Check the secret: {origin}")]
    Unauthorized {
        /// The source whose API answered.
        source_name: String,
        /// The status: 401 or 403, or that of a token endpoint.
        status: u16,
        /// The beginning of the response's body, without the key.
        detail: String,
        /// Where the key was read.
        origin: String,
    },
    /// The API's rate limit or quota was still used up after every retry.
    #[error(
        "{source_name} still answers 429 after {attempts} attempts: {detail}. Wait for the quota to renew, or ask for a larger one"
    )]
    Throttled {
        /// The source whose API answered.
        source_name: String,
        /// The requests sent for this one page or token.
        attempts: u32,
        /// The beginning of the response's body, without the key.
        detail: String,
    },
    /// The API refused the request or kept failing, or the request could not be sent.
    #[error("{source_name} {request}: {detail}")]
    Api {
        /// The source whose API answered.
        source_name: String,
        /// Method and path, without the query (which may hold the key).
        request: String,
        /// The status and the beginning of the response's body, without the key.
        detail: String,
        /// Whether a later run may succeed: true for 408, 5xx and lost connections, false for other 4xx.
        retryable: bool,
    },
    /// The response is not what the manifest says it is.
    #[error("{source_name} {request}: {detail}")]
    Decode {
        /// The source whose API answered.
        source_name: String,
        /// The method and the path of the request.
        request: String,
        /// What was expected, and what was received instead.
        detail: String,
    },
    /// No request of the quota that runs share could be reserved.
    #[error(transparent)]
    Quota(Box<dyn std::error::Error + Send + Sync>),
    /// The process could not send any request.
    #[error("{0}")]
    Setup(String),
}

/// Why reading stopped: an error, or a limit that the next run does not have.
#[derive(Debug)]
pub enum Stop {
    /// The run is out of requests, time or quota: the pages that were read are good, the rest remains to be read. The text says which limit.
    Limit(String),
    /// An error ended the run.
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
    /// An API that still answers 429 is a limit; every other error is one.
    fn from(error: Error) -> Self {
        match error {
            Error::Throttled { .. } => Self::Limit(error.to_string()),
            error => Self::Error(error),
        }
    }
}

/// Returns an error's text with the text of each of its causes, outermost first, none repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
