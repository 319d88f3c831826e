//! The part that is the same for every API: receiving, remembering, failing, answering.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    faults::{Allowance, Charge, Fault, Faults, Meter, Quota, Rate},
    wire::{Scissors, Wires},
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number, from 1, in the order of arrival.
    pub number: usize,
    /// `GET` or `POST`.
    pub method: String,
    /// The path, with the API's prefix.
    pub path: String,
    /// The query string as it was sent, without the API key.
    pub query: String,
    /// The body as text.
    pub body: String,
    /// When it arrived, from the server's start.
    pub arrived: Duration,
    /// The status answered; `None` when the connection was reset, or while the answer is being made.
    pub status: Option<u16>,
}

/// A running server. Dropping it stops it and closes its connections.
pub struct Server {
    /// The API's root, as a client's base URL.
    pub base_url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("base_url", &self.base_url).field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Server {
    /// Every request received so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests were received.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// How many requests were answered with `status`.
    pub fn answered(&self, status: u16) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|seen| seen.status == Some(status)).count()
    }

    /// The most requests that arrived in any `window`, whatever was answered.
    pub fn most_within(&self, window: Duration) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        let mut first = 0;
        let mut most = 0;
        for last in 0..seen.len() {
            while seen[last].arrived - seen[first].arrived >= window {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    /// Puts another revision of the data in place, as if days had passed.
    pub fn set_revision(&self, revision: u32) {
        self.shared.revision.store(revision, Ordering::Release);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One API: what it takes for a key, and what it answers.
pub(crate) trait Api: Send + Sync + 'static {
    /// `None` when the request carries a key that is not `expected`, or none: then this is the refusal.
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer>;

    /// The API's 429. `spike` is the per-second limit, otherwise it is the daily quota's.
    fn throttled(&self, call: &Call, spike: bool) -> Answer;

    /// The right answer.
    fn answer(&self, call: &Call) -> Answer;

    /// What the limits are when none are enforced, for the answers that tell them.
    fn limits(&self) -> Rate {
        Rate::default()
    }

    /// What a request with a right key costs.
    fn charge(&self, _call: &Call) -> Charge {
        Charge::default()
    }

    /// Adds what the API's own answers tell about its limits, which not all do with every status.
    fn tell_quota(&self, answer: &mut Answer, quota: Quota);

    /// The query without the key.
    fn without_key(&self, query: &str) -> String;
}

/// A request with what its answer may depend on.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) number: usize,
    pub(crate) revision: u32,
    /// How its payer stands to the limits; none before the request is counted.
    pub(crate) quota: Option<Quota>,
}

/// An answer before it is compressed, delayed or cut.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json;charset=utf-8", serde_json::to_vec(body).expect("a Value is JSON"))
    }

    fn remove(&mut self, member: &str) {
        let mut body: serde_json::Value = serde_json::from_slice(&self.body).expect("a right answer is JSON");
        body.as_object_mut().and_then(|members| members.remove(member));
        self.body = serde_json::to_vec(&body).expect("a Value is JSON");
    }

    fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status of the API");
        Self { status, content_type, headers: Vec::new(), body }
    }
}

/// What every API's options have in common.
#[derive(Debug)]
pub(crate) struct Conduct {
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) api_key: String,
    pub(crate) latency: Duration,
    pub(crate) faults: Faults,
    pub(crate) rate: Option<Rate>,
    pub(crate) revision: u32,
}

struct Shared {
    api: Box<dyn Api>,
    conduct: Conduct,
    meter: Meter,
    started: Instant,
    revision: AtomicU32,
    seen: Mutex<Vec<Seen>>,
}

