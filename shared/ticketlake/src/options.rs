//! The options of a request. [`OPTIONS`] declares each once: the fields of an event, the flags of the command line, the environment
//! variables and the documentation follow from it.

use std::collections::BTreeMap;

use manifest::template::param_text;
use manifest::{Fault, Faults, Settings, nearest};
use serde_json::{Map, Value};

/// An option of a request.
#[derive(Debug)]
pub struct RequestOption {
    /// The name in an event. On the command line, `-` replaces `_`.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: OptionKind,
    /// Whether an event may have the option. The others belong to the deployment, and not to the caller.
    pub in_event: bool,
    /// The environment variable that is used if the option is absent.
    pub variable: Option<&'static str>,
    /// The placeholder of the value in the help of the command line.
    pub value_name: &'static str,
    /// The meaning, in one sentence.
    pub help: &'static str,
}

/// The kind of an option's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A text.
    Text,
    /// A whole number.
    Number {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed. `None` if there is none.
        max: Option<u64>,
    },
    /// True or false.
    Flag,
    /// Names with values: `--param NAME=VALUE` on the command line.
    Params,
    /// Several texts: the flag may be repeated, and the variable has commas between them.
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
        help: "The resource, for the function `resource`: a name, several with commas between them, or `all`",
    },
    RequestOption {
        name: "lake",
        kind: OptionKind::Text,
        in_event: false,
        variable: Some("LAKE"),
        value_name: "DIR|s3://BUCKET/PREFIX",
        help: "The location of the lake: a directory or s3://BUCKET/PREFIX",
    },
    RequestOption {
        name: "from",
        kind: OptionKind::Text,
        in_event: true,
        variable: None,
        value_name: "DATE|RFC3339",
        help: "The first day or instant to read, whatever was read before",
    },
    RequestOption {
        name: "to",
        kind: OptionKind::Text,
        in_event: true,
        variable: None,
        value_name: "DATE|RFC3339",
        help: "The last day to read, or the instant before which the range ends",
    },
    RequestOption {
        name: "full",
        kind: OptionKind::Flag,
        in_event: true,
        variable: None,
        value_name: "",
        help: "Reads everything, whatever was read before",
    },
    RequestOption {
        name: "params",
        kind: OptionKind::Params,
        in_event: true,
        variable: None,
        value_name: "NAME=VALUE",
        help: "A condition of the resource; can be repeated",
    },
    RequestOption {
        name: "format",
        kind: OptionKind::Text,
        in_event: true,
        variable: Some("FORMAT"),
        value_name: "FORMAT",
        help: "The format of new parts: parquet (default) or json",
    },
    RequestOption {
        name: "max_requests",
        kind: OptionKind::Number { min: 1, max: None },
        in_event: true,
        variable: Some("MAX_REQUESTS"),
        value_name: "N",
        help: "The greatest number of requests, retries included; then the run ends as `partial`",
    },
    RequestOption {
        name: "max_seconds",
        kind: OptionKind::Number { min: 1, max: Some(604_800) },
        in_event: true,
        variable: Some("MAX_SECONDS"),
        value_name: "SECONDS",
        help: "The greatest number of seconds for reading; then the rows are stored and the run ends as `partial`",
    },
    RequestOption {
        name: "initial_days",
        kind: OptionKind::Number { min: 1, max: Some(365) },
        in_event: true,
        variable: Some("INITIAL_DAYS"),
        value_name: "N",
        help: "The number of days before the start of the first run at which a resource begins; everything by default",
    },
    RequestOption {
        name: "retention_days",
        kind: OptionKind::Number { min: 0, max: Some(36_500) },
        in_event: true,
        variable: Some("RETENTION_DAYS"),
        value_name: "N",
        help: "The number of days that a row is kept after it is past; 0 (default) keeps all rows",
    },
    RequestOption {
        name: "page_size",
        kind: OptionKind::Number { min: 1, max: Some(1_000_000) },
        in_event: true,
        variable: Some("PAGE_SIZE"),
        value_name: "N",
        help: "The number of records to request with one page; that of the manifest by default",
    },
    RequestOption {
        name: "request_timeout",
        kind: OptionKind::Number { min: 1, max: Some(300) },
        in_event: true,
        variable: Some("REQUEST_TIMEOUT"),
        value_name: "SECONDS",
        help: "The timeout of one request in seconds; 60 by default",
    },
    RequestOption {
        name: "attempts",
        kind: OptionKind::Number { min: 1, max: Some(10) },
        in_event: true,
        variable: Some("ATTEMPTS"),
        value_name: "N",
        help: "The greatest number of requests for one page, the first included; 5 by default",
    },
    RequestOption {
        name: "sources",
        kind: OptionKind::List,
        in_event: false,
        variable: Some("SOURCES"),
        value_name: "FILE|s3://BUCKET/KEY",
        help: "A manifest file; can be repeated",
    },
    RequestOption {
        name: "base_url",
        kind: OptionKind::Text,
        in_event: false,
        variable: Some("<SOURCE>_BASE_URL"),
        value_name: "URL",
        help: "The URL of the API, instead of the manifest's base_url",
    },
    RequestOption {
        name: "check",
        kind: OptionKind::Flag,
        in_event: false,
        variable: None,
        value_name: "",
        help: "Validates the request and prints the plan; stores nothing",
    },
    RequestOption {
        name: "replay_rejected",
        kind: OptionKind::Flag,
        in_event: true,
        variable: None,
        value_name: "",
        help: "Sends no requests; stores those rejected records that fit the present manifest",
    },
    RequestOption {
        name: "repair",
        kind: OptionKind::Flag,
        in_event: true,
        variable: None,
        value_name: "",
        help: "Sends no requests; keeps only the newest row of each key that lies in several partitions",
    },
];

