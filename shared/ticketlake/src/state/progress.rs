//! The progress of the runs of a resource: coverage, checkpoints and marks.

use std::collections::BTreeMap;

use lake::{Document, JsonContent, Store};
use manifest::time::Instant;
use manifest::{Cursor, Incremental, Resource, ScopeId};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::coverage::{Bound, Coverage, Interval};
use super::marks::RefreshMarks;
use crate::clock::CLOCK_TOLERANCE;
use crate::error::Error;
use crate::request::RequestId;

/// The greatest number of scopes that are kept: production and a few sandboxes or accounts. If the progress of an older one is dropped, its
/// records are read again.
const MAX_SCOPES: usize = 8;

/// The greatest size of all checkpoints in bytes, as JSON. The document is read at the start of every run and written at its end, and 16 MiB
/// take about a second each. If an older checkpoint is dropped, its records are read again. The one that was saved last is always kept.
const MAX_CHECKPOINT_BYTES: usize = 16 << 20;

/// The stored form of the progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct StoredProgress {
    /// What was read, one for each scope. The one that was changed last is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<StoredScope>,
    /// The checkpoints of interrupted reads, one for each request. The one that was saved last is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checkpoints: Vec<Checkpoint>,
}

impl JsonContent for StoredProgress {
    const NAME: &'static str = "progress";
    const VERSION: u64 = 3;
}

/// The stored form of what was read in one scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct StoredScope {
    /// The scope.
    scope: ScopeId,
    /// The intervals that were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    read: Vec<StoredInterval>,
    /// The intervals that were read, and that a scheduled run does not read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    settled: Vec<StoredInterval>,
    /// The settled intervals of the children of each parent record, by its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, Vec<StoredInterval>>,
    /// The last complete run without conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousRun>,
    /// The times when each part of a resource with `refresh` was last read completely.
    #[serde(default, skip_serializing_if = "RefreshMarks::is_empty")]
    refresh: RefreshMarks,
}

/// The first cursor of an interval and the cursor before which it ends, as text. `None` for the beginning or the end.
type StoredInterval = (Option<String>, Option<String>);

/// The size of a complete run, for the estimate of the next one and for its warning if it receives no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousRun {
    /// The number of records received.
    pub records: u64,
    /// The number of requests sent.
    pub requests: u64,
}

/// What the runs of a resource have read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadCoverage {
    /// The intervals that were read.
    pub read: Coverage,
    /// The intervals that were read, and that a scheduled run does not read again. The last `lag` of what was read is not settled.
    pub settled: Coverage,
    /// The settled intervals of the children of each parent record, by its key.
    pub parents: BTreeMap<String, Coverage>,
}

impl ReadCoverage {
    /// Adds what `other` has.
    pub fn extend(&mut self, other: &Self) {
        self.read.extend(other.read.intervals().iter().copied());
        self.settled.extend(other.settled.intervals().iter().copied());
        for (key, settled) in &other.parents {
            self.parents.entry(key.clone()).or_default().extend(settled.intervals().iter().copied());
        }
    }

    /// Returns whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.settled.is_empty() && self.parents.is_empty()
    }
}

/// The progress of one resource in one lake.
#[derive(Debug)]
pub struct Progress<'s> {
    document: Document<'s, StoredProgress>,
    /// What was read in another scope says nothing about this one.
    scope: ScopeId,
}

