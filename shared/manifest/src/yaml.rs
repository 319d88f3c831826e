//! Reads a YAML or JSON document by the table of keys. Every value keeps its position, and every fault is collected.

use std::cell::RefCell;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::Value;

use crate::fault::{Fault, Faults, nearest};
use crate::keys::key::TYPE;
use crate::keys::refused::refusal;
use crate::keys::{DefaultValue, Key, Mapping, Presence, Type, Variants};
use crate::path::JsonPath;

type YamlMapping<'y> = saphyr::AnnotatedMapping<'y, MarkedYaml<'y>>;

/// One document: its name, and the faults that were found so far.
#[derive(Debug)]
pub(super) struct Document {
    file: String,
    faults: RefCell<Vec<Fault>>,
}

impl Document {
    /// Loads `text` and passes its root to `read`.
    ///
    /// # Errors
    ///
    /// Every fault of the document, in the order in which `read` found them.
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
        let value = read(Node { document: &document, yaml: root, path: String::new(), value_type: &Type::Json });
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

/// A value of the document with its position.
#[derive(Clone, Debug)]
pub(super) struct Node<'y> {
    document: &'y Document,
    yaml: &'y MarkedYaml<'y>,
    /// The keys that lead to the value: `resources[0].endpoint`.
    path: String,
    /// The type that the table of keys declares for the value.
    value_type: &'static Type,
}

