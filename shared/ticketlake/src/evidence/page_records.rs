//! The records of one page, as the ingestion maps them.

use manifest::Cursor;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The records of one page in the order of the API. Rejected and excluded records are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRecords {
    /// The records.
    pub records: Vec<ReceivedRecord>,
    /// The hash of the key of the record that came in the place of the last one of the page before. `None` if that was not requested again.
    pub overlap: Option<u64>,
    /// The furthest cursor of the records that were stored.
    pub newest: Option<Cursor>,
}

/// One record of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRecord {
    /// The hash of the record's key, or of its text if it has no key.
    pub key: u64,
    /// The version of the record.
    pub version: RecordVersion,
    /// The key as text, for messages.
    pub name: String,
    /// Whether the record was rejected and does not show its key, so that it may be another version of a record that was received.
    pub is_anonymous: bool,
}

/// Tells versions of a record apart: 16 bits of a hash of its cursor, and 16 bits of a hash of its content. Two versions that differ are
/// taken for equal once in 65,536 times, which hides no more than one of many conflicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordVersion(u32);

impl RecordVersion {
    /// Returns the version of a record with this content and this cursor.
    pub fn new(content: u64, cursor: Option<Cursor>) -> Self {
        let cursor = cursor.map_or(0, |cursor| match cursor {
            Cursor::Instant(instant) => {
                let nanoseconds =
                    i128::from(instant.timestamp()) * 1_000_000_000 + i128::from(instant.timestamp_subsec_nanos());
                xxh3_64(&nanoseconds.to_le_bytes())
            }
            Cursor::Number(number) => xxh3_64(&number.to_le_bytes()),
        });
        Self((low_16_bits(cursor) << 16) | low_16_bits(content))
    }

    /// Returns whether two versions have the same cursor and different contents: the API does not say which of the two is newer.
    pub fn conflicts_with(self, other: Self) -> bool {
        self != other && self.0 >> 16 == other.0 >> 16
    }

    /// Returns the bits of the version, to store it.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Returns the version with these bits.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

fn low_16_bits(hash: u64) -> u32 {
    u32::try_from(hash & 0xffff).unwrap_or_default()
}