/// Serves `api` below `root` on a thread of its own.
pub(crate) fn serve(api: Box<dyn Api>, conduct: Conduct, root: &str) -> io::Result<Server> {
    // One core for everything but answers in the making, which block: their pool is small, as the client under test
    // shares the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, conduct.port));
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let base_url = format!("http://{}{root}", listener.local_addr()?);
    let rate = conduct.rate.clone();
    let shared = Arc::new(Shared {
        meter: Meter::new(rate.unwrap_or_else(|| api.limits()), conduct.rate.is_some()),
        api,
        revision: AtomicU32::new(conduct.revision),
        conduct,
        started: Instant::now(),
        seen: Mutex::default(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = Router::new().fallback(receive).with_state(Arc::clone(&shared));
    let thread = std::thread::Builder::new().name(format!("sandbox{root}")).spawn(move || {
        runtime.block_on(async {
            let service = routes.into_make_service_with_connect_info::<Scissors>();
            tokio::select! {
                _ = stopped => {}
                _ = axum::serve(Wires(listener), service) => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Server { base_url, shared, stop: Some(stop), thread: Some(thread) })
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let arrived = Instant::now();
    let scissors = request.extensions().get::<ConnectInfo<Scissors>>().map(|ConnectInfo(s)| s.clone());
    let scissors = scissors.unwrap_or_default();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10 << 20).await.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let seen = Seen {
        number: 0,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: shared.api.without_key(&query),
        body: String::from_utf8_lossy(&body).into_owned(),
        arrived: arrived.duration_since(shared.started),
        status: None,
    };
    let number = shared.remember(seen);
    let call = Call {
        path: parts.uri.path().to_owned(),
        method: parts.method,
        headers: parts.headers,
        revision: shared.revision.load(Ordering::Acquire),
        query,
        body,
        number,
        quota: None,
    };
    let zipped = call.headers.get(header::ACCEPT_ENCODING).is_some_and(|accepted| {
        accepted.to_str().is_ok_and(|accepted| accepted.split(',').any(|coding| coding.trim().starts_with("gzip")))
    });
    tokio::time::sleep(shared.conduct.latency).await;

    let (mut answer, fault) = shared.decide(call, arrived).await;
    let status = (fault != Some(Fault::Reset)).then_some(answer.status.as_u16());
    shared.seen.lock().unwrap()[number - 1].status = status;
    let zipped = zipped && answer.body.len() > 1_024;
    if zipped {
        let body = std::mem::take(&mut answer.body);
        answer.body = tokio::task::spawn_blocking(move || gzip(&body)).await.expect("gzip does not panic");
    }
    match fault {
        Some(Fault::Reset) => {
            scissors.cut();
            Response::new(Body::empty())
        }
        Some(Fault::TruncatedBody) => respond(answer, zipped, Some(scissors)),
        Some(Fault::Delay(duration)) => {
            tokio::time::sleep(duration).await;
            respond(answer, zipped, None)
        }
        _ => respond(answer, zipped, None),
    }
}

impl Shared {
    fn remember(&self, seen: Seen) -> usize {
        let mut all = self.seen.lock().unwrap();
        let number = all.len() + 1;
        all.push(Seen { number, ..seen });
        number
    }

    /// The answer, and the fault that befalls it on its way. A wrong key is seen first, then the limits, then faults:
    /// so a fault never hides that a key was refused, and what the limits refuse does not use up a fault's turn.
    async fn decide(self: &Arc<Self>, mut call: Call, arrived: Instant) -> (Answer, Option<Fault>) {
        let expected = match &self.conduct.faults.rotate_key_after {
            Some((after, key)) if call.number > *after => key,
            _ => &self.conduct.api_key,
        };
        if let Some(refusal) = self.api.refusal(&call, expected) {
            return (refusal, None);
        }
        let (allowance, quota) = self.meter.count(&self.api.charge(&call), arrived);
        call.quota = Some(quota);
        if allowance != Allowance::Granted {
            let mut answer = self.api.throttled(&call, allowance == Allowance::TooFast);
            self.api.tell_quota(&mut answer, quota);
            return (answer, None);
        }
        let fault = self.conduct.faults.of(self.conduct.seed, call.number);
        let answer = match &fault {
            Some(Fault::Status500) => Answer::text(500, "Internal Server Error"),
            Some(Fault::Status503) => Answer::text(503, "Service Unavailable"),
            Some(Fault::TooManyRequests { retry_after }) => {
                let mut answer = self.api.throttled(&call, true);
                answer.headers.extend(retry_after.map(|after| ("retry-after", after.header())));
                answer
            }
            Some(Fault::SpikeArrest) => self.api.throttled(&call, true),
            Some(Fault::QuotaViolation) => self.api.throttled(&call, false),
            Some(Fault::HtmlBody) => {
                let page = "<!DOCTYPE html><html><head><title>Please wait</title></head><body>One moment</body></html>";
                Answer::new(200, "text/html; charset=utf-8", page.into())
            }
            Some(Fault::MissingEnvelope) => Answer::json(200, &serde_json::json!({})),
            Some(Fault::Reset) => Answer::text(500, ""),
            Some(Fault::WithoutMember(_) | Fault::TruncatedBody | Fault::Delay(_)) | None => {
                let shared = Arc::clone(self);
                let answer = tokio::task::spawn_blocking(move || shared.api.answer(&call)).await;
                let mut answer = answer.unwrap_or_else(|_| Answer::text(500, "the sandbox panicked"));
                self.api.tell_quota(&mut answer, quota);
                if let Some(Fault::WithoutMember(name)) = fault {
                    answer.remove(name);
                }
                answer
            }
        };
        (answer, fault)
    }
}

/// A zipped answer is chunked and has no length, as the real ones; `cut` lets half of the body through.
fn respond(answer: Answer, zipped: bool, cut: Option<Scissors>) -> Response {
    let body = Bytes::from(answer.body);
    let mut response = Response::builder().status(answer.status).header(header::CONTENT_TYPE, answer.content_type);
    if zipped {
        response = response.header(header::CONTENT_ENCODING, "gzip");
    } else {
        response = response.header(header::CONTENT_LENGTH, body.len());
    }
    for (name, value) in answer.headers {
        response = response.header(name, HeaderValue::from_str(&value).expect("a header of the API"));
    }
    let body = match cut {
        Some(scissors) => {
            let half = futures::stream::iter([Ok(body.slice(..body.len() / 2))]);
            let end = futures::stream::once(async move {
                // The half has to be on its way before the connection goes.
                tokio::time::sleep(Duration::from_millis(20)).await;
                scissors.cut();
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(half.chain(end))
        }
        None if zipped => Body::from_stream(futures::stream::iter([Ok::<_, io::Error>(body)])),
        None => Body::from(body),
    };
    response.body(body).expect("status and headers are valid")
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    io::Write::write_all(&mut encoder, body).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}
