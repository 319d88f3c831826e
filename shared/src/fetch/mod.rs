//! From slices to pages: auth, pacing, retry and pagination over one HTTP client.
//!
//! [`Api::answer`] sends one request until it has an answer worth reading; [`paginate`] asks for page after page of
//! a slice. Neither knows what a column is.

mod actions;
mod auth;
pub mod limits;
pub mod paginate;
pub mod records;
pub mod retry;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

use self::auth::{Authenticator, Credential};
use self::limits::{Admitted, LONGEST_WAIT, Ledger, Left, Limits};
use crate::error::{Error, chain};
use crate::manifest::{Action, Auth, Endpoint, Manifest, Method};
use crate::secret::Secrets;

/// How much of an error's body is told.
const DETAIL_CHARS: usize = 300;

/// One HTTP client for every source: connections idle for longer than this do not outlive a frozen Lambda.
pub fn http_client() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .user_agent(concat!("ticketlake/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
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

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit(reason) => f.write_str(reason),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
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
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Requests, retries included.
    pub requests: Option<u64>,
    /// When fetching must end, so that what was read can still be stored.
    pub until: Option<SystemTime>,
    /// Requests sent for one page, the first included.
    pub attempts: u32,
    /// How long one request may take, from its sending to its answer's last byte.
    pub request_timeout: Duration,
    /// Records asked for in one page; `None`: the most that the API gives.
    pub page_size: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests: None,
            until: None,
            attempts: retry::ATTEMPTS,
            request_timeout: Duration::from_secs(60),
            page_size: None,
        }
    }
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

impl std::ops::AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.retried += other.retried;
        self.throttled += other.throttled;
    }
}

/// One request to an API, without its key.
#[derive(Clone, Debug)]
pub struct Call<'c> {
    /// The endpoint it goes to.
    pub endpoint: &'c Endpoint,
    /// Below the base URL, or a whole address.
    pub target: String,
    /// The query, beside what the target has.
    pub params: BTreeMap<String, String>,
    /// The endpoint's headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<Body>,
}

/// A request's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// As it is.
    Text(String),
}

