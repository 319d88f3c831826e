//! A server that a test scripts itself, for what no API here does: the answers are a function of the request.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use serde_json::Value;

use crate::faults::{Faults, Quota};
use crate::server::{Answer, Api, Call, Conduct, Server, serve};

/// A request as the script sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// As it was sent, percent-encoded.
    pub path: String,
    /// Decoded; of a parameter that stands twice, the last.
    pub params: BTreeMap<String, String>,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Request {
    /// The parameter `name`; empty where there is none.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The parameter `name` as a whole number; 0 where it is none.
    pub fn number(&self, name: &str) -> usize {
        self.param(name).parse().unwrap_or(0)
    }

    /// The header `name`; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The server's own address, as the request named it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.header("host"))
    }
}

/// What the script answers.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// 200 with a JSON body.
    pub fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    /// Any status with any body.
    pub fn status(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A running script. Dropping it stops it.
#[derive(Debug)]
pub struct Stub {
    /// Its address, without a path.
    pub base_url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    _server: Server,
}

impl Stub {
    /// Serves what `script` answers, on a free port.
    pub fn start(script: impl Fn(&Request) -> Response + Send + Sync + 'static) -> io::Result<Self> {
        let seen = Arc::default();
        let api = Scripted { script: Box::new(script), seen: Arc::clone(&seen) };
        let conduct = Conduct {
            seed: 0,
            port: 0,
            api_key: String::new(),
            latency: Duration::ZERO,
            faults: Faults::default(),
            rate: None,
            revision: 0,
        };
        let server = serve(Box::new(api), conduct, "")?;
        Ok(Self { base_url: server.base_url.clone(), seen, _server: server })
    }

    /// Every request so far, and none of them the next time.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

struct Scripted {
    script: Box<dyn Fn(&Request) -> Response + Send + Sync>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Api for Scripted {
    fn refusal(&self, _call: &Call, _expected: &str) -> Option<Answer> {
        None
    }

    fn throttled(&self, _call: &Call, _spike: bool) -> Answer {
        Answer::text(429, "never: nothing is limited")
    }

    fn answer(&self, call: &Call) -> Answer {
        let request = request(call);
        self.seen.lock().unwrap().push(request.clone());
        let response = (self.script)(&request);
        Answer {
            status: StatusCode::from_u16(response.status).unwrap(),
            content_type: "application/json",
            headers: response.headers,
            body: response.body,
        }
    }

    fn tell_quota(&self, _answer: &mut Answer, _quota: Quota) {}

    fn without_key(&self, query: &str) -> String {
        query.to_owned()
    }
}

fn request(call: &Call) -> Request {
    let uri: Option<Uri> = format!("/?{}", call.query).parse().ok();
    let params = uri.and_then(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Request {
        method: call.method.to_string(),
        path: call.path.clone(),
        params: params.map(|Query(pairs)| pairs.into_iter().collect()).unwrap_or_default(),
        headers: call.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&call.body).into_owned(),
    }
}
