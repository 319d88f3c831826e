//! Detects keys that are unique only within their parent: two different records would become one row.

use std::collections::HashMap;

use manifest::{Parent, Query, QueryId, RECORD_KEY, Resource};
use table::merge::key_hash;

use crate::evidence::RecordVersion;

/// The query and the content that each key was seen with, for a resource whose key says nothing about the parent.
#[derive(Debug)]
pub(super) struct Siblings {
    parent: Parent,
    /// The query and the version of the record, by the hash of the key.
    seen: HashMap<u64, (QueryId, RecordVersion)>,
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

    /// Remembers the records that an earlier run received from `query`.
    pub(super) fn remember(&mut self, query: QueryId, records: impl Iterator<Item = (u64, RecordVersion)>) {
        self.seen.extend(records.map(|(key, version)| (key, (query, version))));
    }

    /// Returns a message if another parent has another record with this key. `id` is the id of `query`. The same record under two parents is
    /// one record.
    pub(super) fn conflict(
        &mut self,
        (key, version): (&str, RecordVersion),
        query: &Query,
        id: QueryId,
    ) -> Option<String> {
        let (seen_in, seen) = *self.seen.entry(key_hash(key)).or_insert((id, version));
        if seen_in == id || seen == version {
            return None;
        }
        let parent = &self.parent;
        let field = parent.fields.first().map_or("id", String::as_str);
        let column = parent.column(field);
        Some(format!(
            "the key {} belongs to another record of another parent too ({}): it is unique only within `{}`, and one of the two would be lost. Set `include_from_parent: [{field}]` and `primary_key: [{column}, …]`",
            key, query.label, parent.resource
        ))
    }
}
