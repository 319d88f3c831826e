//! Xurrent's REST API: organizations, products and projects, with the OAuth server beside it.
//!
//! What loses records for those who do not know it is here: a collection gives its default fields alone, the default
//! orders are not those of the changes, page numbers are ignored, an access token ends before a long reading does, and
//! the limits are of two windows.
//!
//! The reference's pages on pagination and filtering were not to be had; where the clients of the vendor leave a case
//! open, the strict side is played: an unknown parameter is refused, and of a parameter that comes twice the last counts.

mod cursor;
mod details;
mod filter;
mod page;
mod population;
mod query;
mod resource;
mod tokens;
mod truth;
mod vocabulary;

use std::{io, time::Duration};

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::{
    Faults, Rate, Server,
    faults::{Charge, Quota},
    server::{self, Answer, Api, Call, Conduct},
};
use page::Page;
use population::{Population, Tick};
use query::Listing;
use tokens::Tokens;

pub use resource::Resource;
pub use truth::Truth;

/// How the server behaves and what it holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all data follows from.
    pub seed: u64,
    /// How many organizations there are at revision 0.
    pub organizations: usize,
    /// How many products there are at revision 0.
    pub products: usize,
    /// How many projects there are at revision 0.
    pub projects: usize,
    /// After all changes of revision 0, `YYYY-MM-DDTHH:mm:ssZ`. Each revision is a day later.
    pub now: String,
    /// Over how many days until then the records were created.
    pub days: u32,
    /// The share of records that were last changed in one of three bulk changes, all at one instant each.
    pub bulk: f64,
    /// The share of records that are changed while they are read, which puts them at the end of the order of changes:
    /// half a day after `now`, or after the day of `revision`.
    pub moving: f64,
    /// By which request the last of them has.
    pub moving_over: usize,
    /// How many records each revision changes in each collection.
    pub changed_per_revision: usize,
    /// How many records each revision adds to each collection.
    pub added_per_revision: usize,
    /// The revision to begin with; [`Server::set_revision`] sets another.
    pub revision: u32,
    /// The personal access token that is accepted.
    pub api_key: String,
    /// The account that `X-Xurrent-Account` has to name; none takes requests with any and without.
    pub account: Option<String>,
    /// The client that `/token` gives access tokens to.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// How long an access token is accepted.
    pub token_lifetime: Duration,
    /// After so many requests, the access tokens given out by them are refused.
    pub revoke_tokens_after: Option<usize>,
    /// Whether `/token` answers 200 without the token.
    pub omit_access_token: bool,
    /// Whether `/token` does not say how long the token lives: the reference promises the token alone.
    pub omit_expires_in: bool,
    /// The host, with its port, that `Link` names for the next page, instead of the one that was asked.
    pub link_host: Option<String>,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// The limits that are enforced for each token, if any: [`limits`] are the API's own. Without them the headers count
    /// down from those all the same.
    pub enforce_rate: Option<Rate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            organizations: 120,
            products: 300,
            projects: 180,
            now: "2026-11-20T12:00:00Z".into(),
            days: 730,
            bulk: 0.3,
            moving: 0.0,
            moving_over: 10,
            changed_per_revision: 5,
            added_per_revision: 3,
            revision: 0,
            api_key: "sandbox-key".into(),
            account: Some("wdc".into()),
            client_id: "sandbox-client".into(),
            client_secret: "sandbox-secret".into(),
            token_lifetime: Duration::from_secs(3_600),
            revoke_tokens_after: None,
            omit_access_token: false,
            omit_expires_in: false,
            link_host: None,
            port: 0,
            latency: Duration::ZERO,
            faults: Faults::default(),
            enforce_rate: None,
        }
    }
}

impl Options {
    /// What the server of these options holds, to compare with.
    ///
    /// # Panics
    /// If `now` is not a time; [`start`] answers with an error for it.
    pub fn truth(&self) -> Truth {
        Truth::new(Population::new(self).expect("`now` is a time"))
    }
}

/// The API's own limits: 20 requests in 2 seconds and 3,600 in an hour.
pub fn limits() -> Rate {
    Rate {
        per_second: 20,
        second: Duration::from_secs(2),
        per_day: 3_600,
        day: Duration::from_secs(3_600),
        ..Rate::default()
    }
}

/// Where a server gives access tokens.
pub fn token_url(server: &Server) -> String {
    format!("{}{TOKEN}", server.base_url.trim_end_matches(ROOT))
}

/// How many access tokens a server has given out.
pub fn tokens_issued(server: &Server) -> usize {
    server.requests().iter().filter(|seen| seen.path == TOKEN && seen.status == Some(200)).count()
}

/// The access token that a server of these options gives out in answer to its request number `request`.
pub fn token(options: &Options, request: usize) -> String {
    tokens::token(options.seed, request)
}

/// Starts the server; works in any runtime, as it brings its own.
pub async fn start(options: Options) -> io::Result<Server> {
    tokio::task::spawn_blocking(move || start_blocking(options)).await.map_err(io::Error::other)?
}

