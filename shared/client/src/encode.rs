//! How values are written into forms and headers.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// The content type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
/// The content type of JSON.
pub(crate) const JSON: &str = "application/json";

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Returns `fields` as a form: `application/x-www-form-urlencoded`.
pub(crate) fn encode_form<N: AsRef<str>, V: AsRef<str>>(fields: impl Iterator<Item = (N, V)>) -> Bytes {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        push_encoded(&mut form, name.as_ref());
        form.push('=');
        push_encoded(&mut form, value.as_ref());
    }
    Bytes::from(form)
}

/// Appends `text` as the URL standard's form serialiser writes it: a space is `+`; letters, digits and `*-._` stay as they are.
fn push_encoded(form: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => form.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => form.push(char::from(byte)),
            _ => {
                form.push('%');
                form.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
                form.push(char::from(HEX_DIGITS[usize::from(byte & 0x0F)]));
            }
        }
    }
}

/// Returns the header name `name`.
///
/// # Errors
///
/// A message, if it is not one.
pub(crate) fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))
}

/// Returns the value of the header `name`.
///
/// # Errors
///
/// A message without the value, which may be a key.
pub(crate) fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value)
        .map_err(|_| format!("the value of the header `{name}` has a character that a header cannot hold"))
}

/// Removes the query parameter `name` and leaves the others as they are written.
pub(crate) fn remove_parameter(url: &mut Url, name: &str) {
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let fields = [("grant_type", "client_credentials"), ("scope", "a b+c/ü~*")];
        let form = encode_form(fields.into_iter());
        assert_eq!(form, "grant_type=client_credentials&scope=a+b%2Bc%2F%C3%BC%7E*");
        assert_eq!(encode_form([("", ""), ("a", "")].into_iter()), "=&a=");
        assert_eq!(encode_form(std::iter::empty::<(&str, &str)>()), "");
    }

    #[test]
    fn a_message_about_a_header_does_not_hold_its_value() {
        let message = header_value("authorization", "secret\nline").unwrap_err();
        assert!(message.contains("authorization") && !message.contains("secret"), "{message}");
        assert!(header_name("a b").unwrap_err().contains("`a b` is not a header name"));
    }

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

    thread_local! {
        static CLIENT: reqwest::Client = reqwest::Client::new();
    }

    proptest! {
        /// Requests were built with reqwest's `.form()` and `.query()`, that is, by `serde_urlencoded`. Their bytes stay the same.
        #[test]
        fn forms_and_queries_are_encoded_as_reqwest_does(fields in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)) {
            let client = CLIENT.with(reqwest::Client::clone);
            let address = "https://api.example/v1?a=1";
            let by_form = client.post(address).form(&fields).build().unwrap();
            prop_assert_eq!(by_form.body().unwrap().as_bytes().unwrap(), encode_form(fields.iter()));
            prop_assert_eq!(by_form.headers()["content-type"].to_str().unwrap(), FORM);

            let pairs: Vec<(&String, &String)> = fields.iter().collect();
            let by_query = client.get(address).query(&pairs).build().unwrap();
            let mut url = Url::parse(address).unwrap();
            url.query_pairs_mut().extend_pairs(&fields);
            prop_assert_eq!(by_query.url().as_str(), url.as_str());
            let decoded: BTreeMap<String, String> = url.query_pairs().into_owned().skip(1).collect();
            prop_assert_eq!(decoded, fields);
        }
    }
}
