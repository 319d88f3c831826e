//! The one way in which requests leave: within the run's budget and deadline, and within the API's limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manifest::time::Clock;
use tokio::sync::Semaphore;

use crate::budget::{Budget, Requests};
use crate::error::{Error, Stop};
use crate::failure::Failure;
use crate::limits::{LONGEST_WAIT, Limits};
use crate::retry;
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// How long a request may take that leaves just before the deadline. A page takes a second; a Lambda keeps 30 s for storing.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the requests of one run to one source.
#[derive(Debug)]
pub struct Sender<'a> {
    transport: &'a dyn Transport,
    budget: Budget,
    limits: Limits<'a>,
    clock: &'a dyn Clock,
    in_flight: Semaphore,
    sent: AtomicU64,
    retried: AtomicU64,
    throttled: AtomicU64,
}

/// How one attempt ended.
pub(crate) type Attempted = Result<HttpResponse, String>;

impl<'a> Sender<'a> {
    /// Sends by `transport`, within `budget` and `limits`.
    pub fn new(transport: &'a dyn Transport, budget: Budget, limits: Limits<'a>, clock: &'a dyn Clock) -> Self {
        Self {
            transport,
            budget,
            in_flight: Semaphore::new(limits.in_flight()),
            limits,
            clock,
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

    /// What the run may use.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The API's limits.
    pub fn limits(&self) -> &Limits<'a> {
        &self.limits
    }

    /// The clock that waits and deadlines are measured by.
    pub(crate) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Refuses to go on when the budget is used up or the deadline has passed.
    pub(crate) fn check_budget(&self) -> Result<(), Stop> {
        if let Some(requests) = self.budget.max_requests
            && self.sent.load(Ordering::Relaxed) >= requests
        {
            return Err(Stop::Limit(format!("max_requests of {requests} is used up")));
        }
        if self.budget.deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
            return Err(Stop::Limit("out of time".into()));
        }
        Ok(())
    }

    /// Sends the request that `build` makes, once the limits allow it. `attempt` counts from 1; from 2 on it is a retry. The text of a
    /// lost connection may hold the key.
    pub(crate) async fn send(
        &self,
        attempt: u32,
        build: impl FnOnce(Duration) -> Result<HttpRequest, String>,
    ) -> Result<Attempted, Stop> {
        // Never closed: the error cannot come.
        let _permit = self.in_flight.acquire().await;
        let admitted = self.limits.admit(self.budget.deadline).await?;
        // Other requests may have left while this one waited.
        self.count_sent()?;
        self.retried.fetch_add(u64::from(attempt > 1), Ordering::Relaxed);
        let request = match build(self.timeout()) {
            Ok(request) => request,
            Err(reason) => return Ok(Err(reason)),
        };
        match self.transport.send(request).await {
            Ok(answer) => {
                self.limits.apply_headers(admitted, &answer.headers);
                Ok(Ok(answer))
            }
            Err(TransportError::Connection(reason)) => Ok(Err(reason)),
            Err(TransportError::Setup(reason)) => Err(Stop::Error(Error::Setup(reason))),
        }
    }

    /// Waits before the next attempt after `failure`, the end of attempt number `attempt`. `Ok(false)`: no further attempt can help.
    pub(crate) async fn wait_for_retry(&self, request: &str, failure: &Failure, attempt: u32) -> Result<bool, Stop> {
        self.throttled.fetch_add(u64::from(failure.is_throttled()), Ordering::Relaxed);
        if attempt >= self.budget.attempts || !failure.is_transient() {
            return Ok(false);
        }
        let wait = failure.retry_after().unwrap_or_else(|| retry::backoff(attempt));
        let now = self.clock.now();
        if wait > LONGEST_WAIT {
            return Err(Stop::Limit(retry::long_pause(failure, wait, now)));
        }
        if self.budget.deadline.is_some_and(|deadline| now + wait > deadline) {
            return Err(Stop::Limit(format!("out of time: {failure}, and the next try would come after the deadline")));
        }
        tracing::warn!(request, attempt, wait_ms = wait.as_millis() as u64, "{failure}; trying again");
        if failure.is_throttled() {
            self.limits.pause(wait);
        } else {
            tokio::time::sleep(wait).await;
        }
        Ok(true)
    }

    /// How long a request that leaves now may take: one that hangs must not keep what was read from being stored.
    fn timeout(&self) -> Duration {
        let left = self.budget.deadline.map(|deadline| (deadline - self.clock.now()).to_std().unwrap_or_default());
        left.map_or(self.budget.request_timeout, |left| self.budget.request_timeout.min(left.max(LAST_TIMEOUT)))
    }

    /// Counts a request that leaves now; refuses the one that would be too many.
    fn count_sent(&self) -> Result<(), Stop> {
        let most = self.budget.max_requests.unwrap_or(u64::MAX);
        let one_more = |sent: u64| (sent < most).then_some(sent + 1);
        let counted = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(|_| ()).map_err(|_| Stop::Limit(format!("max_requests of {most} is used up")))
    }
}
