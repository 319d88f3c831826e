//! Access tokens of the client credentials grant (RFC 6749, 4.4).

use std::time::Duration;

use bytes::Bytes;
use manifest::{ClientCredentials, Method};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use super::credential::NamedSecrets;
use crate::encode::{FORM, encode_form};
use crate::error::{Error, Stop};
use crate::failure::Failure;
use crate::redact::Redactor;
use crate::sender::{AfterFailure, Attempt, Sender, UnsentRequest};
use crate::text::excerpt;
use crate::transport::HttpResponse;

/// What a request for a token is called in messages.
const REQUEST_NAME: &str = "POST for an access token";

/// An access token and how long it lives.
pub(super) struct AccessToken {
    pub(super) token: String,
    pub(super) lifetime: Duration,
}

/// The request for an access token. It is subject to the same budget, rate limits and retries as every other request.
pub(super) struct TokenRequest<'t> {
    pub(super) source: &'t str,
    pub(super) grant: &'t ClientCredentials,
    pub(super) secrets: &'t NamedSecrets,
}

impl TokenRequest<'_> {
    /// Requests a token, and again while that can help.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] if the endpoint refuses, [`Error::Api`] if it keeps failing, and a limit of the run.
    pub(super) async fn send(&self, sender: &Sender<'_>) -> Result<AccessToken, Stop> {
        let redactor = self.secrets.redactor();
        let request = self.build().map_err(|reason| self.failed(format!("could not be sent: {reason}"), false))?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            sender.check_budget()?;
            let failure = match sender.send_to_token_endpoint(request.clone(), attempt).await? {
                Attempt::Response { response, .. } if response.is_success() => return Ok(self.read(&response)?),
                Attempt::Response { response, .. } => {
                    let response = redact_body(response, &redactor);
                    let failure = Failure::of_response(&response, None, sender.clock().now());
                    if !failure.is_transient() {
                        let detail = format!("no access token: {}", excerpt(&response.body));
                        return Err(self.refused(response.status, detail).into());
                    }
                    failure
                }
                Attempt::Lost(reason) => Failure::Connection(redactor.clean(&reason).into_owned()),
            };
            if sender.wait_for_retry(REQUEST_NAME, &failure, attempt).await? == AfterFailure::GiveUp {
                return Err(self.give_up(failure, attempt).into());
            }
        }
    }

    fn build(&self) -> Result<UnsentRequest, String> {
        let address = &self.grant.access_token_url;
        let url = Url::parse(address).map_err(|error| format!("`{address}` is not an address: {error}"))?;
        let client_id = self.secrets.resolve(&self.grant.client_id);
        let client_secret = self.secrets.value(&self.grant.client_secret);
        let grant = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id.as_str()),
            ("client_secret", client_secret.as_str()),
        ];
        let declared = self.grant.request_data.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let body = Some(encode_form(grant.into_iter().chain(declared)));
        Ok(UnsentRequest { method: Method::Post, url, headers, body })
    }

    /// Reads the token in a response. If there is none, the error names the fields that are there, not their values.
    fn read(&self, response: &HttpResponse) -> Result<AccessToken, Error> {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        if let Some(token) = body.get("access_token").and_then(Value::as_str)
            && !token.is_empty()
        {
            let lifetime = body.get("expires_in").and_then(duration_of).unwrap_or(self.grant.default_expiration);
            return Ok(AccessToken { token: token.to_owned(), lifetime });
        }
        let fields = match body.as_object() {
            Some(members) => members.keys().cloned().collect::<Vec<_>>().join(", "),
            None => "no JSON object".into(),
        };
        Err(self.refused(response.status, format!("the answer has no `access_token`; it has: {fields}")))
    }

    fn refused(&self, status: u16, detail: String) -> Error {
        Error::Unauthorized { source_name: self.source.to_owned(), status, detail, origin: self.secrets.origin() }
    }

    fn failed(&self, detail: String, retryable: bool) -> Error {
        Error::Api { source_name: self.source.to_owned(), request: REQUEST_NAME.into(), detail, retryable }
    }

    fn give_up(&self, failure: Failure, attempts: u32) -> Error {
        match failure {
            Failure::Status { status: 429, detail, .. } => {
                Error::Throttled { source_name: self.source.to_owned(), attempts, detail }
            }
            failure => self.failed(failure.after_attempts(attempts), true),
        }
    }
}

/// A number of seconds, or a text of one.
fn duration_of(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Returns the response without the secrets that the request had, which the endpoint may repeat.
fn redact_body(response: HttpResponse, redactor: &Redactor) -> HttpResponse {
    let body = Bytes::from(redactor.clean(&String::from_utf8_lossy(&response.body)).into_owned());
    HttpResponse { body, ..response }
}
