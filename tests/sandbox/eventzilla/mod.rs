//! Eventzilla's API v2, as its clients describe it.
//!
//! Events, users and an event's transactions are read part by part, with their total in `pagination`, which is a list
//! of one object; a part past the end is an error instead of an empty list. Categories and an event's attendees and
//! tickets are complete lists that know neither `offset` nor `pagination`. An attendee's or a ticket's id and a
//! transaction's reference number are unique per event only, and a category has no id at all.

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
    pub deleted: Vec<usize>,
    /// How many records a request gets at most, whatever it asks for.
    pub page_cap: usize,
    /// Whether `pagination` is an object, as one of the API's clients reads it, and not a list of one.
    pub pagination_alone: bool,
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
            deleted: Vec::new(),
            page_cap: 100,
            pagination_alone: false,
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
    let api = Eventzilla {
        records: Records::new(&options),
        page_cap: options.page_cap,
        pagination_alone: options.pagination_alone,
    };
    server::serve(Box::new(api), conduct, "/api/v2")
}

struct Eventzilla {
    records: Records,
    page_cap: usize,
    pagination_alone: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    offset: usize,
    limit: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    status: Option<String>,
    category: Option<String>,
}

/// Records that are read part by part.
struct Paginated<'a, Record> {
    /// What the list is called in the answer.
    key: &'a str,
    /// What the records are called in the words of the error past the end.
    noun: &'a str,
    total: usize,
    record: Record,
}

impl Eventzilla {
    fn part<R: Fn(usize) -> Value>(&self, call: &Call, list: Paginated<'_, R>) -> Result<Answer, String> {
        let Part { offset, limit } = lists::values(&call.query)?;
        let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, self.page_cap.max(1));
        if offset >= list.total {
            return Ok(message(404, &format!("No {} found", list.noun)));
        }
        let records: Vec<Value> = (0..list.total).skip(offset).take(limit).map(list.record).collect();
        let pagination = json!({"offset": offset, "limit": limit, "total": list.total});
        let mut body = json!({"pagination": if self.pagination_alone { pagination } else { json!([pagination]) }});
        body[list.key] = Value::Array(records);
        Ok(Answer::json(200, &body))
    }

    fn events(&self, call: &Call) -> Result<Answer, String> {
        let filter: Filter = lists::values(&call.query)?;
        let revision = call.revision;
        let count = self.records.population().events(revision);
        if filter.status.is_none() && filter.category.is_none() {
            let record = |index| self.records.event(index, revision);
            return self.part(call, Paginated { key: "events", noun: "events", total: count, record });
        }
        let live = filter.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("live"));
        let selected: Vec<Value> =
            (0..count).map(|index| self.records.event(index, revision)).filter(|event| filter.selects(event)).collect();
        let key = if live { "events_live" } else { "events" };
        let record = |position: usize| selected[position].clone();
        self.part(call, Paginated { key, noun: "events", total: selected.len(), record })
    }

    fn users(&self, call: &Call) -> Result<Answer, String> {
        let total = self.records.population().users(call.revision);
        let record = |index| self.records.user(index, call.revision);
        self.part(call, Paginated { key: "users", noun: "users", total, record })
    }

    fn transactions(&self, call: &Call, event: &str) -> Result<Answer, String> {
        let Some(event) = self.records.find(event, call.revision) else { return Ok(event_not_found()) };
        let total = self.records.population().of_event(Child::Transaction, event, call.revision);
        let record = |nth| self.records.child(Child::Transaction, event, nth, call.revision);
        self.part(call, Paginated { key: "transactions", noun: "transactions", total, record })
    }

    fn complete(&self, call: &Call, event: &str, key: &str, kind: Child) -> Answer {
        let Some(event) = self.records.find(event, call.revision) else { return event_not_found() };
        let count = self.records.population().of_event(kind, event, call.revision);
        let records = (0..count).map(|nth| self.records.child(kind, event, nth, call.revision));
        Answer::json(200, &json!({key: records.collect::<Vec<Value>>()}))
    }

    fn categories(&self) -> Answer {
        let count = self.records.population().categories;
        let records: Vec<Value> = (0..count).map(|index| self.records.category(index)).collect();
        Answer::json(200, &json!({"categories": records}))
    }
}

impl Filter {
    fn selects(&self, event: &Value) -> bool {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        self.status.as_ref().is_none_or(|status| text("status").eq_ignore_ascii_case(status))
            && self.category.as_ref().is_none_or(|wanted| text("categories").split(',').any(|name| name == wanted))
    }
}

impl Api for Eventzilla {
    fn refusal(&self, call: &Call, expected: &str) -> Option<Answer> {
        let given = call.headers.get("x-api-key").and_then(|value| value.to_str().ok());
        (given != Some(expected)).then(|| message(401, "Unauthorized"))
    }

    fn throttled(&self, _call: &Call, spike: bool) -> Answer {
        message(429, if spike { "Too Many Requests" } else { "Limit Exceeded" })
    }

    fn answer(&self, call: &Call) -> Answer {
        let Some(segments) = lists::segments(&call.path, "/api/v2") else { return message(404, "Not Found") };
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        if call.method != Method::GET {
            return message(405, "Method Not Allowed");
        }
        let answer = match segments[..] {
            ["events"] => self.events(call),
            ["users"] => self.users(call),
            ["categories"] => Ok(self.categories()),
            ["events", event, "attendees"] => Ok(self.complete(call, event, "attendees", Child::Attendee)),
            ["events", event, "tickets"] => Ok(self.complete(call, event, "tickets", Child::Ticket)),
            ["events", event, "transactions"] => self.transactions(call, event),
            _ => Ok(message(404, "Not Found")),
        };
        answer.unwrap_or_else(|reason| message(400, &reason))
    }

    fn tell_quota(&self, _answer: &mut Answer, _quota: Quota) {}

    fn without_key(&self, query: &str) -> String {
        query.to_owned()
    }
}

fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({"message": text}))
}

fn event_not_found() -> Answer {
    message(404, "Event not found")
}

#[cfg(test)]
mod tests;
