//! A generic event-management API: events with attendees, tickets and transactions, and beside them categories and
//! users.
//!
//! Every list is read by `offset` and `limit`, a part past the end is an empty list, and the key is in the header
//! `api_key`. What such APIs differ in is an option: whether the total is told, whether an id says which event it
//! belongs to, and what the ids are made of.

mod data;

use std::{io, time::Duration};

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Faults, Rate, Server,
    event_management::{Child, lists},
    faults::Quota,
    server::{self, Answer, Api, Call, Conduct},
};
use data::Records;

pub use data::Truth;

/// How many records a request gets that names no limit.
const DEFAULT_LIMIT: usize = 20;

/// How the server behaves and what it holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What all data follows from.
    pub seed: u64,
    /// How many events there are at revision 0.
    pub events: usize,
    /// How many attendees an event has at revision 0.
    pub attendees_per_event: usize,
    /// How many tickets an event has.
    pub tickets_per_event: usize,
    /// How many transactions an event has at revision 0.
    pub transactions_per_event: usize,
    /// How many categories there are.
    pub categories: usize,
    /// How many users there are at revision 0.
    pub users: usize,
    /// Events, by their index, that have no attendees, tickets and transactions.
    pub without_children: Vec<usize>,
    /// Events, by their index, that are listed but whose children are answered 404: deleted between the two requests.
    pub missing_child: Vec<usize>,
    /// What an event's id is.
    pub ids: IdKind,
    /// Whether the children of every event are numbered from 1, so that an id is unique only together with its event's.
    pub ids_per_event: bool,
    /// Whether an answer tells how many records there are.
    pub total: Total,
    /// How many records a request gets at most, whatever it asks for.
    pub page_cap: usize,
    /// How many events and users each revision appends; as many of the first events get one attendee and one
    /// transaction more.
    pub added_per_revision: usize,
    /// The revision to begin with; [`Server::set_revision`] sets another. Beside what it appends, each revision changes
    /// the events and users of revision 0 whose index is a multiple of 25: the event has sold one ticket more and
    /// offers ten more of its first ticket, and the user was seen a day later. At revision 1 the event's first attendee
    /// has come and its first transaction, pending until then, is confirmed.
    pub revision: u32,
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
            events: 250,
            attendees_per_event: 3,
            tickets_per_event: 2,
            transactions_per_event: 1,
            categories: 7,
            users: 120,
            without_children: Vec::new(),
            missing_child: Vec::new(),
            ids: IdKind::Number,
            ids_per_event: false,
            total: Total::TopLevel,
            page_cap: 100,
            added_per_revision: 2,
            revision: 0,
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
    pub fn truth(&self) -> Truth {
        Truth::new(Records::new(self))
    }
}

/// What an event's id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// A whole number.
    Number,
    /// Text that a path holds only percent-encoded, such as `a/../../admin?x=1#f-0`: a client that pastes it in asks
    /// for something else.
    Awkward,
}

/// Where an answer tells how many records there are in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// As `total`, beside the list.
    TopLevel,
    /// Nowhere.
    Absent,
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
    let api = EventApi { records: Records::new(&options), total: options.total, page_cap: options.page_cap };
    server::serve(Box::new(api), conduct, "")
}

struct EventApi {
    records: Records,
    total: Total,
    page_cap: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    offset: usize,
    limit: Option<usize>,
}

impl EventApi {
    /// The part of `count` records that the query asks for, under the list's name.
    fn list(&self, call: &Call, name: &str, count: usize, record: impl Fn(usize) -> Value) -> Answer {
        let part: Part = match lists::values(&call.query) {
            Ok(part) => part,
            Err(reason) => return message(400, &reason),
        };
        let limit = part.limit.unwrap_or(DEFAULT_LIMIT).min(self.page_cap);
        let records: Vec<Value> = (0..count).skip(part.offset).take(limit).map(record).collect();
        let mut body = json!({});
        body[name] = Value::Array(records);
        if self.total == Total::TopLevel {
            body["total"] = count.into();
        }
        Answer::json(200, &body)
    }

    fn children(&self, call: &Call, event: &str, name: &str, kind: Child) -> Answer {
        let Some(event) = self.records.find(event, call.revision) else { return message(404, "Event not found") };
        let count = self.records.population().of_event(kind, event, call.revision);
        self.list(call, name, count, |nth| self.records.child(kind, event, nth, call.revision))
    }
}

impl Api for EventApi {
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer> {
        let given = call.headers.get("api_key").and_then(|value| value.to_str().ok());
        (given != Some(expected)).then(|| message(401, "Invalid API key"))
    }

    fn throttled(&self, _call: &Call, spike: bool) -> Answer {
        message(429, if spike { "Too many requests" } else { "Daily limit reached" })
    }

    fn answer(&self, call: &Call) -> Answer {
        let no_such_path = || message(404, "No such path");
        let Some(segments) = lists::segments(&call.path, "/v1") else { return no_such_path() };
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let revision = call.revision;
        let population = self.records.population();
        if call.method != Method::GET {
            return message(405, "Method not allowed");
        }
        match segments[..] {
            ["events"] => {
                self.list(call, "events", population.events(revision), |index| self.records.event(index, revision))
            }
            ["categories"] => {
                self.list(call, "categories", population.categories, |index| self.records.category(index))
            }
            ["users"] => {
                self.list(call, "users", population.users(revision), |index| self.records.user(index, revision))
            }
            ["events", event, "attendees"] => self.children(call, event, "attendees", Child::Attendee),
            ["events", event, "tickets"] => self.children(call, event, "tickets", Child::Ticket),
            ["events", event, "transactions"] => self.children(call, event, "transactions", Child::Transaction),
            _ => no_such_path(),
        }
    }

    fn tell_quota(&self, _answer: &mut Answer, _quota: Quota) {}

    fn without_key(&self, query: &str) -> String {
        query.to_owned()
    }
}

fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"message": text}))
}

#[cfg(test)]
mod tests;
