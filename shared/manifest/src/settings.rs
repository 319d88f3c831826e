//! The process's environment, read once.

use std::collections::BTreeMap;

/// What the environment says: the variables as they were when the process started.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `SOURCE` | the source to read | none: the request names it |
/// | `LAKE` | where the lake lies: a directory or `s3://bucket/prefix` | none: the request names it |
/// | `FORMAT` | `parquet` or `json` | `parquet` |
/// | `SECRET_ID` | Secrets Manager's name or ARN of the key | none: the key is in `<SOURCE>_<NAME>` |
/// | `<SOURCE>_<NAME>` | the key itself, e.g. `TICKETMASTER_API_KEY` | none |
/// | `<SOURCE>_BASE_URL` | replaces the manifest's `base_url`, e.g. a sandbox's | the manifest's |
/// | `<SOURCE>_TOKEN_URL` | replaces the manifest's `access_token_url` | the manifest's |
/// | `<SOURCE>_<SETTING>` | a value of the manifest's `settings`, e.g. `XURRENT_ACCOUNT` | the manifest's |
/// | `SOURCES` | manifests of your own, paths or `s3://bucket/key`, with commas | none |
/// | `INITIAL_DAYS`, `PAGE_SIZE`, `REQUEST_TIMEOUT`, `ATTEMPTS` | see [`crate::request::Request`] | its defaults |
/// | `RUST_LOG`, `AWS_LAMBDA_LOG_LEVEL` | `error`, `warn`, `info`, `debug` or `trace` | `info` in Lambda, `warn` otherwise |
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The environment of this process.
    pub fn from_env() -> Self {
        std::env::vars().collect()
    }

    /// The value of `name`; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable of a source's own value: `see_tickets`, `base_url` → `SEE_TICKETS_BASE_URL`.
    pub fn variable(source: &str, name: &str) -> String {
        format!("{source}_{name}").to_uppercase().replace('-', "_")
    }

    /// Whether this process is a Lambda function, or under `cargo lambda watch`.
    pub fn in_lambda(&self) -> bool {
        self.get("AWS_LAMBDA_RUNTIME_API").is_some()
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl std::fmt::Debug for Settings {
    /// Names alone: among the values are keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
