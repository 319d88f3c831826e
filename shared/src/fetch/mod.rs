//! From slices to pages: auth, pacing, retry and pagination over one HTTP client.
//!
//! [`Api::answer`] sends one request until it has an answer worth reading; [`paginate`] asks for page after page of
//! a slice. Neither knows what a column is.

pub mod limits;
pub mod paginate;
pub mod retry;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;

use self::limits::{Admitted, LONGEST_WAIT, Ledger, Left, Limits};
use crate::error::{Error, chain};
use crate::manifest::{Auth, Endpoint, KeyPlacement, Manifest, Method};
use crate::secret::{Redactor, Secret, Secrets};

/// How much of an error's body is told.
const DETAIL_CHARS: usize = 300;
/// A server that sends nothing for this long is taken for lost.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// One HTTP client for every source: connections idle for longer than this do not outlive a frozen Lambda.
pub fn http_client() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .user_agent(concat!("ticketlake/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::Runtime(format!("the HTTP client could not be built: {}", chain(&error))))
}

/// Why fetching stopped: an error, or a limit that the next run does not have.
#[derive(Debug)]
pub enum Stop {
    /// Out of requests, time or quota: what was read is good, the rest remains.
    Limit(String),
    /// Something is wrong.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Throttled { .. } => Self::Limit(error.to_string()),
            error => Self::Error(error),
        }
    }
}

/// What a run may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Requests, retries included.
    pub requests: Option<u64>,
    /// When fetching must end, so that what was read can still be stored.
    pub until: Option<SystemTime>,
}

/// Requests of a run, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// All that were sent.
    pub sent: u64,
    /// Those of them that repeated a failed one.
    pub retried: u64,
    /// Answers 429.
    pub throttled: u64,
}

/// One request to an API, without its key.
#[derive(Clone, Debug)]
pub struct Call<'c> {
    /// The endpoint it goes to.
    pub endpoint: &'c Endpoint,
    /// The query.
    pub params: BTreeMap<String, String>,
    /// The JSON body.
    pub body: Option<Value>,
}

impl Call<'_> {
    /// The request for messages and `_rejected`: method, path and query, which has no key in it yet, and the body.
    pub fn describe(&self) -> String {
        let query: Vec<String> = self.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut text = format!("{} {}", self.endpoint.method.name(), self.endpoint.path);
        if !query.is_empty() {
            text = format!("{text}?{}", query.join("&"));
        }
        if let Some(body) = &self.body {
            text = format!("{text} {body}");
        }
        text
    }
}

/// An API, for the length of a run.
#[derive(Debug)]
pub struct Api<'a> {
    http: &'a reqwest::Client,
    secrets: &'a Secrets,
    manifest: &'a Manifest,
    budget: Budget,
    limits: Limits<'a>,
    /// The key in use and what cleans it; read before the first request, and once more after a 401.
    key: Mutex<Option<(Secret, Redactor)>>,
    refused: Mutex<Option<Secret>>,
    sent: AtomicU64,
    retried: AtomicU64,
    throttled: AtomicU64,
}

