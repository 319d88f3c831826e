//! The records that cannot become a row, stored with the reason: `_rejected/<source>/<resource>/date=…/<hash>.json`.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lake::{Attempt, Precondition, Store, WriteOutcome, retry_on_conflict};
use manifest::json;
use manifest::time::{self, Instant};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;
use crate::map::{RejectedContent, Rejection};

/// The rejected records of one resource.
#[derive(Debug)]
pub struct RejectedRecords<'s> {
    store: &'s dyn Store,
    source: &'s str,
    /// The prefix of the keys of all rejected records, without the `/` at its end.
    prefix: String,
    /// The hashes of the stored records. They are read when the first record is rejected.
    stored_hashes: Option<HashSet<String>>,
}

/// A stored record that was rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRecord {
    /// The record as the API sent it.
    pub record: RejectedContent,
    /// When it was rejected.
    pub rejected_at: Instant,
}

impl<'s> RejectedRecords<'s> {
    /// Creates the rejected records of `resource`, a resource of `source`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, source: &'s str, resource: &str) -> Self {
        Self { store, source, prefix: format!("_rejected/{source}/{resource}"), stored_hashes: None }
    }

    /// Returns the keys of the stored records.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let listed = self.store.list(&format!("{}/", self.prefix)).await?;
        Ok(listed.into_iter().map(|listed| listed.key).collect())
    }

    /// Returns a stored record.
    ///
    /// # Errors
    ///
    /// The error of the store, or one for an object that is not a rejected record.
    pub async fn record(&self, key: &str) -> Result<RejectedRecord, Error> {
        let damaged = |detail: &str| Error::Part { key: key.to_owned(), detail: detail.to_owned() };
        let (bytes, _) = self.store.get(key).await?.ok_or_else(|| damaged("it does not exist"))?;
        let mut object: Value = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        let rejected_at = object.get("rejected_at").and_then(Value::as_str).and_then(time::parse_instant);
        let rejected_at = rejected_at.ok_or_else(|| damaged("it has no time at `rejected_at`"))?;
        let record = if let Some(text) = object.get("record_text").and_then(Value::as_str) {
            RejectedContent::Undecodable(Bytes::from(text.to_owned()))
        } else if let Some(text) = object.get("record_base64").and_then(Value::as_str) {
            let bytes = STANDARD.decode(text).map_err(|error| damaged(&error.to_string()))?;
            RejectedContent::Undecodable(Bytes::from(bytes))
        } else {
            let mut record = object.get_mut("record").map(Value::take).ok_or_else(|| damaged("it has no `record`"))?;
            json::make_canonical(&mut record).map_err(|reason| damaged(&reason))?;
            RejectedContent::Value(record)
        };
        Ok(RejectedRecord { record, rejected_at })
    }

    /// Stores a record that was rejected at `now`. `request` is the request that it came from. A record is stored once, on whatever day it
    /// comes again, since its name is a hash of the record and the reason. Returns the number of bytes written, or `None` if the record
    /// is stored already.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn keep(&mut self, rejection: &Rejection, request: &str, now: Instant) -> Result<Option<u64>, Error> {
        let (member, record) = stored_form(&rejection.record);
        let content = json!({member: record, "reason": rejection.reason});
        let hash = format!("{:032x}", xxh3_128(content.to_string().as_bytes()));
        if !self.stored_hashes().await?.insert(hash.clone()) {
            return Ok(None);
        }
        let object = json!({
            member: record,
            "reason": rejection.reason,
            "source": self.source,
            "request": request,
            "rejected_at": time::format_instant(now),
        });
        let bytes = Bytes::from(object.to_string());
        let size = bytes.len() as u64;
        let key = format!("{}/date={}/{hash}.json", self.prefix, now.format("%Y-%m-%d"));
        retry_on_conflict(&key, async || {
            if self.store.put(&key, bytes.clone(), Precondition::Absent).await? != WriteOutcome::Conflict {
                return Ok(Attempt::Done(Some(size)));
            }
            // S3 also reports a conflict while another write is in progress, and that one may fail. So the object must be there.
            let is_stored = self.store.get(&key).await?.is_some();
            Ok(if is_stored { Attempt::Done(None) } else { Attempt::Conflict })
        })
        .await
    }

    /// Returns the hashes of the stored records.
    async fn stored_hashes(&mut self) -> Result<&mut HashSet<String>, Error> {
        if self.stored_hashes.is_none() {
            let keys = self.keys().await?;
            let hashes = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json"));
            self.stored_hashes = Some(hashes.map(str::to_owned).collect());
        }
        Ok(self.stored_hashes.get_or_insert_default())
    }
}

/// Returns the member of the stored object that holds a record, and its value. A record that cannot be decoded is stored as a text, or in
/// base64 if it is not UTF-8.
fn stored_form(record: &RejectedContent) -> (&'static str, Value) {
    match record {
        RejectedContent::Value(record) => ("record", record.clone()),
        RejectedContent::Undecodable(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => ("record_text", text.into()),
            Err(_) => ("record_base64", STANDARD.encode(bytes).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use lake::Memory;

    use super::*;

    fn at(text: &str) -> Instant {
        time::parse_instant(text).unwrap()
    }

    #[tokio::test]
    async fn a_record_is_stored_once_for_each_reason() {
        let store = Memory::default();
        let rejection =
            |reason: &str| Rejection { record: json!({"id": null, "n": 1}).into(), reason: reason.into(), key: None };
        let mut rejected = RejectedRecords::new(&store, "test", "things");
        let first = rejected.keep(&rejection("no key"), "GET /things", at("2026-11-21T10:00:00Z")).await.unwrap();
        assert_eq!(first, Some(store.objects()[0].1.len() as u64));
        assert_eq!(rejected.keep(&rejection("no key"), "GET /things", at("2026-11-21T11:00:00Z")).await.unwrap(), None);

        // Another run, on another day.
        let mut rejected = RejectedRecords::new(&store, "test", "things");
        assert_eq!(rejected.keep(&rejection("no key"), "GET /things", at("2026-11-22T10:00:00Z")).await.unwrap(), None);
        let other = rejected.keep(&rejection("no day"), "GET /things", at("2026-11-22T10:00:00Z")).await.unwrap();
        assert!(other.is_some());
        let keys = rejected.keys().await.unwrap();
        assert_eq!(keys.len(), 2);
        assert!(keys[0].starts_with("_rejected/test/things/date=2026-11-21/"), "{keys:?}");
        let (record, rejected_at) = (json!({"id": null, "n": 1}).into(), at("2026-11-21T10:00:00Z"));
        assert_eq!(rejected.record(&keys[0]).await.unwrap(), RejectedRecord { record, rejected_at });
        assert!(rejected.record("_rejected/test/things/other.json").await.is_err());
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_decoded_is_stored_as_it_came() {
        let store = Memory::default();
        let mut rejected = RejectedRecords::new(&store, "test", "things");
        for bytes in [br#"{"s": "\ud83d", "n": 1.50}"#.as_slice(), b"{\"s\": \"caf\xE9\"}"] {
            let record = RejectedContent::Undecodable(Bytes::from_static(bytes));
            let rejection = Rejection { record: record.clone(), reason: "it cannot be decoded".into(), key: None };
            rejected.keep(&rejection, "GET /things", at("2026-11-21T10:00:00Z")).await.unwrap();
            let kept = rejected.keys().await.unwrap();
            let mut found = false;
            for key in kept {
                found |= rejected.record(&key).await.unwrap().record == record;
            }
            assert!(found, "{bytes:?}");
        }
    }
}
