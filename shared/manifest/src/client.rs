//! How an API is reached: its address, its key, its limits.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Rate;

/// How an API is reached.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that paths are appended to, without a closing `/`. May hold `{settings.NAME}`.
    pub base_url: String,
    /// Sent with every request. Values may hold `{settings.NAME}`.
    pub headers: BTreeMap<String, String>,
    /// How the key is sent: the first of these whose secrets there are; empty: no key.
    pub auth: Vec<Auth>,
    /// How much the API allows.
    pub rate: Rate,
}

/// A value that differs from one user of a source to the next and is no secret: `XURRENT_ACCOUNT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Taken where the variable is not set; `None`: it must be.
    pub default: Option<String>,
    /// The values allowed; empty: any.
    pub one_of: Vec<String>,
    /// What it means.
    pub description: Option<String>,
}

/// How an API's key is sent (dlt's `auth`). Keys themselves are only named: see [`crate::secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <token>`.
    Bearer {
        /// The secret's name.
        token: String,
    },
    /// In a header or a query parameter of any name.
    ApiKey {
        /// The secret's name.
        api_key: String,
        /// Where it goes.
        placement: KeyPlacement,
    },
    /// `Authorization: Basic <username:password>`.
    HttpBasic {
        /// The part before the colon.
        username: Credential,
        /// The part after it.
        password: Credential,
    },
    /// A token that is asked for with a client's id and secret (RFC 6749, 4.4).
    ClientCredentials(ClientCredentials),
}

/// The client credentials grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Where the token is asked for. May hold `{settings.NAME}`; the variable `<SOURCE>_TOKEN_URL` replaces it.
    pub access_token_url: String,
    /// The client's id.
    pub client_id: Credential,
    /// The name of the client's secret.
    pub client_secret: String,
    /// The name of a token to begin with, where there is one.
    pub access_token: Option<String>,
    /// Sent with the request for a token, for example `scope`.
    pub request_data: BTreeMap<String, String>,
    /// How long a token lives whose answer does not say so.
    pub default_expiration: Duration,
}

/// A value that may be secret or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// As written.
    Literal(String),
    /// The secret of this name.
    Secret(String),
}

/// Where an API's key goes in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlacement {
    /// The header of this name.
    Header(String),
    /// The query parameter of this name.
    Query(String),
}

impl Auth {
    /// The names of its secrets, without those that it can do without.
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
    /// The secret's name, if it is one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Secret(name) => Some(name),
        }
    }
}
