//! What can go wrong, by meaning: each error says whose move it is and whether trying again can help.

use std::fmt;

use lake::StoreError;

/// One thing wrong with a request, a setting or a manifest: where it is, what it is, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: a request field (`from`), a variable (`LAKE`), or a manifest's place (`see_tickets.yaml:12:5 resources[0].name`).
    pub place: String,
    /// What is wrong, with the value allowed.
    pub message: String,
}

impl Fault {
    /// A fault at `place`.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Every fault found, not only the first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request, the settings or the manifest are wrong; nothing was sent.
    #[error("{0}")]
    Configuration(Faults),
    /// The API key could not be had.
    #[error("the secret `{name}` of {origin} could not be read: {reason}")]
    Secret {
        /// The name the manifest gives it.
        name: String,
        /// Where it was looked for: a Secrets Manager id or an environment variable's name.
        origin: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The API refused the key, and refused it again after it was read anew.
    #[error("{source_name} refused the key with status {status}: {detail}. Check the secret: {origin}")]
    Unauthorized {
        /// The source whose API answered.
        source_name: String,
        /// 401 or 403.
        status: u16,
        /// The API's own words, without the key.
        detail: String,
        /// Where the key came from.
        origin: String,
    },
    /// The API's rate or quota was still exhausted after every retry.
    #[error(
        "{source_name} still answers 429 after {attempts} attempts: {detail}. Wait for the quota to renew, or ask for a larger one"
    )]
    Throttled {
        /// The source whose API answered.
        source_name: String,
        /// Requests sent for this one page.
        attempts: u32,
        /// The API's own words, without the key.
        detail: String,
    },
    /// The API refused the request or kept failing.
    #[error("{source_name} {request}: {detail}")]
    Api {
        /// The source whose API answered.
        source_name: String,
        /// Method and path, without the query (which may hold the key).
        request: String,
        /// Status and the API's own words, without the key.
        detail: String,
        /// Whether a later run may succeed: true for 5xx and lost connections, false for 4xx.
        retryable: bool,
    },
    /// The answer is not what the manifest says it is.
    #[error("{source_name} {request}: {detail}")]
    Decode {
        /// The source whose API answered.
        source_name: String,
        /// Method and path.
        request: String,
        /// What was expected and what came.
        detail: String,
    },
    /// The lake could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored part is not one of ours, or is damaged.
    #[error("stored part {key}: {detail}")]
    Part {
        /// The object's key below the lake.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The process could not do its own part: start its runtime, build a client, lay rows out as columns.
    #[error("{0}")]
    Runtime(String),
}

impl Error {
    /// A configuration error of one fault.
    pub fn configuration(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Configuration(Fault::new(place, message).into())
    }

    /// A stable name, for Lambda's `errorType`, Step Functions' `ErrorEquals` and the report. `Quota`, `Unavailable` and `Store` may
    /// pass by themselves; the others need somebody's hand.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "Config",
            Self::Secret { .. } => "Secret",
            Self::Unauthorized { .. } => "Auth",
            Self::Throttled { .. } => "Quota",
            Self::Api { retryable: true, .. } => "Unavailable",
            Self::Api { .. } => "Api",
            Self::Decode { .. } => "Decode",
            Self::Store(_) => "Store",
            Self::Part { .. } => "Part",
            Self::Runtime(_) => "Runtime",
        }
    }

    /// Whether the same request may succeed later with nothing changed.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Throttled { .. } => true,
            Self::Api { retryable, .. } => *retryable,
            Self::Store(error) => error.retryable(),
            _ => false,
        }
    }

    /// The command line's exit code: 2 request or configuration, 5 secret or auth, 1 any other.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 2,
            Self::Secret { .. } | Self::Unauthorized { .. } => 5,
            _ => 1,
        }
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}

impl From<Error> for lambda_runtime::Diagnostic {
    /// `errorType` is [`Error::kind`]; the message holds the whole chain of causes.
    fn from(error: Error) -> Self {
        Self { error_type: error.kind().into(), error_message: chain(&error) }
    }
}

/// An error's text with the text of each of its causes, outermost first, none said twice.
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
