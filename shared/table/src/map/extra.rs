//! What a record has and no column names, at any depth.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use manifest::JsonPath;
use manifest::path::Step;

/// The places that columns name, as a tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// A column takes the value here whole.
    whole: bool,
    fields: BTreeMap<String, Self>,
    indexes: BTreeMap<usize, Self>,
    all: Option<Box<Self>>,
}

impl Named {
    /// Adds the place that `path` names.
    pub(super) fn add(&mut self, path: &JsonPath) {
        let mut at = self;
        for step in path.steps() {
            at = match step {
                Step::Field(name) => at.fields.entry(name.clone()).or_default(),
                Step::Index(index) => at.indexes.entry(*index).or_default(),
                Step::All => at.all.get_or_insert_default(),
                // Wherever it lies, it is kept there too.
                Step::Deep => return,
            };
        }
        at.whole = true;
    }

    /// What of `value` is named nowhere; `None` when nothing is left. Nulls and containers without content say nothing.
    pub(super) fn rest(&self, value: &Value) -> Option<Value> {
        if self.whole {
            return None;
        }
        match value {
            Value::Null => None,
            Value::Object(members) => {
                let rest: Map<String, Value> = members
                    .iter()
                    .filter_map(|(name, member)| {
                        let rest = self.fields.get(name).map_or_else(|| content(member), |named| named.rest(member));
                        Some((name.clone(), rest?))
                    })
                    .collect();
                (!rest.is_empty()).then_some(Value::Object(rest))
            }
            Value::Array(elements) => {
                // Elements keep their places, so that what is left can be laid beside what was taken.
                let rest: Vec<Option<Value>> = elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| {
                        let mut rest = content(element)?;
                        for named in [self.indexes.get(&index), self.all.as_deref()].into_iter().flatten() {
                            rest = named.rest(&rest)?;
                        }
                        Some(rest)
                    })
                    .collect();
                let any = rest.iter().any(Option::is_some);
                any.then(|| Value::Array(rest.into_iter().map(|element| element.unwrap_or(Value::Null)).collect()))
            }
            // A column names something within, and the record has a scalar: its issue is not the column's.
            scalar => Some(scalar.clone()),
        }
    }
}

/// The value, unless it says nothing.
fn content(value: &Value) -> Option<Value> {
    let empty = match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    (!empty).then(|| value.clone())
}
