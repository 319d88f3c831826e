//! The world of a scenario as the engine sees it: a transport to the API, a store, and a clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use client::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use lake::{ErrorKind, ListedObject, Memory, Object, Precondition, Store, StoreError, Version, WriteOutcome};
use manifest::time::{Clock, Instant};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::api::{Api, Asked, Reply};
use super::manifest::SANDBOX;
use super::scenario::{Change, FaultKind};
use super::seat::Seat;

/// When every scenario begins: noon of 2026-11-28, in milliseconds since 1970.
pub(super) const BEGIN: i64 = 1_795_867_200_000;

/// How long a request takes in milliseconds, of a fast API and of a slow one. A read of a slow one takes longer than the least lag.
const REQUEST_MS: [i64; 2] = [30, 2_500];

/// More requests than any run needs.
const TOO_MANY_REQUESTS: u32 = 1_500;

/// What all runs of a scenario share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) api: Mutex<Api>,
    pub(super) lake: Memory,
    /// The milliseconds that passed by themselves. Waits of the engine are in tokio's time.
    passed: AtomicI64,
    started: tokio::time::Instant,
    drift: Drift,
    request_ms: i64,
    /// The newest version of each record that the API has given since this was cleared.
    pub(super) given: Mutex<BTreeMap<u32, u32>>,
}

/// A record as the API gives it.
#[derive(Deserialize)]
struct Given {
    things: Vec<GivenRecord>,
}

#[derive(Deserialize)]
struct GivenRecord {
    id: Option<u32>,
    version: Option<u32>,
}

/// What limits the changes of the API. Two changes between two totals can cancel each other out, so that no total shows them: then nobody
/// can tell that a record was passed over.
#[derive(Debug)]
pub(super) struct Drift {
    /// Whether a change waits for the next total.
    is_unseen: AtomicBool,
    /// The changes since the last reading ended.
    changes: AtomicU32,
    /// Whether only one change is possible until the reading ends, since several queries are read at a time.
    pub(super) is_single: AtomicBool,
}

impl World {
    pub(super) fn new(api: Api, is_slow: bool) -> Self {
        Self {
            given: Mutex::default(),
            request_ms: REQUEST_MS[usize::from(is_slow)],
            api: Mutex::new(api),
            lake: Memory::default(),
            drift: Drift {
                is_unseen: AtomicBool::new(false),
                changes: AtomicU32::new(0),
                is_single: AtomicBool::new(false),
            },
            passed: AtomicI64::new(0),
            started: tokio::time::Instant::now(),
        }
    }

