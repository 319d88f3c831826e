//! The OAuth server: the client-credentials grant, and which tokens it has given out.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::{Options, query};
use crate::{
    dice::{Dice, Purpose},
    server::{Answer, Call},
};

/// Every access token given out.
#[derive(Debug)]
pub(super) struct Tokens {
    seed: u64,
    client_id: String,
    client_secret: String,
    lifetime: Duration,
    revoke_after: Option<usize>,
    omit_access_token: bool,
    omit_expires_in: bool,
    issued: Mutex<Vec<Issued>>,
}

#[derive(Debug)]
struct Issued {
    token: String,
    request: usize,
    at: Instant,
}

/// What request number `request` is given.
pub(super) fn token(seed: u64, request: usize) -> String {
    Dice::new(seed, Purpose::AccessToken, request as u64).letters(40)
}

impl Tokens {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            client_id: options.client_id.clone(),
            client_secret: options.client_secret.clone(),
            lifetime: options.token_lifetime,
            revoke_after: options.revoke_tokens_after,
            omit_access_token: options.omit_access_token,
            omit_expires_in: options.omit_expires_in,
            issued: Mutex::default(),
        }
    }

    /// Whether a token was given out, has not expired and is not revoked by request `number`.
    pub(super) fn accepts(&self, token: &str, number: usize) -> bool {
        let revoked = |issued: &Issued| self.revoke_after.is_some_and(|last| issued.request <= last && last < number);
        let issued = self.issued.lock().unwrap();
        issued.iter().any(|issued| issued.token == token && issued.at.elapsed() < self.lifetime && !revoked(issued))
    }

    pub(super) fn answer(&self, call: &Call) -> Answer {
        if call.method != Method::POST {
            return Answer::text(405, "Method Not Allowed");
        }
        match self.grant(call) {
            Ok(granted) => Answer::json(200, &granted),
            Err((error, description)) => Answer::json(400, &json!({"error": error, "error_description": description})),
        }
    }

    fn grant(&self, call: &Call) -> Result<Value, (&'static str, &'static str)> {
        let content_type = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|given| given.starts_with("application/x-www-form-urlencoded")) {
            return Err(("invalid_request", "The body has to be a form."));
        }
        let form = query::pairs(&String::from_utf8_lossy(&call.body));
        let field = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let (Some(id), Some(secret), Some(grant)) = (field("client_id"), field("client_secret"), field("grant_type"))
        else {
            return Err(("invalid_request", "client_id, client_secret and grant_type are required."));
        };
        if grant != "client_credentials" {
            return Err(("unsupported_grant_type", "The grant type is not supported."));
        }
        if id != self.client_id || secret != self.client_secret {
            return Err(("invalid_client", "Client authentication failed."));
        }
        if self.omit_access_token {
            return Ok(json!({"token_type": "Bearer"}));
        }
        let token = token(self.seed, call.number);
        self.issued.lock().unwrap().push(Issued { token: token.clone(), request: call.number, at: Instant::now() });
        let mut granted = json!({"access_token": token, "token_type": "Bearer"});
        if !self.omit_expires_in {
            granted["expires_in"] = self.lifetime.as_secs().into();
        }
        Ok(granted)
    }
}
