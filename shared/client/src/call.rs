//! One request, without its key.

use std::collections::BTreeMap;

use manifest::query::join_params;
use manifest::{Body, Endpoint};

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

impl Call<'_> {
    /// The request for messages and `_rejected`: method, path and query, which has no key in it, and the body.
    pub fn describe(&self) -> String {
        let mut text = format!("{} {}", self.endpoint.method.name(), self.target);
        if !self.params.is_empty() {
            text = format!("{text}{}{}", if text.contains('?') { '&' } else { '?' }, join_params(&self.params));
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
