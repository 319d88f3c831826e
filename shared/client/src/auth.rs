//! The key in use: had before the first request, renewed when it expires or is refused.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use manifest::{Auth, ClientCredentials, Credential as Named, KeyPlacement, Method};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::encode::{FORM, encode_form, header_name, header_value};
use crate::error::{Error, Stop};
use crate::failure::Failure;
use crate::secret::{Redactor, Secret, Secrets};
use crate::sender::Sender;
use crate::text::detail;
use crate::transport::HttpRequest;

/// A token is renewed so long before its end, or a tenth of its life, whichever is shorter: a request that leaves in time must
/// also arrive in time.
const EARLIEST_RENEWAL: Duration = Duration::from_secs(120);

/// What a request carries to be let in.
pub(crate) struct Credential {
    key: Key,
    /// Cleans every part of it from texts.
    pub(crate) redactor: Redactor,
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
    /// Puts the key in its place in a request.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) -> Result<(), String> {
        let authorization = |text: String| {
            let mut value = header_value("authorization", &text)?;
            value.set_sensitive(true);
            Ok::<HeaderValue, String>(value)
        };
        match &self.key {
            Key::None => {}
            Key::Bearer(token) => {
                headers.append(AUTHORIZATION, authorization(format!("Bearer {token}"))?);
            }
            Key::Header(name, key) => {
                headers.append(header_name(name)?, header_value(name, key)?);
            }
            Key::Query(name, key) => {
                url.query_pairs_mut().append_pair(name, key);
            }
            Key::Basic(username, password) => {
                let pair = STANDARD.encode(format!("{username}:{password}"));
                headers.append(AUTHORIZATION, authorization(format!("Basic {pair}"))?);
            }
        }
        Ok(())
    }

    /// The query parameter that holds the key, if one does.
    pub(crate) fn query_parameter(&self) -> Option<&str> {
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
pub(crate) struct Authenticator<'a> {
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
    pub(crate) fn new(secrets: &'a Secrets, source: &'a str, ways: &'a [Auth]) -> Self {
        Self { secrets, source, ways, state: Mutex::default() }
    }

    pub(crate) fn ways(&self) -> &'a [Auth] {
        self.ways
    }

    /// The key to send.
    pub(crate) async fn credential(&self, sender: &Sender<'_>) -> Result<Arc<Credential>, Stop> {
        let mut state = self.state.lock().await;
        match &state.current {
            Some(current) if !current.expires_soon() => return Ok(Arc::clone(current)),
            _ => {}
        }
        let first = state.current.is_none();
        let credential = Arc::new(self.obtain(sender, first).await?);
        state.current = Some(Arc::clone(&credential));
        Ok(credential)
    }

    /// After an answer that let the request in.
    pub(crate) async fn accepted(&self) {
        self.state.lock().await.refusals = 0;
    }

    /// After 401 or 403: another token, then the secrets read anew. An error when neither gives a key that was not refused yet.
    pub(crate) async fn renew(
        &self,
        sender: &Sender<'_>,
        refused: &Arc<Credential>,
        (status, detail): (u16, &str),
    ) -> Result<(), Stop> {
        let unauthorized = |origin: &str| Stop::Error(self.unauthorized(status, detail.to_owned(), origin));
        let mut state = self.state.lock().await;
        // Of several requests on their way with the old key, the first renews it for all.
        if state.current.as_ref().is_some_and(|current| !Arc::ptr_eq(current, refused)) {
            return Ok(());
        }
        state.refusals += 1;
        let credential = match (&refused.key, state.refusals) {
            (Key::None, _) => return Err(unauthorized("the manifest names none; give it `client.auth`")),
            (_, 1) if refused.expires.is_some() => self.obtain(sender, false).await?,
            (_, 1) => self.reread(sender, &refused.secrets).await?.ok_or_else(|| unauthorized(&refused.origin))?,
            (_, 2) if refused.expires.is_some() => {
                self.reread(sender, &refused.secrets).await?.ok_or_else(|| unauthorized(&refused.origin))?
            }
            _ => return Err(unauthorized(&refused.origin)),
        };
        tracing::warn!(origin = credential.origin, "the key was refused; another one was had");
        state.current = Some(Arc::new(credential));
        Ok(())
    }

    /// The credential of the secrets as they are kept. With `first`, a token that is stored is taken as it is. Where no token is
    /// given for them, they are read anew: a process that lives on has kept them since before they were changed.
    async fn obtain(&self, sender: &Sender<'_>, first: bool) -> Result<Credential, Stop> {
        let Some(way) = self.secrets.first_held(self.source, self.ways).await? else {
            let (redactor, origin) = (Redactor::default(), String::new());
            return Ok(Credential { key: Key::None, redactor, origin, secrets: Vec::new(), expires: None });
        };
        let secrets = self.read(way, &[]).await?;
        match self.with(sender, way, secrets.clone(), first).await {
            Err(refused @ Stop::Error(Error::Unauthorized { .. })) => {
                self.reread(sender, &secrets).await?.ok_or(refused)
            }
            obtained => obtained,
        }
    }

    /// The credential of the secrets `stale` read anew; `None` when they are the same.
    async fn reread(&self, sender: &Sender<'_>, stale: &[(String, Secret)]) -> Result<Option<Credential>, Stop> {
        let Some(way) = self.secrets.first_held(self.source, self.ways).await? else { return Ok(None) };
        let secrets = self.read(way, stale).await?;
        if secrets == stale {
            return Ok(None);
        }
        Ok(Some(self.with(sender, way, secrets, false).await?))
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
    async fn with(
        &self,
        sender: &Sender<'_>,
        way: &Auth,
        secrets: Vec<(String, Secret)>,
        first: bool,
    ) -> Result<Credential, Stop> {
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
                        let (client_id, client_secret) = (named(&grant.client_id), value(&grant.client_secret));
                        let request = TokenRequest {
                            authenticator: self,
                            grant,
                            client_id: &client_id,
                            client_secret: &client_secret,
                            redactor: &redactor,
                            origin: &origin,
                        };
                        request.send(sender).await?
                    }
                };
                redactor.add(&token);
                expires = Some(Instant::now() + life.saturating_sub(EARLIEST_RENEWAL.min(life / 10)));
                Key::Bearer(token)
            }
        };
        Ok(Credential { key, redactor, origin, secrets, expires })
    }

    fn unauthorized(&self, status: u16, detail: String, origin: &str) -> Error {
        Error::Unauthorized { source_name: self.source.to_owned(), status, detail, origin: origin.to_owned() }
    }
}

