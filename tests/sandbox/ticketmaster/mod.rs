//! Ticketmaster's Discovery API v2.
//!
//! Everything that loses records for those who do not know it is here: the depth limit, the total that stops counting
//! at 10,000, the default order that moves, the default locale that hides, undated events that no window returns, and
//! parameters that are ignored without an error.

mod answers;
mod catalogue;
mod classes;
mod events;
mod filter;
mod places;
mod query;
mod recordings;
mod search;
mod synthetic;
mod truth;
mod vocabulary;

use std::{io, path::PathBuf, time::Duration};

use axum::http::{Method, StatusCode};

use crate::{
    Faults, Rate, Server,
    faults::Quota,
    server::{self, Answer, Api, Call, Conduct},
};
use answers::fault;
use catalogue::{Catalogue, Tick};
use query::Params;
use search::Search;

pub use classes::TreeSize;
pub use truth::Truth;

/// How the server behaves and what it holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all data follows from.
    pub seed: u64,
    /// How many events there ever are, with those that come and go.
    pub events: usize,
    /// How many venues; by default one for every twelve events. Of 25 venues one is a sparse Archtics one.
    pub venues: Option<usize>,
    /// How many attractions; by default one for every eight events.
    pub attractions: Option<usize>,
    /// The size of the classification tree.
    pub classes: TreeSize,
    /// The day that the calendar begins on, `YYYY-MM-DDTHH:mm:ssZ`.
    pub now: String,
    /// The share of events that are TBA or TBD: no window of dates returns them.
    pub undated: f64,
    /// The share of events that are Archtics' sparse ones; there are none with fewer than 25 venues.
    pub sparse: f64,
    /// Many events at one instant; they are the first of the events, all with venue, state (where the country has
    /// them) and classification.
    pub moment: Option<Moment>,
    /// How many images an event or attraction has; the real ones have 10, which is half of their bytes.
    pub images: usize,
    /// The share of events that come, go or move to a later day while they are read.
    pub moving: f64,
    /// By which request the last one of them has.
    pub moving_over: u32,
    /// The share of events that come, go, move, are cancelled or get other prices with revisions 1 to 3. One that comes
    /// with a revision is announced `now` and as many weeks.
    pub revised: f64,
    /// The revision to begin with; [`Server::set_revision`] sets another.
    pub revision: u32,
    /// A folder with the subfolders `events`, `venues`, `attractions` and `classifications` of recorded pages or lists:
    /// their records are the whole catalogue, served word for word, and the options above have no effect.
    pub recordings: Option<PathBuf>,
    /// How many records a page has at most, whatever is asked for; the API's own 200 if none.
    pub page_cap: Option<usize>,
    /// The key that is accepted.
    pub api_key: String,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// The limits that are enforced, if any. Without them the headers count down from 5,000 all the same.
    pub enforce_rate: Option<Rate>,
}

/// Many events that start at the same time.
#[derive(Clone, Debug)]
pub struct Moment {
    /// How many.
    pub count: usize,
    /// When they start, `YYYY-MM-DDTHH:mm:ssZ`.
    pub at: String,
    /// The country that they are in, one that the sandbox has places in: US, CA, GB, DE, ...
    pub country: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 2_000,
            venues: None,
            attractions: None,
            classes: TreeSize::default(),
            now: "2026-11-21T00:00:00Z".into(),
            undated: 0.03,
            sparse: 0.1,
            moment: None,
            images: 10,
            moving: 0.0,
            moving_over: 500,
            revised: 0.01,
            revision: 0,
            recordings: None,
            page_cap: None,
            api_key: "sandbox-key".into(),
            port: 0,
            latency: Duration::ZERO,
            faults: Faults::default(),
            enforce_rate: None,
        }
    }
}

impl Options {
    /// What the server of these options holds, to compare with.
    pub fn truth(&self) -> io::Result<Truth> {
        Ok(Truth::new(self.catalogue()?))
    }

    fn catalogue(&self) -> io::Result<Catalogue> {
        match &self.recordings {
            Some(folder) => recordings::catalogue(folder, self.seed),
            None => synthetic::catalogue(self),
        }
    }
}

/// Starts the server; works in any runtime, as it brings its own.
pub async fn start(options: Options) -> io::Result<Server> {
    tokio::task::spawn_blocking(move || start_blocking(options)).await.map_err(io::Error::other)?
}

/// Starts the server, outside of a runtime.
pub fn start_blocking(options: Options) -> io::Result<Server> {
    let api = Discovery { catalogue: options.catalogue()?, page_cap: options.page_cap };
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

const ROOT: &str = "/discovery/v2";

struct Discovery {
    catalogue: Catalogue,
    page_cap: Option<usize>,
}

impl Discovery {
    fn key(call: &Call) -> Option<String> {
        let pairs = call.query.split('&').filter_map(|pair| pair.strip_prefix("apikey="));
        let given = pairs.map(|key| percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned()).next();
        given.filter(|key| !key.is_empty())
    }
}

impl Api for Discovery {
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer> {
        match Self::key(call) {
            None => Some(fault(
                401,
                "Failed to resolve API Key variable request.queryparam.apikey",
                "steps.oauth.v2.FailedToResolveAPIKey",
            )),
            Some(key) if key == expected => None,
            Some(_) => Some(fault(401, "Invalid ApiKey", "oauth.v2.InvalidApiKey")),
        }
    }

    fn throttled(&self, call: &Call, spike: bool) -> Answer {
        if spike {
            let text =
                "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, periodInMicroseconds=1000000}";
            return fault(429, text, "policies.ratelimit.SpikeArrestViolation");
        }
        let key = Self::key(call).unwrap_or_default();
        let text = format!("Rate limit quota violation. Quota limit  exceeded. Identifier : {key}");
        fault(429, &text, "policies.ratelimit.QuotaViolation")
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.method != Method::GET {
            return Answer::text(405, "Method Not Allowed");
        }
        let path = call.path.strip_prefix(ROOT).unwrap_or_default();
        let segments: Vec<&str> = path.strip_suffix(".json").unwrap_or(path).split('/').skip(1).collect();
        let request = u32::try_from(call.number).unwrap_or(u32::MAX);
        let tick = Tick { request, revision: call.revision };
        let search = Search { catalogue: &self.catalogue, tick, page_cap: self.page_cap };
        match segments.as_slice() {
            [kind @ ("events" | "venues" | "attractions" | "classifications")] => {
                search.answer(kind, &call.path, &Params::read(&call.query))
            }
            [kind @ ("events" | "venues" | "attractions" | "classifications"), rest @ ..] => search.details(kind, rest),
            _ => Answer::text(404, "Not Found"),
        }
    }

    fn tell_quota(&self, answer: &mut Answer, quota: Quota) {
        if answer.status != StatusCode::OK {
            return;
        }
        answer.headers.extend([
            ("rate-limit", quota.per_day.to_string()),
            ("rate-limit-available", quota.left.to_string()),
            ("rate-limit-over", quota.over.to_string()),
            ("rate-limit-reset", quota.resets_at_ms.to_string()),
        ]);
    }

    fn without_key(&self, query: &str) -> String {
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("apikey=")).collect();
        kept.join("&")
    }
}

#[cfg(test)]
mod tests;
