//! Lambda's side of a function: the Runtime API (AWS Lambda developer guide, "Using the Lambda runtime API"), as far as a function
//! that handles events needs it. Each event has the deadline that the test gives it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Child;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as Queue, mpsc as queue, oneshot};

use crate::function::Function;

/// How long an invocation may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A function's binary running as a Lambda function. Dropping it kills it.
#[derive(Debug)]
pub struct Lambda {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    events: queue::UnboundedSender<Event>,
    answers: mpsc::Receiver<Answer>,
    invocations: u32,
    _stop: oneshot::Sender<()>,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The function's answer, or the error's `errorType` and `errorMessage`.
    pub body: Value,
    /// Whether it was an error.
    pub failed: bool,
}

#[derive(Debug)]
struct Event {
    id: String,
    deadline_ms: u128,
    body: String,
}

struct Shared {
    events: Queue<queue::UnboundedReceiver<Event>>,
    answers: mpsc::Sender<Answer>,
}

impl Lambda {
    /// Starts `function` with a Runtime API of its own.
    pub fn start(function: Function) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        let address = listener.local_addr()?;
        let (events, received) = queue::unbounded_channel();
        let (sent, answers) = mpsc::channel();
        let shared = Arc::new(Shared { events: Queue::new(received), answers: sent });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(shared);
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("runtime-api".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = axum::serve(listener, routes) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        let variables = BTreeMap::from([
            ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "ticketlake-under-test".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".into()),
        ]);
        let function = variables.iter().fold(function, |function, (name, value)| function.env(name, value));
        let mut child = function.start();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = child.stdout.take().expect("a function is started with its standard output piped");
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Ok(Self { child, lines, reader: Some(reader), events, answers, invocations: 0, _stop: stop })
    }

    /// Invokes it with `event`, to be answered by `deadline`.
    pub fn invoke(&mut self, event: &Value, deadline: SystemTime) -> Answer {
        self.invocations += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", self.invocations);
        let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        self.events.send(Event { id, deadline_ms, body: event.to_string() }).unwrap();
        self.answers.recv_timeout(PATIENCE).expect("the function answers")
    }

    /// Ends it; gives the lines that it printed.
    pub fn end(mut self) -> Vec<String> {
        self.stop();
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", event.deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:000000000000:function:ticketlake-under-test".into(),
        ),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".into()),
        ("content-type", "application/json".into()),
    ];
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, value.parse().unwrap());
    }
    (map, event.body).into_response()
}

async fn response(state: State<Arc<Shared>>, id: Path<String>, body: String) -> StatusCode {
    answer(&state, &id, &body, false)
}

async fn error(state: State<Arc<Shared>>, id: Path<String>, body: String) -> StatusCode {
    answer(&state, &id, &body, true)
}

fn answer(shared: &Shared, id: &str, body: &str, failed: bool) -> StatusCode {
    let body = serde_json::from_str(body).unwrap_or_else(|_| panic!("{id} was answered with {body}"));
    let _ = shared.answers.send(Answer { body, failed });
    StatusCode::ACCEPTED
}
