//! A proxy before another server, HTTP by hand: what passes can be noted, withheld, or answered otherwise.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A running proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Its address, as a client's endpoint.
    pub endpoint: String,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before `endpoint`, an `http://` address, that answers each request with the bytes that `answer` gives; with none, or
    /// an error, the connection is closed without an answer.
    pub fn start(
        endpoint: &str,
        answer: impl Fn(&Request) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let upstream = endpoint.strip_prefix("http://").unwrap_or(endpoint).to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let answer = Arc::new(answer);
        let stopped = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let (answer, upstream) = (Arc::clone(&answer), upstream.clone());
                // A client that was killed closes its connection: an error here is its business.
                thread::spawn(move || -> io::Result<()> {
                    let mut stream = stream?;
                    let Some(request) = Request::read(&stream, upstream)? else { return Ok(()) };
                    stream.write_all(&answer(&request)?)
                });
            }
        });
        Ok(Self { endpoint: format!("http://{address}"), address, stopped, thread: Some(thread) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request that has come whole.
#[derive(Debug)]
pub struct Request {
    upstream: String,
    /// Its first line and its headers, but for those that the connection is kept by.
    head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// The one request of a connection; `None`: it was closed before.
    fn read(stream: &TcpStream, upstream: String) -> io::Result<Option<Self>> {
        let mut client = stream;
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "connection" => continue,
                "expect" => {
                    client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    continue;
                }
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                _ if line == "\r\n" => break,
                _ => {}
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { upstream, head, body }))
    }

    /// `GET`, `PUT` and so on.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The path as it was sent, percent-encoded.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The query as it was sent; empty where there is none.
    pub fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The header `name`; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    /// What the server behind the proxy answers.
    pub fn pass(&self) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.write_all(self.head.as_bytes())?;
        upstream.write_all(b"Connection: close\r\n\r\n")?;
        upstream.write_all(&self.body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
