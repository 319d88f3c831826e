//! An API for the length of a run: one request sent until it has an answer worth reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{StatusCode, Url};
use tokio::sync::Semaphore;

use super::auth::{Authenticator, Credential};
use super::call::{Body, Call};
use super::failure::{Failure, tried};
use super::limits::{Admitted, LONGEST_WAIT, Ledger, Left, Limits};
use super::{Budget, Requests, Stop, actions, detail, lock, retry};
use crate::error::{Error, chain};
use crate::manifest::{Action, Auth, Endpoint, Manifest, Method};
use crate::secret::Secrets;

/// How long a request may take that leaves just before the deadline. A page takes a second; a Lambda keeps 30 s for storing.
const LAST_WAIT: Duration = Duration::from_secs(5);

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
        read: impl Fn(&HeaderMap, &Bytes) -> Result<T, String>,
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
                // Others may have left while this one waited.
                self.count_sent()?;
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
                            match read(&answer.headers, &answer.body) {
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

    /// How long a request that leaves now may take: one that hangs must not keep what was read from being stored.
    fn patience(&self) -> Duration {
        let left = self.budget.until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default());
        left.map_or(self.budget.request_timeout, |left| self.budget.request_timeout.min(left.max(LAST_WAIT)))
    }

    /// Counts a request that leaves now; refuses the one that would be too many.
    fn count_sent(&self) -> Result<(), Stop> {
        let most = self.budget.requests.unwrap_or(u64::MAX);
        let one_more = |sent: u64| (sent < most).then_some(sent + 1);
        let counted = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(|_| ()).map_err(|_| Stop::Limit(format!("max_requests of {most} is used up")))
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
        request = request.timeout(self.patience());
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
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
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
