//! One request, whichever way it came: a Lambda event, a schedule, or the command line.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use manifest::{Fault, Faults};
use client::retry::ATTEMPTS;
use manifest::nearest;
use manifest::template::plain;
use manifest::Settings;
use manifest::time::{self, Instant};

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

/// Where a lake lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory.
    Directory(PathBuf),
    /// `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Before every key, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl Location {
    /// Reads `s3://bucket/prefix` or a directory's path.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.len() < 3 {
                return Err(format!("`{text}` names no bucket: use s3://bucket/prefix"));
            }
            return Ok(Self::S3 { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("`{scheme}://` is not supported: use a directory or s3://bucket/prefix"));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, zstd.
    Parquet,
    /// One JSON object a line, gzip.
    Json,
}

impl Request {
    /// What is asked of the API: two requests of one signature read the same.
    pub fn signature(&self) -> String {
        self.again().to_string()
    }

    /// The request as an event that asks for the same again.
    pub fn again(&self) -> Value {
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

impl Format {
    /// The request's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
        }
    }

    /// The format called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Json].into_iter().find(|format| format.name() == name)
    }
}

/// A request as it was given: texts, each of them optional, not yet checked.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// See [`Request::source`]; the variable `SOURCE` otherwise.
    pub source: Option<String>,
    /// See [`Request::resource`]; the function's own entity otherwise.
    pub resource: Option<String>,
    /// See [`Request::lake`]; the variable `LAKE` otherwise.
    pub lake: Option<String>,
    /// A day (its first moment) or an RFC 3339 instant.
    pub from: Option<String>,
    /// A day (its last second) or an RFC 3339 instant.
    pub to: Option<String>,
    /// See [`Request::full`].
    pub full: bool,
    /// See [`Request::params`].
    pub params: BTreeMap<String, String>,
    /// `parquet` or `json`; the variable `FORMAT` otherwise, else `parquet`.
    pub format: Option<String>,
    /// A whole number from 1.
    pub max_requests: Option<String>,
    /// Seconds, 1 to 604,800; else there is no end but the function's own.
    pub max_seconds: Option<String>,
    /// 1 to 365; the variable `INITIAL_DAYS` otherwise, else everything.
    pub initial_days: Option<String>,
    /// 0 to 36500; the variable `RETENTION_DAYS` otherwise, else 0: for good.
    pub retention_days: Option<String>,
    /// 1 to the manifest's largest; the variable `PAGE_SIZE` otherwise, else the largest.
    pub page_size: Option<String>,
    /// Seconds, 1 to 300; the variable `REQUEST_TIMEOUT` otherwise, else 60.
    pub request_timeout: Option<String>,
    /// 1 to 10; the variable `ATTEMPTS` otherwise, else 5.
    pub attempts: Option<String>,
    /// See [`Request::sources`]; the variable `SOURCES`, with commas, otherwise.
    pub sources: Vec<String>,
    /// See [`Request::base_url`]; the variable `<SOURCE>_BASE_URL` otherwise.
    pub base_url: Option<String>,
    /// See [`Request::check`].
    pub check: bool,
    /// See [`Request::replay_rejected`].
    pub replay_rejected: bool,
}

