//! The only way in which requests leave: within the run's budget and deadline, and within the API's rate limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use manifest::endpoint::Method;
use manifest::time::{Clock, Instant};
use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::sync::Semaphore;

use crate::budget::{Budget, Requests};
use crate::date::{DateListener, response_date};
use crate::error::{Error, Stop};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::limits::{MAX_WAIT, RateLimiter, RequestNumber};
use crate::retry;
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// How long a request may take that leaves just before the deadline. A page takes a second; a Lambda function keeps 30 s for storing.
const MIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the requests of one run to one source.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    transport: &'a dyn Transport,
    budget: Budget,
    limiter: RateLimiter<'a>,
    clock: &'a dyn Clock,
    /// Is told the time of the API with each of its responses.
    dates: Option<&'a dyn DateListener>,
    interrupt: &'a Interrupt,
    in_flight: Semaphore,
    sent: AtomicU64,
    retried: AtomicU64,
    throttled: AtomicU64,
}

/// A request, complete but for the time that it may take.
#[derive(Clone)]
pub(crate) struct UnsentRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// How one attempt ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// A response came, with any status, to a request that was sent at `sent_at`.
    Response { response: HttpResponse, sent_at: Instant },
    /// No response came, or only a part of one, for this reason. The text may hold the key.
    Lost(String),
}

/// A request that was sent, and what came back.
struct SentRequest {
    number: RequestNumber,
    sent_at: Instant,
    result: Result<HttpResponse, TransportError>,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// The wait is over: the request is to be sent again.
    Retry,
    /// No further attempt is allowed, or none can help.
    GiveUp,
}

