//! An API in memory whose responses are a function of the request.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use client::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// The scripts of all tests that run, by the host of their base URL.
static SCRIPTS: LazyLock<Mutex<HashMap<String, Arc<Scripted>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A request as the script sees it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `GET` or `POST`.
    pub(super) method: String,
    /// The path as it was sent, percent-encoded.
    pub(super) path: String,
    /// The query parameters, decoded. Of a parameter that is there twice, the last value.
    pub(super) params: BTreeMap<String, String>,
    /// The query as it was sent, without the `?`.
    pub(super) query: String,
    /// The headers by their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body as text.
    pub(super) body: String,
    /// The address of the API, without a path.
    origin: String,
}

impl Request {
    fn new(request: &HttpRequest) -> Self {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            method: request.method.name().to_owned(),
            path: request.url.path().to_owned(),
            params: request.url.query_pairs().into_owned().collect(),
            query: request.url.query().unwrap_or_default().to_owned(),
            headers: request.headers.iter().map(header).collect(),
            body: request.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default(),
            origin: request.url.origin().ascii_serialization(),
        }
    }

    /// The parameter `name`; empty if there is none.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The parameter `name` as a whole number; 0 if it is none.
    pub(super) fn number(&self, name: &str) -> usize {
        self.param(name).parse().unwrap_or(0)
    }

    /// The header `name`; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON; null if it is none.
    pub(super) fn body_json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The API's own address.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

/// What a script answers.
#[derive(Clone, Debug)]
pub(super) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    delay: Duration,
}

impl Response {
    /// 200 with a JSON body.
    pub(super) fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    /// Any status with any body.
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::from(body.to_owned()), delay: Duration::ZERO }
    }

    /// 200 with a body of any bytes.
    pub(super) fn bytes(body: Vec<u8>) -> Self {
        Self { body: body.into(), ..Self::status(200, "") }
    }

    /// The same response with a header.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same response after so long.
    #[must_use]
    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A scripted API. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Stub {
    /// The address, without a path.
    pub(super) base_url: String,
    host: String,
    scripted: Arc<Scripted>,
}

/// An API that answers what `script` says.
pub(super) fn stub(script: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    let host = format!("api-{}.test", NEXT.fetch_add(1, Ordering::Relaxed));
    let scripted = Arc::new(Scripted { script: Box::new(script), seen: Mutex::default() });
    SCRIPTS.lock().unwrap().insert(host.clone(), Arc::clone(&scripted));
    Stub { base_url: format!("http://{host}"), host, scripted }
}

impl Stub {
    /// Every request so far, and none of them the next time.
    pub(super) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.scripted.seen.lock().unwrap())
    }

    /// Every request so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.scripted.seen.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        SCRIPTS.lock().unwrap().remove(&self.host);
    }
}

struct Scripted {
    script: Box<dyn Fn(&Request) -> Response + Send + Sync>,
    seen: Mutex<Vec<Request>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

/// Sends requests to the scripted APIs.
#[derive(Debug)]
pub(super) struct InMemory;

#[async_trait]
impl Transport for InMemory {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let Some(api) = SCRIPTS.lock().unwrap().get(&host).cloned() else {
            return Err(TransportError::Connection(format!("no API at {host}")));
        };
        let request = Request::new(&request);
        api.seen.lock().unwrap().push(request.clone());
        let response = (api.script)(&request);
        tokio::time::sleep(response.delay).await;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in &response.headers {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        Ok(HttpResponse { status: response.status, headers, body: response.body })
    }
}
