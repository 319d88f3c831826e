//! Values of a manifest that several of its parts have.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::JsonPath;
use crate::yaml::{Fields, Node};

/// A name that becomes a folder or a column.
pub(super) fn identifier(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if !text.starts_with('_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    {
        return Some(text);
    }
    node.fault(format!("`{text}` is no name: use letters, digits, `_` and `-`, not beginning with `_`"));
    None
}

pub(super) fn json_path(node: &Node<'_>) -> Option<JsonPath> {
    JsonPath::parse(&node.text()?).map_err(|message| node.fault(message)).ok()
}

pub(super) fn optional_path(fields: &Fields<'_>, name: &str) -> Option<JsonPath> {
    fields.get(name).filter(|node| !node.is_null()).and_then(|node| json_path(&node))
}

/// A text, or a list of texts.
pub(super) fn strings(node: &Node<'_>) -> Option<Vec<String>> {
    if !node.is_list() {
        return Some(vec![node.text()?]);
    }
    let texts: Vec<String> = node.list()?.iter().filter_map(Node::text).collect();
    if texts.is_empty() {
        node.fault("must name at least one column");
    }
    Some(texts)
}

pub(super) fn texts(fields: &Fields<'_>, name: &str) -> BTreeMap<String, String> {
    fields.fields(name).as_ref().map(texts_of).unwrap_or_default()
}

/// Scalars as the texts that a query or a header holds.
pub(super) fn texts_of(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let texts = fields.members().into_iter().filter_map(|(name, node)| match node.json()? {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            node.fault("must be a text, a number, true or false");
            None
        }
        scalar => Some((name, crate::template::plain(&scalar))),
    });
    texts.collect()
}
