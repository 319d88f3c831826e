//! An API for the length of a run: one request, sent until it has an answer worth reading.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use manifest::time::Clock;
use manifest::{Action, Auth, Body, Endpoint, Manifest, Method};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::actions;
use crate::auth::{Authenticator, Credential};
use crate::budget::{Budget, Requests};
use crate::call::Call;
use crate::encode::{FORM, encode_form, header_name, header_value};
use crate::error::{Error, Stop};
use crate::failure::Failure;
use crate::limits::{Limits, QuotaLeft, SharedQuota};
use crate::secret::Secrets;
use crate::sender::Sender;
use crate::text::detail;
use crate::transport::{HttpRequest, HttpResponse, Transport};

/// What an [`Api`] is reached with: the same for every run of a process, or for all requests of a run.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// How requests are sent.
    pub transport: &'a dyn Transport,
    /// Where keys are read.
    pub secrets: &'a Secrets,
    /// The clock that waits and deadlines are measured by.
    pub clock: &'a dyn Clock,
    /// The requests that runs share; `None`: they are counted in this run alone.
    pub quota: Option<&'a dyn SharedQuota>,
}

/// An API, for the length of a run.
#[derive(Debug)]
pub struct Api<'a> {
    manifest: &'a Manifest,
    secrets: &'a Secrets,
    sender: Sender<'a>,
    /// One for each way in which the manifest sends a key: the client's, and those of endpoints.
    authenticators: Mutex<Vec<Arc<Authenticator<'a>>>>,
}

impl<'a> Api<'a> {
    /// The API of `manifest`, reached by `connection` within `budget`.
    pub fn new(connection: Connection<'a>, manifest: &'a Manifest, budget: Budget) -> Self {
        let Connection { transport, secrets, clock, quota } = connection;
        let limits = Limits::new(&manifest.client.rate.windows, quota, clock);
        Self {
            manifest,
            secrets,
            sender: Sender::new(transport, budget, limits, clock),
            authenticators: Mutex::default(),
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        self.sender.requests()
    }

    /// Requests that may be on their way at a time.
    pub fn in_flight(&self) -> usize {
        self.sender.limits().in_flight()
    }

    /// What is left of the limits that are counted.
    pub fn quota_left(&self) -> Vec<QuotaLeft> {
        self.sender.limits().left()
    }

    /// Ends the run's use of the limits: the requests that it reserved and did not send are there for other runs again.
    ///
    /// # Errors
    ///
    /// That of the shared quota. Nothing is lost then but a part of the quota, until it renews.
    pub async fn close(&self) -> Result<(), Error> {
        self.sender.limits().close().await
    }

    /// The records asked for in one page, where the request says so.
    pub fn page_size(&self) -> Option<u64> {
        self.sender.budget().page_size
    }

    /// The API's address.
    pub fn base_url(&self) -> &str {
        &self.manifest.client.base_url
    }

    /// The source's name, for errors.
    pub fn source(&self) -> &str {
        &self.manifest.name
    }

    /// The answer to `call` as `read` understands it, tried again while that can help: after 408, 429, 5xx, a lost connection, a body that
    /// was cut short, and a body that `read` cannot make sense of (with the reason it gives). `None`: the manifest ignores the answer.
    ///
    /// # Errors
    ///
    /// The API's, the key's, and a limit of the run.
    pub(crate) async fn answer<T>(
        &self,
        call: &Call<'a>,
        read: impl Fn(&HeaderMap, &Bytes) -> Result<T, String>,
    ) -> Result<Option<T>, Stop> {
        let authenticator = self.authenticator(call.endpoint);
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.sender.check_budget()?;
            let key = authenticator.credential(&self.sender).await?;
            let answer = self.sender.send(attempt, |timeout| self.request(call, &key, timeout)).await?;
            let failure = match answer.map(|answer| without_key(answer, &key)) {
                Ok(answer) => match actions::of(&call.endpoint.response_actions, answer.status, &answer.body) {
                    Some(Action::Ignore) => {
                        let (request, status) = (call.name(), answer.status);
                        tracing::info!(request, status, "an answer is ignored, as response_actions say");
                        return Ok(None);
                    }
                    Some(action) => Failure::of_status(&answer, Some(action), self.sender.clock().now()),
                    None if answer.is_success() => {
                        authenticator.accepted().await;
                        match read(&answer.headers, &answer.body) {
                            Ok(value) => return Ok(Some(value)),
                            Err(reason) => Failure::Unreadable(format!("status {}, {reason}", answer.status)),
                        }
                    }
                    None if matches!(answer.status, 401 | 403) => {
                        authenticator.renew(&self.sender, &key, (answer.status, &detail(&answer.body))).await?;
                        // The retries with a renewed key are not counted among the transient failures.
                        attempt -= 1;
                        continue;
                    }
                    None => Failure::of_status(&answer, None, self.sender.clock().now()),
                },
                Err(reason) => Failure::Connection(key.redactor.clean(&reason).into_owned()),
            };
            if !self.sender.wait_for_retry(&call.name(), &failure, attempt).await? {
                return Err(self.give_up(call, failure, attempt).into());
            }
        }
    }