/// Returns the option with the name `name`.
pub fn find(name: &str) -> Option<&'static RequestOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The value of an option before it is checked.
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

/// A request before it is checked: the options of an event or a command line.
#[derive(Clone, Debug, Default)]
pub struct Draft(BTreeMap<&'static str, Given>);

impl Draft {
    /// Creates a draft from the names and texts of options. Unknown names are ignored.
    pub fn new<'t>(options: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut draft = Self::default();
        for (name, text) in options {
            draft.set(name, Given::Text(text.to_owned()));
        }
        draft
    }

    /// Sets the option `name`. An unknown name is ignored.
    pub fn set(&mut self, name: &str, value: Given) {
        if let Some(option) = find(name) {
            self.0.insert(option.name, value);
        }
    }

    /// Sets a flag.
    #[must_use]
    pub fn with_flag(mut self, name: &str) -> Self {
        self.set(name, Given::Flag(true));
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        let mut params = self.params();
        params.insert(name.to_owned(), value.to_owned());
        self.set("params", Given::Params(params));
        self
    }

    /// Reads a Lambda event. Null, an empty object and an EventBridge envelope set no option.
    ///
    /// # Errors
    ///
    /// A fault for each unknown field and each value of a wrong type.
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

    /// Returns the text of the option `name`, or that of its variable.
    pub(crate) fn text(&self, name: &str, settings: &Settings) -> Option<String> {
        match self.0.get(name) {
            Some(Given::Text(text)) => Some(text.clone()),
            _ => settings.get(find(name)?.variable?).map(str::to_owned),
        }
    }

    /// Returns whether the flag `name` is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Given::Flag(true))
    }

    /// Returns the conditions (`params`).
    pub(crate) fn params(&self) -> BTreeMap<String, String> {
        match self.0.get("params") {
            Some(Given::Params(params)) => params.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// Returns the texts of the option `name`, or those of its variable.
    pub(crate) fn list(&self, name: &str, settings: &Settings) -> Vec<String> {
        match self.0.get(name) {
            Some(Given::List(texts)) if !texts.is_empty() => texts.clone(),
            _ => {
                let text = self.text(name, settings).unwrap_or_default();
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
            }
        }
    }

    /// Returns the number of the option `name`, or that of its variable.
    ///
    /// # Errors
    ///
    /// A fault for a text that is not a whole number in the allowed range.
    pub(crate) fn number(&self, name: &str, settings: &Settings) -> Result<Option<u64>, Fault> {
        let Some(RequestOption { kind: OptionKind::Number { min, max }, .. }) = find(name) else { return Ok(None) };
        let Some(text) = self.text(name, settings) else { return Ok(None) };
        match text.parse().ok().filter(|number| number >= min && max.is_none_or(|max| *number <= max)) {
            Some(number) => Ok(Some(number)),
            None => {
                let upper = max.map(|max| format!(" to {max}")).unwrap_or_default();
                Err(Fault::new(name, format!("`{text}` is not a whole number from {min}{upper}")))
            }
        }
    }
}

/// Reads the member of an event that sets `option`. `None` for null.
fn read_member(option: &RequestOption, value: &Value) -> Result<Option<Given>, Fault> {
    let fault = |expected: &str| Err(Fault::new(option.name, format!("must be {expected}, is {value}")));
    match (&option.kind, value) {
        (_, Value::Null) => Ok(None),
        (OptionKind::Text | OptionKind::Number { .. }, Value::String(text)) => Ok(Some(Given::Text(text.clone()))),
        (OptionKind::Number { .. }, Value::Number(number)) => Ok(Some(Given::Text(number.to_string()))),
        (OptionKind::Text | OptionKind::Number { .. }, _) => fault("a text"),
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

/// Returns whether the event is an EventBridge envelope. Its `source` is the sender of the event, not a source of records.
fn is_envelope(members: &Map<String, Value>) -> bool {
    members.contains_key("detail-type") && members.contains_key("detail")
}

/// Returns the options as a Markdown table, for the documentation.
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
            OptionKind::Number { min, max: None } => format!("; from {min}"),
            OptionKind::Number { min, max: Some(max) } => format!("; {min} to {max}"),
            _ => String::new(),
        };
        table.push_str(&format!("| {event} | {flag} | {variable} | {}{range}. |\n", option.help));
    }
    table
}

/// Returns the name of an option's flag on the command line, without the dashes.
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
    fn an_event_cannot_set_options_of_the_deployment() {
        for name in ["lake", "sources", "base_url", "check"] {
            assert!(Draft::from_event(&json!({name: "x"})).is_err(), "{name}");
        }
    }

    #[test]
    fn the_documented_options_are_current() {
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
