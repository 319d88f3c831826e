//! The records of a parent resource.

use serde_json::{Map, Value};

/// A record of the parent, with the fields that its children need.
#[derive(Clone, Debug, PartialEq)]
pub struct ParentRecord {
    /// The key: the values of the fields that placeholders use.
    pub key: String,
    /// The fields for placeholders and for the rows of the children, by their paths.
    pub fields: Map<String, Value>,
}