impl Draft {
    /// Reads a Lambda event. Null, an empty object and an EventBridge envelope ask for what the environment says; every
    /// unknown field and every wrong type is a fault.
    pub fn from_event(event: &Value) -> Result<Self, Faults> {
        const FIELDS: [&str; 15] = [
            "source",
            "resource",
            "from",
            "to",
            "full",
            "params",
            "format",
            "max_requests",
            "max_seconds",
            "replay_rejected",
            "initial_days",
            "page_size",
            "request_timeout",
            "attempts",
            "retention_days",
        ];
        let members = match event {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) if is_envelope(members) => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(Fault::new("event", "must be a JSON object; all its fields are optional").into()),
        };
        let mut faults = Vec::new();
        let mut draft = Self::default();
        for (name, value) in members {
            let text = || match value {
                Value::String(text) => Ok(Some(text.clone())),
                Value::Null => Ok(None),
                _ => Err(Fault::new(name, format!("must be a text, is {value}"))),
            };
            let flag = || match value {
                Value::Bool(flag) => Ok(*flag),
                Value::Null => Ok(false),
                _ => Err(Fault::new(name, format!("must be true or false, is {value}"))),
            };
            let number = || match value {
                Value::Number(number) => Ok(Some(number.to_string())),
                _ => text(),
            };
            let read = match name.as_str() {
                "source" => text().map(|text| draft.source = text),
                "resource" => text().map(|text| draft.resource = text),
                "from" => text().map(|text| draft.from = text),
                "to" => text().map(|text| draft.to = text),
                "format" => text().map(|text| draft.format = text),
                "max_requests" => number().map(|number| draft.max_requests = number),
                "max_seconds" => number().map(|number| draft.max_seconds = number),
                "initial_days" => number().map(|number| draft.initial_days = number),
                "page_size" => number().map(|number| draft.page_size = number),
                "retention_days" => number().map(|number| draft.retention_days = number),
                "request_timeout" => number().map(|number| draft.request_timeout = number),
                "attempts" => number().map(|number| draft.attempts = number),
                "full" => flag().map(|flag| draft.full = flag),
                "replay_rejected" => flag().map(|flag| draft.replay_rejected = flag),
                "params" => match value {
                    Value::Object(params) => {
                        Ok(params.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
                    }
                    Value::Null => Ok(BTreeMap::new()),
                    _ => Err(Fault::new(name, format!("must be an object of names and values, is {value}"))),
                }
                .map(|params| draft.params = params),
                _ => {
                    let hint = nearest(name, &FIELDS);
                    Err(Fault::new(name, format!("unknown field; known: {}{hint}", FIELDS.join(", "))))
                }
            };
            if let Err(fault) = read {
                faults.push(fault);
            }
        }
        if faults.is_empty() { Ok(draft) } else { Err(Faults(faults)) }
    }

    /// Checks the draft, with what is absent taken from `settings` and from the function's own `entity`.
    pub fn check(self, entity: Option<&str>, settings: &Settings) -> Result<Request, Faults> {
        let mut faults = Vec::new();
        let mut fault = |place: &str, message: String| faults.push(Fault::new(place, message));

        let source = self.source.or_else(|| settings.get("SOURCE").map(str::to_owned));
        if source.is_none() {
            fault(
                "source",
                "is missing: give `source`, or set SOURCE; built in: see_tickets, ticketmaster, eventzilla, xurrent"
                    .into(),
            );
        }
        if let (Some(source), Some(own), Some(_)) = (&source, settings.get("SOURCE"), settings.get("SECRET_ID"))
            && source != own
        {
            fault("source", format!("this function holds the key of `{own}`, which `{source}` must not be sent"));
        }
        let resource = match (entity, self.resource) {
            (Some(entity), Some(resource)) if entity != resource => {
                fault(
                    "resource",
                    format!("this function reads `{entity}`; for `{resource}` use the function `resource`"),
                );
                None
            }
            (Some(entity), _) => Some(entity.to_owned()),
            (None, Some(resource)) => Some(resource),
            (None, None) => {
                fault("resource", "is missing: the function `resource` reads the one that the request names".into());
                None
            }
        };
        let lake = match self.lake.or_else(|| settings.get("LAKE").map(str::to_owned)) {
            Some(text) => Location::parse(&text).map_err(|message| fault("lake", message)).ok(),
            None => {
                fault("lake", "is missing: give a directory or s3://bucket/prefix, or set LAKE".into());
                None
            }
        };
        let mut instant = |place: &str, text: Option<String>, last: bool| {
            let text = text?;
            let read = read_instant(&text, last);
            if read.is_none() {
                fault(
                    place,
                    format!("`{text}` is neither a day nor an instant: use 2026-01-31 or 2026-01-31T18:00:00Z"),
                );
            }
            read
        };
        let from = instant("from", self.from, false);
        let to = instant("to", self.to, true);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            fault("from", format!("{} lies after `to`, {}", time::format_instant(from), time::format_instant(to)));
        }
        if self.full && (from.is_some() || to.is_some()) {
            fault("full", "reads everything: give it, or `from` and `to`, not both".into());
        }
        let ranged = self.full || from.is_some() || to.is_some() || !self.params.is_empty();
        if self.replay_rejected && ranged {
            fault("replay_rejected", "reads no API: give it without `from`, `to`, `full` and `params`".into());
        }
        let format = self.format.as_deref().or_else(|| settings.get("FORMAT")).unwrap_or("parquet");
        let known_format = Format::parse(format);
        if known_format.is_none() {
            fault("format", format!("`{format}` is not one of parquet, json"));
        }
        let mut number = |place: &str, given: Option<String>, range: RangeInclusive<u64>| {
            let text = given.or_else(|| settings.get(&place.to_uppercase()).map(str::to_owned))?;
            let number = text.parse().ok().filter(|number| range.contains(number));
            if number.is_none() {
                let (first, last) = range.into_inner();
                let upper = if last == u64::MAX { String::new() } else { format!(" to {last}") };
                fault(place, format!("`{text}` is not a whole number from {first}{upper}"));
            }
            number
        };
        let max_requests = number("max_requests", self.max_requests, 1..=u64::MAX);
        let max_seconds = number("max_seconds", self.max_seconds, 1..=604_800);
        let initial_days = number("initial_days", self.initial_days, 1..=365);
        let retention_days = number("retention_days", self.retention_days, 0..=36_500).filter(|days| *days > 0);
        let page_size = number("page_size", self.page_size, 1..=1_000_000);
        let request_timeout = number("request_timeout", self.request_timeout, 1..=300).unwrap_or(60);
        let attempts = number("attempts", self.attempts, 1..=10);
        let base_url = self.base_url.or_else(|| {
            let source = source.as_deref()?;
            settings.get(&Settings::variable(source, "base_url")).map(str::to_owned)
        });
        if let Some(url) = &base_url
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            fault("base_url", format!("`{url}` must begin with https:// or http://"));
        }
        let sources = if self.sources.is_empty() {
            let listed = settings.get("SOURCES").unwrap_or_default().split(',').map(str::trim);
            listed.filter(|file| !file.is_empty()).map(str::to_owned).collect()
        } else {
            self.sources
        };
        match (source, resource, lake, known_format) {
            (Some(source), Some(resource), Some(lake), Some(format)) if faults.is_empty() => Ok(Request {
                source,
                resource,
                lake,
                from,
                to,
                full: self.full,
                params: self.params,
                format,
                max_requests,
                max_time: max_seconds.map(Duration::from_secs),
                initial_days: initial_days.and_then(|days| i64::try_from(days).ok()),
                retention_days: retention_days.and_then(|days| i64::try_from(days).ok()),
                page_size,
                request_timeout: Duration::from_secs(request_timeout),
                attempts: attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(ATTEMPTS),
                sources,
                base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
                check: self.check,
                replay_rejected: self.replay_rejected,
            }),
            _ => Err(Faults(faults)),
        }
    }
}