impl<'y> Node<'y> {
    /// Adds the fault `message` at this position.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let start = self.yaml.span.start;
        let mut place = format!("{}:{}:{}", self.document.file, start.line(), start.col() + 1);
        if !self.path.is_empty() {
            place = format!("{place} {}", self.path);
        }
        self.document.faults.borrow_mut().push(Fault::new(place, message));
    }

    fn child(&self, yaml: &'y MarkedYaml<'y>, path: String, value_type: &'static Type) -> Self {
        Self { document: self.document, yaml, path, value_type }
    }

    /// Returns whether the value is null.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.yaml.data, YamlData::Value(Scalar::Null))
    }

    /// Returns whether the value is a text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.yaml.data, YamlData::Value(Scalar::String(_)))
    }

    /// Returns whether the value is the empty text.
    pub(super) fn is_empty_text(&self) -> bool {
        matches!(&self.yaml.data, YamlData::Value(Scalar::String(text)) if text.is_empty())
    }

    /// Returns whether the value is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.yaml.data, YamlData::Mapping(_))
    }

    /// Returns whether the value is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.yaml.data, YamlData::Sequence(_))
    }

    /// Reads a text that is not empty; any other value is a fault.
    pub(super) fn text(&self) -> Option<String> {
        match &self.yaml.data {
            YamlData::Value(Scalar::String(text)) if !text.is_empty() => Some(text.to_string()),
            _ => {
                self.fault(format!("must be a text, is {}", self.describe()));
                None
            }
        }
    }

    /// Reads a name of letters, digits, `_` and `-` that does not begin with `_`; any other value is a fault.
    pub(super) fn name(&self) -> Option<String> {
        let text = self.text()?;
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if !text.starts_with('_') && text.chars().all(is_allowed) {
            return Some(text);
        }
        self.fault(format!("`{text}` is no name: use letters, digits, `_` and `-`, not beginning with `_`"));
        None
    }

    /// Reads a JSONPath; any other value is a fault.
    pub(super) fn json_path(&self) -> Option<JsonPath> {
        JsonPath::parse(&self.text()?).map_err(|message| self.fault(message)).ok()
    }

    /// Reads one of the texts in `choices`; any other value is a fault that names the nearest one. The texts must be those of the
    /// table of keys.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        debug_assert_eq!(names, self.value_type.choices(), "{}: other choices than in the table of keys", self.path);
        self.chosen(&names, choices)
    }

    fn chosen<T: Copy>(&self, names: &[&str], choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        self.fault(format!("`{text}` is not one of {}{}", names.join(", "), nearest(&text, names)));
        None
    }

    /// Reads a whole number within the range that the table of keys declares; any other value is a fault.
    pub(super) fn integer(&self) -> Option<u64> {
        let range = self.value_type.integer_range();
        debug_assert!(range.is_some(), "{}: not a whole number in the table of keys", self.path);
        let (min, max) = range.unwrap_or_default();
        self.integer_within(min, max)
    }

    /// Reads a whole number from `min` to `max`, if that is given; any other value is a fault.
    pub(super) fn integer_within(&self, min: u64, max: Option<u64>) -> Option<u64> {
        match self.yaml.data {
            YamlData::Value(Scalar::Integer(number)) => match u64::try_from(number) {
                Ok(number) if number >= min && max.is_none_or(|max| number <= max) => return Some(number),
                _ => self.fault(match max {
                    Some(max) => format!("{number} is out of range: {min} to {max}"),
                    None => format!("{number} is out of range: at least {min}"),
                }),
            },
            _ => self.fault(format!("must be a whole number, is {}", self.describe())),
        }
        None
    }

    /// Reads a number greater than 0; any other value is a fault.
    pub(super) fn positive(&self) -> Option<f64> {
        let number = self.number().filter(|number| *number > 0.0);
        if number.is_none() {
            self.fault(format!("must be a number greater than 0, is {}", self.describe()));
        }
        number
    }

    /// Reads a number from 0 to 1; any other value is a fault.
    pub(super) fn share(&self) -> Option<f64> {
        let number = self.number().filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.fault(format!("must be a number from 0 to 1, is {}", self.describe()));
        }
        number
    }

    /// Returns the finite number that this is.
    fn number(&self) -> Option<f64> {
        match self.yaml.data {
            #[expect(clippy::cast_precision_loss, reason = "rates and periods are far below 2^53")]
            YamlData::Value(Scalar::Integer(number)) => Some(number as f64),
            YamlData::Value(Scalar::FloatingPoint(number)) => {
                Some(number.into_inner()).filter(|number| number.is_finite())
            }
            _ => None,
        }
    }

    /// Reads true or false; any other value is a fault.
    pub(super) fn boolean(&self) -> Option<bool> {
        if let YamlData::Value(Scalar::Boolean(value)) = self.yaml.data {
            return Some(value);
        }
        self.fault(format!("must be true or false, is {}", self.describe()));
        None
    }

    /// Reads the elements of a list; any other value is a fault.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        if let YamlData::Sequence(elements) = &self.yaml.data {
            let element_type = self.value_type.element().unwrap_or(&Type::Json);
            let element = |(index, yaml)| self.child(yaml, format!("{}[{index}]", self.path), element_type);
            return Some(elements.iter().enumerate().map(element).collect());
        }
        self.fault(format!("must be a list, is {}", self.describe()));
        None
    }

    /// Reads the members of a mapping that has the keys of `mapping`. Any other value is a fault, and so is every other key.
    pub(super) fn fields(&self, mapping: &'static Mapping) -> Option<Fields<'y>> {
        let fields = self.unchecked_fields(mapping)?;
        fields.refuse_unknown_keys();
        Some(fields)
    }

    /// Reads the members of a mapping that has the keys of `mapping`. Any other value is a fault, but other keys are accepted: for a
    /// value that [`fields`](Self::fields) reads as well.
    pub(super) fn unchecked_fields(&self, mapping: &'static Mapping) -> Option<Fields<'y>> {
        self.members_as(MemberTypes::Declared(mapping))
    }

    /// The members of an absent mapping: all of them have their defaults.
    pub(super) fn no_fields(&self, mapping: &'static Mapping) -> Fields<'y> {
        Fields { node: self.clone(), yaml: None, types: MemberTypes::Declared(mapping), defaults: None }
    }

    /// Reads the members of a mapping whose names the manifest chooses; any other value is a fault.
    pub(super) fn named_values(&self) -> Option<Fields<'y>> {
        self.members_as(MemberTypes::Named(self.value_type.member().unwrap_or(&Type::Json)))
    }

    fn members_as(&self, types: MemberTypes) -> Option<Fields<'y>> {
        if let YamlData::Mapping(yaml) = &self.yaml.data {
            return Some(Fields { node: self.clone(), yaml: Some(yaml), types, defaults: None });
        }
        self.fault(format!("must be a mapping, is {}", self.describe()));
        None
    }

    /// Reads a mapping whose key `type` chooses one of `variants`, or a text that is a type alone. Returns the members, and what
    /// `choices` has for the type. Any other value is a fault, and so is a key that the chosen mapping does not have.
    pub(super) fn variant<T: Copy>(
        &self,
        variants: &'static Variants,
        choices: &[(&str, T)],
    ) -> Option<(Fields<'y>, T)> {
        let names: Vec<&str> = variants.type_names().collect();
        debug_assert!(
            names.iter().eq(choices.iter().map(|(name, _)| name)),
            "{}: other types than in the table",
            self.path
        );
        let choice_of =
            |type_name: &str| choices.iter().find(|(name, _)| *name == type_name).map(|(_, choice)| *choice);
        if self.is_text() && variants.shorthand {
            let choice = self.chosen(&names, choices)?;
            return Some((self.no_fields(variants.mapping(&self.text()?)?), choice));
        }
        let members = self.members_as(MemberTypes::Named(&Type::Json))?;
        let (type_name, choice) = match (members.own(TYPE), variants.default) {
            (Some(node), _) => {
                let choice = node.chosen(&names, choices)?;
                (node.text()?, choice)
            }
            (None, Some(default)) => (default.to_owned(), choice_of(default)?),
            (None, None) => {
                self.fault(format!("needs `{TYPE}`"));
                return None;
            }
        };
        Some((self.fields(variants.mapping(&type_name)?)?, choice))
    }

    /// Reads any value as JSON; a value that JSON does not have is a fault.
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
                let members = self.named_values()?.members();
                Some(Value::Object(members.into_iter().filter_map(|(name, node)| Some((name, node.json()?))).collect()))
            }
            _ => {
                self.fault("tags and anchors are not supported here");
                None
            }
        }
    }

    /// Describes the value for a fault.
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

