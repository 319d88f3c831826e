//! The seen keys of a read over several runs: `_state/<source>/<resource>/seen_keys`. The object has the hashes in ascending order, each as
//! 8 bytes, little-endian.
//!
//! The object and the checkpoint are written one after the other. The checkpoint has the digest of its keys, so that keys of another
//! checkpoint are recognized.

use std::collections::HashSet;

use bytes::Bytes;
use lake::{Content, Document, Store};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;

/// The hashes of keys in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StoredKeys(Vec<u64>);

impl Content for StoredKeys {
    const NAME: &'static str = "seen keys";

    fn encode(&self) -> Result<Bytes, String> {
        Ok(self.0.iter().flat_map(|hash| hash.to_le_bytes()).collect())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (hashes, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(format!("its size of {} bytes is not a multiple of 8", bytes.len()));
        }
        Ok(Self(hashes.iter().copied().map(u64::from_le_bytes).collect()))
    }
}

impl StoredKeys {
    /// Returns the digest of the hashes.
    fn digest(&self) -> u64 {
        let bytes: Vec<u8> = self.0.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        xxh3_64(&bytes)
    }
}

/// The stored keys of one resource.
#[derive(Debug)]
pub struct SeenKeys<'s> {
    document: Document<'s, StoredKeys>,
}

impl<'s> SeenKeys<'s> {
    /// Creates the seen keys of `resource`, a resource of `source`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, source: &str, resource: &str) -> Self {
        Self { document: Document::new(store, format!("_state/{source}/{resource}/seen_keys")) }
    }

    /// Stores `keys`. Returns their digest for the checkpoint.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save(&mut self, keys: &HashSet<u64>) -> Result<u64, Error> {
        if !self.document.is_loaded() {
            self.refresh().await?;
        }
        let mut hashes: Vec<u64> = keys.iter().copied().collect();
        hashes.sort_unstable();
        let keys = StoredKeys(hashes);
        let digest = keys.digest();
        self.document.update(|_| Ok::<_, Error>(Some(keys.clone()))).await?;
        Ok(digest)
    }

    /// Returns the stored keys if their digest is `digest`.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn load(&mut self, digest: u64) -> Result<Option<HashSet<u64>>, Error> {
        self.refresh().await?;
        let stored = self.document.value().filter(|stored| stored.digest() == digest);
        Ok(stored.map(|stored| stored.0.iter().copied().collect()))
    }

    /// Reads the stored keys. An object that cannot be decoded is ignored, and later replaced.
    async fn refresh(&mut self) -> Result<(), Error> {
        if let Some(error) = self.document.refresh_or_discard().await? {
            tracing::warn!(%error, "the keys that an earlier run received cannot be read");
        }
        Ok(())
    }
}
