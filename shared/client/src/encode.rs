//! How values are written into forms and headers.

use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};

/// The content type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Fields as `application/x-www-form-urlencoded` has them.
pub(crate) fn encode_form<N: AsRef<str>, V: AsRef<str>>(fields: impl Iterator<Item = (N, V)>) -> Bytes {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.extend(encode_component(name.as_ref()));
        form.push('=');
        form.extend(encode_component(value.as_ref()));
    }
    Bytes::from(form)
}

/// A component as the URL standard's form serialiser writes it: a space is `+`, letters, digits and `*-._` stay as they are.
fn encode_component(text: &str) -> impl Iterator<Item = String> {
    text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    })
}

pub(crate) fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))
}

/// The value of the header `name`. The error does not hold the value, which may be a key.
pub(crate) fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value)
        .map_err(|_| format!("the value of the header `{name}` has a letter that no header can hold"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let fields = [("grant_type", "client_credentials"), ("scope", "a b+c/ü~*")];
        let form = encode_form(fields.into_iter());
        assert_eq!(form, "grant_type=client_credentials&scope=a+b%2Bc%2F%C3%BC%7E*");
    }
}
