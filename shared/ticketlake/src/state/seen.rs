//! The keys that a reading over several invocations has met: `_state/<source>/<resource>.seen`, their hashes in order, 8 bytes each,
//! little-endian.
//!
//! It lies beside the checkpoint and is not written in one step with it. So the checkpoint holds what the keys hash to, and keys that
//! hash to something else are not the ones it was written with.

use std::collections::HashSet;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{MOST_CONFLICTS, State};
use crate::error::Error;
use lake::{Kind, Put, StoreError, When, wait_after_conflict};

impl State<'_> {
    fn seen_key(&self) -> String {
        format!("{}.seen", self.key.trim_end_matches(".json"))
    }

    /// Keeps `seen`; gives what it hashes to, for the checkpoint.
    pub(crate) async fn keep_seen(&self, seen: &HashSet<u64>) -> Result<u64, Error> {
        let mut hashes: Vec<u64> = seen.iter().copied().collect();
        hashes.sort_unstable();
        let bytes: Bytes = hashes.into_iter().flat_map(u64::to_le_bytes).collect();
        let (key, digest) = (self.seen_key(), xxh3_64(&bytes));
        for lost in 0..MOST_CONFLICTS {
            let when = self.store.get(&key).await?.map_or(When::Absent, |(_, version)| When::Is(version));
            if self.store.put(&key, bytes.clone(), when).await? != Put::Conflict {
                return Ok(digest);
            }
            wait_after_conflict(lost).await;
        }
        let detail = format!("another writer was first {MOST_CONFLICTS} times");
        Err(StoreError { kind: Kind::Other, operation: "write", place: key, detail }.into())
    }

    /// The keys that hash to `digest`; `None` where others are kept.
    pub(crate) async fn seen(&self, digest: u64) -> Result<Option<HashSet<u64>>, Error> {
        let Some((bytes, _)) = self.store.get(&self.seen_key()).await? else { return Ok(None) };
        let (hashes, rest) = bytes.as_chunks::<8>();
        let whole = rest.is_empty() && xxh3_64(&bytes) == digest;
        Ok(whole.then(|| hashes.iter().copied().map(u64::from_le_bytes).collect()))
    }
}
