//! From a call and its key to the request that is sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use manifest::{Body, Client};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::auth::Credential;
use crate::call::Call;
use crate::encode::{FORM, JSON, encode_form, header_name, header_value, remove_parameter};
use crate::sender::UnsentRequest;

/// Returns the request for `call` to the API of `client`, with the key in its place.
///
/// # Errors
///
/// A message without the key, if no request can be made of it.
pub(crate) fn build_request(
    client: &Client,
    call: &Call<'_>,
    credential: &Credential,
) -> Result<UnsentRequest, String> {
    let mut url = address(&client.base_url, &call.target)?;
    if !call.params.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.params);
    }
    let mut headers = headers(&client.headers, &call.headers)?;
    let (content_type, body) = body(call);
    if let Some(content_type) = content_type {
        // A content type that the manifest gives is kept.
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    }
    // A link to the next page can repeat the key's parameter, redacted.
    if let Some(parameter) = credential.query_parameter() {
        remove_parameter(&mut url, parameter);
    }
    credential.apply(&mut url, &mut headers)?;
    Ok(UnsentRequest { method: call.endpoint.method, url, headers, body })
}

/// Returns the address of `target`, which is below the base URL unless it is a whole address.
fn address(base_url: &str, target: &str) -> Result<Url, String> {
    let text = if target.starts_with("https://") || target.starts_with("http://") {
        target.to_owned()
    } else if target.is_empty() {
        base_url.to_owned()
    } else {
        format!("{base_url}/{}", target.trim_start_matches('/'))
    };
    Url::parse(&text).map_err(|error| format!("`{text}` is not an address: {error}"))
}

/// Returns the client's headers and the endpoint's, which replace the client's of the same name.
fn headers(client: &BTreeMap<String, String>, endpoint: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let is_replaced = |name: &str| endpoint.keys().any(|replacing| replacing.eq_ignore_ascii_case(name));
    let mut headers = HeaderMap::new();
    for (name, value) in client.iter().filter(|(name, _)| !is_replaced(name)).chain(endpoint) {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    Ok(headers)
}

/// Returns the body with its content type.
fn body(call: &Call<'_>) -> (Option<&'static str>, Option<Bytes>) {
    match &call.body {
        Some(Body::Json(value)) => (Some(JSON), Some(Bytes::from(value.to_string()))),
        Some(Body::Form(fields)) => (Some(FORM), Some(encode_form(fields.iter()))),
        Some(Body::Text(text)) => (None, Some(Bytes::from(text.clone()))),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_below_the_base_url_unless_it_is_whole() {
        for (target, expected) in [
            ("", "https://api.example/v1"),
            ("events", "https://api.example/v1/events"),
            ("/events", "https://api.example/v1/events"),
            ("https://other.example/x", "https://other.example/x"),
        ] {
            assert_eq!(address("https://api.example/v1", target).unwrap().as_str(), expected);
        }
        let message = address("https://api.example:x", "events").unwrap_err();
        assert_eq!(message, "`https://api.example:x/events` is not an address: invalid port number");
    }
}
