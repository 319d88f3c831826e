//! A proxy before `moto_server` that notes which right each request needs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sandbox::proxy::{Proxy, Request};
use serde_json::Value;

/// An action, and the ARN of what it was done to.
pub(crate) type Call = (String, String);

/// A running proxy; it stops when it is dropped.
pub(crate) struct Recorder {
    proxy: Proxy,
    calls: Arc<Mutex<BTreeSet<Call>>>,
}

impl Recorder {
    pub(crate) fn start(endpoint: &str) -> Self {
        let calls = Arc::<Mutex<BTreeSet<Call>>>::default();
        let noted = Arc::clone(&calls);
        let proxy = Proxy::start(endpoint, move |request| {
            noted.lock().unwrap().insert(call(request));
            request.pass()
        });
        Self { proxy: proxy.unwrap(), calls }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.proxy.endpoint
    }

    /// The calls since the last time.
    pub(crate) fn take(&self) -> BTreeSet<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

/// The right that a request needs. One that no function should send has a name that no policy allows.
fn call(request: &Request) -> Call {
    let service_action = request.header("x-amz-target");
    if let Some(action) = service_action.strip_prefix("secretsmanager.") {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        return (format!("secretsmanager:{action}"), asked["SecretId"].as_str().unwrap_or_default().to_owned());
    }
    let path = percent_encoding::percent_decode_str(request.path().trim_matches('/')).decode_utf8_lossy();
    let action = match (request.method(), request.query()) {
        ("GET", query) if query.contains("list-type=2") => "s3:ListBucket",
        ("GET", "" | "x-id=GetObject") | ("HEAD", "") => "s3:GetObject",
        ("PUT", "" | "x-id=PutObject") => "s3:PutObject",
        (method, query) => return (format!("other:{method} ?{query} {service_action}"), path.into_owned()),
    };
    (action.into(), format!("arn:aws:s3:::{path}"))
}
