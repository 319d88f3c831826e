//! The checked request of a run, whether it came from a Lambda event, a schedule or the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveTime;
use client::retry::DEFAULT_ATTEMPTS;
use lake::Location;
use manifest::time::{self, Instant};
use manifest::{Fault, Faults, Settings};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use table::Format;
use xxhash_rust::xxh3::xxh3_128;

use crate::options::Draft;

/// The request of a run. Its options are valid; [`crate::plan`] checks whether the resource supports them.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The name of the source.
    pub source: String,
    /// The name of the resource.
    pub resource: String,
    /// The location of the lake.
    pub lake: Location,
    /// The first instant of the range. A range is read whatever was read before.
    pub from: Option<Instant>,
    /// The instant before which the range ends.
    pub to: Option<Instant>,
    /// Whether everything is read, whatever was read before.
    pub full: bool,
    /// The conditions on the records, by their names in the manifest's `filters`.
    pub params: BTreeMap<String, String>,
    /// The format of new parts.
    pub format: Format,
    /// The greatest number of requests, retries included. The run then ends as `partial`.
    pub max_requests: Option<u64>,
    /// The greatest duration of reading. The rows are stored after it, and the run ends as `partial`.
    pub max_time: Option<Duration>,
    /// The number of days before the start of the read at which a resource begins.
    pub initial_days: Option<i64>,
    /// The number of days that a row is kept after it is past. `None` keeps all rows.
    pub retention_days: Option<i64>,
    /// The number of records on a page. `None` for the greatest number that the API allows.
    pub page_size: Option<u64>,
    /// The timeout of one request, until the last byte of its response.
    pub request_timeout: Duration,
    /// The greatest number of requests for one page, the first included.
    pub attempts: u32,
    /// The manifest files in addition to the built-in ones: paths, or `s3://bucket/key`.
    pub sources: Vec<String>,
    /// The URL of the API that replaces the manifest's `base_url`.
    pub base_url: Option<String>,
    /// Whether the plan is only validated and printed.
    pub check: bool,
    /// Whether no request is sent, and the rejected records are mapped again by the present manifest.
    pub replay_rejected: bool,
    /// Whether no request is sent, and only the newest row of each key is kept.
    pub repair: bool,
}