    /// The true time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        BEGIN + self.passed.load(Ordering::Relaxed) + self.started.elapsed().as_millis() as i64
    }

    /// Changes the API, unless nobody could tell.
    pub(super) fn change(&self, api: &mut Api, change: Change) {
        let drift = &self.drift;
        let is_possible = if drift.is_single.load(Ordering::Relaxed) {
            drift.changes.load(Ordering::Relaxed) == 0
        } else {
            !drift.is_unseen.load(Ordering::Relaxed)
        };
        if is_possible {
            api.change(change, self.now());
            drift.changes.fetch_add(1, Ordering::Relaxed);
            drift.is_unseen.store(true, Ordering::Relaxed);
        }
    }

    /// Says whether several queries or runs read at a time.
    pub(super) fn begin_reading(&self, is_single: bool) {
        self.drift.is_single.fetch_or(is_single, Ordering::Relaxed);
    }

    /// Ends a reading: the next one begins at its beginning, and sees what the API has then.
    pub(super) fn end_reading(&self) {
        self.drift.is_unseen.store(false, Ordering::Relaxed);
        self.drift.changes.store(0, Ordering::Relaxed);
        self.drift.is_single.store(false, Ordering::Relaxed);
    }

    /// Remembers the versions in the body of a response.
    fn remember_given(&self, body: &str) {
        let given: Option<Given> = serde_json::from_str(body).ok();
        let mut newest = self.given.lock().unwrap();
        for record in given.into_iter().flat_map(|given| given.things) {
            if let (Some(id), Some(version)) = (record.id, record.version) {
                let known = newest.entry(id).or_default();
                *known = version.max(*known);
            }
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&self, milliseconds: i64) {
        self.passed.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

/// The transport, the store and the clock of one run.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) world: Arc<World>,
    pub(super) seat: Arc<Seat>,
}

impl Clock for View {
    fn now(&self) -> Instant {
        let now = self.world.now() + self.seat.run.ahead * 1000;
        DateTime::from_timestamp_millis(now).unwrap_or_default()
    }
}

#[async_trait]
impl Transport for View {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let number = self.seat.request().await;
        if number > TOO_MANY_REQUESTS {
            self.seat.die().await;
        }
        self.world.pass(self.world.request_ms);
        let faults = self.seat.run.faults.iter().filter(|fault| fault.request == number).map(|fault| fault.kind);
        let mut lie = None;
        let mut api = self.world.api.lock().unwrap();
        for fault in faults {
            match fault {
                FaultKind::Change(change) => self.world.change(&mut api, change),
                FaultKind::Forget => {
                    api.forget_tokens();
                    // An empty page in the middle of a reading is the end to anybody. At the beginning of a run the engine reads again.
                    if (number > 0 || self.seat.is_shared) && api.ends_forgotten_lists() {
                        self.seat.was_lied_to.store(true, Ordering::Relaxed);
                    }
                }
                FaultKind::Timeout => return Err(TransportError::Connection("the connection was lost".into())),
                FaultKind::Status(status) => {
                    let key = request.headers.get("authorization").and_then(|value| value.to_str().ok());
                    let body = format!("{{\"error\":\"busy\",\"authorization\":\"{}\"}}", key.unwrap_or_default());
                    return Ok(response(Reply::status(status, &body)));
                }
                FaultKind::CutBody => {
                    let mut reply = api.answer(&asked(&request), is_sandbox(&request), None);
                    reply.body.truncate(reply.body.len() / 2);
                    return Ok(response(reply));
                }
                FaultKind::Truncated | FaultKind::Repeated | FaultKind::Empty => lie = Some(fault),
            }
        }
        if lie.is_some() {
            self.seat.was_lied_to.store(true, Ordering::Relaxed);
        }
        let reply = api.answer(&asked(&request), is_sandbox(&request), lie);
        if reply.status == 200 {
            self.world.remember_given(&reply.body);
            self.world.drift.is_unseen.store(false, Ordering::Relaxed);
        }
        let mut response = response(reply);
        let now = DateTime::from_timestamp_millis(self.world.now()).unwrap_or_default();
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers.insert("date", date.parse().unwrap());
        Ok(response)
    }
}

fn is_sandbox(request: &HttpRequest) -> bool {
    request.url.host_str().is_some_and(|host| SANDBOX.ends_with(host))
}

fn asked(request: &HttpRequest) -> Asked {
    Asked { path: request.url.path().to_owned(), params: request.url.query_pairs().into_owned().collect() }
}

fn response(reply: Reply) -> HttpResponse {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in &reply.headers {
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    HttpResponse { status: reply.status, headers, body: Bytes::from(reply.body) }
}

#[async_trait]
impl Store for View {
    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        let number = self.seat.operation().await;
        let listed = self.world.lake.list(prefix).await;
        self.end(number, "list", prefix).await?;
        listed
    }

    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let number = self.seat.operation().await;
        let object = self.world.lake.open(listed).await;
        self.end(number, "open", &listed.key).await?;
        object
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let number = self.seat.operation().await;
        let got = self.world.lake.get(key).await;
        self.end(number, "read", key).await?;
        got
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let number = self.seat.operation().await;
        if self.seat.run.store_fault.is_some_and(|fault| fault.operation == number && !fault.is_applied) {
            return Err(failed("write", key));
        }
        let outcome = self.world.lake.put(key, bytes, precondition).await;
        self.end(number, "write", key).await?;
        outcome
    }
}

impl View {
    /// Ends operation `number` of the store, or fails it.
    async fn end(&self, number: u32, operation: &'static str, key: &str) -> Result<(), StoreError> {
        self.seat.end_operation(number).await;
        match self.seat.run.store_fault {
            Some(fault) if fault.operation == number => Err(failed(operation, key)),
            _ => Ok(()),
        }
    }
}

fn failed(operation: &'static str, place: &str) -> StoreError {
    StoreError { kind: ErrorKind::Other, operation, place: place.to_owned(), detail: "the connection was lost".into() }
}
