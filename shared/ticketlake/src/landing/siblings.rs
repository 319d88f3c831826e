//! Keys that are unique only within their parent: two records that one table cannot tell apart.

use std::collections::HashMap;

use manifest::{Parent, RECORD_KEY, Resource};
use table::map::Row;
use table::merge::key_hash;
use crate::plan::Slice;

/// What of a parent each key was seen under, for a resource whose key says nothing about the parent.
#[derive(Debug)]
pub(super) struct Siblings {
    parent: Parent,
    /// By key: the slice's name and the row's fingerprint.
    seen: HashMap<u64, (u64, i64)>,
}

impl Siblings {
    /// `None` where no two parents' records can have one key, or where it is no matter.
    pub(super) fn of(resource: &Resource) -> Option<Self> {
        let parent = resource.parent.as_ref().filter(|parent| parent.batch.is_none())?;
        let stamped =
            |key: &String| key == RECORD_KEY || parent.include.iter().any(|field| parent.column(field) == *key);
        (!resource.primary_key.iter().any(stamped)).then(|| Self { parent: parent.clone(), seen: HashMap::new() })
    }

    /// What is wrong with `row`, if another parent has another record of its key. The same record under two parents is one record.
    pub(super) fn clash(&mut self, row: &Row, slice: &Slice) -> Option<String> {
        let of = key_hash(&slice.name);
        let (seen_of, seen) = *self.seen.entry(key_hash(&row.key)).or_insert((of, row.fingerprint));
        if seen_of == of || seen == row.fingerprint {
            return None;
        }
        let parent = &self.parent;
        let field = parent.fields.first().map_or("id", String::as_str);
        let column = parent.column(field);
        Some(format!(
            "the key {} belongs to another record of another parent too ({}): it is unique only within `{}`, and one of the two would be lost. Give `include_from_parent: [{field}]` and `primary_key: [{column}, …]`",
            row.key, slice.name, parent.resource
        ))
    }
}
