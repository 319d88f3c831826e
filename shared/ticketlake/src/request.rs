//! One request, whichever way it came: a Lambda event, a schedule, or the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use client::retry::DEFAULT_ATTEMPTS;
use lake::Location;
use manifest::time::{self, Instant};
use manifest::{Fault, Faults, Settings};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use table::Format;
use xxhash_rust::xxh3::xxh3_128;

use crate::options::Draft;

/// What to read and where to put it; valid in itself (the manifest is checked against it by [`crate::plan`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The manifest's name.
    pub source: String,
    /// The resource's name.
    pub resource: String,
    /// Where the lake lies.
    pub lake: Location,
    /// The range's first instant; overrides the watermark.
    pub from: Option<Instant>,
    /// The range's last instant.
    pub to: Option<Instant>,
    /// Read everything, whatever the watermark.
    pub full: bool,
    /// Conditions that the resource's `filters` accept.
    pub params: BTreeMap<String, String>,
    /// How new objects are written.
    pub format: Format,
    /// Requests after which the run ends as `partial`, retries included.
    pub max_requests: Option<u64>,
    /// How long the run may ask the API, before it ends as `partial`; what was read by then is stored after it.
    pub max_time: Option<Duration>,
    /// Where a resource with a cursor begins that has no watermark yet: so many days ago.
    pub initial_days: Option<i64>,
    /// Days that a record is kept after it is past; `None`: for good.
    pub retention_days: Option<i64>,
    /// Records asked for in one page; `None`: the most that the API gives.
    pub page_size: Option<u64>,
    /// How long one request may take, from its sending to its answer's last byte.
    pub request_timeout: Duration,
    /// Requests sent for one page, the first included.
    pub attempts: u32,
    /// Manifest files beside the built-in ones: paths, or `s3://bucket/key`.
    pub sources: Vec<String>,
    /// Replaces the manifest's `base_url`.
    pub base_url: Option<String>,
    /// Only validate and print the plan.
    pub check: bool,
    /// Read no API: run the records kept under `_rejected` through the present manifest, and land what now fits.
    pub replay_rejected: bool,
}

impl Request {
    /// Checks `draft`, with what is absent taken from `settings` and from the function's own `entity`.
    ///
    /// # Errors
    ///
    /// Every option that is missing or wrong.
    pub fn check(draft: &Draft, entity: Option<&str>, settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let source = check_source(draft, settings, &mut faults);
        let resource = check_resource(draft, entity, &mut faults);
        let lake = check_lake(draft, settings, &mut faults);
        let (from, to) = check_range(draft, &mut faults);
        let format = check_format(draft, settings, &mut faults);
        let full = draft.flag("full");
        if full && (from.is_some() || to.is_some()) {
            faults.push(Fault::new("full", "reads everything: give it, or `from` and `to`, not both"));
        }
        let params = draft.params();
        let replay_rejected = draft.flag("replay_rejected");
        if replay_rejected && (full || from.is_some() || to.is_some() || !params.is_empty()) {
            let message = "reads no API: give it without `from`, `to`, `full` and `params`";
            faults.push(Fault::new("replay_rejected", message));
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
            }),
            _ => Err(Faults(faults)),
        }
    }

    /// What identifies what is asked of the API: two requests with one id read the same.
    pub fn id(&self) -> RequestId {
        let identity = json!({"version": ID_VERSION, "request": self.to_event()});
        RequestId(xxh3_128(identity.to_string().as_bytes()))
    }

    /// The request as an event that asks for the same again.
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

/// The version of what a [`RequestId`] is a hash of.
const ID_VERSION: u32 = 1;

/// What identifies what a request asks of the API: a 128-bit hash.
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
            let message = "is missing: the function `resource` reads the one that the request names";
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
        && from > to
    {
        let message = format!("{} lies after `to`, {}", time::format_instant(from), time::format_instant(to));
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

/// A day is its first moment, or its last second as the end of a range; anything else must say its zone.
fn read_instant(text: &str, last: bool) -> Option<Instant> {
    if let Some(day) = time::parse_day(text) {
        let (hour, minute, second) = if last { (23, 59, 59) } else { (0, 0, 0) };
        return day.and_hms_opt(hour, minute, second).map(|instant| instant.and_utc());
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
    fn an_empty_event_and_an_envelope_ask_for_what_the_environment_says() {
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
        let draft = Draft::of([
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
    fn a_day_is_whole() {
        let draft = Draft::of([("from", "2026-01-01"), ("to", "2026-01-01")]);
        let request = Request::check(&draft, Some("sales"), &settings()).unwrap();
        assert_eq!(request.from.map(time::format_instant).as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(request.to.map(time::format_instant).as_deref(), Some("2026-01-01T23:59:59Z"));
    }

    #[test]
    fn a_variable_stands_in_for_an_option_that_is_absent() {
        let settings: Settings =
            [("LAKE", "lake"), ("MAX_REQUESTS", "7"), ("MAX_SECONDS", "8"), ("X_BASE_URL", "http://here/")]
                .map(|(name, value)| (name.into(), value.into()))
                .into_iter()
                .collect();
        let request = Request::check(&Draft::of([("source", "x")]), Some("sales"), &settings).unwrap();
        assert_eq!((request.max_requests, request.max_time), (Some(7), Some(Duration::from_secs(8))));
        assert_eq!(request.base_url.as_deref(), Some("http://here"));
    }
}
