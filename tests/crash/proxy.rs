//! S3 with the manners that `moto_server` lacks: a proxy before it.
//!
//! It lets one request through at a time, because moto compares an `ETag` in one step and writes in another, where S3 does both
//! in one; it passes on only requests that have come whole, because moto would store half of one whose sender was killed; and
//! it answers some writes as S3 does under load.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use sandbox::proxy::{self, Request};

/// What becomes of one PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It is answered as moto answers it.
    Passed,
    /// 409 `ConditionalRequestConflict`; it is not passed on.
    Conflict,
    /// 500; it is not passed on.
    Failed,
    /// It is passed on, and then answered 500.
    AnsweredWrongly,
    /// It is passed on, and then the connection is closed without an answer.
    AnswerLost,
}

/// Decides by an object's path and how often it was written to before.
type Script = dyn Fn(&str, usize) -> Fate + Send + Sync;

/// What became of a PUT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// What moto answered; `None`: it was not passed on.
    pub(crate) status: Option<u16>,
    pub(crate) fate: Fate,
}

/// A running proxy; it stops when it is dropped.
pub(crate) struct Proxy {
    proxy: proxy::Proxy,
    written: Arc<Mutex<Vec<Written>>>,
}

impl Proxy {
    /// A proxy before `endpoint` that does to each PUT what `script` says of its path and of how often that was put before.
    pub(crate) fn start(endpoint: &str, script: impl Fn(&str, usize) -> Fate + Send + Sync + 'static) -> Self {
        let written = Arc::<Mutex<Vec<Written>>>::default();
        let manners = Manners {
            script: Box::new(script),
            turn: Mutex::default(),
            puts: Mutex::default(),
            written: Arc::clone(&written),
        };
        let proxy = proxy::Proxy::start(endpoint, move |request| manners.answer(request));
        Self { proxy: proxy.unwrap(), written }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.proxy.endpoint
    }

    /// Every PUT so far.
    pub(crate) fn written(&self) -> Vec<Written> {
        self.written.lock().unwrap().clone()
    }
}

struct Manners {
    script: Box<Script>,
    turn: Mutex<()>,
    puts: Mutex<BTreeMap<String, usize>>,
    written: Arc<Mutex<Vec<Written>>>,
}

impl Manners {
    fn answer(&self, request: &Request) -> io::Result<Vec<u8>> {
        if request.method() != "PUT" {
            return self.pass(request);
        }
        let fate = {
            let mut puts = self.puts.lock().unwrap();
            let before = puts.entry(request.path().to_owned()).or_default();
            *before += 1;
            (self.script)(request.path(), *before - 1)
        };
        let answer = match fate {
            Fate::Conflict | Fate::Failed => None,
            Fate::Passed | Fate::AnsweredWrongly | Fate::AnswerLost => Some(self.pass(request)?),
        };
        let status = answer.as_ref().and_then(|answer| str::from_utf8(answer.get(9..12)?).ok()?.parse().ok());
        self.written.lock().unwrap().push(Written { status, fate });
        Ok(match (fate, answer) {
            (Fate::Passed, Some(answer)) => answer,
            (Fate::AnswerLost, _) => Vec::new(),
            (Fate::Conflict, _) => error("409 Conflict", "ConditionalRequestConflict"),
            _ => error("500 Internal Server Error", "InternalError"),
        })
    }

    fn pass(&self, request: &Request) -> io::Result<Vec<u8>> {
        let _turn = self.turn.lock().unwrap();
        request.pass()
    }
}

fn error(status: &str, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
