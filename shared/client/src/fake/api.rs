//! An API in memory, described by data.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use manifest::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// The path of the token endpoint.
const TOKEN_PATH: &str = "/token";
/// A page token, or the parameter of a link, has this before the number of records before its page.
const TOKEN_PREFIX: &str = "after-";

/// What an API in memory has and does.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The number of records. Each has its number as `id`, from 0, and `at`, which is ten times that.
    pub(crate) records: u64,
    /// The records of a page, if the request does not say, and the most that it may ask for.
    pub(crate) page_size: u64,
    pub(crate) paging: Paging,
    /// Whether a response has the number of records as `total`, and that of pages as `total_pages`.
    pub(crate) has_total: bool,
    /// Whether a response has `has_more`.
    pub(crate) has_more: bool,
    /// Whether every request gets the first page.
    pub(crate) ignores_position: bool,
    /// Whether the last page leads to the second one.
    pub(crate) is_circular: bool,
    /// A page token that the API has forgotten: it answers 400.
    pub(crate) forgotten_token: Option<String>,
    /// The values, one of which a request must carry in a header or its query; none: every request is let in.
    pub(crate) accepted_keys: Vec<String>,
    /// What goes wrong with a request, by its number, from 1. Requests for tokens are not counted here.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// What goes wrong with a page, by the number of records before it.
    pub(crate) page_faults: BTreeMap<u64, Fault>,
    /// What goes wrong with a request for a token, by its number, from 1.
    pub(crate) token_faults: BTreeMap<usize, Fault>,
    /// How long a token lives, in seconds; `None`: the response does not say.
    pub(crate) token_lifetime: Option<u64>,
    /// The path that no key may read: it answers 403.
    pub(crate) forbidden_path: Option<&'static str>,
    /// More headers of every response but those for tokens.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// More headers of every response for tokens.
    pub(crate) token_headers: Vec<(&'static str, String)>,
    /// How long a response takes, by the number of the request.
    pub(crate) delay: fn(usize) -> Duration,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            records: 7,
            page_size: 3,
            paging: Paging::Single,
            has_total: false,
            has_more: false,
            ignores_position: false,
            is_circular: false,
            forgotten_token: None,
            accepted_keys: Vec::new(),
            faults: BTreeMap::new(),
            page_faults: BTreeMap::new(),
            token_faults: BTreeMap::new(),
            token_lifetime: Some(3600),
            forbidden_path: None,
            headers: Vec::new(),
            token_headers: Vec::new(),
            delay: |_| Duration::ZERO,
        }
    }
}

/// How the API asks for pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    /// One page has all records.
    Single,
    /// The parameters `offset` and `limit` give the place and the size of a page.
    Offset { base: u64 },
    /// The parameter `page` gives the number of the page.
    PageNumber { base: u64 },
    /// The page token in `next_token`, sent as `cursor`.
    Cursor,
    /// The page token in `next_token`, sent in the body's `page.cursor`.
    BodyCursor,
    /// The page token in the header `x-next`, sent as `cursor`.
    HeaderCursor,
    /// A link in `next`.
    JsonLink(LinkForm),
    /// A link in the header `Link`.
    HeaderLink(LinkForm),
}

/// How a link is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkForm {
    /// The link is a whole address.
    Absolute,
    /// A path from the host on.
    Path,
    /// The link is a query without an address.
    Query,
    /// The link is a whole address with the request's own parameters, the key's among them.
    Repeating,
    /// The link is a whole address of another host.
    OtherHost,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A status with a body.
    Status(u16, &'static str),
    /// A status with the header `Retry-After`.
    RetryAfter(u16, &'static str),
    /// A status whose body repeats the whole request: as it is, percent-encoded, and as JSON.
    Echo(u16),
    /// No response comes; the reason repeats the whole request.
    Lost,
    /// The body is cut short; the reason repeats the whole request.
    CutShort,
    /// Status 200 with this body.
    Body(&'static str),
    /// No request can be sent.
    Setup,
}

/// A request as the API received it.
#[derive(Clone, Debug)]
pub(crate) struct SentRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) timeout: Duration,
}

impl SentRequest {
    pub(crate) fn is_for_token(&self) -> bool {
        self.url.path() == TOKEN_PATH
    }

