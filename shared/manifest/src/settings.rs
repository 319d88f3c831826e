//! The environment of the process, read once.

use std::collections::BTreeMap;

/// The environment: the variables as they were when the process started.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `SOURCE` | the source to read | none: the request names it |
/// | `LAKE` | where the lake is: a directory or `s3://bucket/prefix` | none: the request names it |
/// | `FORMAT` | `parquet` or `json` | `parquet` |
/// | `SECRET_ID` | the name or ARN of the secret in Secrets Manager | none: the secret is in `<SOURCE>_<NAME>` |
/// | `<SOURCE>_<NAME>` | the secret itself, e.g. `TICKETMASTER_API_KEY` | none |
/// | `<SOURCE>_BASE_URL` | replaces the manifest's `base_url`, e.g. by that of a sandbox | the manifest's |
/// | `<SOURCE>_TOKEN_URL` | replaces the manifest's `access_token_url` | the manifest's |
/// | `<SOURCE>_<SETTING>` | a value of the manifest's `settings`, e.g. `XURRENT_ACCOUNT` | the manifest's |
/// | `SOURCES` | your own manifests with commas: paths or `s3://bucket/key` | none |
/// | `INITIAL_DAYS`, `PAGE_SIZE`, `REQUEST_TIMEOUT`, `ATTEMPTS`, … | the fields of the request with these names | those of the request |
/// | `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` | the memory of the process in MB, as Lambda sets it; rows that wait for a merge take a seventh of it | 512 |
/// | `RUST_LOG`, `AWS_LAMBDA_LOG_LEVEL` | `error`, `warn`, `info`, `debug` or `trace` | `info` in Lambda, `warn` otherwise |
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads the environment of this process.
    pub fn from_env() -> Self {
        std::env::vars().collect()
    }

    /// The value of the variable `name`; `None` if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the name of the variable for the value `name` of a source: `SEE_TICKETS_BASE_URL` for `see_tickets` and `base_url`.
    pub fn variable(source: &str, name: &str) -> String {
        format!("{source}_{name}").to_uppercase().replace('-', "_")
    }

    /// Returns whether this process is a Lambda function, or runs under `cargo lambda watch`.
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
    /// Writes the names of the variables without their values, some of which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