impl<'s> Progress<'s> {
    /// Reads the progress of `resource`, a resource of `source` that is read in `scope`.
    ///
    /// # Errors
    ///
    /// The error of the store, or an error for a document that is damaged or has another version.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str, scope: ScopeId) -> Result<Self, Error> {
        let document = Document::load(store, format!("_state/{source}/{resource}/progress.json")).await?;
        Ok(Self { document, scope })
    }

    /// Returns the stored progress, if there is any.
    fn stored(&self) -> Option<&StoredProgress> {
        self.document.value()
    }

    /// Returns the stored progress of the scope, if there is any.
    fn stored_scope(&self) -> Option<&StoredScope> {
        self.stored()?.scopes.iter().find(|stored| stored.scope == self.scope)
    }

    /// Returns what the runs so far have read.
    pub fn coverage(&self, incremental: &Incremental) -> ReadCoverage {
        self.stored_scope().map(|stored| stored.coverage(incremental)).unwrap_or_default()
    }

    /// Returns the watermark: the cursor up to which everything from `beginning` on was read.
    pub fn watermark(&self, incremental: &Incremental, beginning: Bound) -> Option<Cursor> {
        let read = coverage(&self.stored_scope()?.read, incremental);
        read.covered_to(beginning).and_then(Bound::cursor)
    }

    /// Returns the size of the previous complete run.
    pub fn previous(&self) -> Option<PreviousRun> {
        self.stored_scope()?.previous
    }

    /// Returns the times when each part of a resource with `refresh` was last read completely. Times after `now` do not count: the clock of
    /// another run was wrong.
    pub fn refresh_marks(&self, now: Instant) -> RefreshMarks {
        self.stored_scope().map(|stored| stored.refresh.clone().until(now + CLOCK_TOLERANCE)).unwrap_or_default()
    }

    /// Returns the checkpoint of `request` for `resource`, if a read can resume from it at `now`.
    pub fn checkpoint(&self, request: RequestId, resource: &Resource, now: Instant) -> Option<Checkpoint> {
        self.stored()?.checkpoints.iter().find(|checkpoint| checkpoint.can_resume(request, resource, now)).cloned()
    }

    /// Adds what a run has read.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn add_coverage(&mut self, incremental: &Incremental, proven: &ReadCoverage) -> Result<(), Error> {
        if proven.is_empty() {
            return Ok(());
        }
        self.change_scope(|stored| {
            let mut coverage = stored.coverage(incremental);
            coverage.extend(proven);
            stored.set_coverage(&coverage);
        })
        .await
    }

    /// Saves the size of a complete run.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save_run(&mut self, run: PreviousRun) -> Result<(), Error> {
        self.change_scope(|stored| stored.previous = Some(run)).await
    }

    /// Changes the times of the parts that were read completely. Times after `now` are dropped.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn update_marks(&mut self, now: Instant, change: impl Fn(&mut RefreshMarks)) -> Result<(), Error> {
        self.change_scope(|stored| {
            stored.refresh = std::mem::take(&mut stored.refresh).until(now + CLOCK_TOLERANCE);
            change(&mut stored.refresh);
        })
        .await
    }

    /// Saves the checkpoint of its request. Those of other requests stay, since a schedule and a backfill can run at the same time, and a
    /// backfill can have any number of windows. Those that are too old at `now` to be resumed are dropped. An empty checkpoint is dropped.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn save_checkpoint(&mut self, checkpoint: &Checkpoint, now: Instant) -> Result<(), Error> {
        if checkpoint.is_empty() {
            return self.drop_checkpoint(checkpoint.request).await;
        }
        self.change(|progress| {
            if progress.checkpoints.contains(checkpoint) {
                return;
            }
            progress.checkpoints.retain(|other| other.request != checkpoint.request && !other.is_expired(now));
            progress.checkpoints.push(checkpoint.clone());
            drop_oldest(&mut progress.checkpoints, MAX_CHECKPOINT_BYTES);
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

    /// Drops the checkpoints of reads that `complete`, a complete read, has read again: a run that resumes from one of these would read less
    /// than is new.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn drop_superseded(&mut self, complete: &Checkpoint) -> Result<(), Error> {
        self.change(|progress| progress.checkpoints.retain(|other| !complete.supersedes(other))).await
    }

    /// Forgets what was read in other scopes, because the rows of their records are about to be removed.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn forget_other_scopes(&mut self) -> Result<(), Error> {
        let scope = self.scope;
        self.change(|progress| progress.scopes.retain(|stored| stored.scope == scope)).await
    }

    /// Applies `change` to the stored progress of the scope, and again after a write conflict.
    async fn change_scope(&mut self, change: impl Fn(&mut StoredScope)) -> Result<(), Error> {
        let scope = self.scope;
        self.change(|progress| {
            let position = progress.scopes.iter().position(|stored| stored.scope == scope);
            let was = position.map(|position| progress.scopes[position].clone());
            let mut stored = was.clone().unwrap_or_else(|| StoredScope { scope, ..StoredScope::default() });
            change(&mut stored);
            if was.as_ref() == Some(&stored) {
                return;
            }
            position.map(|position| progress.scopes.remove(position));
            progress.scopes.push(stored);
            let too_many = progress.scopes.len().saturating_sub(MAX_SCOPES);
            progress.scopes.drain(..too_many);
        })
        .await
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

impl StoredScope {
    fn coverage(&self, incremental: &Incremental) -> ReadCoverage {
        let parents = self.parents.iter();
        ReadCoverage {
            read: coverage(&self.read, incremental),
            settled: coverage(&self.settled, incremental),
            parents: parents.map(|(key, settled)| (key.clone(), coverage(settled, incremental))).collect(),
        }
    }

    fn set_coverage(&mut self, coverage: &ReadCoverage) {
        self.read = texts(&coverage.read);
        self.settled = texts(&coverage.settled);
        self.parents = coverage.parents.iter().map(|(key, settled)| (key.clone(), texts(settled))).collect();
    }
}

/// Returns the coverage that `texts` stand for. An interval that cannot be read is left out, and is then read again.
fn coverage(texts: &[StoredInterval], incremental: &Incremental) -> Coverage {
    let bound = |text: &Option<String>, open: Bound| match text {
        Some(text) => Some(Bound::at(Cursor::parse(text, incremental.kind)?, incremental)),
        None => Some(open),
    };
    let interval = |(from, to): &StoredInterval| Interval::new(bound(from, Bound::Beginning)?, bound(to, Bound::End)?);
    texts.iter().filter_map(interval).collect()
}

/// Returns the texts of a coverage. It is the inverse of [`coverage`].
fn texts(coverage: &Coverage) -> Vec<StoredInterval> {
    let text = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.to_string());
    coverage.intervals().iter().map(|interval| (text(interval.start()), text(interval.end()))).collect()
}

