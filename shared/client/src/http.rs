//! The HTTP client that every source shares.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use manifest::endpoint::Method;

use crate::error::chain;
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// How long a connection may idle: one that is older does not outlive a frozen Lambda.
const IDLE: Duration = Duration::from_secs(30);

/// One HTTP client for every source, made when it is first needed: reading the system's root certificates takes longer than the
/// rest of a function's start, and is not needed to ask for the first event.
#[derive(Debug, Default)]
pub struct Http(OnceLock<reqwest::Client>);

impl Http {
    fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("ticketlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(IDLE)
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
        let connection = |error: reqwest::Error| TransportError::Connection(chain(&error.without_url()));
        let response = request.send().await.map_err(connection)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map_err(connection)?;
        Ok(HttpResponse { status, headers, body })
    }
}