    /// The authenticator that has the key of `endpoint`.
    fn authenticator(&self, endpoint: &'a Endpoint) -> Arc<Authenticator<'a>> {
        let ways: &'a [Auth] = endpoint.auth.as_deref().unwrap_or(&self.manifest.client.auth);
        let mut all = self.authenticators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|known| known.ways() == ways) {
            return Arc::clone(known);
        }
        let new = Arc::new(Authenticator::new(self.secrets, &self.manifest.name, ways));
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

    /// The request for `call` with `key` in its place.
    fn request(&self, call: &Call<'_>, key: &Credential, timeout: Duration) -> Result<HttpRequest, String> {
        let mut url = self.url(&call.target)?;
        // A link to the next page can repeat the key's parameter, cleaned.
        let keyless = |name: &str| key.query_parameter() != Some(name);
        let params: Vec<(&String, &String)> = call.params.iter().filter(|(name, _)| keyless(name)).collect();
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let mut headers = HeaderMap::new();
        let own = |name: &str| call.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        for (name, value) in self.manifest.client.headers.iter().filter(|(name, _)| !own(name)).chain(&call.headers) {
            headers.append(header_name(name)?, header_value(name, value)?);
        }
        let (content_type, body) = match &call.body {
            Some(Body::Json(value)) => (Some("application/json"), Some(Bytes::from(value.to_string()))),
            Some(Body::Form(fields)) => (Some(FORM), Some(encode_form(fields.iter()))),
            Some(Body::Text(text)) => (None, Some(Bytes::from(text.clone()))),
            None if call.endpoint.method == Method::Post => (Some("application/json"), Some(Bytes::from("{}"))),
            None => (None, None),
        };
        if let Some(content_type) = content_type {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        key.apply(&mut url, &mut headers)?;
        Ok(HttpRequest { method: call.endpoint.method, url, headers, body, timeout })
    }

    fn give_up(&self, call: &Call<'_>, failure: Failure, attempts: u32) -> Error {
        let source_name = self.manifest.name.clone();
        let request = call.name();
        match failure {
            Failure::Status { status: 429, detail, .. } => Error::Throttled { source_name, attempts, detail },
            Failure::Unreadable(_) => Error::Decode { source_name, request, detail: failure.after(attempts) },
            _ => {
                let (retryable, detail) = (failure.is_transient(), failure.after(attempts));
                Error::Api { source_name, request, retryable, detail }
            }
        }
    }
}

/// The answer without the key: in its body, and in headers where a link may repeat a key that stood in the query.
fn without_key(answer: HttpResponse, key: &Credential) -> HttpResponse {
    // The body of an error stands in messages: a key of any length is removed from it.
    let body = if answer.is_success() {
        key.redactor.clean_body(answer.body)
    } else {
        Bytes::from(key.redactor.clean(&String::from_utf8_lossy(&answer.body)).into_owned())
    };
    let headers = match key.query_parameter() {
        Some(parameter) => {
            let clean = |value: &HeaderValue| {
                let text = value.to_str().ok()?;
                text.contains(parameter).then(|| key.redactor.clean(text).parse().ok()).flatten()
            };
            let cleaned = answer.headers.iter();
            cleaned.map(|(name, value)| (name.clone(), clean(value).unwrap_or_else(|| value.clone()))).collect()
        }
        None => answer.headers,
    };
    HttpResponse { status: answer.status, headers, body }
}
