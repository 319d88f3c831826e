//! Identifies the records of a page for the evidence of their query.

use std::collections::HashMap;

use bytes::Bytes;
use client::Record;
use manifest::{RECORD_KEY, Resource, json};
use table::map::{Mapper, Rejection, Row};
use table::merge::key_hash;
use xxhash_rust::xxh3::xxh3_64;

use crate::evidence::{ReceivedRecord, RecordVersion};

/// How the records of a resource are identified.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordIdentity {
    /// A record becomes several rows, so that it is identified by its text.
    is_exploded: bool,
    /// The columns are inferred, so that the fingerprint of a row depends on the columns that are known. The text of its record does not.
    has_inferred_columns: bool,
    /// The key is a hash of the record, so that equal records have one key.
    is_keyless: bool,
}

/// The identities of the records of one page.
#[derive(Debug)]
pub(super) struct PageIdentities {
    identity: RecordIdentity,
    /// The number of records with each key so far. Equal records on one page are several records, unlike those on two pages, which can be
    /// one record that moved.
    occurrences: HashMap<u64, u64>,
}

impl RecordIdentity {
    /// Returns how the records of `resource` are identified.
    pub(super) fn new(resource: &Resource) -> Self {
        Self {
            is_exploded: !resource.explode.is_empty(),
            has_inferred_columns: resource.infer_columns,
            is_keyless: resource.primary_key.iter().any(|key| key == RECORD_KEY),
        }
    }

    /// Begins a page.
    pub(super) fn begin_page(self) -> PageIdentities {
        PageIdentities { identity: self, occurrences: HashMap::new() }
    }

    /// Returns whether a record becomes several rows, so that it is identified as a whole.
    pub(super) fn is_exploded(self) -> bool {
        self.is_exploded
    }

    /// Returns the hash of the record's canonical text, if it is needed to identify the record.
    pub(super) fn text_hash(self, record: &[u8]) -> Option<u64> {
        if !self.is_exploded && !self.has_inferred_columns {
            return None;
        }
        json::canonical(record).ok().map(|canonical| xxh3_64(canonical.as_bytes()))
    }
}

impl PageIdentities {
    /// Returns the identity of a record that became `row`. `text_hash` is the hash of its text, if it is known.
    pub(super) fn of_row(&mut self, row: &Row<'_>, text_hash: Option<u64>) -> ReceivedRecord {
        let mut key = key_hash(&row.key);
        if self.identity.is_keyless {
            key = self.next_occurrence(key);
        }
        let content = text_hash.unwrap_or_else(|| row.fingerprint.cast_unsigned());
        let version = RecordVersion::new(content, row.cursor);
        ReceivedRecord { key, version, name: row.key.clone(), is_anonymous: false }
    }

    /// Returns the identity of a record that is identified by its text.
    pub(super) fn of_text(&mut self, text_hash: u64) -> ReceivedRecord {
        let key = self.next_occurrence(text_hash);
        ReceivedRecord { key, version: RecordVersion::default(), name: String::new(), is_anonymous: false }
    }

    /// Returns the identity of a record that was rejected: its key, if it shows one.
    pub(super) fn of_rejection(&mut self, rejection: &Rejection) -> ReceivedRecord {
        let text_hash = xxh3_64(&rejection.record.bytes());
        if self.identity.is_exploded || self.identity.is_keyless {
            return self.of_text(text_hash);
        }
        match &rejection.key {
            Some(key) => ReceivedRecord {
                key: key_hash(key),
                version: RecordVersion::new(text_hash, None),
                name: key.clone(),
                is_anonymous: false,
            },
            None => ReceivedRecord { is_anonymous: true, ..self.of_text(text_hash) },
        }
    }

    /// Returns the key of the next record on the page with this hash.
    fn next_occurrence(&mut self, hash: u64) -> u64 {
        let count = self.occurrences.entry(hash).or_default();
        *count += 1;
        match *count {
            1 => hash,
            count => xxh3_64(&[hash.to_le_bytes(), count.to_le_bytes()].concat()),
        }
    }
}

/// Returns the hash of the key of `overlap`, the record that came in the place of the last one of the page before. `identity` identifies a
/// record, and `complete` returns its text with the fields of its parent.
pub(super) fn overlap_key(
    overlap: Option<&Record>,
    mapper: &Mapper,
    identity: RecordIdentity,
    complete: impl Fn(&Record) -> Bytes,
) -> Option<u64> {
    let record = overlap?;
    let mut page = identity.begin_page();
    let text = complete(record);
    let mapped = match mapper.map_text(&text) {
        Ok(mapped) => mapped,
        Err(reason) => return Some(page.of_rejection(&super::undecodable(record, reason)).key),
    };
    if let Some(text_hash) = identity.text_hash(&text).filter(|_| identity.is_exploded()) {
        return Some(page.of_text(text_hash).key);
    }
    Some(match mapped.rows.into_iter().next()? {
        Ok(row) => page.of_row(&row, None).key,
        Err(rejection) => page.of_rejection(&rejection).key,
    })
}
