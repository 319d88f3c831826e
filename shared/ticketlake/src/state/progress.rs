//! The progress of the runs of a resource: watermarks, checkpoints and marks.

use std::collections::BTreeMap;

use lake::{Document, JsonContent, Store};
use manifest::time::Instant;
use manifest::{Cursor, Incremental, Resource};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::marks::RefreshMarks;
use crate::error::Error;
use crate::request::RequestId;

/// The greatest number of checkpoints, which is more than the number of runs at the same time. If an older one is dropped, its records are
/// read again.
const MAX_CHECKPOINTS: usize = 16;

/// The stored form of the progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct StoredProgress {
    /// The watermark.
    watermark: Option<String>,
    /// The watermark of the children of each parent record, by its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, String>,
    /// The last complete run without conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousRun>,
    /// The checkpoints of interrupted reads, one for each request. The one that was saved last is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checkpoints: Vec<Checkpoint>,
    /// The times when each part of a resource with `refresh` was last read completely.
    #[serde(default, skip_serializing_if = "RefreshMarks::is_empty")]
    refresh: RefreshMarks,
}

impl JsonContent for StoredProgress {
    const NAME: &'static str = "progress";
    const VERSION: u64 = 2;
}

/// The size of a complete run, for the estimate of the next one and for its warning if it receives no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousRun {
    /// The number of records received.
    pub records: u64,
    /// The number of requests sent.
    pub requests: u64,
}

/// The watermark of the children of each parent record.
#[derive(Clone, Debug, Default)]
pub struct Watermarks(BTreeMap<String, Cursor>);

impl FromIterator<(String, Cursor)> for Watermarks {
    fn from_iter<I: IntoIterator<Item = (String, Cursor)>>(known: I) -> Self {
        Self(known.into_iter().collect())
    }
}

impl Watermarks {
    /// Returns the watermark of the children of the parent record `key`.
    pub fn get(&self, key: &str) -> Option<Cursor> {
        self.0.get(key).copied()
    }
}

/// The progress of one resource in one lake.
#[derive(Debug)]
pub struct Progress<'s> {
    document: Document<'s, StoredProgress>,
}

impl<'s> Progress<'s> {
    /// Reads the progress of `resource`, a resource of `source`.
    ///
    /// # Errors
    ///
    /// The error of the store, or an error for a document that is damaged or has another version.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str) -> Result<Self, Error> {
        let document = Document::load(store, format!("_state/{source}/{resource}/progress.json")).await?;
        Ok(Self { document })
    }

    /// Returns the stored progress, if there is any.
    fn stored(&self) -> Option<&StoredProgress> {
        self.document.value()
    }

    /// Returns the watermark.
    pub fn watermark(&self, incremental: &Incremental) -> Option<Cursor> {
        Cursor::parse(self.stored()?.watermark.as_deref()?, incremental.kind)
    }

    /// Returns the watermarks of the children of each parent record.
    pub fn watermarks(&self, incremental: &Incremental) -> Watermarks {
        let parents = self.stored().into_iter().flat_map(|stored| &stored.parents);
        parents.filter_map(|(key, text)| Some((key.clone(), Cursor::parse(text, incremental.kind)?))).collect()
    }

    /// Returns the size of the previous complete run.
    pub fn previous(&self) -> Option<PreviousRun> {
        self.stored()?.previous
    }

    /// Returns the times when each part of a resource with `refresh` was last read completely.
    pub fn refresh_marks(&self) -> RefreshMarks {
        self.stored().map(|stored| stored.refresh.clone()).unwrap_or_default()
    }

    /// Returns the checkpoint of `request` for `resource`, if a read can resume from it at `now`.
    pub fn checkpoint(&self, request: RequestId, resource: &Resource, now: Instant) -> Option<Checkpoint> {
        self.stored()?.checkpoints.iter().find(|checkpoint| checkpoint.can_resume(request, resource, now)).cloned()
    }

    /// Moves the watermark to `newest`, and those of parent records as `parents` says. No watermark moves back.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn advance(
        &mut self,
        incremental: &Incremental,
        newest: Option<Cursor>,
        parents: &[(String, Cursor)],
    ) -> Result<(), Error> {
        let moved = |was: Option<&String>, newest: Cursor| {
            let was = was.and_then(|text| Cursor::parse(text, incremental.kind));
            let furthest = newest.furthest(was, incremental);
            (was != Some(furthest)).then(|| furthest.to_string())
        };
        self.change(|progress| {
            if let Some(watermark) = newest.and_then(|newest| moved(progress.watermark.as_ref(), newest)) {
                progress.watermark = Some(watermark);
            }
            for (key, newest) in parents {
                if let Some(watermark) = moved(progress.parents.get(key), *newest) {
                    progress.parents.insert(key.clone(), watermark);
                }
            }
        })
        .await
    }

    /// Saves the size of a complete run.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save_run(&mut self, run: PreviousRun) -> Result<(), Error> {
        self.change(|progress| progress.previous = Some(run)).await
    }

    /// Changes the times of the parts that were read completely.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn update_marks(&mut self, change: impl Fn(&mut RefreshMarks)) -> Result<(), Error> {
        self.change(|progress| change(&mut progress.refresh)).await
    }

    /// Saves the checkpoint of its request. Those of other requests stay, since a schedule and a backfill can run at the same time. An empty
    /// checkpoint is dropped.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        if checkpoint.is_empty() {
            return self.drop_checkpoint(checkpoint.request).await;
        }
        self.change(|progress| {
            if progress.checkpoints.contains(checkpoint) {
                return;
            }
            progress.checkpoints.retain(|other| other.request != checkpoint.request);
            progress.checkpoints.push(checkpoint.clone());
            let too_many = progress.checkpoints.len().saturating_sub(MAX_CHECKPOINTS);
            progress.checkpoints.drain(..too_many);
        })
        .await
    }

    /// Drops the checkpoint of `request`, since its read is complete or begins again.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn drop_checkpoint(&mut self, request: RequestId) -> Result<(), Error> {
        self.change(|progress| progress.checkpoints.retain(|other| other.request != request)).await
    }

    /// Applies `change` to the stored progress, and again after a write conflict.
    async fn change(&mut self, change: impl Fn(&mut StoredProgress)) -> Result<(), Error> {
        self.document
            .update(|stored| {
                let mut progress = stored.cloned().unwrap_or_default();
                change(&mut progress);
                Ok::<_, Error>((progress != stored.cloned().unwrap_or_default()).then_some(progress))
            })
            .await?;
        Ok(())
    }
}
