//! One request, without its key.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Endpoint;

/// One request to an API, without its key.
#[derive(Clone, Debug)]
pub struct Call<'c> {
    /// The endpoint it goes to.
    pub endpoint: &'c Endpoint,
    /// Below the base URL, or a whole address.
    pub target: String,
    /// The query, beside what the target has.
    pub params: BTreeMap<String, String>,
    /// The endpoint's headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<Body>,
}

/// A request's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// As it is.
    Text(String),
}

impl std::fmt::Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{value}"),
            Self::Form(fields) => f.write_str(&joined(fields)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn joined(fields: &BTreeMap<String, String>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

impl Call<'_> {
    /// The request for messages and `_rejected`: method, path and query, which has no key in it, and the body.
    pub fn describe(&self) -> String {
        let mut text = format!("{} {}", self.endpoint.method.name(), self.target);
        if !self.params.is_empty() {
            text = format!("{text}{}{}", if text.contains('?') { '&' } else { '?' }, joined(&self.params));
        }
        if let Some(body) = &self.body {
            text = format!("{text} {body}");
        }
        text
    }

    /// Method and path alone.
    pub(super) fn name(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.endpoint.method.name())
    }
}
