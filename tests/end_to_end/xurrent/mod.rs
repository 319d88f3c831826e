//! Xurrent: organizations, products and projects, whole and as they are, within its limits and behind its keys.

mod access;
mod changes;
mod columns;
mod limits;
mod records;
mod settings;

use percent_encoding::percent_decode_str;
use sandbox::function::Function;
use sandbox::xurrent::{Options, token_url};
use sandbox::{Seen, Server};
use serde_json::Value;

use crate::lake::Lake;

const TOKEN: &str = "sandbox-key";
const ACCOUNT: &str = "wdc";
/// Well before today: a record of tomorrow does not move a watermark.
const NOW: &str = "2025-11-20T12:00:00Z";

/// The sandbox's options with data of the past.
fn options() -> Options {
    Options { now: NOW.into(), ..Options::default() }
}

/// Reads `resource` from `server`, without a key.
fn keyless(resource: &str, server: &Server, lake: &Lake) -> Function {
    Function::reading("resource", "xurrent", lake.path())
        .with(&["--resource", resource])
        .env("XURRENT_ACCOUNT", ACCOUNT)
        .env("XURRENT_BASE_URL", &server.base_url)
}

/// With the personal token.
fn reading(resource: &str, server: &Server, lake: &Lake) -> Function {
    keyless(resource, server, lake).env("XURRENT_OAUTH_TOKEN", TOKEN)
}

/// With an application's id and secret.
fn as_application(resource: &str, server: &Server, lake: &Lake) -> Function {
    keyless(resource, server, lake)
        .env("XURRENT_CLIENT_ID", "sandbox-client")
        .env("XURRENT_CLIENT_SECRET", "sandbox-secret")
        .env("XURRENT_TOKEN_URL", &token_url(server))
}

/// A parameter of a request.
fn param(seen: &Seen, name: &str) -> Option<String> {
    let value = seen.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8().unwrap().into_owned())
}

/// New, changed and unchanged rows of a report.
fn rows(report: &Value) -> [u64; 3] {
    ["new", "changed", "unchanged"].map(|count| report["records"][count].as_u64().unwrap())
}
