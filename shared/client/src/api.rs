//! An API for the length of a run: one request, sent until its response can be read.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use manifest::time::{Clock, Instant};
use manifest::{Action, Auth, Endpoint, KeyPlacement, Manifest};
use reqwest::header::HeaderMap;

use crate::actions::action_for;
use crate::auth::{Authenticator, KeySource, Refusal};
use crate::budget::{Budget, Requests};
use crate::build::build_request;
use crate::call::Call;
use crate::date::DateListener;
use crate::error::{Error, Stop};
use crate::failure::{Failure, is_block};
use crate::interrupt::Interrupt;
use crate::limits::{QuotaLeft, RateLimiter, SharedQuota};
use crate::secret::Secrets;
use crate::sender::{AfterFailure, Attempt, Sender};
use crate::text::excerpt;
use crate::transport::{HttpResponse, Transport};

/// How often one request is sent with a renewed key. A key takes two renewals at most; other requests may renew it in between.
const MAX_KEY_RENEWALS: u32 = 4;

/// What an [`Api`] is reached with: the same for every run of a process, or for all requests of a run.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// How requests are sent.
    pub transport: &'a dyn Transport,
    /// Where keys are read.
    pub secrets: &'a Secrets,
    /// The clock that waits and deadlines are measured by.
    pub clock: &'a dyn Clock,
    /// The quota that runs share; `None`: requests are counted in this run alone.
    pub quota: Option<&'a dyn SharedQuota>,
    /// Is told what the clock of the API says; `None`: nobody compares it.
    pub dates: Option<&'a dyn DateListener>,
    /// Ends waits and requests, so that a run stops as at a deadline.
    pub interrupt: &'a Interrupt,
}

/// An API, for the length of a run.
#[derive(Debug)]
pub struct Api<'a> {
    manifest: &'a Manifest,
    secrets: &'a Secrets,
    sender: Sender<'a>,
    /// One for each list of ways to send a key: the client's, and those of endpoints.
    authenticators: Mutex<Vec<Arc<Authenticator>>>,
}

/// What was read in a response.
#[derive(Debug)]
pub(crate) struct Received<T> {
    /// What was read.
    pub(crate) value: T,
    /// The request as messages show it, without the key.
    pub(crate) request: String,
    /// When the request was sent, by the clock of the run.
    pub(crate) sent_at: Instant,
}

/// What a response means for its request.
enum Outcome<T> {
    /// The response was read.
    Read(T),
    /// The manifest ignores the response.
    Ignored,
    /// The API refused the key.
    Refused(Refusal),
    /// The attempt failed for this reason.
    Failed(Failure),
}

impl<'a> Api<'a> {
    /// Creates the API of `manifest`, reached by `connection` within `budget`.
    pub fn new(connection: Connection<'a>, manifest: &'a Manifest, budget: Budget) -> Self {
        let Connection { transport, secrets, clock, quota, dates, interrupt } = connection;
        let limiter = RateLimiter::new(&manifest.client.rate.windows, quota, clock);
        let sender = Sender::new(transport, budget, limiter, clock, interrupt).with_dates(dates);
        Self { manifest, secrets, sender, authenticators: Mutex::default() }
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        self.sender.requests()
    }

    /// The number of requests that may be on their way at a time, 1 to 8.
    pub fn in_flight(&self) -> usize {
        self.sender.limiter().in_flight()
    }

    /// What is left of every counted rate limit that was used.
    pub fn quota_left(&self) -> Vec<QuotaLeft> {
        self.sender.limiter().quota_left()
    }

    /// Ends the run's use of the quota: the requests that it reserved and did not send are there for other runs again.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`] if the shared quota could not be changed. Nothing is lost then but the reservation, until the quota renews.
    pub async fn close(&self) -> Result<(), Error> {
        self.sender.limiter().close().await
    }

    /// The records to ask for in one page, if the run says so.
    pub fn page_size(&self) -> Option<u64> {
        self.sender.budget().page_size
    }

    /// The address that paths are appended to.
    pub(crate) fn base_url(&self) -> &str {
        &self.manifest.client.base_url
    }

