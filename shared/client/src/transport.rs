//! How a request is sent: the boundary between the client and the network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use manifest::endpoint::Method;
use reqwest::Url;
use reqwest::header::HeaderMap;

/// One HTTP request, complete with its key.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The address with its query.
    pub url: Url,
    /// All headers but those that the transport adds itself.
    pub headers: HeaderMap,
    /// The body, if the request has one.
    pub body: Option<Bytes>,
    /// How long the request may take, from its sending to the last byte of the response.
    pub timeout: Duration,
}

impl std::fmt::Debug for HttpRequest {
    /// Without query, headers and body: each of them may hold the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

/// The response to a request.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, decompressed.
    pub body: Bytes,
}

impl HttpResponse {
    /// Whether the status is one of success: 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why a request has no response.
#[derive(Debug)]
pub enum TransportError {
    /// The connection could not be made, was lost, or took too long. The text may hold the key.
    Connection(String),
    /// The response began and its body did not come whole. The text may hold the key.
    Body {
        /// The response's headers, which came whole.
        headers: Box<HeaderMap>,
        /// What happened.
        reason: String,
    },
    /// No request can be sent at all: the client could not be built.
    Setup(String),
}

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Sends `request` once and reads the whole response.
    ///
    /// # Errors
    ///
    /// See [`TransportError`]. A response with any status is no error.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}
