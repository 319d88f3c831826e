//! What was observed on the pages of a query so far.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::Hints;
use foldhash::fast::RandomState;
use manifest::Cursor;
use serde::{Deserialize, Serialize};

use super::page_records::{PageRecords, ReceivedRecord, RecordVersion};

/// The number of pages in a row without a new record after which the pages go in circles.
pub(super) const MAX_BARREN_PAGES: u32 = 5;

/// What reading one query has observed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The last version of each distinct record, by the hash of its key. The default hasher took 3 % of the time of a run of sales.
    records: HashMap<u64, RecordVersion, RandomState>,
    /// The number of records received, repeated ones included.
    received: u64,
    /// The number of pages received.
    pages: u64,
    /// The total on the last page that had one.
    total: Option<u64>,
    /// The total at which the API stops counting.
    total_limit: Option<u64>,
    /// Whether the total decreased from one page to the next.
    shrank: bool,
    /// The number of records whose key had another content before, without another cursor.
    conflicts: u64,
    /// The key of the first such record.
    conflict_example: Option<String>,
    /// Whether another record came in the place of the last one of a page.
    moved: bool,
    /// Whether a rejected record did not show its key.
    has_anonymous: bool,
    /// The hash of the key of the last record.
    last_key: Option<u64>,
    /// The number of pages since the last new record or version.
    barren_pages: u32,
    /// The hints of the last page.
    hints: Hints,
    /// The furthest cursor of the records that were stored.
    newest: Option<Cursor>,
}

/// The evidence in the form in which a checkpoint holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvidence {
    /// The hash of each key in 8 bytes and its version in 4 bytes, little-endian, as Base64.
    records: String,
    received: u64,
    pages: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shrank: bool,
    #[serde(default)]
    conflicts: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conflict_example: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    moved: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_anonymous: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Cursor>,
}

/// The size of a stored record: 8 bytes of its key, and 4 of its version.
const STORED_RECORD_BYTES: usize = 12;

impl Evidence {
    /// Sets the total at which the API stops counting.
    #[must_use]
    pub fn with_total_limit(mut self, total_limit: Option<u64>) -> Self {
        self.total_limit = total_limit;
        self
    }

    /// Takes the last page out of the counts, since it is read again: before it, `received` records were received. Its records stay known.
    pub fn read_last_page_again(&mut self, received: u64) {
        self.received = received;
        self.pages = self.pages.saturating_sub(1);
    }

    /// Adds a page: its total, its records, and its hints. `newest` returns the furthest of two cursors.
    pub fn add_page(
        &mut self,
        total: Option<u64>,
        page: &PageRecords,
        hints: &Hints,
        newest: impl Fn(Cursor, Option<Cursor>) -> Cursor,
    ) {
        self.shrank |= matches!((self.total, total), (Some(before), Some(now)) if now < before);
        self.total = total.or(self.total);
        self.moved |= page.overlap.is_some() && page.overlap != self.last_key;
        self.pages += 1;
        let brings_news = page.records.iter().map(|record| self.add_record(record)).fold(false, std::ops::BitOr::bitor);
        if brings_news {
            self.barren_pages = 0;
        } else if !page.records.is_empty() {
            self.barren_pages += 1;
        }
        self.hints = hints.clone();
        if let Some(cursor) = page.newest {
            self.newest = Some(newest(cursor, self.newest));
        }
    }

    /// Adds a record. Returns whether it or its version is new.
    fn add_record(&mut self, record: &ReceivedRecord) -> bool {
        self.received += 1;
        self.has_anonymous |= record.is_anonymous;
        self.last_key = Some(record.key);
        match self.records.entry(record.key) {
            Entry::Vacant(entry) => {
                entry.insert(record.version);
                true
            }
            Entry::Occupied(mut entry) => {
                let earlier = entry.insert(record.version);
                if earlier.conflicts_with(record.version) {
                    self.conflicts += 1;
                    self.conflict_example.get_or_insert_with(|| record.name.clone());
                }
                earlier != record.version
            }
        }
    }

    /// Returns the number of distinct records received.
    pub fn distinct(&self) -> u64 {
        self.records.len() as u64
    }

