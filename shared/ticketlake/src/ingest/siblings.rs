//! Detects keys that are unique only within their parent: two different records would become one row.

use std::collections::HashMap;

use manifest::{Parent, Query, QueryId, RECORD_KEY, Resource};
use table::map::Row;
use table::merge::key_hash;

/// The query and the content that each key was seen with, for a resource whose key says nothing about the parent.
#[derive(Debug)]
pub(super) struct Siblings {
    parent: Parent,
    /// The query and the fingerprint of the row, by the hash of the key.
    seen: HashMap<u64, (QueryId, i64)>,
}

impl Siblings {
    /// Creates the detection. `None` without a parent, if the key includes it, or if a query has the children of several parents.
    pub(super) fn new(resource: &Resource) -> Option<Self> {
        let parent = resource.parent.as_ref().filter(|parent| parent.batch.is_none())?;
        let identifies_parent =
            |key: &String| key == RECORD_KEY || parent.include.iter().any(|field| parent.column(field) == *key);
        let is_ambiguous = !resource.primary_key.iter().any(identifies_parent);
        is_ambiguous.then(|| Self { parent: parent.clone(), seen: HashMap::new() })
    }

    /// Returns a message if another parent has another record with the key of `row`. `id` is the id of `query`. The same record under two
    /// parents is one record.
    pub(super) fn conflict(&mut self, row: &Row, query: &Query, id: QueryId) -> Option<String> {
        let (seen_in, seen) = *self.seen.entry(key_hash(&row.key)).or_insert((id, row.fingerprint));
        if seen_in == id || seen == row.fingerprint {
            return None;
        }
        let parent = &self.parent;
        let field = parent.fields.first().map_or("id", String::as_str);
        let column = parent.column(field);
        Some(format!(
            "the key {} belongs to another record of another parent too ({}): it is unique only within `{}`, and one of the two would be lost. Set `include_from_parent: [{field}]` and `primary_key: [{column}, …]`",
            row.key, query.label, parent.resource
        ))
    }
}
