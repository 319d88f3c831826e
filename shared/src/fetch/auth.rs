//! The key in use: had before the first request, renewed when it expires or is refused.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{detail, retry};
use crate::error::{Error, chain};
use crate::manifest::{Auth, ClientCredentials, Credential as Named, KeyPlacement};
use crate::secret::{Redactor, Secret, Secrets};

/// A token is renewed so long before its end, or a tenth of its life, whichever is shorter: a request that leaves in time must
/// also arrive in time.
const EARLIEST_RENEWAL: Duration = Duration::from_secs(120);

/// What a request carries to be let in.
pub(super) struct Credential {
    key: Key,
    /// Cleans every part of it from texts.
    pub(super) redactor: Redactor,
    /// Where it came from, for messages.
    origin: String,
    secrets: Vec<(String, Secret)>,
    expires: Option<Instant>,
}

enum Key {
    None,
    Bearer(String),
    Header(String, String),
    Query(String, String),
    Basic(String, String),
}

impl Credential {
    /// `request` with the key in its place.
    pub(super) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Key::None => request,
            Key::Bearer(token) => request.bearer_auth(token),
            Key::Header(name, key) => request.header(name, key),
            Key::Query(name, key) => request.query(&[(name, key)]),
            Key::Basic(username, password) => request.basic_auth(username, Some(password)),
        }
    }

    /// The query parameter that holds the key, if one does.
    pub(super) fn query_parameter(&self) -> Option<&str> {
        match &self.key {
            Key::Query(name, _) => Some(name),
            _ => None,
        }
    }

    fn expires_soon(&self) -> bool {
        self.expires.is_some_and(|expires| Instant::now() >= expires)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Has the key of one API, or of one endpoint of it.
#[derive(Debug)]
pub(super) struct Authenticator<'a> {
    http: &'a reqwest::Client,
    secrets: &'a Secrets,
    source: &'a str,
    ways: &'a [Auth],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Credential>>,
    /// Times that a key was refused since one was accepted.
    refusals: u32,
}

impl<'a> Authenticator<'a> {
    pub(super) fn new(http: &'a reqwest::Client, secrets: &'a Secrets, source: &'a str, ways: &'a [Auth]) -> Self {
        Self { http, secrets, source, ways, state: Mutex::default() }
    }