impl std::fmt::Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{value}"),
            Self::Form(fields) => f.write_str(&joined(fields)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn joined(fields: &BTreeMap<String, String>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

impl Call<'_> {
    /// The request for messages and `_rejected`: method, path and query, which has no key in it, and the body.
    pub fn describe(&self) -> String {
        let mut text = format!("{} {}", self.endpoint.method.name(), self.target);
        if !self.params.is_empty() {
            text = format!("{text}{}{}", if text.contains('?') { '&' } else { '?' }, joined(&self.params));
        }
        if let Some(body) = &self.body {
            text = format!("{text} {body}");
        }
        text
    }

    /// Method and path alone.
    fn name(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.endpoint.method.name())
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
    on_their_way: Semaphore,
    /// One for each way that the manifest sends a key: the client's, and those of endpoints.
    authenticators: Mutex<Vec<Arc<Authenticator<'a>>>>,
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
        let limits = Limits::new(&manifest.client.rate.windows, ledger);
        Self {
            http,
            secrets,
            manifest,
            budget,
            on_their_way: Semaphore::new(limits.in_flight()),
            limits,
            authenticators: Mutex::default(),
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

    /// Records asked for in one page, where the request says so.
    pub fn page_size(&self) -> Option<u64> {
        self.budget.page_size
    }

    /// The API's address.
    pub fn base_url(&self) -> &str {
        &self.manifest.client.base_url
    }

    /// The source's name, for errors.
    pub fn source(&self) -> &str {
        &self.manifest.name
    }

    /// The answer to `call` as `read` understands it, tried again while that can help: 408, 429, 5xx, a lost connection, a
    /// body cut short, and a body that `read` cannot make sense of (with the reason it gives). `None`: the manifest ignores it.
    pub async fn answer<T>(
        &self,
        call: &Call<'a>,
        read: impl Fn(&HeaderMap, Value) -> Result<T, String>,
    ) -> Result<Option<T>, Stop> {
        let authenticator = self.authenticator(call.endpoint);
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.spend()?;
            let key = authenticator.credential().await?;
            let answer = {
                // Never closed: the error cannot come.
                let _permit = self.on_their_way.acquire().await;
                let admitted = self.limits.admit(self.budget.until).await?;
                self.sent.fetch_add(1, Ordering::Relaxed);
                self.retried.fetch_add(u64::from(attempt > 1), Ordering::Relaxed);
                self.send(call, &key, admitted).await
            };
            let failure = match answer {
                Ok(answer) => {
                    let status = answer.status.as_u16();
                    let action = actions::of(&call.endpoint.response_actions, status, &answer.body);
                    match action {
                        Some(Action::Ignore) => {
                            tracing::info!(
                                request = call.name(),
                                status,
                                "an answer is ignored, as response_actions say"
                            );
                            return Ok(None);
                        }
                        Some(_) => Failure::status(&answer, action),
                        None if answer.status.is_success() => {
                            authenticator.accepted().await;
                            let json =
                                serde_json::from_slice(&answer.body).map_err(|error| format!("no JSON: {error}"));
                            match json.and_then(|json| read(&answer.headers, json)) {
                                Ok(value) => return Ok(Some(value)),
                                Err(reason) => Failure::Unreadable(format!("status {status}, {reason}")),
                            }
                        }
                        None if matches!(status, 401 | 403) => {
                            authenticator.renew(&key, status, &detail(&answer.body)).await?;
                            // The retries with a renewed key are none of the transient ones.
                            attempt -= 1;
                            continue;
                        }
                        None => Failure::status(&answer, None),
                    }
                }
                Err(reason) => Failure::Connection(reason),
            };
            let throttled = matches!(failure, Failure::Status { status: 429, .. });
            self.throttled.fetch_add(u64::from(throttled), Ordering::Relaxed);
            if attempt >= self.budget.attempts || !failure.is_transient() {
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
                request = call.name(),
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

    /// What has the key of `endpoint`.
    fn authenticator(&self, endpoint: &'a Endpoint) -> Arc<Authenticator<'a>> {
        let ways: &'a [Auth] = endpoint.auth.as_deref().unwrap_or(&self.manifest.client.auth);
        let mut all = lock(&self.authenticators);
        if let Some(known) = all.iter().find(|known| known.ways() == ways) {
            return Arc::clone(known);
        }
        let new = Arc::new(Authenticator::new(self.http, self.secrets, &self.manifest.name, ways));
        all.push(Arc::clone(&new));
        new
    }

    /// The address of `target`: below the base URL unless it is one itself.
    fn url(&self, target: &str) -> Result<Url, String> {
        let text = if target.starts_with("https://") || target.starts_with("http://") {
            target.to_owned()
        } else if target.is_empty() {
            self.base_url().to_owned()
        } else {
            format!("{}/{}", self.base_url(), target.trim_start_matches('/'))
        };
        Url::parse(&text).map_err(|error| format!("`{text}` is no address: {error}"))
    }

    /// Sends once. The body, the headers and every text that comes back are without the key.
    async fn send(&self, call: &Call<'_>, key: &Credential, admitted: Admitted) -> Result<Answer, String> {
        let url = self.url(&call.target)?;
        let mut request = match call.endpoint.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
        };
        request = request.timeout(self.budget.request_timeout);
        let own = |name: &str| call.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        for (name, value) in self.manifest.client.headers.iter().filter(|(name, _)| !own(name)).chain(&call.headers) {
            request = request.header(name, value);
        }
        // A link to the next page can repeat the key's parameter, cleaned.
        let keyless = |name: &str| key.query_parameter() != Some(name);
        let params: Vec<(&String, &String)> = call.params.iter().filter(|(name, _)| keyless(name)).collect();
        if !params.is_empty() {
            request = request.query(&params);
        }
        request = match &call.body {
            Some(Body::Json(value)) => request.header(CONTENT_TYPE, "application/json").body(value.to_string()),
            Some(Body::Form(fields)) => request.form(fields),
            Some(Body::Text(text)) => request.body(text.clone()),
            None if call.endpoint.method == Method::Post => request.header(CONTENT_TYPE, "application/json").body("{}"),
            None => request,
        };
        let clean = |error: reqwest::Error| key.redactor.clean(&chain(&error.without_url())).into_owned();
        let response = key.apply(request).send().await.map_err(clean)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.limits.told(admitted, &headers);
        let body = response.bytes().await.map_err(clean)?;
        // An error's body is told in messages: there a key of any length is cleaned.
        let body = if status.is_success() {
            key.redactor.clean_body(body)
        } else {
            Bytes::from(key.redactor.clean(&String::from_utf8_lossy(&body)).into_owned())
        };
        Ok(Answer { status, headers: without_key(headers, key), body })
    }

    fn give_up(&self, call: &Call<'_>, failure: Failure, attempts: u32) -> Error {
        let source_name = self.manifest.name.clone();
        let request = call.name();
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

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The headers, where a link may repeat the key that stood in the query.
fn without_key(headers: HeaderMap, key: &Credential) -> HeaderMap {
    let Some(parameter) = key.query_parameter() else { return headers };
    let clean = |value: &reqwest::header::HeaderValue| {
        let text = value.to_str().ok()?;
        text.contains(parameter).then(|| key.redactor.clean(text).parse().ok()).flatten()
    };
    headers.iter().map(|(name, value)| (name.clone(), clean(value).unwrap_or_else(|| value.clone()))).collect()
}

fn tried(failure: &Failure, attempts: u32) -> String {
    if attempts > 1 { format!("{failure}, after {attempts} attempts") } else { failure.to_string() }
}

/// Why one try had no answer.
#[derive(Debug)]
enum Failure {
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
    fn status(answer: &Answer, action: Option<Action>) -> Self {
        let wish = answer.headers.get(RETRY_AFTER).or_else(|| answer.headers.get("x-retry-after"));
        let wish = wish.and_then(|header| header.to_str().ok());
        let wish = wish.and_then(|header| retry::retry_after(header, chrono::Utc::now()));
        Self::Status { status: answer.status.as_u16(), wish, detail: detail(&answer.body), action }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Status { action: Some(action), .. } => *action == Action::Retry,
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