    /// The names of the query parameters that can hold the key of `endpoint`.
    pub(crate) fn key_params<'e>(&'e self, endpoint: &'e Endpoint) -> Vec<&'e str> {
        let methods = endpoint.auth.as_deref().unwrap_or(&self.manifest.client.auth);
        let param = |method: &'e Auth| match method {
            Auth::ApiKey { placement: KeyPlacement::Query(name), .. } => Some(name.as_str()),
            _ => None,
        };
        methods.iter().filter_map(param).collect()
    }

    /// The source's name, for errors.
    pub(crate) fn source(&self) -> &str {
        &self.manifest.name
    }

    /// Sends `call` until `read` understands the response. It is sent again after 408, 429, 5xx, a lost connection, a body that was cut short,
    /// and a body for which `read` returns an error. Returns `None` if the manifest ignores the response.
    ///
    /// # Errors
    ///
    /// [`Error::Api`], [`Error::Decode`] or [`Error::Throttled`] after the last attempt, the errors of the key, and [`Stop::Limit`].
    pub(crate) async fn send<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&HeaderMap, &Bytes) -> Result<T, String>,
    ) -> Result<Option<Received<T>>, Stop> {
        let authenticator = self.authenticator(call.endpoint);
        let keys = KeySource { secrets: self.secrets, sender: &self.sender };
        let (mut attempt, mut renewals) = (1, 0);
        loop {
            self.sender.check_budget()?;
            let credential = authenticator.credential(keys).await?;
            let request = build_request(&self.manifest.client, call, &credential)
                .map_err(|reason| self.unsendable(call, &credential.redact(&reason)))?;
            let failure = match self.sender.send_to_api(request, attempt).await? {
                Attempt::Lost(reason) => Failure::Connection(credential.redact(&reason)),
                Attempt::Response { response, sent_at } => {
                    let response = credential.redact_response(response);
                    let outcome = self.judge(call, &response, |headers, body| {
                        read(headers, body).map_err(|reason| credential.redact(&reason))
                    });
                    if matches!(outcome, Outcome::Read(_) | Outcome::Failed(Failure::Unreadable(_))) {
                        authenticator.record_acceptance(&credential).await;
                    }
                    match outcome {
                        Outcome::Read(value) => {
                            let request = credential.redact(&call.describe(credential.query_parameter()));
                            return Ok(Some(Received { value, request, sent_at }));
                        }
                        Outcome::Ignored => return Ok(None),
                        Outcome::Refused(Refusal { status: 403, .. })
                            if authenticator.has_accepted(&credential).await =>
                        {
                            Failure::of_response(&response, None, self.sender.clock().now())
                        }
                        Outcome::Refused(refusal) if renewals < MAX_KEY_RENEWALS => {
                            authenticator.renew(keys, &credential, &refusal).await?;
                            // A request with a renewed key is not one of the retries.
                            renewals += 1;
                            continue;
                        }
                        Outcome::Refused(refusal) => {
                            return Err(authenticator.unauthorized(&refusal, credential.origin()).into());
                        }
                        Outcome::Failed(failure) => failure,
                    }
                }
            };
            if self.sender.wait_for_retry(&call.name(), &failure, attempt).await? == AfterFailure::GiveUp {
                return Err(self.give_up(call, failure, attempt).into());
            }
            attempt += 1;
        }
    }

    /// Decides what a response means, by `response_actions`, by its status, and by `read`.
    fn judge<T>(
        &self,
        call: &Call<'_>,
        response: &HttpResponse,
        read: impl Fn(&HeaderMap, &Bytes) -> Result<T, String>,
    ) -> Outcome<T> {
        let status = response.status;
        let action = action_for(&call.endpoint.response_actions, status, &response.body);
        if action == Some(Action::Ignore) {
            tracing::info!(request = call.name(), status, "an answer is ignored, as response_actions say");
            return Outcome::Ignored;
        }
        if action.is_none() && response.is_success() {
            return match read(&response.headers, &response.body) {
                Ok(value) => Outcome::Read(value),
                Err(reason) => Outcome::Failed(Failure::Unreadable(format!("status {status}, {reason}"))),
            };
        }
        if action.is_none() && is_block(response) {
            let now = self.sender.clock().now();
            return Outcome::Failed(Failure::of_response(response, Some(Action::Retry), now));
        }
        if action.is_none() && matches!(status, 401 | 403) {
            return Outcome::Refused(Refusal { status, detail: excerpt(&response.body) });
        }
        Outcome::Failed(Failure::of_response(response, action, self.sender.clock().now()))
    }

    /// Returns the authenticator that has the key of `endpoint`.
    fn authenticator(&self, endpoint: &Endpoint) -> Arc<Authenticator> {
        let methods: &[Auth] = endpoint.auth.as_deref().unwrap_or(&self.manifest.client.auth);
        let mut authenticators = self.authenticators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authenticator) = authenticators.iter().find(|authenticator| authenticator.methods() == methods) {
            return Arc::clone(authenticator);
        }
        let authenticator = Arc::new(Authenticator::new(self.manifest, methods));
        authenticators.push(Arc::clone(&authenticator));
        authenticator
    }

    /// The error of a request that cannot be sent, whatever the API does.
    fn unsendable(&self, call: &Call<'_>, reason: &str) -> Error {
        let detail = format!("could not be sent: {reason}");
        Error::Api { source_name: self.source().to_owned(), request: call.name(), retryable: false, detail }
    }

    fn give_up(&self, call: &Call<'_>, failure: Failure, attempts: u32) -> Error {
        let (source_name, request) = (self.source().to_owned(), call.name());
        match failure {
            Failure::Status { status: 429, detail, .. } => Error::Throttled { source_name, attempts, detail },
            Failure::Unreadable(_) => Error::Decode { source_name, request, detail: failure.after_attempts(attempts) },
            Failure::Status { .. } | Failure::Connection(_) => {
                let (retryable, detail) = (failure.is_transient(), failure.after_attempts(attempts));
                Error::Api { source_name, request, retryable, detail }
            }
        }
    }
}
