//! The options of a request, each declared once: the fields of an event, the flags of the command line, the variables that stand in for
//! them, and the documentation come from [`OPTIONS`].

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use manifest::template::param_text;
use manifest::{Fault, Faults, Settings, nearest};
use serde_json::{Map, Value};

/// An option of a request.
#[derive(Debug)]
pub struct RequestOption {
    /// The name in an event; on the command line with `-` for `_`.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// Whether an event may have it. What an event may not have is the deployment's, not the caller's.
    pub in_event: bool,
    /// The environment variable that stands in for it where it is absent.
    pub variable: Option<&'static str>,
    /// The placeholder of its value in the help of the command line.
    pub value_name: &'static str,
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// What an option takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A text.
    Text,
    /// A whole number within a range.
    Number(RangeInclusive<u64>),
    /// Given or not.
    Flag,
    /// Names with values, `--param NAME=VALUE` on the command line.
    Params,
    /// Several texts: the flag repeated, or the variable with commas.
    List,
}

/// Every option, in the order of the help.
pub const OPTIONS: &[RequestOption] = &[
    RequestOption {
        name: "source",
        kind: OptionKind::Text,
        in_event: true,
        variable: Some("SOURCE"),
        value_name: "NAME",
        help: "The source: see_tickets, ticketmaster, eventzilla, xurrent, or the name of a manifest given with --sources",
    },
    RequestOption {
        name: "resource",
        kind: OptionKind::Text,
        in_event: true,
        variable: None,
        value_name: "NAME",
        help: "The resource, for the function `resource`: a name, several with commas, or `all`",
    },
    RequestOption {
        name: "lake",
        kind: OptionKind::Text,
        in_event: false,
        variable: Some("LAKE"),
        value_name: "DIR|s3://BUCKET/PREFIX",
        help: "Where the lake lies: a directory or s3://BUCKET/PREFIX",
    },
    RequestOption {
        name: "from",
        kind: OptionKind::Text,
        in_event: true,
        variable: None,
        value_name: "DATE|RFC3339",
        help: "The first day or instant, instead of the watermark",
    },
    RequestOption {
        name: "to",
        kind: OptionKind::Text,
        in_event: true,
        variable: None,
        value_name: "DATE|RFC3339",
        help: "The last day or instant",
    },
    RequestOption {
        name: "full",
        kind: OptionKind::Flag,
        in_event: true,
        variable: None,
        value_name: "",
        help: "Read everything, whatever the watermark",
    },
    RequestOption {
        name: "params",
        kind: OptionKind::Params,
        in_event: true,
        variable: None,
        value_name: "NAME=VALUE",
        help: "A condition that the resource accepts; may be given several times",
    },
    RequestOption {
        name: "format",
        kind: OptionKind::Text,
        in_event: true,
        variable: Some("FORMAT"),
        value_name: "FORMAT",
        help: "How parts are written: parquet, the default, or json",
    },
    RequestOption {
        name: "max_requests",
        kind: OptionKind::Number(1..=u64::MAX),
        in_event: true,
        variable: Some("MAX_REQUESTS"),
        value_name: "N",
        help: "End as `partial` after so many requests, retries included",
    },
    RequestOption {
        name: "max_seconds",
        kind: OptionKind::Number(1..=604_800),
        in_event: true,
        variable: Some("MAX_SECONDS"),
        value_name: "SECONDS",
        help: "End as `partial` after asking the API for so long; what was read by then is stored after it",
    },
    RequestOption {
        name: "initial_days",
        kind: OptionKind::Number(1..=365),
        in_event: true,
        variable: Some("INITIAL_DAYS"),
        value_name: "N",
        help: "Where a resource without a watermark begins: so many days ago; without it, everything is read",
    },
    RequestOption {
        name: "retention_days",
        kind: OptionKind::Number(0..=36_500),
        in_event: true,
        variable: Some("RETENTION_DAYS"),
        value_name: "N",
        help: "Days that a record is kept after it is past; 0, the default, keeps it for good",
    },
    RequestOption {
        name: "page_size",
        kind: OptionKind::Number(1..=1_000_000),
        in_event: true,
        variable: Some("PAGE_SIZE"),
        value_name: "N",
        help: "Records asked for in one page, up to the API's largest page, which is the default",
    },
    RequestOption {
        name: "request_timeout",
        kind: OptionKind::Number(1..=300),
        in_event: true,
        variable: Some("REQUEST_TIMEOUT"),
        value_name: "SECONDS",
        help: "How long one request may take; 60 seconds by default",
    },
    RequestOption {
        name: "attempts",
        kind: OptionKind::Number(1..=10),
        in_event: true,
        variable: Some("ATTEMPTS"),
        value_name: "N",
        help: "Requests sent for one page before it is given up; 5 by default",
    },
    RequestOption {
        name: "sources",
        kind: OptionKind::List,
        in_event: false,
        variable: Some("SOURCES"),
        value_name: "FILE|s3://BUCKET/KEY",
        help: "A manifest of your own; may be given several times",
    },
    RequestOption {
        name: "base_url",
        kind: OptionKind::Text,
        in_event: false,
        variable: Some("<SOURCE>_BASE_URL"),
        value_name: "URL",
        help: "Where the API is reached instead of the manifest's base_url",
    },
    RequestOption {
        name: "check",
        kind: OptionKind::Flag,
        in_event: false,
        variable: None,
        value_name: "",
        help: "Validate and print the plan; read no data",
    },
    RequestOption {
        name: "replay_rejected",
        kind: OptionKind::Flag,
        in_event: true,
        variable: None,
        value_name: "",
        help: "Read no API: store those of the rejected records that fit the present manifest",
    },
];