impl Request {
    /// Checks `draft`. Absent options are taken from `settings`, and the resource from the function's `entity`.
    ///
    /// # Errors
    ///
    /// A fault for each option that is missing or wrong.
    pub fn check(draft: &Draft, entity: Option<&str>, settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let source = check_source(draft, settings, &mut faults);
        let resource = check_resource(draft, entity, &mut faults);
        let lake = check_lake(draft, settings, &mut faults);
        let (from, to) = check_range(draft, &mut faults);
        let format = check_format(draft, settings, &mut faults);
        let full = draft.flag("full");
        if full && (from.is_some() || to.is_some()) {
            faults.push(Fault::new("full", "reads everything: set either `full`, or `from` and `to`"));
        }
        let params = draft.params();
        let replay_rejected = draft.flag("replay_rejected");
        if replay_rejected && (full || from.is_some() || to.is_some() || !params.is_empty()) {
            let message = "sends no requests: set it without `from`, `to`, `full` and `params`";
            faults.push(Fault::new("replay_rejected", message));
        }
        let repair = draft.flag("repair");
        if repair && (replay_rejected || full || from.is_some() || to.is_some() || !params.is_empty()) {
            let message = "sends no requests: set it without `from`, `to`, `full`, `params` and `replay_rejected`";
            faults.push(Fault::new("repair", message));
        }
        let mut number = |name: &str| {
            draft.number(name, settings).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let (max_requests, max_seconds) = (number("max_requests"), number("max_seconds"));
        let (initial_days, retention_days) = (number("initial_days"), number("retention_days"));
        let (page_size, request_timeout, attempts) =
            (number("page_size"), number("request_timeout"), number("attempts"));
        let base_url = check_base_url(draft, source.as_deref(), settings, &mut faults);
        match (source, resource, lake, format) {
            (Some(source), Some(resource), Some(lake), Some(format)) if faults.is_empty() => Ok(Self {
                source,
                resource,
                lake,
                from,
                to,
                full,
                params,
                format,
                max_requests,
                max_time: max_seconds.map(Duration::from_secs),
                initial_days: initial_days.and_then(|days| i64::try_from(days).ok()),
                retention_days: retention_days.filter(|days| *days > 0).and_then(|days| i64::try_from(days).ok()),
                page_size,
                request_timeout: Duration::from_secs(request_timeout.unwrap_or(60)),
                attempts: attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(DEFAULT_ATTEMPTS),
                sources: draft.list("sources", settings),
                base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
                check: draft.flag("check"),
                replay_rejected,
                repair,
            }),
            _ => Err(Faults(faults)),
        }
    }

    /// Returns the id of the records that are requested. Two requests with the same id read the same records.
    pub fn id(&self) -> RequestId {
        let identity = json!({"version": ID_VERSION, "request": self.to_event()});
        RequestId(xxh3_128(identity.to_string().as_bytes()))
    }

    /// Returns the request as an event that requests the same records.
    pub fn to_event(&self) -> Value {
        let mut event = Map::new();
        event.insert("source".into(), self.source.as_str().into());
        event.insert("resource".into(), self.resource.as_str().into());
        event.insert("format".into(), self.format.name().into());
        for (name, instant) in [("from", self.from), ("to", self.to)] {
            event.extend(instant.map(|instant| (name.to_owned(), time::format_instant(instant).into())));
        }
        if self.full {
            event.insert("full".into(), true.into());
        }
        if !self.params.is_empty() {
            let params = self.params.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
            event.insert("params".into(), Value::Object(params.collect()));
        }
        event.extend(self.initial_days.map(|days| ("initial_days".to_owned(), days.into())));
        Value::Object(event)
    }
}

/// The version of the value that a [`RequestId`] is a hash of.
const ID_VERSION: u32 = 1;

/// The id of the records that a request asks for: a 128-bit hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

fn check_source(draft: &Draft, settings: &Settings, faults: &mut Vec<Fault>) -> Option<String> {
    let Some(source) = draft.text("source", settings) else {
        let known: Vec<&str> = manifest::built_in::names().collect();
        let message = format!("is missing: give `source`, or set SOURCE; built in: {}", known.join(", "));
        faults.push(Fault::new("source", message));
        return None;
    };
    if let (Some(own), Some(_)) = (settings.get("SOURCE"), settings.get("SECRET_ID"))
        && source != own
    {
        let message = format!("this function holds the key of `{own}`, which `{source}` must not be sent");
        faults.push(Fault::new("source", message));
    }
    Some(source)
}

fn check_resource(draft: &Draft, entity: Option<&str>, faults: &mut Vec<Fault>) -> Option<String> {
    match (entity, draft.text("resource", &Settings::default())) {
        (Some(entity), Some(resource)) if entity != resource => {
            let message = format!("this function reads `{entity}`; for `{resource}` use the function `resource`");
            faults.push(Fault::new("resource", message));
            None
        }
        (Some(entity), _) => Some(entity.to_owned()),
        (None, Some(resource)) => Some(resource),
        (None, None) => {
            let message = "is missing: the function `resource` needs it in the request";
            faults.push(Fault::new("resource", message));
            None
        }
    }
}

fn check_lake(draft: &Draft, settings: &Settings, faults: &mut Vec<Fault>) -> Option<Location> {
    let Some(text) = draft.text("lake", settings) else {
        faults.push(Fault::new("lake", "is missing: give a directory or s3://bucket/prefix, or set LAKE"));
        return None;
    };
    Location::parse(&text).map_err(|message| faults.push(Fault::new("lake", message))).ok()
}

fn check_range(draft: &Draft, faults: &mut Vec<Fault>) -> (Option<Instant>, Option<Instant>) {
    let mut instant = |name: &str, last: bool| {
        let text = draft.text(name, &Settings::default())?;
        let read = read_instant(&text, last);
        if read.is_none() {
            let message = format!("`{text}` is neither a day nor an instant: use 2026-01-31 or 2026-01-31T18:00:00Z");
            faults.push(Fault::new(name, message));
        }
        read
    };
    let (from, to) = (instant("from", false), instant("to", true));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let message = format!(
            "{} lies at or after `to`, {}: the range is empty",
            time::format_instant(from),
            time::format_instant(to)
        );
        faults.push(Fault::new("from", message));
    }
    (from, to)
}