/// Drops the first checkpoints until the others have at most `max_bytes`. The last one stays in any case.
fn drop_oldest(checkpoints: &mut Vec<Checkpoint>, max_bytes: usize) {
    let size = |checkpoint: &Checkpoint| serde_json::to_vec(checkpoint).map_or(0, |bytes| bytes.len());
    let mut bytes = 0_usize;
    let mut kept = 0;
    for checkpoint in checkpoints.iter().rev() {
        bytes = bytes.saturating_add(size(checkpoint));
        if kept > 0 && bytes > max_bytes {
            break;
        }
        kept += 1;
    }
    checkpoints.drain(..checkpoints.len() - kept);
}

#[cfg(test)]
mod tests {
    use lake::Memory;
    use manifest::{Manifest, QueryId};
    use serde_json::json;

    use super::*;

    fn resource() -> Resource {
        let manifest = json!({
            "client": {"base_url": "https://api.example"},
            "resources": [{
                "name": "things", "primary_key": "id",
                "endpoint": {"incremental": {"cursor_path": "at", "initial_value": 0}},
            }],
        });
        Manifest::parse("test.json", &manifest.to_string()).unwrap().resources.remove(0)
    }

    fn incremental() -> Incremental {
        resource().endpoint.incremental.unwrap()
    }

