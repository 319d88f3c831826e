//! The HTTP client that every source shares.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use manifest::endpoint::Method;

use crate::error::chain;
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// How long a new connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may stay open without a request: a longer one does not survive a Lambda function that is frozen meanwhile.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// One HTTP client for every source, built when it is first needed. Reading the system's root certificates takes longer than the rest of a
/// function's start, and is not needed to read the first event.
#[derive(Debug, Default)]
pub struct Http(OnceLock<reqwest::Client>);

impl Http {
    fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("ticketlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(MAX_IDLE_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| TransportError::Setup(format!("the HTTP client could not be built: {}", chain(&error))))?;
        Ok(self.0.get_or_init(|| client))
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let HttpRequest { method, url, headers, body, timeout } = request;
        let client = self.client()?;
        let mut request = match method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
        };
        request = request.timeout(timeout).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| TransportError::Connection(reason(error)))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        match response.bytes().await {
            Ok(body) => Ok(HttpResponse { status, headers, body }),
            Err(error) => Err(TransportError::Body { headers: Box::new(headers), reason: reason(error) }),
        }
    }
}

/// The error's text with its causes, without the address, whose query may hold the key.
fn reason(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use bytes::Bytes;
    use reqwest::Url;
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    /// Answers one request with `response`; returns the server's address and, when it has answered, the request.
    fn serve(response: &'static str) -> (Url, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/v1/events?apikey=s3cret", listener.local_addr().unwrap())).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                request.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
            request + &String::from_utf8(body).unwrap()
        });
        (url, server)
    }

    fn request(method: Method, url: Url) -> HttpRequest {
        let headers = HeaderMap::from_iter([("x-tenant".parse().unwrap(), HeaderValue::from_static("a"))]);
        let body = (method == Method::Post).then(|| Bytes::from_static(b"{}"));
        HttpRequest { method, url, headers, body, timeout: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn a_request_is_sent_once_and_any_status_is_a_response() {
        let http = Http::default();
        let (url, server) = serve("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 5\r\n\r\nmoved");
        let response = http.send(request(Method::Post, url)).await.unwrap();
        assert_eq!((response.status, response.body.as_ref()), (302, b"moved".as_slice()));
        assert_eq!(response.headers["location"], "/elsewhere");
        let sent = server.join().unwrap();
        assert!(sent.starts_with("POST /v1/events?apikey=s3cret HTTP/1.1\r\nx-tenant: a\r\n"), "{sent}");
        assert!(sent.contains("\r\nuser-agent: ticketlake/") && sent.ends_with("\r\n\r\n{}"), "{sent}");

        let (url, server) = serve("HTTP/1.1 200 OK\r\nx-left: 5\r\ncontent-length: 50\r\n\r\ncut short");
        match http.send(request(Method::Get, url)).await {
            Err(TransportError::Body { headers, reason }) => {
                assert_eq!(headers["x-left"], "5");
                assert!(!reason.contains("s3cret"), "{reason}");
            }
            outcome => panic!("{outcome:?}"),
        }
        assert!(server.join().unwrap().starts_with("GET /v1/events?apikey=s3cret HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_an_error_without_the_address() {
        let url = Url::parse("http://127.0.0.1:9/v1/events?apikey=s3cret").unwrap();
        match Http::default().send(request(Method::Get, url)).await {
            Err(TransportError::Connection(reason)) => {
                assert!(reason.contains("onnect") && !reason.contains("s3cret"), "{reason}");
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn a_request_s_debug_shows_no_key() {
        let url = Url::parse("https://api.example/v1/events?apikey=s3cret").unwrap();
        let text = format!("{:?}", request(Method::Post, url));
        assert_eq!(text, "HttpRequest { method: Post, path: \"/v1/events\", .. }");
    }
}
