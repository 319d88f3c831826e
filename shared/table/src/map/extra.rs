//! The values of a record that no column names, at any depth.

use std::collections::BTreeMap;

use manifest::JsonPath;
use manifest::path::Step;
use serde_json::{Map, Value};

/// The places in a record that columns name, as a tree of steps.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedPaths {
    /// Whether a column has the whole value at this place.
    is_named: bool,
    fields: BTreeMap<String, Self>,
    indexes: BTreeMap<usize, Self>,
    all_elements: Option<Box<Self>>,
}

impl NamedPaths {
    /// Adds the place that `path` names.
    pub(super) fn add(&mut self, path: &JsonPath) {
        let mut node = self;
        for step in path.steps() {
            node = match step {
                Step::Field(name) => node.fields.entry(name.clone()).or_default(),
                Step::Index(index) => node.indexes.entry(*index).or_default(),
                Step::All => node.all_elements.get_or_insert_default(),
                // The step matches at any depth, and the value stays in `_extra` as well.
                Step::Deep => return,
            };
        }
        node.is_named = true;
    }

    /// Returns the part of `value`, which is at this place, that no path names. Returns `None` if nothing is left. Nulls, empty objects and
    /// empty lists do not count.
    pub(super) fn unnamed_values(&self, value: &Value) -> Option<Value> {
        if self.is_named {
            return None;
        }
        match value {
            Value::Null => None,
            Value::Object(members) => self.unnamed_members(members),
            Value::Array(elements) => self.unnamed_elements(elements),
            // A column names a value within this one, which is a scalar. That column has no value and no issue.
            scalar => Some(scalar.clone()),
        }
    }

    /// Returns the members that are not named.
    fn unnamed_members(&self, members: &Map<String, Value>) -> Option<Value> {
        let unnamed = members.iter().filter_map(|(name, member)| {
            let unnamed = match self.fields.get(name) {
                Some(named) => named.unnamed_values(member),
                None => non_empty(member),
            };
            Some((name.clone(), unnamed?))
        });
        let unnamed: Map<String, Value> = unnamed.collect();
        (!unnamed.is_empty()).then_some(Value::Object(unnamed))
    }

    /// Returns the elements with null for each one that is named, so that the others keep their positions.
    fn unnamed_elements(&self, elements: &[Value]) -> Option<Value> {
        let unnamed = elements.iter().enumerate().map(|(index, element)| {
            let mut unnamed = non_empty(element)?;
            for named in [self.indexes.get(&index), self.all_elements.as_deref()].into_iter().flatten() {
                unnamed = named.unnamed_values(&unnamed)?;
            }
            Some(unnamed)
        });
        let unnamed: Vec<Option<Value>> = unnamed.collect();
        if unnamed.iter().all(Option::is_none) {
            return None;
        }
        Some(Value::Array(unnamed.into_iter().map(Option::unwrap_or_default).collect()))
    }
}

/// Returns the value, unless it is null, an empty object or an empty list.
fn non_empty(value: &Value) -> Option<Value> {
    let is_empty = match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| value.clone())
}