impl<'a> Sender<'a> {
    /// Creates a sender that sends through `transport`, within `budget` and `limiter`, until `interrupt` is requested.
    pub(crate) fn new(
        transport: &'a dyn Transport,
        budget: Budget,
        limiter: RateLimiter<'a>,
        clock: &'a dyn Clock,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            transport,
            budget,
            in_flight: Semaphore::new(limiter.in_flight()),
            limiter: limiter.interrupted_by(interrupt),
            clock,
            dates: None,
            interrupt,
            sent: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        }
    }

    /// Tells `dates` the time of the API with each of its responses.
    pub(crate) fn with_dates(self, dates: Option<&'a dyn DateListener>) -> Self {
        Self { dates, ..self }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Requests {
        Requests {
            sent: self.sent.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// What the run may use.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The API's rate limits.
    pub(crate) fn limiter(&self) -> &RateLimiter<'a> {
        &self.limiter
    }

    /// The clock that waits and deadlines are measured by.
    pub(crate) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Refuses to go on when the budget is used up, the deadline has passed, or a stop was requested.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`].
    pub(crate) fn check_budget(&self) -> Result<(), Stop> {
        self.interrupt.check()?;
        if let Some(max_requests) = self.budget.max_requests
            && self.sent.load(Ordering::Relaxed) >= max_requests
        {
            return Err(out_of_requests(max_requests));
        }
        if self.budget.deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
            return Err(Stop::Limit("out of time".into()));
        }
        Ok(())
    }

    /// Sends a request to the API once the limits allow it, and takes over the rate limits in the response's headers. `attempt` counts from
    /// 1; from 2 on the request is a retry.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`] if the request may not be sent in this run. [`Error::Setup`] if no request can be sent at all.
    pub(crate) async fn send_to_api(&self, request: UnsentRequest, attempt: u32) -> Result<Attempt, Stop> {
        let SentRequest { number, sent_at, result } = self.send(request, attempt).await?;
        let headers = match &result {
            Ok(HttpResponse { headers, .. }) => Some(headers),
            Err(TransportError::Body { headers, .. }) => Some(headers.as_ref()),
            Err(_) => None,
        };
        if let Some(headers) = headers {
            self.limiter.apply_headers(number, headers);
            if let (Some(dates), Some(date)) = (self.dates, response_date(headers)) {
                dates.observe(date, sent_at);
            }
        }
        outcome(result, sent_at)
    }

    /// Sends a request for an access token, as [`Self::send_to_api`] does. A token endpoint has rate limits of its own, so the headers of its
    /// response say nothing about those of the API.
    ///
    /// # Errors
    ///
    /// See [`Self::send_to_api`].
    pub(crate) async fn send_to_token_endpoint(&self, request: UnsentRequest, attempt: u32) -> Result<Attempt, Stop> {
        let SentRequest { sent_at, result, .. } = self.send(request, attempt).await?;
        outcome(result, sent_at)
    }

    async fn send(&self, request: UnsentRequest, attempt: u32) -> Result<SentRequest, Stop> {
        // The semaphore is never closed, so the permit is always there.
        let _permit = self.in_flight.acquire().await;
        self.interrupt.check()?;
        let number = self.limiter.admit(self.budget.deadline).await?;
        // Other requests may have left while this one waited.
        self.count_sent()?;
        self.retried.fetch_add(u64::from(attempt > 1), Ordering::Relaxed);
        let UnsentRequest { method, url, headers, body } = request;
        let request = HttpRequest { method, url, headers, body, timeout: self.timeout() };
        // The response shows the records as they are at some time after this.
        let sent_at = self.clock.now();
        let result = self.interrupt.end(self.transport.send(request)).await?;
        Ok(SentRequest { number, sent_at, result })
    }

    /// Waits before the next attempt after `failure`, the end of attempt number `attempt`.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`] if the wait is longer than the run.
    pub(crate) async fn wait_for_retry(
        &self,
        request: &str,
        failure: &Failure,
        attempt: u32,
    ) -> Result<AfterFailure, Stop> {
        self.throttled.fetch_add(u64::from(failure.is_throttled()), Ordering::Relaxed);
        if attempt >= self.budget.attempts || !failure.is_transient() {
            return Ok(AfterFailure::GiveUp);
        }
        let wait = failure.retry_after().unwrap_or_else(|| retry::backoff(attempt));
        let now = self.clock.now();
        if wait > MAX_WAIT {
            return Err(Stop::Limit(retry::long_pause(failure, wait, now)));
        }
        if self.budget.deadline.is_some_and(|deadline| now + wait > deadline) {
            return Err(Stop::Limit(format!("out of time: {failure}, and the next try would come after the deadline")));
        }
        tracing::warn!(request, attempt, wait_ms = wait.as_millis() as u64, "{failure}; trying again");
        if failure.is_throttled() {
            self.limiter.pause(wait);
        } else {
            self.interrupt.end(tokio::time::sleep(wait)).await?;
        }
        Ok(AfterFailure::Retry)
    }

    /// Returns how long a request that leaves now may take. A request that hangs must not keep the pages that were read from being stored.
    fn timeout(&self) -> Duration {
        let left = self.budget.deadline.map(|deadline| (deadline - self.clock.now()).to_std().unwrap_or_default());
        left.map_or(self.budget.request_timeout, |left| self.budget.request_timeout.min(left.max(MIN_TIMEOUT)))
    }

    /// Counts a request that leaves now; refuses one that would be too many.
    fn count_sent(&self) -> Result<(), Stop> {
        let Some(max_requests) = self.budget.max_requests else {
            self.sent.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let add_one = |sent: u64| (sent < max_requests).then_some(sent + 1);
        let counted = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_one);
        counted.map(|_| ()).map_err(|_| out_of_requests(max_requests))
    }
}

fn outcome(result: Result<HttpResponse, TransportError>, sent_at: Instant) -> Result<Attempt, Stop> {
    match result {
        Ok(response) => Ok(Attempt::Response { response, sent_at }),
        Err(TransportError::Connection(reason) | TransportError::Body { reason, .. }) => Ok(Attempt::Lost(reason)),
        Err(TransportError::Setup(reason)) => Err(Stop::Error(Error::Setup(reason))),
    }
}

fn out_of_requests(max_requests: u64) -> Stop {
    Stop::Limit(format!("max_requests of {max_requests} is used up"))
}
