//! How far the runs of a resource have come.

use std::collections::BTreeMap;

use lake::{Document, JsonContent, Store};
use manifest::time::Instant;
use manifest::{Cursor, Incremental};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::marks::RefreshMarks;
use crate::error::Error;
use crate::request::RequestId;

/// Checkpoints that are kept: more than there are runs side by side. After an older one is dropped, what it names is read again, to no
/// effect.
const MAX_CHECKPOINTS: usize = 16;

/// What is stored of a resource's progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct StoredProgress {
    watermark: Option<String>,
    /// By the key of a parent's record: the watermark of its children.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, String>,
    /// The last complete run that left no records of its range out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousRun>,
    /// The readings that were cut short, one for each request; the one that was saved last is behind the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checkpoints: Vec<Checkpoint>,
    /// When each part of a resource that is refreshed in parts was last read completely.
    #[serde(default, skip_serializing_if = "RefreshMarks::is_empty")]
    refresh: RefreshMarks,
}

impl JsonContent for StoredProgress {
    const NAME: &'static str = "progress";
    const VERSION: u64 = 1;
}

/// What a complete run needed, for the next one's estimate and for its warning when nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousRun {
    /// Records received.
    pub records: u64,
    /// Requests sent.
    pub requests: u64,
}

/// The watermark of the children of each of a parent's records.
#[derive(Clone, Debug, Default)]
pub struct Watermarks(BTreeMap<String, Cursor>);

impl FromIterator<(String, Cursor)> for Watermarks {
    fn from_iter<I: IntoIterator<Item = (String, Cursor)>>(known: I) -> Self {
        Self(known.into_iter().collect())
    }
}

impl Watermarks {
    /// The watermark of the children of the parent's record `key`.
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
    /// The store's, and one for a document that is damaged or of another version.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str) -> Result<Self, Error> {
        let document = Document::load(store, format!("_state/{source}/{resource}/progress.json")).await?;
        Ok(Self { document })
    }

    fn stored(&self) -> Option<&StoredProgress> {
        self.document.value()
    }

    /// The watermark: how far complete runs have come.
    pub fn watermark(&self, incremental: &Incremental) -> Option<Cursor> {
        Cursor::parse(self.stored()?.watermark.as_deref()?, incremental.kind)
    }

    /// The watermarks of the children of each of the parent's records.
    pub fn watermarks(&self, incremental: &Incremental) -> Watermarks {
        let parents = self.stored().into_iter().flat_map(|stored| &stored.parents);
        parents.filter_map(|(key, text)| Some((key.clone(), Cursor::parse(text, incremental.kind)?))).collect()
    }

    /// What the last complete run needed.
    pub fn previous(&self) -> Option<PreviousRun> {
        self.stored()?.previous
    }

    /// When each part of a resource that is refreshed in parts was last read completely.
    pub fn refresh_marks(&self) -> RefreshMarks {
        self.stored().map(|stored| stored.refresh.clone()).unwrap_or_default()
    }

    /// The checkpoint of `request`, if its reading can go on at `now`.
    pub fn checkpoint(&self, request: RequestId, now: Instant) -> Option<Checkpoint> {
        self.stored()?.checkpoints.iter().find(|checkpoint| checkpoint.can_resume(request, now)).cloned()
    }

    /// Moves the watermark to `reached`, and those of the parent's records to `parents`, unless they are there or further already.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn advance(
        &mut self,
        incremental: &Incremental,
        reached: Option<Cursor>,
        parents: &[(String, Cursor)],
    ) -> Result<(), Error> {
        let further = |was: Option<&String>, reached: Cursor| {
            let was = was.and_then(|text| Cursor::parse(text, incremental.kind));
            let further = reached.furthest(was, incremental);
            (was != Some(further)).then(|| further.to_string())
        };
        self.change(|progress| {
            if let Some(moved) = reached.and_then(|reached| further(progress.watermark.as_ref(), reached)) {
                progress.watermark = Some(moved);
            }
            for (key, reached) in parents {
                if let Some(moved) = further(progress.parents.get(key), *reached) {
                    progress.parents.insert(key.clone(), moved);
                }
            }
        })
        .await
    }

    /// Notes what a complete run needed.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn note_run(&mut self, run: PreviousRun) -> Result<(), Error> {
        self.change(|progress| progress.previous = Some(run)).await
    }

    /// Notes the parts that were read completely.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn mark(&mut self, reach: impl Fn(&mut RefreshMarks)) -> Result<(), Error> {
        self.change(|progress| reach(&mut progress.refresh)).await
    }

    /// Saves a checkpoint beside those of other requests: a schedule and the windows of a backfill run side by side. One that names nothing
    /// is dropped.
    ///
    /// # Errors
    ///
    /// The store's.
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

    /// Drops the checkpoint of `request`: its reading is complete, or begins again.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn drop_checkpoint(&mut self, request: RequestId) -> Result<(), Error> {
        self.change(|progress| progress.checkpoints.retain(|other| other.request != request)).await
    }

    /// Makes `change`, again with a newer document when another writer was first.
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