    fn param(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.param(name).map(|text| text.parse().unwrap_or_else(|_| panic!("`{name}` is `{text}`")))
    }

    /// The request in a text.
    fn text(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        format!("{} {} {}", self.url, headers.collect::<Vec<_>>().join(" "), self.body)
    }

    /// The request's values as they were before encoding, for a server that repeats them.
    fn values(&self) -> String {
        let query = self.url.query_pairs().map(|(_, value)| value.into_owned());
        let body = Url::parse(&format!("https://x.example/?{}", self.body)).unwrap();
        let body: Vec<String> = body.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let headers = self.headers.values().map(|value| value.to_str().unwrap().to_owned());
        query.chain(headers).chain(body).collect::<Vec<_>>().join(" ")
    }

    /// What a server repeats that shows the whole request: raw, percent-encoded, and as JSON.
    fn echo(&self) -> String {
        let (text, values) = (self.text(), self.values());
        let encoded = utf8_percent_encode(&values, NON_ALPHANUMERIC).to_string();
        format!("{values} | {text} | {encoded} | {}", json!({"request": text, "values": values}))
    }
}

/// An API in memory.
pub(crate) struct FakeApi {
    spec: Mutex<Spec>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<SentRequest>,
    in_flight: usize,
    max_in_flight: usize,
}

impl std::fmt::Debug for FakeApi {
    /// Leaves out the requests that were received, since they hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeApi")
    }
}

impl FakeApi {
    pub(crate) fn new(spec: Spec) -> Self {
        Self { spec: Mutex::new(spec), log: Mutex::default() }
    }

    /// Changes what the API has and does.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Spec)) {
        change(&mut self.spec.lock().unwrap());
    }

    /// Returns all requests that were received, in order.
    pub(crate) fn requests(&self) -> Vec<SentRequest> {
        self.log.lock().unwrap().requests.clone()
    }

    /// The most requests that were on their way at a time.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.log.lock().unwrap().max_in_flight
    }

    /// Records a request; returns its number among those for tokens, or among the others.
    fn record(&self, request: &SentRequest) -> usize {
        let mut log = self.log.lock().unwrap();
        log.requests.push(request.clone());
        log.in_flight += 1;
        log.max_in_flight = log.max_in_flight.max(log.in_flight);
        log.requests.iter().filter(|known| known.is_for_token() == request.is_for_token()).count()
    }
}

#[async_trait]
impl Transport for FakeApi {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let HttpRequest { method, url, headers, body, timeout } = request;
        let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap();
        let request = SentRequest { method, url, headers, body, timeout };
        let number = self.record(&request);
        let mut spec = self.spec.lock().unwrap().clone();
        if request.is_for_token() {
            spec.headers = spec.token_headers.clone();
        }
        let delay = (spec.delay)(number);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.log.lock().unwrap().in_flight -= 1;
        let faults = if request.is_for_token() { &spec.token_faults } else { &spec.faults };
        if let Some(fault) = faults.get(&number) {
            return fault.result(&request, &spec);
        }
        if request.is_for_token() {
            let mut token = json!({"access_token": format!("token-{number}-of-the-api"), "token_type": "bearer"});
            if let Some(lifetime) = spec.token_lifetime {
                token["expires_in"] = lifetime.into();
            }
            return Ok(response(200, token.to_string(), &spec));
        }
        if spec.forbidden_path == Some(request.url.path()) {
            return Ok(response(403, "not for you".into(), &spec));
        }
        if !spec.accepted_keys.is_empty() && !spec.accepted_keys.iter().any(|key| request.values().contains(key)) {
            return Ok(response(401, format!("who is this? {}", request.echo()), &spec));
        }
        page(&request, &spec)
    }
}

impl Fault {
    fn result(&self, request: &SentRequest, spec: &Spec) -> Result<HttpResponse, TransportError> {
        match self {
            Self::Status(status, body) => Ok(response(*status, (*body).into(), spec)),
            Self::RetryAfter(status, wait) => {
                let mut response = response(*status, "slow down".into(), spec);
                response.headers.insert("retry-after", HeaderValue::from_static(wait));
                Ok(response)
            }
            Self::Echo(status) => Ok(response(*status, request.echo(), spec)),
            Self::Lost => Err(TransportError::Connection(format!("connection reset: {}", request.echo()))),
            Self::CutShort => {
                let headers = Box::new(response(200, String::new(), spec).headers);
                Err(TransportError::Body { headers, reason: format!("unexpected end of file: {}", request.echo()) })
            }
            Self::Body(body) => Ok(response(200, (*body).into(), spec)),
            Self::Setup => Err(TransportError::Setup("no TLS".into())),
        }
    }
}

