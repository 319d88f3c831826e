//! The HTTP client that every source shares.

use std::sync::OnceLock;
use std::time::Duration;

use crate::error::{Error, chain};

/// How long a connection may idle: one that is older does not outlive a frozen Lambda.
const IDLE: Duration = Duration::from_secs(30);

/// One HTTP client for every source, made when it is first needed: reading the system's root certificates takes longer than the
/// rest of a function's start, and is not needed to ask for the first event.
#[derive(Debug, Default)]
pub struct Http(OnceLock<reqwest::Client>);

impl Http {
    /// The client.
    pub fn client(&self) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("ticketlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Runtime(format!("the HTTP client could not be built: {}", chain(&error))))?;
        Ok(self.0.get_or_init(|| client))
    }
}
