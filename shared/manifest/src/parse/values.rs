//! Values that several parts of a manifest have.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::param_text;
use crate::yaml::{Fields, Node};

/// Reads a text, or a list of texts that is not empty.
pub(super) fn text_or_texts(node: &Node<'_>) -> Option<Vec<String>> {
    if !node.is_list() {
        return Some(vec![node.text()?]);
    }
    let texts: Vec<String> = node.list()?.iter().filter_map(Node::text).collect();
    if texts.is_empty() {
        node.fault("must name at least one column");
    }
    Some(texts)
}

/// Reads the mapping `name` of scalars as the texts that a query or a header holds.
pub(super) fn scalar_texts(fields: &Fields<'_>, name: &str) -> BTreeMap<String, String> {
    fields.named_values(name).as_ref().map(texts_of_scalars).unwrap_or_default()
}

/// Reads the members of a mapping of scalars as the texts that a query or a header holds.
pub(super) fn texts_of_scalars(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let members = fields.members().into_iter();
    members.filter_map(|(name, node)| Some((name, scalar_text(&node)?))).collect()
}

/// Reads a text, a number or a boolean as the text that a query or a header holds; any other value is a fault.
pub(super) fn scalar_text(node: &Node<'_>) -> Option<String> {
    match node.json()? {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            node.fault("must be a text, a number, true or false");
            None
        }
        scalar => Some(param_text(&scalar)),
    }
}
