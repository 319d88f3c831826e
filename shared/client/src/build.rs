//! From a call and its key to the request that is sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use manifest::{Body, Client, Method};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::auth::Credential;
use crate::call::Call;
use crate::encode::{FORM, JSON, encode_form, header_name, header_value};
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

/// Returns the body with its content type. A POST without a body has an empty JSON object.
fn body(call: &Call<'_>) -> (Option<&'static str>, Option<Bytes>) {
    match &call.body {
        Some(Body::Json(value)) => (Some(JSON), Some(Bytes::from(value.to_string()))),
        Some(Body::Form(fields)) => (Some(FORM), Some(encode_form(fields.iter()))),
        Some(Body::Text(text)) => (None, Some(Bytes::from(text.clone()))),
        None if call.endpoint.method == Method::Post => (Some(JSON), Some(Bytes::from_static(b"{}"))),
        None => (None, None),
    }
}

/// Removes the query parameter `name` and leaves the others as they are written.
fn remove_parameter(url: &mut Url, name: &str) {
    let Some(query) = url.query() else { return };
    let is_other = |pair: &&str| {
        let pair_name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        percent_encoding::percent_decode_str(&pair_name).decode_utf8_lossy() != name
    };
    let others: Vec<&str> = query.split('&').filter(is_other).collect();
    if others.len() < query.split('&').count() {
        let others = others.join("&");
        url.set_query((!others.is_empty()).then_some(&others));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_removed_and_the_others_stay_as_they_are_written() {
        for (address, expected) in [
            ("https://a.example/x?a=1%20+2&apikey=***&a=3", "https://a.example/x?a=1%20+2&a=3"),
            ("https://a.example/x?api%6Bey=1", "https://a.example/x"),
            ("https://a.example/x?a=~%7e&b", "https://a.example/x?a=~%7e&b"),
            ("https://a.example/x", "https://a.example/x"),
        ] {
            let mut url = Url::parse(address).unwrap();
            remove_parameter(&mut url, "apikey");
            assert_eq!(url.as_str(), expected);
        }
    }

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