    pub(super) fn ways(&self) -> &'a [Auth] {
        self.ways
    }

    /// The key to send.
    pub(super) async fn credential(&self) -> Result<Arc<Credential>, Error> {
        let mut state = self.state.lock().await;
        match &state.current {
            Some(current) if !current.expires_soon() => return Ok(Arc::clone(current)),
            _ => {}
        }
        let first = state.current.is_none();
        let credential = Arc::new(self.obtain(first).await?);
        state.current = Some(Arc::clone(&credential));
        Ok(credential)
    }

    /// After an answer that let the request in.
    pub(super) async fn accepted(&self) {
        self.state.lock().await.refusals = 0;
    }

    /// After 401 or 403: another token, then the secrets read anew. An error when neither gives a key that was not refused yet.
    pub(super) async fn renew(&self, refused: &Arc<Credential>, status: u16, detail: &str) -> Result<(), Error> {
        let unauthorized = |origin: &str| self.unauthorized(status, detail.to_owned(), origin);
        let mut state = self.state.lock().await;
        // Of several requests on their way with the old key, the first renews it for all.
        if state.current.as_ref().is_some_and(|current| !Arc::ptr_eq(current, refused)) {
            return Ok(());
        }
        state.refusals += 1;
        let credential = match (&refused.key, state.refusals) {
            (Key::None, _) => return Err(unauthorized("the manifest names none; give it `client.auth`")),
            (_, 1) if refused.expires.is_some() => self.obtain(false).await?,
            (_, 1) => self.reread(&refused.secrets).await?.ok_or_else(|| unauthorized(&refused.origin))?,
            (_, 2) if refused.expires.is_some() => {
                self.reread(&refused.secrets).await?.ok_or_else(|| unauthorized(&refused.origin))?
            }
            _ => return Err(unauthorized(&refused.origin)),
        };
        tracing::warn!(origin = credential.origin, "the key was refused; another one was had");
        state.current = Some(Arc::new(credential));
        Ok(())
    }

    /// The credential of the secrets as they are kept. With `first`, a token that is stored is taken as it is. Where no token is
    /// given for them, they are read anew: a process that lives on has kept them since before they were changed.
    async fn obtain(&self, first: bool) -> Result<Credential, Error> {
        let Some(way) = self.secrets.first_held(self.source, self.ways).await? else {
            let (redactor, origin) = (Redactor::default(), String::new());
            return Ok(Credential { key: Key::None, redactor, origin, secrets: Vec::new(), expires: None });
        };
        let secrets = self.read(way, &[]).await?;
        match self.with(way, secrets.clone(), first).await {
            Err(refused @ Error::Unauthorized { .. }) => self.reread(&secrets).await?.ok_or(refused),
            obtained => obtained,
        }
    }

    /// The credential of the secrets `stale` read anew; `None` when they are the same.
    async fn reread(&self, stale: &[(String, Secret)]) -> Result<Option<Credential>, Error> {
        let Some(way) = self.secrets.first_held(self.source, self.ways).await? else { return Ok(None) };
        let secrets = self.read(way, stale).await?;
        if secrets == stale {
            return Ok(None);
        }
        Ok(Some(self.with(way, secrets, false).await?))
    }

    /// The secrets of `way`, those of `stale` read again.
    async fn read(&self, way: &Auth, stale: &[(String, Secret)]) -> Result<Vec<(String, Secret)>, Error> {
        let mut secrets = Vec::new();
        for name in way.secrets() {
            let stale = stale.iter().find(|(stale, _)| stale == name).map(|(_, secret)| secret);
            secrets.push((name.to_owned(), self.secrets.get(self.source, name, stale).await?));
        }
        Ok(secrets)
    }

    /// The credential of these secrets; asks for a token where the API wants one.
    async fn with(&self, way: &Auth, secrets: Vec<(String, Secret)>, first: bool) -> Result<Credential, Error> {
        let value = |name: &str| {
            let found = secrets.iter().find(|(known, _)| known == name);
            found.map(|(_, secret)| secret.expose().to_owned()).unwrap_or_default()
        };
        let named = |named: &Named| match named {
            Named::Literal(text) => text.clone(),
            Named::Secret(name) => value(name),
        };
        let mut redactor = Redactor::default();
        secrets.iter().for_each(|(_, secret)| redactor.add(secret.expose()));
        // Of an id and its secret either may be the wrong one.
        let mut origins: Vec<&str> = secrets.iter().map(|(_, secret)| secret.origin.as_str()).collect();
        origins.dedup();
        let origin = origins.join(" and ");
        let mut expires = None;
        let key = match way {
            Auth::Bearer { token } => Key::Bearer(value(token)),
            Auth::ApiKey { api_key, placement: KeyPlacement::Header(name) } => {
                Key::Header(name.clone(), value(api_key))
            }
            Auth::ApiKey { api_key, placement: KeyPlacement::Query(name) } => Key::Query(name.clone(), value(api_key)),
            Auth::HttpBasic { username, password } => Key::Basic(named(username), named(password)),
            Auth::ClientCredentials(grant) => {
                let stored = match &grant.access_token {
                    Some(name) if first && self.secrets.holds(self.source, name).await? => {
                        let token = self.secrets.get(self.source, name, None).await?;
                        Some((token.expose().to_owned(), grant.default_expiration))
                    }
                    _ => None,
                };
                let (token, life) = match stored {
                    Some(stored) => stored,
                    None => {
                        self.token(grant, &named(&grant.client_id), &value(&grant.client_secret), &redactor, &origin)
                            .await?
                    }
                };
                redactor.add(&token);
                expires = Some(Instant::now() + life.saturating_sub(EARLIEST_RENEWAL.min(life / 10)));
                Key::Bearer(token)
            }
        };
        Ok(Credential { key, redactor, origin, secrets, expires })
    }

    /// Asks for a token; gives it and how long it lives.
    async fn token(
        &self,
        grant: &ClientCredentials,
        id: &str,
        secret: &str,
        redactor: &Redactor,
        origin: &str,
    ) -> Result<(String, Duration), Error> {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        form.extend(grant.request_data.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let failed = |detail: String, retryable: bool| Error::Api {
            source_name: self.source.to_owned(),
            request: "POST for an access token".into(),
            detail: redactor.clean(&detail).into_owned(),
            retryable,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent =
                self.http.post(&grant.access_token_url).form(&form).timeout(Duration::from_secs(60)).send().await;
            let answer = match sent {
                Ok(response) => {
                    let status = response.status();
                    response.bytes().await.map(|body| (status, body))
                }
                Err(error) => Err(error),
            };
            let reason = match answer {
                Ok((status, body)) if status.is_success() => {
                    return self.granted(grant, status.as_u16(), &body, origin);
                }
                Ok((status, body)) if !retry::is_transient(status.as_u16()) => {
                    let detail = redactor.clean(&detail(&body)).into_owned();
                    return Err(self.unauthorized(status.as_u16(), format!("no access token: {detail}"), origin));
                }
                Ok((status, body)) => format!("answered {status}: {}", detail(&body)),
                Err(error) => format!("could not be read: {}", chain(&error.without_url())),
            };
            if attempt >= retry::ATTEMPTS {
                return Err(failed(reason, true));
            }
            tracing::warn!(attempt, "the access token could not be had; trying again");
            tokio::time::sleep(retry::backoff(attempt)).await;
        }
    }

    /// The token in the answer; its absence is an error that names what is there, not the values.
    fn granted(
        &self,
        grant: &ClientCredentials,
        status: u16,
        body: &[u8],
        origin: &str,
    ) -> Result<(String, Duration), Error> {
        let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => {
                let life = answer.get("expires_in").and_then(|life| {
                    life.as_f64()
                        .or_else(|| life.as_str()?.parse().ok())
                        .and_then(|life| Duration::try_from_secs_f64(life).ok())
                });
                Ok((token.to_owned(), life.unwrap_or(grant.default_expiration)))
            }
            _ => {
                let fields = answer.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(", "));
                let fields = fields.unwrap_or_else(|| "no JSON object".into());
                Err(self.unauthorized(status, format!("the answer has no `access_token`; it has: {fields}"), origin))
            }
        }
    }

    fn unauthorized(&self, status: u16, detail: String, origin: &str) -> Error {
        Error::Unauthorized { source_name: self.source.to_owned(), status, detail, origin: origin.to_owned() }
    }
}