    /// Returns the total on the last page that had one.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the number of records received, repeated ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of pages received.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Returns the total at which the API stops counting.
    pub fn total_limit(&self) -> Option<u64> {
        self.total_limit
    }

    /// Returns whether `total` is only a lower bound.
    pub fn is_lower_bound(&self, total: u64) -> bool {
        self.total_limit.is_some_and(|limit| total >= limit)
    }

    /// Returns the furthest cursor of the records that were stored.
    pub fn newest(&self) -> Option<Cursor> {
        self.newest
    }

    /// Returns the hashes of the keys of all distinct records, with their versions.
    pub fn records(&self) -> impl Iterator<Item = (u64, RecordVersion)> + '_ {
        self.records.iter().map(|(key, version)| (*key, *version))
    }

    /// Returns whether a record with this key was received.
    pub fn has(&self, key: u64) -> bool {
        self.records.contains_key(&key)
    }

    /// Returns whether the last pages brought no new record: the pages go in circles.
    pub fn is_in_circles(&self) -> bool {
        self.barren_pages >= MAX_BARREN_PAGES
    }

    /// Returns the number of records that conflict with an earlier one.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// Returns the key of a record that conflicts with an earlier one. `None` if there is none.
    pub(super) fn conflict_example(&self) -> Option<&str> {
        self.conflict_example.as_deref()
    }

    /// Returns whether the total decreased. The first record of a page then moved to a page that was read before: it is missed, and the
    /// total is one less, so that the number of records can equal it.
    pub(super) fn has_shrunk(&self) -> bool {
        self.shrank
    }

    /// Returns whether another record came in the place of the last one of a page.
    pub(super) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Returns whether a rejected record did not show its key. If a record loses its key while the query is read, it can come twice, and be
    /// counted once more in the place of another one.
    pub fn has_anonymous(&self) -> bool {
        self.has_anonymous
    }

    /// Returns the hint of the last page that contradicts that these are all records.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.hints.contradiction(self.received, self.pages)
    }

    /// Returns the evidence in the form in which a checkpoint holds it.
    pub fn to_stored(&self) -> StoredEvidence {
        StoredEvidence {
            records: pack(self.records()),
            received: self.received,
            pages: self.pages,
            total: self.total,
            shrank: self.shrank,
            conflicts: self.conflicts,
            conflict_example: self.conflict_example.clone(),
            moved: self.moved,
            has_anonymous: self.has_anonymous,
            newest: self.newest,
        }
    }

    /// Returns the evidence that a checkpoint holds.
    pub fn from_stored(stored: &StoredEvidence) -> Self {
        Self {
            records: stored.records().collect(),
            received: stored.received,
            pages: stored.pages,
            total: stored.total,
            shrank: stored.shrank,
            conflicts: stored.conflicts,
            conflict_example: stored.conflict_example.clone(),
            moved: stored.moved,
            has_anonymous: stored.has_anonymous,
            newest: stored.newest,
            ..Self::default()
        }
    }
}

impl StoredEvidence {
    /// Returns the number of records received, repeated ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the hashes of the keys of all distinct records, with their versions.
    pub fn records(&self) -> impl Iterator<Item = (u64, RecordVersion)> {
        unpack(&self.records).into_iter()
    }
}

/// Writes records as Base64.
fn pack(records: impl Iterator<Item = (u64, RecordVersion)>) -> String {
    let bytes: Vec<u8> =
        records.flat_map(|(key, version)| key.to_le_bytes().into_iter().chain(version.bits().to_le_bytes())).collect();
    STANDARD.encode(bytes)
}

/// Reads records from Base64. A damaged text has no records, so that the query does not count as complete.
fn unpack(text: &str) -> Vec<(u64, RecordVersion)> {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let (records, _) = bytes.as_chunks::<STORED_RECORD_BYTES>();
    let record = |bytes: &[u8; STORED_RECORD_BYTES]| {
        let (key, version) = bytes.split_first_chunk::<8>()?;
        let version = version.first_chunk::<4>()?;
        Some((u64::from_le_bytes(*key), RecordVersion::from_bits(u32::from_le_bytes(*version))))
    };
    records.iter().filter_map(record).collect()
}
