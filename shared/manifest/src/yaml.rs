//! A YAML (or JSON) document read with its places kept, gathering every fault instead of stopping at the first.

use std::cell::RefCell;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::Value;

use crate::{Fault, Faults, nearest};

type Mapping<'y> = saphyr::AnnotatedMapping<'y, MarkedYaml<'y>>;

/// One document being read: its name and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Document {
    file: String,
    faults: RefCell<Vec<Fault>>,
}

impl Document {
    /// Loads `text` and hands its root to `read`; an error holds every fault of the document, in its order.
    pub(super) fn read<T>(file: &str, text: &str, read: impl FnOnce(Node<'_>) -> Option<T>) -> Result<T, Faults> {
        let document = Self { file: file.to_owned(), faults: RefCell::new(Vec::new()) };
        let roots = MarkedYaml::load_from_str(text).map_err(|error| {
            let mark = error.marker();
            let place = format!("{file}:{}:{}", mark.line(), mark.col() + 1);
            Fault::new(place, format!("not valid YAML: {}", error.info()))
        })?;
        let [root] = roots.as_slice() else {
            return Err(Fault::new(file, format!("holds {} YAML documents; write exactly one", roots.len())).into());
        };
        let value = read(Node { document: &document, yaml: root, path: String::new() });
        let mut faults: Vec<Fault> = Vec::new();
        for fault in document.faults.into_inner() {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ if faults.is_empty() => Err(Fault::new(file, "could not be read as a manifest").into()),
            _ => Err(Faults(faults)),
        }
    }
}

/// A value of the document, with its place.
#[derive(Clone, Debug)]
pub(super) struct Node<'y> {
    document: &'y Document,
    yaml: &'y MarkedYaml<'y>,
    path: String,
}

