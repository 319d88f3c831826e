//! S3 with the manners that `moto_server` lacks: a proxy before it, HTTP by hand.
//!
//! It lets one request through at a time, because moto compares an `ETag` in one step and writes in another, where S3 does both
//! in one; it passes on only requests that have come whole, because moto would store half of one whose sender was killed; and
//! it answers some writes as S3 does under load.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

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
    pub(crate) endpoint: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    script: Box<Script>,
    turn: Mutex<()>,
    puts: Mutex<BTreeMap<String, usize>>,
    written: Mutex<Vec<Written>>,
    stopped: AtomicBool,
}

impl Proxy {
    /// A proxy before `endpoint` that does to each PUT what `script` says of its path and of how often that was put before.
    pub(crate) fn start(endpoint: &str, script: impl Fn(&str, usize) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: endpoint.strip_prefix("http://").unwrap().to_owned(),
            script: Box::new(script),
            turn: Mutex::default(),
            puts: Mutex::default(),
            written: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Acquire) {
                    break;
                }
                let shared = Arc::clone(&serving);
                // A client that was killed closes its connection: an error here is its business.
                thread::spawn(move || stream.and_then(|stream| shared.serve(&stream)));
            }
        });
        Self { endpoint: format!("http://{address}"), address, shared, thread: Some(thread) }
    }

    /// Every PUT so far.
    pub(crate) fn written(&self) -> Vec<Written> {
        self.shared.written.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// One request, and the end of its connection.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut client = stream;
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                    head.push_str(&line);
                }
                "connection" => {}
                "expect" => client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
                _ if line == "\r\n" => break,
                _ => head.push_str(&line),
            }
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if method != "PUT" {
            return client.write_all(&self.pass(&head, &body)?);
        }
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let fate = {
            let mut puts = self.puts.lock().unwrap();
            let before = puts.entry(path.clone()).or_default();
            *before += 1;
            (self.script)(&path, *before - 1)
        };
        let answer = match fate {
            Fate::Conflict | Fate::Failed => None,
            Fate::Passed | Fate::AnsweredWrongly | Fate::AnswerLost => Some(self.pass(&head, &body)?),
        };
        let status = answer.as_ref().and_then(|answer| str::from_utf8(answer.get(9..12)?).ok()?.parse().ok());
        self.written.lock().unwrap().push(Written { status, fate });
        match (fate, answer) {
            (Fate::Passed, Some(answer)) => client.write_all(&answer),
            (Fate::AnswerLost, _) => Ok(()),
            (Fate::Conflict, _) => client.write_all(&error("409 Conflict", "ConditionalRequestConflict")),
            _ => client.write_all(&error("500 Internal Server Error", "InternalError")),
        }
    }

    fn pass(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let _turn = self.turn.lock().unwrap();
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(answer)
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
