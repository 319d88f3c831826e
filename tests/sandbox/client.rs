//! HTTP by hand, for the tests of the servers: what a client library would mend or hide is what they are about.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// A response as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own, read to the connection's end.
pub(crate) fn send(method: &str, url: &str, headers: &[&str], body: &str) -> io::Result<Received> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host)?;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut bytes = Vec::new();
    // A cut connection is an error here or a short answer, by how far the kernel had got.
    let end = stream.read_to_end(&mut bytes);
    let Some(split) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Err(end.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    };
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Received { status, head, body: bytes.split_off(split + 4) })
}
