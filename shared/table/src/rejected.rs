//! Records that cannot become a row, kept with the reason: `_rejected/<source>/<resource>/date=…/<hash>.json`.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;
use crate::map::Rejection;
use lake::{Attempt, Precondition, Store, WriteOutcome, retry_on_conflict};
use manifest::time::{self, Instant};

/// The rejected records of one resource.
#[derive(Debug)]
pub struct Rejected<'s> {
    store: &'s dyn Store,
    source: &'s str,
    folder: String,
    /// Hashes that are stored; read when the first record is rejected.
    known: Option<HashSet<String>>,
}

impl<'s> Rejected<'s> {
    /// Those of `resource`, a resource of `source`.
    pub fn new(store: &'s dyn Store, source: &'s str, resource: &str) -> Self {
        Self { store, source, folder: format!("_rejected/{source}/{resource}"), known: None }
    }

    /// The keys of the records kept.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let listed = self.store.list(&format!("{}/", self.folder)).await?;
        Ok(listed.into_iter().map(|listed| listed.key).collect())
    }

    /// A kept record, as the API gave it.
    pub async fn record(&self, key: &str) -> Result<Value, Error> {
        let fault = |detail: &str| Error::Part { key: key.to_owned(), detail: detail.to_owned() };
        let (bytes, _) = self.store.get(key).await?.ok_or_else(|| fault("it is gone"))?;
        let mut object: Value = serde_json::from_slice(&bytes).map_err(|error| fault(&error.to_string()))?;
        object.get_mut("record").map(Value::take).ok_or_else(|| fault("it has no `record`"))
    }

    /// Keeps a record that was rejected at `now`, once whatever day it comes again: its name is the hash of the record and the reason.
    /// Gives the bytes written; `None` when it was there.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn keep(&mut self, rejection: &Rejection, request: &str, now: Instant) -> Result<Option<u64>, Error> {
        let content = json!({"record": rejection.record, "reason": rejection.reason});
        let hash = format!("{:032x}", xxh3_128(content.to_string().as_bytes()));
        if !self.stored_hashes().await?.insert(hash.clone()) {
            return Ok(None);
        }
        let object = json!({
            "record": rejection.record,
            "reason": rejection.reason,
            "source": self.source,
            "request": request,
            "rejected_at": time::format_instant(now),
        });
        let bytes = Bytes::from(object.to_string());
        let size = bytes.len() as u64;
        let key = format!("{}/date={}/{hash}.json", self.folder, now.format("%Y-%m-%d"));
        retry_on_conflict(&key, async || {
            if self.store.put(&key, bytes.clone(), Precondition::Absent).await? != WriteOutcome::Conflict {
                return Ok(Attempt::Done(Some(size)));
            }
            // S3 also answers so while another write is under way, and that one may fail: only an object that is there is kept.
            let is_there = self.store.get(&key).await?.is_some();
            Ok(if is_there { Attempt::Done(None) } else { Attempt::Conflict })
        })
        .await
    }

    /// The hashes of the records that are kept.
    async fn stored_hashes(&mut self) -> Result<&mut HashSet<String>, Error> {
        if self.known.is_none() {
            let keys = self.keys().await?;
            let names = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json"));
            self.known = Some(names.map(str::to_owned).collect());
        }
        Ok(self.known.get_or_insert_default())
    }
}