/// The types of a mapping's members.
#[derive(Clone, Copy, Debug)]
enum MemberTypes {
    /// The members are keys of this mapping.
    Declared(&'static Mapping),
    /// The manifest chooses the names of the members; all values have this type.
    Named(&'static Type),
}

/// The members of a mapping. The members of a second mapping, the defaults, lie under them.
#[derive(Clone, Debug)]
pub(super) struct Fields<'y> {
    /// The value that has the members.
    node: Node<'y>,
    /// The members in the document; `None` if the mapping is absent.
    yaml: Option<&'y YamlMapping<'y>>,
    types: MemberTypes,
    defaults: Option<Box<Self>>,
}

impl<'y> Fields<'y> {
    /// The same members, with those of `defaults` for the absent ones.
    pub(super) fn or(mut self, defaults: Option<Self>) -> Self {
        self.defaults = defaults.map(Box::new);
        self
    }

    /// The value that has the members, for faults about all of it.
    pub(super) fn node(&self) -> &Node<'y> {
        &self.node
    }

    /// The members that lie under these.
    pub(super) fn defaults(&self) -> Option<&Self> {
        self.defaults.as_deref()
    }

    /// The declared key `name`. A key that is read but not declared is a mistake in this crate, which a test finds.
    fn key(&self, name: &str) -> Option<&'static Key> {
        let MemberTypes::Declared(mapping) = self.types else {
            debug_assert!(false, "`{name}` is read from a mapping whose names the manifest chooses");
            return None;
        };
        let key = mapping.key(name);
        debug_assert!(key.is_some(), "`{}` has no key `{name}` in the table of keys", mapping.name);
        key
    }

    /// The member `name` of this mapping, without the defaults.
    pub(super) fn own(&self, name: &str) -> Option<Node<'y>> {
        let is_name = |key: &MarkedYaml<'_>| matches!(&key.data, YamlData::Value(Scalar::String(text)) if text == name);
        let (_, yaml) = self.yaml?.iter().find(|(key, _)| is_name(key))?;
        Some(self.node.child(yaml, self.join(name), self.member_type(name)))
    }

    fn member_type(&self, name: &str) -> &'static Type {
        match self.types {
            MemberTypes::Declared(mapping) => mapping.key(name).map_or(&Type::Json, |key| &key.value_type),
            MemberTypes::Named(value_type) => value_type,
        }
    }

    fn join(&self, name: &str) -> String {
        if self.node.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.node.path) }
    }

    /// The member `name`, from the defaults if it is absent here. Null is an absent value if the table of keys says so.
    pub(super) fn get(&self, name: &str) -> Option<Node<'y>> {
        let is_nullable = self.key(name).is_some_and(|key| key.nullable);
        self.find(name).filter(|node| !(is_nullable && node.is_null()))
    }

    fn find(&self, name: &str) -> Option<Node<'y>> {
        self.own(name).or_else(|| self.defaults.as_ref()?.find(name))
    }

    /// The member `name`, from the defaults if it is absent here. A member that is absent in both is a fault.
    pub(super) fn required(&self, name: &str) -> Option<Node<'y>> {
        let is_required = self.key(name).is_some_and(|key| key.presence != Presence::Optional);
        debug_assert!(is_required, "`{name}` is not required in the table of keys");
        let node = self.get(name);
        if node.is_none() {
            self.node.fault(format!("needs `{name}`"));
        }
        node
    }

    /// The member `name`; if it is required and absent, that is a fault.
    fn given(&self, name: &str) -> Option<Node<'y>> {
        if self.key(name).is_some_and(|key| key.presence == Presence::Optional) {
            return self.get(name);
        }
        self.required(name)
    }

    fn default_of(&self, name: &str) -> DefaultValue {
        self.key(name).map_or(DefaultValue::None, |key| key.default)
    }

    /// Reads the text `name`, or its default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match (self.given(name), self.default_of(name)) {
            (Some(node), _) => node.text(),
            (None, DefaultValue::Text(text)) => Some(text.to_owned()),
            (None, _) => None,
        }
    }

    /// Reads the JSONPath `name`, or its default.
    pub(super) fn json_path(&self, name: &str) -> Option<JsonPath> {
        match (self.given(name), self.default_of(name)) {
            (Some(node), _) => node.json_path(),
            (None, DefaultValue::Text(path)) => JsonPath::parse(path).ok(),
            (None, _) => None,
        }
    }

    /// Reads the whole number `name`, or its default.
    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        match (self.given(name), self.default_of(name)) {
            (Some(node), _) => node.integer(),
            (None, DefaultValue::Integer(number)) => Some(number),
            (None, _) => None,
        }
    }

    /// Reads the boolean `name`, or its default.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match (self.given(name), self.default_of(name)) {
            (Some(node), _) => node.boolean(),
            (None, DefaultValue::Boolean(value)) => Some(value),
            (None, _) => None,
        }
    }

    /// Reads the text `name` or its default, and returns what `choices` has for it.
    pub(super) fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        match (self.given(name), self.default_of(name)) {
            (Some(node), _) => node.one_of(choices),
            (None, DefaultValue::Text(text)) => {
                choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value)
            }
            (None, _) => None,
        }
    }

    /// Reads the elements of the list `name`; an absent list has none.
    pub(super) fn list(&self, name: &str) -> Vec<Node<'y>> {
        self.get(name).and_then(|node| node.list()).unwrap_or_default()
    }

    /// Reads the mapping `name`, which has the keys of `mapping`, with that of the defaults under it.
    pub(super) fn fields(&self, name: &str, mapping: &'static Mapping) -> Option<Self> {
        let fields = self.merged(name, |node| node.unchecked_fields(mapping))?;
        fields.refuse_unknown_keys();
        Some(fields)
    }

    /// Reads the mapping `name`, whose names the manifest chooses, with that of the defaults under it.
    pub(super) fn named_values(&self, name: &str) -> Option<Self> {
        self.merged(name, Node::named_values)
    }

    fn merged(&self, name: &str, read: impl Fn(&Node<'y>) -> Option<Self>) -> Option<Self> {
        debug_assert!(self.key(name).is_some());
        let defaults = self.defaults.as_ref().and_then(|defaults| defaults.own(name)).and_then(|node| read(&node));
        match self.own(name) {
            Some(node) => read(&node).map(|fields| fields.or(defaults)),
            None => defaults,
        }
    }

    /// The members of this mapping without the defaults, in the document's order. A key that is no text is a fault.
    pub(super) fn members(&self) -> Vec<(String, Node<'y>)> {
        let mut members = Vec::new();
        for (key, yaml) in self.yaml.into_iter().flatten() {
            match &key.data {
                YamlData::Value(Scalar::String(name)) => {
                    members.push((name.to_string(), self.node.child(yaml, self.join(name), self.member_type(name))));
                }
                _ => self.node.child(key, self.node.path.clone(), &Type::Json).fault("a key must be a text; quote it"),
            }
        }
        members
    }

    /// Adds a fault for every key of this mapping that the table of keys does not have, with the nearest key that it has, or with
    /// what to write in place of a key of dlt.
    fn refuse_unknown_keys(&self) {
        let MemberTypes::Declared(mapping) = self.types else { return };
        let known_keys: Vec<&str> = mapping.key_names().collect();
        for (key, _) in self.yaml.into_iter().flatten() {
            let YamlData::Value(Scalar::String(name)) = &key.data else {
                continue;
            };
            if !known_keys.contains(&name.as_ref()) {
                let message = match refusal(name) {
                    Some(reason) => reason.to_owned(),
                    None => format!("unknown key; known here: {}{}", known_keys.join(", "), nearest(name, &known_keys)),
                };
                self.node.child(key, self.join(name), &Type::Json).fault(message);
            }
        }
        // Reading the members adds a fault for each key that is no text.
        let _ = self.members();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::client::CLIENT;

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "`client` has no key `base_uri` in the table of keys")]
    fn reading_an_undeclared_key_fails_a_test() {
        let read = |root: Node<'_>| root.fields(&CLIENT)?.text("base_uri");
        let _ = Document::read("a.yaml", "base_url: https://api.example", read);
    }
}
