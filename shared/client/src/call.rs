//! One request to an endpoint, without its key.

use std::collections::BTreeMap;

use manifest::query::join_params;
use manifest::{Body, Endpoint};

/// One request to an endpoint, without its key.
#[derive(Clone, Debug)]
pub(crate) struct Call<'c> {
    pub(crate) endpoint: &'c Endpoint,
    /// The path below the base URL, or a whole address.
    pub(crate) target: String,
    /// The query parameters, beside those that the target has.
    pub(crate) params: BTreeMap<String, String>,
    /// The endpoint's headers, which replace the client's of the same name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Body>,
}

impl Call<'_> {
    /// Returns the request for messages and `_rejected`: method, path, query and body. `key_parameter` is left out of the query: a link to
    /// the next page can repeat the key.
    pub(crate) fn describe(&self, key_parameter: Option<&str>) -> String {
        let mut text = format!("{} {}", self.endpoint.method.name(), self.target);
        let mut params = self.params.clone();
        if let Some(parameter) = key_parameter {
            params.remove(parameter);
        }
        if !params.is_empty() {
            text = format!("{text}{}{}", if text.contains('?') { '&' } else { '?' }, join_params(&params));
        }
        if let Some(body) = &self.body {
            text = format!("{text} {body}");
        }
        text
    }

    /// Returns method and path alone.
    pub(crate) fn name(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.endpoint.method.name())
    }
}