impl<'y> Node<'y> {
    /// Reports `message` at this place.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let start = self.yaml.span.start;
        let mut place = format!("{}:{}:{}", self.document.file, start.line(), start.col() + 1);
        if !self.path.is_empty() {
            place = format!("{place} {}", self.path);
        }
        self.document.faults.borrow_mut().push(Fault::new(place, message));
    }

    fn child(&self, yaml: &'y MarkedYaml<'y>, path: String) -> Self {
        Self { document: self.document, yaml, path }
    }

    /// Whether the value is null.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.yaml.data, YamlData::Value(Scalar::Null))
    }

    /// Whether the value is a text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.yaml.data, YamlData::Value(Scalar::String(_)))
    }

    /// Whether the value is the text without letters.
    pub(super) fn is_empty_text(&self) -> bool {
        matches!(&self.yaml.data, YamlData::Value(Scalar::String(text)) if text.is_empty())
    }

    /// Whether the value is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.yaml.data, YamlData::Mapping(_))
    }

    /// Whether the value is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.yaml.data, YamlData::Sequence(_))
    }

    /// The value as a text; a fault otherwise.
    pub(super) fn text(&self) -> Option<String> {
        match &self.yaml.data {
            YamlData::Value(Scalar::String(text)) if !text.is_empty() => Some(text.to_string()),
            _ => {
                self.fault(format!("must be a text, is {}", self.describe()));
                None
            }
        }
    }

    /// The value as one of `choices`; a fault that names the nearest otherwise.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.fault(format!("`{text}` is not one of {}{}", names.join(", "), nearest(&text, &names)));
        None
    }

    /// The value as a whole number within `range`; a fault otherwise.
    pub(super) fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        match self.yaml.data {
            YamlData::Value(Scalar::Integer(number)) => match u64::try_from(number) {
                Ok(number) if range.contains(&number) => return Some(number),
                _ => self.fault(format!("{number} is out of range: {} to {}", range.start(), range.end())),
            },
            _ => self.fault(format!("must be a whole number, is {}", self.describe())),
        }
        None
    }

    /// The value as a number greater than 0; a fault otherwise.
    pub(super) fn positive(&self) -> Option<f64> {
        let number = match self.yaml.data {
            #[expect(clippy::cast_precision_loss, reason = "rates and lags are far below 2^53")]
            YamlData::Value(Scalar::Integer(number)) => number as f64,
            YamlData::Value(Scalar::FloatingPoint(number)) => number.into_inner(),
            _ => f64::NAN,
        };
        if number.is_finite() && number > 0.0 {
            return Some(number);
        }
        self.fault(format!("must be a number greater than 0, is {}", self.describe()));
        None
    }

    /// The value as true or false; a fault otherwise.
    pub(super) fn boolean(&self) -> Option<bool> {
        if let YamlData::Value(Scalar::Boolean(value)) = self.yaml.data {
            return Some(value);
        }
        self.fault(format!("must be true or false, is {}", self.describe()));
        None
    }

    /// The elements of a list; a fault otherwise.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        if let YamlData::Sequence(elements) = &self.yaml.data {
            let child = |(index, yaml)| self.child(yaml, format!("{}[{index}]", self.path));
            return Some(elements.iter().enumerate().map(child).collect());
        }
        self.fault(format!("must be a list, is {}", self.describe()));
        None
    }

    /// The members of a mapping; a fault otherwise.
    pub(super) fn fields(&self) -> Option<Fields<'y>> {
        if let YamlData::Mapping(mapping) = &self.yaml.data {
            return Some(Fields { node: self.clone(), mapping: Some(mapping), defaults: None });
        }
        self.fault(format!("must be a mapping, is {}", self.describe()));
        None
    }

    /// No members of its own: for a shorthand that stands for a mapping of defaults.
    pub(super) fn no_fields(&self) -> Fields<'y> {
        Fields { node: self.clone(), mapping: None, defaults: None }
    }

    /// The value as JSON; a fault for what JSON cannot hold.
    pub(super) fn json(&self) -> Option<Value> {
        match &self.yaml.data {
            YamlData::Value(scalar) => Some(match scalar {
                Scalar::Null => Value::Null,
                Scalar::Boolean(value) => (*value).into(),
                Scalar::Integer(value) => (*value).into(),
                Scalar::FloatingPoint(value) => value.into_inner().into(),
                Scalar::String(value) => value.to_string().into(),
            }),
            YamlData::Sequence(_) => Some(Value::Array(self.list()?.iter().filter_map(Self::json).collect())),
            YamlData::Mapping(_) => {
                let members = self.fields()?.members();
                Some(Value::Object(members.into_iter().filter_map(|(name, node)| Some((name, node.json()?))).collect()))
            }
            _ => {
                self.fault("tags and anchors are not supported here");
                None
            }
        }
    }

    fn describe(&self) -> String {
        match &self.yaml.data {
            YamlData::Value(Scalar::Null) => "empty".into(),
            YamlData::Value(Scalar::Boolean(value)) => format!("`{value}`"),
            YamlData::Value(Scalar::Integer(value)) => format!("the number {value}"),
            YamlData::Value(Scalar::FloatingPoint(value)) => format!("the number {value}"),
            YamlData::Value(Scalar::String(value)) => format!("the text `{value}`"),
            YamlData::Sequence(_) => "a list".into(),
            YamlData::Mapping(_) => "a mapping".into(),
            _ => "a tag or an anchor".into(),
        }
    }
}

/// The members of a mapping, with those of the defaults' mapping under them.
#[derive(Clone, Debug)]
pub(super) struct Fields<'y> {
    node: Node<'y>,
    /// `None`: none of its own.
    mapping: Option<&'y Mapping<'y>>,
    defaults: Option<Box<Self>>,
}

impl<'y> Fields<'y> {
    /// The same members, with `defaults` for those that are absent.
    pub(super) fn or(mut self, defaults: Option<Self>) -> Self {
        self.defaults = defaults.map(Box::new);
        self
    }