/// EventBridge's own fields: `source` there names the sender, not one of ours.
fn is_envelope(members: &Map<String, Value>) -> bool {
    members.contains_key("detail-type") && members.contains_key("detail")
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
    use serde_json::json;

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
            let request = Draft::from_event(&event).unwrap().check(Some("events"), &settings()).unwrap();
            assert_eq!(request.source, "ticketmaster");
            assert_eq!(request.lake.to_string(), "s3://bucket/a/b");
            assert_eq!((request.from, request.full, request.format), (None, false, Format::Parquet));
        }
    }

    #[test]
    fn every_fault_of_an_event_is_named() {
        let Faults(faults) = Draft::from_event(&json!({"form": "x", "full": "yes", "params": 3})).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["form", "full", "params"]);
        assert!(faults[0].message.contains("Did you mean `from`?"), "{}", faults[0]);
    }

    #[test]
    fn every_fault_of_a_draft_is_named() {
        let draft = Draft {
            lake: Some("gs://x".into()),
            from: Some("yesterday".into()),
            to: Some("2026-01-01T00:00:00".into()),
            format: Some("csv".into()),
            max_requests: Some("0".into()),
            max_seconds: Some("604801".into()),
            base_url: Some("ftp://x".into()),
            ..Draft::default()
        };
        let Faults(faults) = draft.check(None, &Settings::default()).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(
            places,
            ["source", "resource", "lake", "from", "to", "format", "max_requests", "max_seconds", "base_url"]
        );
    }

    #[test]
    fn a_day_is_whole() {
        let draft = Draft { from: Some("2026-01-01".into()), to: Some("2026-01-01".into()), ..Draft::default() };
        let request = draft.check(Some("sales"), &settings()).unwrap();
        assert_eq!(request.from.map(time::format_instant).as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(request.to.map(time::format_instant).as_deref(), Some("2026-01-01T23:59:59Z"));
    }
}
