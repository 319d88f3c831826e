//! The readings of a table whose rows can be removed or marked: the document `_state/<source>/<resource>/readings.json`.
//!
//! A reading that received everything removes or marks the rows that it did not receive. Another reading can have received such a row
//! meanwhile, and then the row must stay. No clock decides that, but three rules:
//!
//! 1. A reading adds itself to the document before its first request.
//! 2. Before a run compares rows with the stored ones, it takes all other readings out of the document. A reading that was taken out
//!    removes nothing: this run may have received rows that the reading passed over, after the reading had begun.
//! 3. A reading that is still in the document writes the keys of the rows that it removes into the same document, by the same
//!    compare-and-swap. A run that finds its row among these writes the row with another time, although it is equal. The removal takes
//!    out only rows that are as they were before rule 3, so the compare-and-swap of the part decides between the two.
//!
//! If a run received a row before a reading began, that reading is the later one, and its removal is right. The module `readings` of
//! `tests/model` checks this over every interleaving.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use lake::{Document, JsonContent, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OnceCell};

use crate::error::Error;

/// After so many later readings, a reading or a removal in the document is taken for one that was killed.
const MAX_LATER_READINGS: u64 = 100;

/// What the document holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredReadings {
    /// The number of the next reading.
    next: u64,
    /// The readings beside which no other run has stored rows, by their numbers.
    undisturbed: BTreeSet<u64>,
    /// The hashes of the keys whose rows are being removed or marked, by the number of the reading.
    removals: BTreeMap<u64, Vec<u64>>,
}

impl JsonContent for StoredReadings {
    const NAME: &'static str = "readings";
    const VERSION: u64 = 1;
}

/// The readings of one table, and the one of this run among them.
#[derive(Debug)]
pub(super) struct Readings<'t> {
    document: Mutex<Document<'t, StoredReadings>>,
    /// The number of this run's reading. It is set when the reading begins.
    own: OnceCell<u64>,
}

impl<'t> Readings<'t> {
    /// Creates the readings in the document at `key`. Nothing is read yet.
    pub(super) fn new(store: &'t dyn Store, key: String) -> Self {
        Self { document: Mutex::new(Document::new(store, key)), own: OnceCell::new() }
    }

    /// Adds the reading of this run to the document, unless it is there. Returns its number.
    pub(super) async fn begin(&self) -> Result<u64, Error> {
        let number = self.own.get_or_try_init(async || {
            let begin = |stored: &mut StoredReadings| {
                let number = stored.next;
                let oldest = number.saturating_sub(MAX_LATER_READINGS);
                stored.undisturbed.retain(|reading| *reading >= oldest);
                stored.removals.retain(|reading, _| *reading >= oldest);
                stored.undisturbed.insert(number);
                stored.next += 1;
            };
            Ok::<_, Error>(self.update(begin).await?.next - 1)
        });
        number.await.copied()
    }

    /// Goes on with the reading `number`, which an earlier run began.
    pub(super) fn resume(&self, number: u64) {
        // A reading that has begun stays the one of this run.
        let _ = self.own.set(number);
    }

    /// Takes all other readings out of the document, because rows are about to be compared with the stored ones. Returns the hashes of the
    /// keys whose rows other readings are removing or marking.
    pub(super) async fn disturb_others(&self) -> Result<HashSet<u64>, Error> {
        let own = self.own.get().copied();
        self.document.lock().await.refresh().await?;
        let stored = self.update(|stored| stored.undisturbed.retain(|reading| Some(*reading) == own)).await?;
        let removals = stored.removals.into_iter().filter(|(reading, _)| Some(*reading) != own);
        Ok(removals.flat_map(|(_, keys)| keys).collect())
    }

    /// Writes into the document that this reading removes or marks the rows with these `keys`, in place of those that it named before.
    /// Returns `false` if it may not, because another run has stored rows since it began.
    pub(super) async fn claim(&self, keys: &[u64]) -> Result<bool, Error> {
        let Some(own) = self.own.get().copied() else { return Ok(false) };
        let claim = |stored: &mut StoredReadings| {
            if stored.undisturbed.contains(&own) {
                stored.removals.insert(own, keys.to_vec());
            }
        };
        self.document.lock().await.refresh().await?;
        Ok(self.update(claim).await?.undisturbed.contains(&own))
    }

    /// Writes into the document that this reading has removed or marked its rows.
    pub(super) async fn end_removal(&self) -> Result<(), Error> {
        let Some(own) = self.own.get().copied() else { return Ok(()) };
        self.update(|stored| _ = stored.removals.remove(&own)).await.map(|_| ())
    }

    /// Changes the document, and returns what it holds then.
    async fn update(&self, change: impl Fn(&mut StoredReadings)) -> Result<StoredReadings, Error> {
        let mut document = self.document.lock().await;
        document
            .update(|stored| {
                let mut readings = stored.cloned().unwrap_or_default();
                change(&mut readings);
                Ok::<_, Error>((stored.cloned().unwrap_or_default() != readings).then_some(readings))
            })
            .await?;
        Ok(document.value().cloned().unwrap_or_default())
    }
}