/// Starts the server, outside of a runtime.
pub fn start_blocking(options: Options) -> io::Result<Server> {
    let api = Xurrent {
        population: Population::new(&options)?,
        tokens: Tokens::new(&options),
        account: options.account,
        link_host: options.link_host,
    };
    let conduct = Conduct {
        seed: options.seed,
        port: options.port,
        api_key: options.api_key,
        latency: options.latency,
        faults: options.faults,
        rate: options.enforce_rate,
        revision: options.revision,
    };
    server::serve(Box::new(api), conduct, ROOT)
}

const ROOT: &str = "/v1";
const TOKEN: &str = "/token";
const RATE_LIMIT: &str = "/v1/rate_limit";

struct Xurrent {
    population: Population,
    tokens: Tokens,
    account: Option<String>,
    link_host: Option<String>,
}

fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    call.headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(call: &Call) -> Option<&str> {
    header(call, header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
}

fn problem(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message}))
}

impl Xurrent {
    fn collection(&self, call: &Call, resource: Resource) -> Answer {
        let listing = match Listing::read(resource, &call.query) {
            Ok(listing) => listing,
            Err(reason) => return problem(400, &reason),
        };
        let tick = Tick { request: call.number, revision: call.revision };
        let page = Page::find(&self.population, resource, tick, &listing);
        let host = header(call, header::HOST.as_str()).unwrap_or_default();
        let next_host = self.link_host.as_deref().unwrap_or(host);
        let link = |rel: &str, host: &str, cursor: Option<(&str, &str)>| {
            let asked = call.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("search_"));
            let cursor = cursor.map(|(name, value)| format!("{name}={value}"));
            let query = asked.map(str::to_owned).chain(cursor).collect::<Vec<_>>().join("&");
            let mark = if query.is_empty() { "" } else { "?" };
            format!("<http://{host}{}{mark}{query}>; rel=\"{rel}\"", call.path)
        };
        let mut links = vec![link("first", host, None)];
        links.extend(page.before.iter().map(|cursor| link("prev", host, Some(("search_before", cursor)))));
        links.extend(page.after.iter().map(|cursor| link("next", next_host, Some(("search_after", cursor)))));
        let mut answer = Answer::json(200, &Value::Array(page.items));
        answer.headers.extend([
            ("link", links.join(", ")),
            ("x-pagination-per-page", page.per_page.to_string()),
            ("x-pagination-total-entries", page.total.to_string()),
            ("x-pagination-total-pages", page.total.div_ceil(page.per_page).to_string()),
            ("x-pagination-current-page", page.current.to_string()),
        ]);
        answer
    }

    /// Which status these have, no source tells: 404 as for any record that the caller may not know of.
    fn wrong_account(&self, call: &Call) -> Option<Answer> {
        let expected = self.account.as_deref()?;
        match header(call, "x-xurrent-account") {
            Some(given) if given == expected => None,
            Some(given) => Some(problem(404, &format!("Account '{given}' not found"))),
            None => Some(problem(403, "Forbidden")),
        }
    }
}

impl Api for Xurrent {
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer> {
        if call.path == TOKEN {
            return None;
        }
        let accepted = bearer(call).is_some_and(|token| token == expected || self.tokens.accepts(token, call.number));
        if !accepted {
            return Some(problem(401, "Access credentials invalid or expired"));
        }
        self.wrong_account(call)
    }

    fn throttled(&self, _call: &Call, _spike: bool) -> Answer {
        problem(429, "Too Many Requests")
    }

    fn limits(&self) -> Rate {
        limits()
    }

    fn charge(&self, call: &Call) -> Charge {
        let free = call.path == TOKEN || call.path == RATE_LIMIT;
        Charge { payer: bearer(call).unwrap_or_default().to_owned(), free }
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.path == TOKEN {
            return self.tokens.answer(call);
        }
        if call.method != Method::GET {
            return Answer::text(405, "Method Not Allowed");
        }
        if call.path == RATE_LIMIT {
            let quota = call.quota.expect("a request is counted before it is answered");
            let rate = json!({"limit": quota.per_day, "remaining": quota.left, "reset": reset(quota)});
            return Answer::json(200, &json!({"rate": rate}));
        }
        match call.path.strip_prefix("/v1/").and_then(Resource::parse) {
            Some(resource) => self.collection(call, resource),
            None => problem(404, "Not Found"),
        }
    }

    fn tell_quota(&self, answer: &mut Answer, quota: Quota) {
        answer.headers.extend([
            ("x-ratelimit-limit", quota.per_day.to_string()),
            ("x-ratelimit-remaining", quota.left.to_string()),
            ("x-ratelimit-reset", reset(quota).to_string()),
        ]);
        if answer.status.as_u16() == 429 {
            let seconds = quota.wait.as_millis().div_ceil(1_000).max(1);
            answer.headers.push(("retry-after", seconds.to_string()));
        }
    }

    fn without_key(&self, query: &str) -> String {
        query.to_owned()
    }
}

/// The second when the hour is over.
fn reset(quota: Quota) -> i64 {
    quota.resets_at_ms.div_euclid(1_000) + 1
}

#[cfg(test)]
mod tests;