/// The option called `name`.
pub fn find(name: &str) -> Option<&'static RequestOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The value of an option as it was given, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A text, or a number as a text.
    Text(String),
    /// A flag.
    Flag(bool),
    /// Names with values.
    Params(BTreeMap<String, String>),
    /// Several texts.
    List(Vec<String>),
}

/// A request as it was given: the options that an event or a command line has, not yet checked.
#[derive(Clone, Debug, Default)]
pub struct Draft(BTreeMap<&'static str, Given>);

impl Draft {
    /// A draft with these options, as texts. A name that no option has is left out.
    pub fn of<'t>(options: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut draft = Self::default();
        for (name, text) in options {
            draft.set(name, Given::Text(text.to_owned()));
        }
        draft
    }

    /// Sets the option `name`.
    pub fn set(&mut self, name: &str, value: Given) {
        if let Some(option) = find(name) {
            self.0.insert(option.name, value);
        }
    }

    /// The same draft with a flag set.
    #[must_use]
    pub fn with_flag(mut self, name: &str) -> Self {
        self.set(name, Given::Flag(true));
        self
    }

    /// The same draft with a condition on the resource.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        let mut params = self.params();
        params.insert(name.to_owned(), value.to_owned());
        self.set("params", Given::Params(params));
        self
    }

    /// Reads a Lambda event. Null, an empty object and an EventBridge envelope ask for what the environment says.
    ///
    /// # Errors
    ///
    /// Every unknown field and every wrong type.
    pub fn from_event(event: &Value) -> Result<Self, Faults> {
        let members = match event {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) if is_envelope(members) => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(Fault::new("event", "must be a JSON object; all its fields are optional").into()),
        };
        let mut faults = Vec::new();
        let mut draft = Self::default();
        for (name, value) in members {
            match find(name).filter(|option| option.in_event) {
                Some(option) => match read_member(option, value) {
                    Ok(Some(given)) => draft.set(name, given),
                    Ok(None) => {}
                    Err(fault) => faults.push(fault),
                },
                None => {
                    let fields = OPTIONS.iter().filter(|option| option.in_event).map(|option| option.name);
                    let fields: Vec<&str> = fields.collect();
                    let hint = nearest(name, &fields);
                    faults.push(Fault::new(name, format!("unknown field; known: {}{hint}", fields.join(", "))));
                }
            }
        }
        if faults.is_empty() { Ok(draft) } else { Err(Faults(faults)) }
    }

    /// The text of the option `name`: as given, else its variable's.
    pub(crate) fn text(&self, name: &str, settings: &Settings) -> Option<String> {
        match self.0.get(name) {
            Some(Given::Text(text)) => Some(text.clone()),
            _ => settings.get(find(name)?.variable?).map(str::to_owned),
        }
    }

    /// Whether the flag `name` is given.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Given::Flag(true))
    }

    /// The conditions on the resource.
    pub(crate) fn params(&self) -> BTreeMap<String, String> {
        match self.0.get("params") {
            Some(Given::Params(params)) => params.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// The texts of the option `name`: as given, else its variable's, with commas.
    pub(crate) fn list(&self, name: &str, settings: &Settings) -> Vec<String> {
        match self.0.get(name) {
            Some(Given::List(texts)) if !texts.is_empty() => texts.clone(),
            _ => {
                let text = self.text(name, settings).unwrap_or_default();
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
            }
        }
    }

    /// The number of the option `name`: as given, else its variable's.
    ///
    /// # Errors
    ///
    /// A fault for a text that is no such number.
    pub(crate) fn number(&self, name: &str, settings: &Settings) -> Result<Option<u64>, Fault> {
        let Some(RequestOption { kind: OptionKind::Number(range), .. }) = find(name) else { return Ok(None) };
        let Some(text) = self.text(name, settings) else { return Ok(None) };
        match text.parse().ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (first, last) = (range.start(), range.end());
                let upper = if *last == u64::MAX { String::new() } else { format!(" to {last}") };
                Err(Fault::new(name, format!("`{text}` is not a whole number from {first}{upper}")))
            }
        }
    }
}

