//! How an API is reached: its address, its authentication, its rate limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rate::Rate;

/// How an API is reached.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that paths are appended to, without a `/` at its end. It may hold `{settings.NAME}`.
    pub base_url: String,
    /// The headers of every request, by name. Their values may hold `{settings.NAME}`.
    pub headers: BTreeMap<String, String>,
    /// The ways to send the key. The first one is used whose secrets are all given. If it is empty, no key is sent.
    pub auth: Vec<Auth>,
    /// How many requests the API allows.
    pub rate: Rate,
}

/// A value that each user of a source chooses, such as `XURRENT_ACCOUNT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// The value if the variable is not set. If it is `None`, the variable must be set.
    pub default: Option<String>,
    /// The values allowed. If it is empty, every value is.
    pub one_of: Vec<String>,
    /// Whether the value is removed from all texts, as a key is.
    pub secret: bool,
    /// A text that says what the setting means.
    pub description: Option<String>,
}

/// One way to send an API's key (dlt's `auth`). It holds the names of secrets, never secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The header `Authorization: Bearer <token>`.
    Bearer {
        /// The name of the secret that is the token.
        token: String,
    },
    /// A header or a query parameter of any name.
    ApiKey {
        /// The name of the secret that is the key.
        api_key: String,
        /// Where the key goes.
        placement: KeyPlacement,
    },
    /// The header `Authorization: Basic <username:password>`.
    HttpBasic {
        /// The user's name.
        username: Credential,
        /// The user's password.
        password: Credential,
    },
    /// A token that is requested with a client's id and secret (RFC 6749, 4.4).
    ClientCredentials(ClientCredentials),
}

/// A client credentials grant (RFC 6749, 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The address that gives tokens. It may hold `{settings.NAME}`. The variable `<SOURCE>_TOKEN_URL` replaces it.
    pub access_token_url: String,
    /// The client's id.
    pub client_id: Credential,
    /// The name of the secret that is the client's secret.
    pub client_secret: String,
    /// The name of the secret that is a token to begin with.
    pub access_token: Option<String>,
    /// The fields that are sent with the request for a token, for example `scope`.
    pub request_data: BTreeMap<String, String>,
    /// The time after which a token expires if the response does not say so.
    pub default_expiration: Duration,
}

/// A value that is written in the manifest, or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The value itself.
    Literal(String),
    /// The secret of this name.
    Secret(String),
}

/// Where a request holds the API's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlacement {
    /// The header of this name.
    Header(String),
    /// The query parameter of this name.
    Query(String),
}

impl Auth {
    /// The names of the secrets that this way needs. A token to begin with is not among them.
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Bearer { token } => vec![token],
            Self::ApiKey { api_key, .. } => vec![api_key],
            Self::HttpBasic { username, password } => {
                [username, password].into_iter().filter_map(Credential::secret).collect()
            }
            Self::ClientCredentials(grant) => {
                grant.client_id.secret().into_iter().chain([grant.client_secret.as_str()]).collect()
            }
        }
    }
}

impl Credential {
    /// The name of the secret; `None` if the value is not secret.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Secret(name) => Some(name),
        }
    }
}