impl<'a> Api<'a> {
    /// The API of `manifest`; `ledger` has the use of its limits.
    pub fn new(
        http: &'a reqwest::Client,
        secrets: &'a Secrets,
        manifest: &'a Manifest,
        budget: Budget,
        ledger: Option<Ledger<'a>>,
    ) -> Self {
        Self {
            http,
            secrets,
            manifest,
            budget,
            limits: Limits::new(&manifest.client.rate.windows, ledger),
            key: Mutex::new(None),
            refused: Mutex::new(None),
            sent: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        Requests {
            sent: self.sent.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// Requests that may be on their way at once.
    pub fn in_flight(&self) -> usize {
        self.limits.in_flight()
    }

    /// What is left of the limits that are counted.
    pub fn quota(&self) -> Vec<Left> {
        self.limits.left()
    }

    /// Ends the run's use of the limits: what it reserved and did not send is there for others again.
    pub async fn close(&self) -> Result<(), Error> {
        self.limits.close().await
    }

    /// The answer to `call` as `read` understands it, tried again while that can help: 408, 429, 5xx, a lost connection, a
    /// body cut short, and a body that `read` cannot make sense of (with the reason it gives).
    pub async fn answer<T>(&self, call: &Call<'_>, read: impl Fn(Value) -> Result<T, String>) -> Result<T, Stop> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.spend()?;
            let key = self.key().await?;
            let admitted = self.limits.admit(self.budget.until).await?;
            self.sent.fetch_add(1, Ordering::Relaxed);
            self.retried.fetch_add(u64::from(attempt > 1), Ordering::Relaxed);
            let failure = match self.send(call, key.as_ref(), admitted).await {
                Ok((status, _, body)) if status.is_success() => {
                    match serde_json::from_slice(&body).map_err(|error| format!("no JSON: {error}")).and_then(&read) {
                        Ok(value) => return Ok(value),
                        Err(reason) => Failure::Unreadable(format!("status {status}, {reason}")),
                    }
                }
                Ok((status, _, body)) if matches!(status.as_u16(), 401 | 403) => {
                    self.renew_key(key, status, &body).await?;
                    // The one retry with a renewed key is none of the transient ones.
                    attempt -= 1;
                    continue;
                }
                Ok((status, wish, body)) => Failure::Status { status: status.as_u16(), wish, detail: detail(&body) },
                Err(reason) => Failure::Connection(reason),
            };
            let throttled = matches!(failure, Failure::Status { status: 429, .. });
            self.throttled.fetch_add(u64::from(throttled), Ordering::Relaxed);
            if attempt >= retry::ATTEMPTS || !failure.is_transient() {
                return Err(self.give_up(call, failure, attempt).into());
            }
            let wait = failure.wish().unwrap_or_else(|| retry::backoff(attempt));
            if wait > LONGEST_WAIT {
                return Err(Stop::Limit(retry::asks_too_much(&failure, wait, chrono::Utc::now())));
            }
            if self.budget.until.is_some_and(|until| SystemTime::now() + wait > until) {
                return Err(Stop::Limit(format!(
                    "out of time: {failure}, and the next try would come after the deadline"
                )));
            }
            tracing::warn!(
                request = call.endpoint.path,
                attempt,
                wait_ms = wait.as_millis() as u64,
                "{failure}; trying again"
            );
            if throttled {
                self.limits.hold(wait);
            } else {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Refuses to go on when the budget is used up.
    fn spend(&self) -> Result<(), Stop> {
        if let Some(requests) = self.budget.requests
            && self.sent.load(Ordering::Relaxed) >= requests
        {
            return Err(Stop::Limit(format!("max_requests of {requests} is used up")));
        }
        if self.budget.until.is_some_and(|until| SystemTime::now() >= until) {
            return Err(Stop::Limit("out of time".into()));
        }
        Ok(())
    }

    async fn key(&self) -> Result<Option<(Secret, Redactor)>, Error> {
        let Some(auth) = &self.manifest.client.auth else {
            return Ok(None);
        };
        if let Some(key) = lock(&self.key).clone() {
            return Ok(Some(key));
        }
        let secret = self.secrets.get(&self.manifest.name, &auth.secret, None).await?;
        let key = (secret.clone(), secret.redactor());
        *lock(&self.key) = Some(key.clone());
        Ok(Some(key))
    }

    /// After 401 or 403: reads the secret again, once a run. An error when that was done already, or gives the same key.
    async fn renew_key(&self, key: Option<(Secret, Redactor)>, status: StatusCode, body: &[u8]) -> Result<(), Error> {
        let unauthorized = |origin: &str| Error::Unauthorized {
            source_name: self.manifest.name.clone(),
            status: status.as_u16(),
            detail: detail(body),
            origin: origin.to_owned(),
        };
        let (Some(auth), Some((secret, _))) = (&self.manifest.client.auth, key) else {
            return Err(unauthorized("the manifest names none; give it `client.auth`"));
        };
        // Of several requests on their way with the old key, the first renews it for all.
        if lock(&self.key).as_ref().is_some_and(|(current, _)| *current != secret) {
            return Ok(());
        }
        if lock(&self.refused).replace(secret.clone()).is_some() {
            return Err(unauthorized(&secret.origin));
        }
        let renewed = self.secrets.get(&self.manifest.name, &auth.secret, Some(&secret)).await?;
        if renewed == secret {
            return Err(unauthorized(&secret.origin));
        }
        tracing::warn!(origin = renewed.origin, "the key was refused; reading it again gave another one");
        *lock(&self.key) = Some((renewed.clone(), renewed.redactor()));
        Ok(())
    }

    /// Sends once. The body, the headers and every text that comes back are without the key.
    async fn send(
        &self,
        call: &Call<'_>,
        key: Option<&(Secret, Redactor)>,
        admitted: Admitted,
    ) -> Result<(StatusCode, Option<Duration>, Bytes), String> {
        let url = format!("{}/{}", self.manifest.client.base_url, call.endpoint.path);
        let mut request = match call.endpoint.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
        };
        for (name, value) in self.manifest.client.headers.iter().chain(&call.endpoint.headers) {
            request = request.header(name, value);
        }
        request = request.query(&call.params);
        if call.endpoint.method == Method::Post {
            let body = call.body.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string);
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        if let (Some((secret, _)), Some(Auth { placement, .. })) = (key, &self.manifest.client.auth) {
            request = match placement {
                KeyPlacement::Bearer => request.bearer_auth(secret.expose()),
                KeyPlacement::Header(name) => request.header(name, secret.expose()),
                KeyPlacement::Query(name) => request.query(&[(name, secret.expose())]),
            };
        }
        let clean = |error: reqwest::Error| {
            let text = chain(&error.without_url());
            key.map_or_else(|| text.clone(), |(_, redactor)| redactor.clean(&text).into_owned())
        };
        let response = request.send().await.map_err(clean)?;
        let status = response.status();
        self.limits.told(admitted, response.headers());
        let wish = response.headers().get(RETRY_AFTER).or_else(|| response.headers().get("x-retry-after"));
        let wish = wish.and_then(|header| header.to_str().ok());
        let wish = wish.and_then(|header| retry::retry_after(header, chrono::Utc::now()));
        let body = response.bytes().await.map_err(clean)?;
        let body = match key {
            // An error's body is told in messages: there a key of any length is cleaned.
            Some((_, redactor)) if !status.is_success() => {
                Bytes::from(redactor.clean(&String::from_utf8_lossy(&body)).into_owned())
            }
            Some((_, redactor)) => redactor.clean_body(body),
            None => body,
        };
        Ok((status, wish, body))
    }

    fn give_up(&self, call: &Call<'_>, failure: Failure, attempts: u32) -> Error {
        let source_name = self.manifest.name.clone();
        let request = format!("{} {}", call.endpoint.method.name(), call.endpoint.path);
        match failure {
            Failure::Status { status: 429, detail, .. } => Error::Throttled { source_name, attempts, detail },
            Failure::Unreadable(_) => Error::Decode { source_name, request, detail: tried(&failure, attempts) },
            _ => Error::Api {
                source_name,
                request,
                retryable: failure.is_transient(),
                detail: tried(&failure, attempts),
            },
        }
    }
}

fn tried(failure: &Failure, attempts: u32) -> String {
    if attempts > 1 { format!("{failure}, after {attempts} attempts") } else { failure.to_string() }
}

/// Why one try had no answer.
#[derive(Debug)]
enum Failure {
    Status { status: u16, wish: Option<Duration>, detail: String },
    Connection(String),
    Unreadable(String),
}

impl Failure {
    fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => retry::is_transient(*status),
            Self::Connection(_) | Self::Unreadable(_) => true,
        }
    }

    fn wish(&self) -> Option<Duration> {
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

/// The beginning of an error's body, on one line.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no text".into(),
        None => line,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