fn check_format(draft: &Draft, settings: &Settings, faults: &mut Vec<Fault>) -> Option<Format> {
    let name = draft.text("format", settings).unwrap_or_else(|| Format::Parquet.name().to_owned());
    let format = Format::parse(&name);
    if format.is_none() {
        faults.push(Fault::new("format", format!("`{name}` is not one of parquet, json")));
    }
    format
}

fn check_base_url(draft: &Draft, source: Option<&str>, settings: &Settings, faults: &mut Vec<Fault>) -> Option<String> {
    let variable = || settings.get(&Settings::variable(source?, "base_url")).map(str::to_owned);
    let url = draft.text("base_url", &Settings::default()).or_else(variable)?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        faults.push(Fault::new("base_url", format!("`{url}` must begin with https:// or http://")));
    }
    Some(url)
}

/// Reads a day or an instant. A day is its midnight, or that of the next day if it is the end of a range, since a range ends before its end.
/// An instant must have a time zone.
fn read_instant(text: &str, last: bool) -> Option<Instant> {
    if let Some(day) = time::parse_day(text) {
        let day = if last { day.succ_opt()? } else { day };
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        [("SOURCE", "ticketmaster"), ("LAKE", "s3://bucket/a/b/")]
            .map(|(name, value)| (name.into(), value.into()))
            .into_iter()
            .collect()
    }

    #[test]
    fn an_empty_event_and_an_envelope_use_the_environment() {
        let envelope = json!({"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
        for event in [json!(null), json!({}), envelope] {
            let draft = Draft::from_event(&event).unwrap();
            let request = Request::check(&draft, Some("events"), &settings()).unwrap();
            assert_eq!(request.source, "ticketmaster");
            assert_eq!(request.lake.to_string(), "s3://bucket/a/b");
            assert_eq!((request.from, request.full, request.format), (None, false, Format::Parquet));
        }
    }

    #[test]
    fn every_fault_of_a_draft_is_named() {
        let draft = Draft::new([
            ("lake", "gs://x"),
            ("from", "yesterday"),
            ("to", "2026-01-01T00:00:00"),
            ("format", "csv"),
            ("max_requests", "0"),
            ("max_seconds", "604801"),
            ("base_url", "ftp://x"),
        ]);
        let Faults(faults) = Request::check(&draft, None, &Settings::default()).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(
            places,
            ["source", "resource", "lake", "from", "to", "format", "max_requests", "max_seconds", "base_url"]
        );
    }

    #[test]
    fn a_range_of_one_day_ends_before_the_next_day() {
        let draft = Draft::new([("from", "2026-01-01"), ("to", "2026-01-01")]);
        let request = Request::check(&draft, Some("sales"), &settings()).unwrap();
        assert_eq!(request.from.map(time::format_instant).as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(request.to.map(time::format_instant).as_deref(), Some("2026-01-02T00:00:00Z"));
    }

    #[test]
    fn a_variable_replaces_an_absent_option() {
        let settings: Settings =
            [("LAKE", "lake"), ("MAX_REQUESTS", "7"), ("MAX_SECONDS", "8"), ("X_BASE_URL", "http://here/")]
                .map(|(name, value)| (name.into(), value.into()))
                .into_iter()
                .collect();
        let request = Request::check(&Draft::new([("source", "x")]), Some("sales"), &settings).unwrap();
        assert_eq!((request.max_requests, request.max_time), (Some(7), Some(Duration::from_secs(8))));
        assert_eq!(request.base_url.as_deref(), Some("http://here"));
    }
}