fn response(status: u16, body: String, spec: &Spec) -> HttpResponse {
    let headers = spec.headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    HttpResponse { status, headers: headers.collect(), body: Bytes::from(body) }
}

/// Answers with the page that `request` asks for.
fn page(request: &SentRequest, spec: &Spec) -> Result<HttpResponse, TransportError> {
    let token = page_token(request, spec.paging);
    if token.is_some() && token == spec.forgotten_token {
        return Ok(response(400, "unknown page token".into(), spec));
    }
    let asked_size = request.number("limit").or(request.number("size")).unwrap_or(spec.page_size);
    let size = if spec.paging == Paging::Single { spec.records } else { asked_size.min(spec.page_size) };
    let before = match spec.paging {
        Paging::Offset { base } => request.number("offset").unwrap_or(base) - base,
        Paging::PageNumber { base } => (request.number("page").unwrap_or(base) - base) * size,
        _ => token.map_or(0, |token| token.strip_prefix(TOKEN_PREFIX).unwrap().parse().unwrap()),
    };
    if let Some(fault) = spec.page_faults.get(&before) {
        return fault.result(request, spec);
    }
    let before = if spec.ignores_position { 0 } else { before };
    let end = (before + size).min(spec.records);
    let records: Vec<Value> = (before..end).map(|id| json!({"id": id, "at": id * 10})).collect();
    let mut body = json!({"events": records});
    if spec.has_total {
        body["total"] = spec.records.into();
        body["total_pages"] = spec.records.div_ceil(size.max(1)).into();
    }
    if spec.has_more {
        body["has_more"] = (end < spec.records).into();
    }
    let next = match (end < spec.records, spec.is_circular) {
        (true, _) => Some(end),
        (false, true) => Some(size),
        (false, false) => None,
    };
    let headers = next.map(|next| lead_to(&format!("{TOKEN_PREFIX}{next}"), request, spec.paging, &mut body));
    let mut response = response(200, body.to_string(), spec);
    response.headers.extend(headers.unwrap_or_default());
    Ok(response)
}

/// The page token in a request.
fn page_token(request: &SentRequest, paging: Paging) -> Option<String> {
    match paging {
        Paging::BodyCursor => {
            let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
            body["page"]["cursor"].as_str().map(str::to_owned)
        }
        Paging::Cursor | Paging::HeaderCursor => request.param("cursor"),
        Paging::JsonLink(_) | Paging::HeaderLink(_) => request.param("after"),
        Paging::Single | Paging::Offset { .. } | Paging::PageNumber { .. } => None,
    }
}

/// Writes what leads to the next page, with the page token `next`, into the body; returns the headers that do.
fn lead_to(next: &str, request: &SentRequest, paging: Paging, body: &mut Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match paging {
        Paging::Cursor | Paging::BodyCursor => body["next_token"] = next.into(),
        Paging::HeaderCursor => _ = headers.insert("x-next", next.parse().unwrap()),
        Paging::JsonLink(form) => body["next"] = form.link(request, next).into(),
        Paging::HeaderLink(form) => {
            let link = format!("<{}>; rel=\"next\", </first>; rel=\"first\"", form.link(request, next));
            headers.insert("link", link.parse().unwrap());
        }
        Paging::Single | Paging::Offset { .. } | Paging::PageNumber { .. } => {}
    }
    headers
}

impl LinkForm {
    fn link(self, request: &SentRequest, token: &str) -> String {
        match self {
            Self::Absolute => format!("https://api.example/v1/events?after={token}"),
            Self::Path => format!("/v1/events?after={token}"),
            Self::Query => format!("?after={token}"),
            Self::OtherHost => format!("https://elsewhere.example/v1/events?after={token}"),
            Self::Repeating => {
                let mut url = request.url.clone();
                let others: Vec<(String, String)> =
                    url.query_pairs().into_owned().filter(|(name, _)| name != "after").collect();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair("after", token);
                url.into()
            }
        }
    }
}
