//! See Tickets' client API: events and the sales report.
//!
//! What the reference leaves open is an option here, set to the awkward side: the server gives fewer records than it
//! is asked for, and nowhere says how many there are.

mod data;
mod vocabulary;

use std::{collections::BTreeSet, io, time::Duration};

use axum::{
    extract::Query,
    http::{Method, header},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Faults, Rate, Server, clock,
    faults::Quota,
    server::{self, Answer, Api, Call, Conduct},
};
use data::Sales;

pub use data::Truth;

/// How the server behaves and what it holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all data follows from.
    pub seed: u64,
    /// How many sales there are at revision 0.
    pub sales: usize,
    /// How many events they belong to; a few have most of them.
    pub events: usize,
    /// How many of the last events the list of events has from revision 1 on only; their sales are there before.
    pub unlisted: usize,
    /// The last day that has sales, `YYYY-MM-DD`.
    pub until: String,
    /// Over how many days the sales are spread, `until` included.
    pub days: u32,
    /// Half of the sales of so many last days are pending.
    pub pending_days: u32,
    /// How `date` and `eventDate` are written.
    pub date_format: DateFormat,
    /// How many of the sales lack their `uniqueCode` or have values of a wrong type.
    pub broken: usize,
    /// How many new sales each revision appends, in the last hour of `until`.
    pub added_per_revision: usize,
    /// The revision to begin with; [`Server::set_revision`] sets another. From revision 1 on, pending sales are
    /// confirmed and some of them refunded, and sales are appended.
    pub revision: u32,
    /// How many records a request gets that names no limit.
    pub default_limit: usize,
    /// How many records a request gets at most, whatever it asks for.
    pub page_cap: usize,
    /// The key that is accepted.
    pub api_key: String,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// The limit that is enforced, if any.
    pub enforce_rate: Option<Rate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            sales: 1_000,
            events: 12,
            unlisted: 0,
            until: "2026-11-20".into(),
            days: 90,
            pending_days: 3,
            date_format: DateFormat::Iso,
            broken: 0,
            added_per_revision: 3,
            revision: 0,
            default_limit: 100,
            page_cap: 100,
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
    ///
    /// # Panics
    /// If `until` is not a date; [`start`] answers with an error for it.
    pub fn truth(&self) -> Truth {
        Truth::new(Sales::new(self).expect("`until` is a date"))
    }
}

/// How a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFormat {
    /// `2026-11-20T19:00:00Z`
    Iso,
    /// `2026-11-20T19:00:00`
    IsoNoZone,
    /// `2026-11-20 19:00:00`
    Spaced,
    /// All of them, from record to record.
    Mixed,
}

impl DateFormat {
    fn write(self, seconds: i64, index: usize) -> String {
        match self {
            Self::Iso => clock::utc(seconds),
            Self::IsoNoZone => clock::without_zone(seconds),
            Self::Spaced => clock::spaced(seconds),
            Self::Mixed => [Self::Iso, Self::IsoNoZone, Self::Spaced][index % 3].write(seconds, index),
        }
    }
}

/// Starts the server; works in any runtime, as it brings its own.
pub async fn start(options: Options) -> io::Result<Server> {
    tokio::task::spawn_blocking(move || start_blocking(options)).await.map_err(io::Error::other)?
}

/// Starts the server, outside of a runtime.
pub fn start_blocking(options: Options) -> io::Result<Server> {
    let conduct = Conduct {
        seed: options.seed,
        port: options.port,
        api_key: options.api_key.clone(),
        latency: options.latency,
        faults: options.faults.clone(),
        rate: options.enforce_rate.clone(),
        revision: options.revision,
    };
    let api = SeeTickets {
        sales: Sales::new(&options)?,
        default_limit: options.default_limit,
        page_cap: options.page_cap,
        listed_at_first: options.events.saturating_sub(options.unlisted),
    };
    server::serve(Box::new(api), conduct, "/v1")
}

struct SeeTickets {
    sales: Sales,
    default_limit: usize,
    page_cap: usize,
    listed_at_first: usize,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    filtered_by: FilteredBy,
    limit: Option<usize>,
    offset: usize,
    search: Search,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FilteredBy {
    sales_start_date: Option<String>,
    sales_end_date: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Search {
    for_search_item_type: Option<String>,
    search_item_codes: Option<BTreeSet<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Page {
    offset: usize,
    limit: Option<usize>,
}

impl SeeTickets {
    fn limit(&self, asked: Option<usize>) -> usize {
        asked.unwrap_or(self.default_limit).min(self.page_cap)
    }

    fn report(&self, call: &Call) -> Result<Vec<Value>, String> {
        let report: Report = serde_json::from_slice(&call.body).map_err(|error| format!("Invalid JSON: {error}"))?;
        let instant = |text: &Option<String>, default| match text {
            Some(text) => clock::lenient(text).ok_or_else(|| format!("Invalid date: {text}")),
            None => Ok(default),
        };
        let from = instant(&report.filtered_by.sales_start_date, i64::MIN)?;
        let to = instant(&report.filtered_by.sales_end_date, i64::MAX)?;
        if let Some(kind) = report.search.for_search_item_type.filter(|kind| kind != "EVENT") {
            return Err(format!("Unknown search item type: {kind}"));
        }
        let codes = report.search.search_item_codes.as_ref();
        Ok(self.sales.search(codes, from, to, report.offset, self.limit(report.limit), call.revision))
    }

    fn events(&self, call: &Call) -> Result<Vec<Value>, String> {
        let uri = format!("/?{}", call.query).parse().map_err(|_| "Invalid query".to_owned())?;
        let Query(page) = Query::<Page>::try_from_uri(&uri).map_err(|error| error.body_text())?;
        let listed = if call.revision == 0 { self.listed_at_first } else { usize::MAX };
        Ok(self.sales.events().take(listed).skip(page.offset).take(self.limit(page.limit)).collect())
    }
}

impl Api for SeeTickets {
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer> {
        let given = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let accepted = given.and_then(|value| value.strip_prefix("Bearer ")) == Some(expected);
        (!accepted).then(|| Answer::text(401, "Unauthorized"))
    }

    fn throttled(&self, _call: &Call, _spike: bool) -> Answer {
        Answer::text(429, "Too Many Requests")
    }

    fn answer(&self, call: &Call) -> Answer {
        let data = match (call.path.as_str(), &call.method) {
            ("/v1/reports/sales", &Method::POST) => self.report(call),
            ("/v1/events/search", &Method::GET) => self.events(call),
            ("/v1/reports/sales" | "/v1/events/search", _) => return Answer::text(405, "Method Not Allowed"),
            _ => return Answer::text(404, "Not Found"),
        };
        match data {
            Ok(data) => Answer::json(200, &Value::Object(Map::from_iter([("data".to_owned(), Value::Array(data))]))),
            Err(reason) => Answer::text(400, &reason),
        }
    }

    fn tell_quota(&self, _answer: &mut Answer, _quota: Quota) {}

    fn without_key(&self, query: &str) -> String {
        query.to_owned()
    }
}

#[cfg(test)]
mod tests;