/// The request for an access token. It is subject to the same budget, limits and retries as every other request.
struct TokenRequest<'t> {
    authenticator: &'t Authenticator<'t>,
    grant: &'t ClientCredentials,
    client_id: &'t str,
    client_secret: &'t str,
    redactor: &'t Redactor,
    origin: &'t str,
}

impl TokenRequest<'_> {
    /// The request's name in messages.
    const NAME: &'static str = "POST for an access token";

    /// Asks for a token; gives it and how long it lives.
    async fn send(&self, sender: &Sender<'_>) -> Result<(String, Duration), Stop> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            sender.check_budget()?;
            let failure = match sender.send(attempt, |timeout| self.build(timeout)).await? {
                Ok(answer) if answer.is_success() => return Ok(self.granted(answer.status, &answer.body)?),
                Ok(answer) => {
                    let failure = Failure::of_status(&answer, None, sender.clock().now());
                    if !failure.is_transient() {
                        let detail = self.redactor.clean(&detail(&answer.body)).into_owned();
                        return Err(self.refused(answer.status, format!("no access token: {detail}")).into());
                    }
                    failure
                }
                Err(reason) => Failure::Connection(self.redactor.clean(&reason).into_owned()),
            };
            if !sender.wait_for_retry(Self::NAME, &failure, attempt).await? {
                let detail = self.redactor.clean(&failure.after(attempt)).into_owned();
                let source_name = self.authenticator.source.to_owned();
                let error = match failure {
                    Failure::Status { status: 429, .. } => Error::Throttled { source_name, attempts: attempt, detail },
                    _ => Error::Api { source_name, request: Self::NAME.into(), detail, retryable: true },
                };
                return Err(error.into());
            }
        }
    }

    fn build(&self, timeout: Duration) -> Result<HttpRequest, String> {
        let url = &self.grant.access_token_url;
        let url = Url::parse(url).map_err(|error| format!("`{url}` is no address: {error}"))?;
        let own = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id),
            ("client_secret", self.client_secret),
        ];
        let declared = self.grant.request_data.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let body = Some(encode_form(own.into_iter().chain(declared)));
        Ok(HttpRequest { method: Method::Post, url, headers, body, timeout })
    }

    /// The token in the answer and how long it lives. An answer without one is an error that names its fields, not their values.
    fn granted(&self, status: u16, body: &[u8]) -> Result<(String, Duration), Error> {
        let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => {
                let life = answer.get("expires_in").and_then(|life| {
                    let seconds = life.as_f64().or_else(|| life.as_str()?.parse().ok())?;
                    Duration::try_from_secs_f64(seconds).ok()
                });
                Ok((token.to_owned(), life.unwrap_or(self.grant.default_expiration)))
            }
            _ => {
                let fields = answer.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(", "));
                let fields = fields.unwrap_or_else(|| "no JSON object".into());
                Err(self.refused(status, format!("the answer has no `access_token`; it has: {fields}")))
            }
        }
    }

    fn refused(&self, status: u16, detail: String) -> Error {
        self.authenticator.unauthorized(status, detail, self.origin)
    }
}