    /// A checkpoint that is not empty.
    fn checkpoint(number: i64, began: Instant) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(request(number), &resource(), began);
        checkpoint.set_window_total(QueryId::default(), Some(1));
        checkpoint
    }

    fn request(number: i64) -> RequestId {
        serde_json::from_value(json!(format!("{number:032x}"))).unwrap()
    }

    fn scope(number: u8) -> ScopeId {
        serde_json::from_value(json!(format!("{number:032x}"))).unwrap()
    }

    fn interval(from: i64, to: i64) -> Interval {
        let at = |number| Bound::at(Cursor::Number(number), &incremental());
        Interval::new(at(from), at(to)).unwrap()
    }

    fn read(intervals: &[(i64, i64)]) -> ReadCoverage {
        let coverage: Coverage = intervals.iter().map(|(from, to)| interval(*from, *to)).collect();
        ReadCoverage { read: coverage.clone(), settled: coverage, parents: BTreeMap::new() }
    }

    #[tokio::test]
    async fn coverage_is_stored_and_belongs_to_its_scope() {
        let store = Memory::default();
        let mut progress = Progress::load(&store, "a", "b", scope(1)).await.unwrap();
        progress.add_coverage(&incremental(), &read(&[(0, 3), (5, 9)])).await.unwrap();
        progress.add_coverage(&incremental(), &read(&[(3, 4)])).await.unwrap();
        let other = Progress::load(&store, "a", "b", scope(2)).await.unwrap();
        assert_eq!(other.coverage(&incremental()), ReadCoverage::default());
        let same = Progress::load(&store, "a", "b", scope(1)).await.unwrap();
        assert_eq!(same.coverage(&incremental()), read(&[(0, 4), (5, 9)]));
        let watermark =
            |beginning| same.watermark(&incremental(), Bound::at(Cursor::Number(beginning), &incremental()));
        assert_eq!(
            (watermark(0), watermark(4), watermark(5)),
            (Some(Cursor::Number(4)), None, Some(Cursor::Number(9)))
        );
    }

    #[tokio::test]
    async fn the_scopes_that_were_changed_last_are_kept() {
        let store = Memory::default();
        for number in 0..20 {
            for number in [0, number] {
                let mut progress = Progress::load(&store, "a", "b", scope(number)).await.unwrap();
                let done = i64::from(number) * 100
                    + i64::try_from(progress.coverage(&incremental()).read.intervals().len()).unwrap();
                progress.add_coverage(&incremental(), &read(&[(0, 1000 + done)])).await.unwrap();
                progress.save_run(PreviousRun { records: rand::random::<u32>().into(), requests: 1 }).await.unwrap();
            }
        }
        for (number, is_kept) in [(0, true), (5, false), (18, true), (19, true)] {
            let progress = Progress::load(&store, "a", "b", scope(number)).await.unwrap();
            assert_eq!(!progress.coverage(&incremental()).is_empty(), is_kept, "{number}");
        }
    }

    #[tokio::test]
    async fn checkpoints_are_dropped_by_age_and_not_by_number() {
        let store = Memory::default();
        let mut progress = Progress::load(&store, "a", "b", scope(1)).await.unwrap();
        let day = |day: i64| manifest::time::from_seconds(day * 86_400).unwrap();
        for number in 0..100 {
            let began = day(number / 10);
            progress.save_checkpoint(&checkpoint(number, began), began).await.unwrap();
        }
        let kept: Vec<i64> =
            (0..100).filter(|number| progress.checkpoint(request(*number), &resource(), day(9)).is_some()).collect();
        assert_eq!(kept, (20..100).collect::<Vec<_>>(), "those of the last seven days");
    }

    #[test]
    fn the_oldest_checkpoints_are_dropped_if_all_are_too_large() {
        let checkpoint = |number: i64| checkpoint(number, Instant::default());
        let one = serde_json::to_vec(&checkpoint(0)).unwrap().len();
        for (max_bytes, kept) in [(0, 1), (one, 1), (3 * one, 3), (5 * one, 5)] {
            let mut checkpoints: Vec<Checkpoint> = (0..5).map(checkpoint).collect();
            drop_oldest(&mut checkpoints, max_bytes);
            assert_eq!(checkpoints, (5 - kept..5).map(checkpoint).collect::<Vec<_>>());
        }
    }
}
