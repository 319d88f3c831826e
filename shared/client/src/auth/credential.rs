//! The key that a request carries.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use manifest::Credential as NamedValue;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::encode::{header_name, header_value};
use crate::redact::Redactor;
use crate::secret::Secret;
use crate::transport::HttpResponse;

/// The secrets that one authentication method needs, each with the name that the manifest gives it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct NamedSecrets {
    secrets: Vec<(String, Secret)>,
    /// The settings of the source that are secret.
    settings: Vec<String>,
}

impl NamedSecrets {
    /// Creates a list without secrets, beside `settings`, which are secret too.
    pub(super) fn beside(settings: &[String]) -> Self {
        Self { secrets: Vec::new(), settings: settings.to_vec() }
    }

    pub(super) fn push(&mut self, name: &str, secret: Secret) {
        self.secrets.push((name.to_owned(), secret));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|(known_name, _)| known_name == name).map(|(_, secret)| secret)
    }

    /// The value of the secret `name`; empty if there is none.
    pub(super) fn value(&self, name: &str) -> String {
        self.get(name).map(|secret| secret.expose().to_owned()).unwrap_or_default()
    }

    /// The value that the manifest writes down, or that of the secret that it names.
    pub(super) fn resolve(&self, named: &NamedValue) -> String {
        match named {
            NamedValue::Literal(text) => text.clone(),
            NamedValue::Secret(name) => self.value(name),
        }
    }

    /// Returns a redactor of all of them.
    pub(super) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        for (_, secret) in &self.secrets {
            redactor.add(secret.expose());
        }
        self.settings.iter().for_each(|setting| redactor.add(setting));
        redactor
    }

    /// Where they were read, for messages. Of an id and its secret either may be the wrong one, so both are named.
    pub(super) fn origin(&self) -> String {
        let mut origins: Vec<&str> = self.secrets.iter().map(|(_, secret)| secret.origin()).collect();
        origins.dedup();
        origins.join(" and ")
    }
}

/// The key that a request carries, and all that is known of it.
pub(crate) struct Credential {
    placed_key: PlacedKey,
    redactor: Redactor,
    origin: String,
    secrets: NamedSecrets,
    /// When an access token is to be renewed; `None` for a key that does not expire.
    renew_at: Option<Instant>,
}

/// A key and its place in a request.
pub(super) enum PlacedKey {
    None,
    Bearer(String),
    Header { name: String, key: String },
    Query { name: String, key: String },
    Basic { username: String, password: String },
}

impl Credential {
    /// Creates the credential of an API that takes no key.
    pub(super) fn none(settings: &[String]) -> Self {
        Self::of_secrets(PlacedKey::None, NamedSecrets::beside(settings))
    }

    /// Creates a credential whose key is made of `secrets`.
    pub(super) fn of_secrets(placed_key: PlacedKey, secrets: NamedSecrets) -> Self {
        let mut redactor = secrets.redactor();
        if let PlacedKey::Basic { username, password } = &placed_key {
            redactor.add(password);
            redactor.add_basic(username, password);
        }
        Self { placed_key, redactor, origin: secrets.origin(), secrets, renew_at: None }
    }

    /// Creates a credential whose key is an access token that was obtained with `secrets`.
    pub(super) fn of_token(token: String, renew_at: Instant, secrets: NamedSecrets) -> Self {
        let mut redactor = secrets.redactor();
        redactor.add(&token);
        let placed_key = PlacedKey::Bearer(token);
        Self { placed_key, redactor, origin: secrets.origin(), secrets, renew_at: Some(renew_at) }
    }

    /// Puts the key in its place in a request.
    ///
    /// # Errors
    ///
    /// A message without the key, if no header can hold it.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) -> Result<(), String> {
        match &self.placed_key {
            PlacedKey::None => {}
            PlacedKey::Bearer(token) => {
                headers.append(AUTHORIZATION, secret_header("authorization", &format!("Bearer {token}"))?);
            }
            PlacedKey::Header { name, key } => {
                headers.append(header_name(name)?, secret_header(name, key)?);
            }
            PlacedKey::Query { name, key } => {
                url.query_pairs_mut().append_pair(name, key);
            }
            PlacedKey::Basic { username, password } => {
                let basic = format!("Basic {}", encode_basic(username, password));
                headers.append(AUTHORIZATION, secret_header("authorization", &basic)?);
            }
        }
        Ok(())
    }

    /// The query parameter that holds the key, if one does.
    pub(crate) fn query_parameter(&self) -> Option<&str> {
        match &self.placed_key {
            PlacedKey::Query { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Removes every part of the key from a text.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.redactor.clean(text).into_owned()
    }

    /// Removes the key from a response: from its headers, and from its body.
    pub(crate) fn redact_response(&self, response: HttpResponse) -> HttpResponse {
        let HttpResponse { status, headers, body } = response;
        // Messages hold the beginning of an error's body, so a key of any length is removed from it.
        let body = if (200..300).contains(&status) {
            self.redactor.clean_body(body)
        } else {
            Bytes::from(self.redact(&String::from_utf8_lossy(&body)))
        };
        HttpResponse { status, headers: self.redact_headers(headers), body }
    }

    fn redact_headers(&self, headers: HeaderMap) -> HeaderMap {
        let redacted = |value: &HeaderValue| -> Option<HeaderValue> {
            match self.redactor.clean(value.to_str().ok()?) {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => text.parse().ok(),
            }
        };
        let headers = headers.iter();
        headers.map(|(name, value)| (name.clone(), redacted(value).unwrap_or_else(|| value.clone()))).collect()
    }

    /// Where the key was read, for messages.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The secrets that the key is made of, or was obtained with.
    pub(super) fn secrets(&self) -> &NamedSecrets {
        &self.secrets
    }

    /// Whether there is no key.
    pub(super) fn is_none(&self) -> bool {
        matches!(self.placed_key, PlacedKey::None)
    }

    /// Whether the key is an access token.
    pub(super) fn is_token(&self) -> bool {
        self.renew_at.is_some()
    }

    /// Whether the key is an access token that has expired, or will soon.
    pub(super) fn expires_soon(&self) -> bool {
        self.renew_at.is_some_and(|renew_at| Instant::now() >= renew_at)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn encode_basic(username: &str, password: &str) -> String {
    STANDARD.encode(format!("{username}:{password}"))
}

/// Returns a header's value that is shown in no `Debug`, and that HTTP/2 keeps in no table.
fn secret_header(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value = header_value(name, value)?;
    value.set_sensitive(true);
    Ok(value)
}
