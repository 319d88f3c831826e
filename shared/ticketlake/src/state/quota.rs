//! The quota that all runs of a source share: `_state/<source>/_quota.json`.

use async_trait::async_trait;
use client::limits::{Quota, QuotaChange, QuotaError, SharedQuota};
use lake::{Document, JsonContent, Store, StoreError, Update};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// The stored form of a quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Stored(Quota);

impl JsonContent for Stored {
    const NAME: &'static str = "quota";
    const VERSION: u64 = 1;
}

/// The quota of one source in one lake. All functions that read a source into a lake use the same key, and so the same quota.
#[derive(Debug)]
pub struct StoredQuota<'s> {
    /// The document as it was last read or written. The lock allows one reservation of a run at a time.
    document: Mutex<Document<'s, Stored>>,
}

impl<'s> StoredQuota<'s> {
    /// Creates the quota of `source` in `store`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, source: &str) -> Self {
        Self { document: Mutex::new(Document::new(store, format!("_state/{source}/_quota.json"))) }
    }

    /// Returns whether a run has stored the quota.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn is_stored(&self) -> Result<bool, StoreError> {
        let mut document = self.document.lock().await;
        document.refresh().await?;
        Ok(document.value().is_some())
    }
}

#[async_trait(?Send)]
impl SharedQuota for StoredQuota<'_> {
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError> {
        let mut document = self.document.lock().await;
        let next = |stored: Option<&Stored>| {
            let was = stored.cloned().unwrap_or_default();
            let mut next = was.clone();
            change(&mut next.0);
            Ok::<_, StoreError>((next != was).then_some(next))
        };
        let was_known = document.is_loaded();
        if document.update(next).await? == Update::Unchanged && was_known {
            document.refresh().await?;
            document.update(next).await?;
        }
        Ok(())
    }
}