/// The value of an event's member; `None` for null.
fn read_member(option: &RequestOption, value: &Value) -> Result<Option<Given>, Fault> {
    let fault = |expected: &str| Err(Fault::new(option.name, format!("must be {expected}, is {value}")));
    match (&option.kind, value) {
        (_, Value::Null) => Ok(None),
        (OptionKind::Text | OptionKind::Number(_), Value::String(text)) => Ok(Some(Given::Text(text.clone()))),
        (OptionKind::Number(_), Value::Number(number)) => Ok(Some(Given::Text(number.to_string()))),
        (OptionKind::Text | OptionKind::Number(_), _) => fault("a text"),
        (OptionKind::Flag, Value::Bool(flag)) => Ok(Some(Given::Flag(*flag))),
        (OptionKind::Flag, _) => fault("true or false"),
        (OptionKind::Params, Value::Object(params)) => {
            Ok(Some(Given::Params(params.iter().map(|(name, value)| (name.clone(), param_text(value))).collect())))
        }
        (OptionKind::Params, _) => fault("an object of names and values"),
        (OptionKind::List, Value::Array(texts)) => Ok(Some(Given::List(texts.iter().map(param_text).collect()))),
        (OptionKind::List, _) => fault("a list of texts"),
    }
}

/// Whether the event is EventBridge's own: `source` there names the sender, not a source.
fn is_envelope(members: &Map<String, Value>) -> bool {
    members.contains_key("detail-type") && members.contains_key("detail")
}

/// The options as a Markdown table, for the documentation.
pub fn to_markdown() -> String {
    let mut table = String::from("| event | command line | variable | meaning |\n|---|---|---|---|\n");
    for option in OPTIONS {
        let event = if option.in_event { format!("`{}`", option.name) } else { "–".to_owned() };
        let flag = flag_name(option);
        let flag = if option.value_name.is_empty() {
            format!("`--{flag}`")
        } else {
            format!("`--{flag} {}`", option.value_name.replace('|', "\\|"))
        };
        let variable = option.variable.map_or_else(|| "–".to_owned(), |variable| format!("`{variable}`"));
        let range = match &option.kind {
            OptionKind::Number(range) if *range.end() == u64::MAX => format!("; from {}", range.start()),
            OptionKind::Number(range) => format!("; {} to {}", range.start(), range.end()),
            _ => String::new(),
        };
        table.push_str(&format!("| {event} | {flag} | {variable} | {}{range}. |\n", option.help));
    }
    table
}

/// The name of an option's flag on the command line, without the dashes.
pub(crate) fn flag_name(option: &RequestOption) -> String {
    match option.kind {
        OptionKind::Params => "param".to_owned(),
        _ => option.name.replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fault_of_an_event_is_named() {
        let Faults(faults) = Draft::from_event(&json!({"form": "x", "full": "yes", "params": 3})).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["form", "full", "params"]);
        assert!(faults[0].message.contains("Did you mean `from`?"), "{}", faults[0]);
    }

    #[test]
    fn a_caller_cannot_choose_what_is_the_deployments() {
        for name in ["lake", "sources", "base_url", "check"] {
            assert!(Draft::from_event(&json!({name: "x"})).is_err(), "{name}");
        }
    }

    #[test]
    fn the_documented_options_are_those_that_there_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/running.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- generated: options -->\n", "<!-- end -->");
        let (before, rest) = page.split_once(begin).expect("docs/running.md has the options' place");
        let (_, after) = rest.split_once(end).expect("the options' place ends");
        let current = format!("{before}{begin}{}{end}{after}", to_markdown());
        if current != page {
            std::fs::write(path, current).unwrap();
            panic!("docs/running.md was not current; it is now: commit it");
        }
    }
}