    /// The mapping itself, for faults about the whole of it.
    pub(super) fn node(&self) -> &Node<'y> {
        &self.node
    }

    /// The defaults' own members.
    pub(super) fn defaults(&self) -> Option<&Self> {
        self.defaults.as_deref()
    }

    /// The member `name`, without the defaults.
    pub(super) fn own(&self, name: &str) -> Option<Node<'y>> {
        let is_name = |key: &MarkedYaml<'_>| matches!(&key.data, YamlData::Value(Scalar::String(text)) if text == name);
        let (_, yaml) = self.mapping?.iter().find(|(key, _)| is_name(key))?;
        Some(self.node.child(yaml, self.join(name)))
    }

    fn join(&self, name: &str) -> String {
        if self.node.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.node.path) }
    }

    /// The member `name`, or the defaults' one.
    pub(super) fn get(&self, name: &str) -> Option<Node<'y>> {
        self.own(name).or_else(|| self.defaults.as_ref()?.get(name))
    }

    /// The member `name`; a fault when it is absent.
    pub(super) fn required(&self, name: &str) -> Option<Node<'y>> {
        let node = self.get(name);
        if node.is_none() {
            self.node.fault(format!("needs `{name}`"));
        }
        node
    }

    /// The sub-mapping `name`, with the defaults' one under it.
    pub(super) fn fields(&self, name: &str) -> Option<Self> {
        let defaults = self.defaults.as_ref().and_then(|defaults| defaults.own(name)).and_then(|node| node.fields());
        match self.own(name) {
            Some(node) => node.fields().map(|fields| fields.or(defaults)),
            None => defaults,
        }
    }

    /// Own members in the document's order; a fault for a key that is no text.
    pub(super) fn members(&self) -> Vec<(String, Node<'y>)> {
        let mut members = Vec::new();
        for (key, yaml) in self.mapping.into_iter().flatten() {
            match &key.data {
                YamlData::Value(Scalar::String(name)) => {
                    members.push((name.to_string(), self.node.child(yaml, self.join(name))));
                }
                _ => self.node.child(key, self.node.path.clone()).fault("a key must be a text; quote it"),
            }
        }
        members
    }

    /// Faults every own member that is not in `known`, with the nearest name that is.
    pub(super) fn only(&self, known: &[&str]) {
        for (key, _) in self.mapping.into_iter().flatten() {
            let YamlData::Value(Scalar::String(name)) = &key.data else {
                continue;
            };
            if !known.contains(&name.as_ref()) {
                let message = match only_python(name) {
                    Some(hint) => hint.to_owned(),
                    None => format!("unknown key; known here: {}{}", known.join(", "), nearest(name, known)),
                };
                self.node.child(key, self.join(name)).fault(message);
            }
        }
        // A mapping whose every key is no text would otherwise pass.
        let _ = self.members();
    }
}

/// What dlt's key `name` means that a manifest cannot say, and what can be done instead.
fn only_python(name: &str) -> Option<&'static str> {
    Some(match name {
        "processing_steps" => "holds Python functions; take what you need with `columns.<name>.path`",
        "convert" | "transform" => {
            "is a Python function; say how instants are written with `format`: rfc3339, date, epoch or epoch_ms"
        }
        "session" => "is a Python object; see `attempts` and `request_timeout` of the request",
        "table_name" => "is not supported: a table is named as its resource; rename the resource",
        "merge_key" => "is not supported: rows are told apart by `primary_key` alone",
        "schema_contract" => {
            "is not supported: a value that does not fit its column is kept in `_issues`, an unknown field in `_extra`"
        }
        "table_format" | "file_format" => "is not a resource's: the request says `format`, parquet or json",
        "max_table_nesting" | "nested_hints" => {
            "is not supported: a nested value is a column of data_type json, or of its own `path`"
        }
        "references" | "parent_table_name" => "is not supported: say `include_from_parent` to keep a parent's fields",
        _ => return None,
    })
}
