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
