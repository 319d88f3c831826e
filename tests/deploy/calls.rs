//! A proxy before `moto_server` that notes which right each request needs.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// An action, and the ARN of what it was done to.
pub(crate) type Call = (String, String);

/// A running proxy; it stops when it is dropped.
pub(crate) struct Recorder {
    pub(crate) endpoint: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    calls: Mutex<BTreeSet<Call>>,
    stopped: AtomicBool,
}

impl Recorder {
    pub(crate) fn start(endpoint: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let shared = Arc::new(Shared { upstream, calls: Mutex::default(), stopped: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Acquire) {
                    break;
                }
                let shared = Arc::clone(&serving);
                thread::spawn(move || stream.and_then(|stream| shared.serve(&stream)));
            }
        });
        Self { endpoint: format!("http://{address}"), address, shared, thread: Some(thread) }
    }

    /// The calls since the last time.
    pub(crate) fn take(&self) -> BTreeSet<Call> {
        std::mem::take(&mut self.shared.calls.lock().unwrap())
    }
}

impl Drop for Recorder {
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
        let (mut head, mut length, mut service_action) = (String::new(), 0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "connection" => continue,
                "expect" => {
                    client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    continue;
                }
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                "x-amz-target" => value.trim().clone_into(&mut service_action),
                _ => {}
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.calls.lock().unwrap().insert(call(&head, &service_action, &body));
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(&body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        client.write_all(&answer)
    }
}

/// The right that a request needs. One that no function should send has a name that no policy allows.
fn call(head: &str, service_action: &str, body: &[u8]) -> Call {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if let Some(action) = service_action.strip_prefix("secretsmanager.") {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        return (format!("secretsmanager:{action}"), asked["SecretId"].as_str().unwrap_or_default().to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_encoding::percent_decode_str(path.trim_matches('/')).decode_utf8_lossy();
    let action = match (method, query) {
        ("GET", query) if query.contains("list-type=2") => "s3:ListBucket",
        ("GET", "" | "x-id=GetObject") | ("HEAD", "") => "s3:GetObject",
        ("PUT", "" | "x-id=PutObject") => "s3:PutObject",
        _ => return (format!("other:{method} {target} {service_action}"), path.into_owned()),
    };
    (action.into(), format!("arn:aws:s3:::{path}"))
}
