//! Every version of a row that was seen, kept once: `<resource>_history/observed_date=…`.
//!
//! A version is written here before it replaces the one before it in the table, so that a run killed between the two writes loses
//! none. What tells it from every other is its key, what it says (`_fingerprint`) and the version that it replaced, by that one's
//! `synced_at` (`_replaces`): a run that meets the same change after a crash finds it here and does not write it twice.
//!
//! It may meet it on another day, in another folder. So a run notes the day on which it began to write
//! (`_state/<source>/<resource>/history.json`) and takes the note back at its end, when the table has all that it wrote here.
//! A note that stays is a killed run's: from its day on, folders before today's are looked through.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema};
use arrow_select::take::take_record_batch;
use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use lake::{Document, JsonContent};
use manifest::{DataType, WriteDisposition};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::buffer::{Batch, internal};
use super::merged::Merged;
use super::name::Name;
use super::part::{Part, key_part};
use super::partition::PartitionMerge;
use super::parts::TableParts;
use super::versions::{NewVersion, RecordVersions};
use crate::error::Error;
use crate::map::{self, join_key, own};

/// The `synced_at` of the version that this one replaced; null for a key's first.
pub(crate) const REPLACES: &str = "_replaces";
/// The folders' name.
pub(crate) const OBSERVED: &str = "observed_date";
/// A run that began longer ago than this is over, one way or another: a Lambda lives 15 minutes.
const LONGEST_RUN: Days = Days::new(1);

/// The history of one table.
#[derive(Debug)]
pub(super) struct History<'t> {
    pub(super) parts: TableParts<'t>,
    /// The key of the document of [`OpenRuns`].
    runs_key: String,
    /// The name of this run in that document.
    run: String,
    /// The first day that is looked through; set when this run's note is written.
    since: OnceCell<NaiveDate>,
}

/// The runs that are writing into the history, each with the day on which it began to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OpenRuns {
    open: BTreeMap<String, NaiveDate>,
}

impl JsonContent for OpenRuns {
    const NAME: &'static str = "history";
    const VERSION: u64 = 1;
}

impl<'t> History<'t> {
    /// The history of `table`. The document at `runs_key` names the runs that are writing into it.
    pub(super) fn new(table: &TableParts<'t>, runs_key: String) -> Self {
        let fields = table.schema.fields().iter().cloned();
        let replaces = Field::new(REPLACES, map::arrow_type(DataType::Timestamp), true);
        let schema = Arc::new(Schema::new(fields.chain([Arc::new(replaces)]).collect::<Vec<_>>()));
        let key = table.key.iter().map(String::as_str).chain([own::FINGERPRINT, REPLACES]);
        let run = format!("{}-{:08x}", Utc::now().format("%Y%m%dT%H%M%S%6f"), rand::rng().random::<u32>());
        Self {
            runs_key,
            run,
            since: OnceCell::new(),
            parts: TableParts {
                root: format!("{}_history", table.root),
                stored: Arc::clone(&schema),
                schema,
                key: key.map(str::to_owned).collect(),
                // A version says whether the row had vanished; a version itself never vanishes.
                mark: None,
                passed_by: Vec::new(),
                disposition: WriteDisposition::Append,
                rewriting: Arc::default(),
                ..table.clone()
            },
        }
    }

    /// Keeps `retired` columns of what is stored.
    pub(super) fn retain(&mut self, retired: &[Field]) {
        self.parts.retain(retired);
    }

    /// Takes this run's note back. With `covered_since`, the start of a run that read everything there is, also those of runs
    /// killed before it: what they left here and not in the table, that run has met again.
    pub(super) async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        if !self.since.initialized() {
            return Ok(());
        }
        let over = covered_since.and_then(|start| start.date_naive().checked_sub_days(LONGEST_RUN));
        self.change_runs(|runs| {
            runs.open.retain(|run, day| *run != self.run && over.is_none_or(|over| *day >= over));
        })
        .await
        .map(|_| ())
    }

    /// Notes that this run writes from `today` on; gives the first day of all runs that do.
    async fn note(&self, today: NaiveDate) -> Result<NaiveDate, Error> {
        let runs = self.change_runs(|runs| _ = runs.open.insert(self.run.clone(), today)).await?;
        Ok(runs.open.into_values().min().unwrap_or(today))
    }

    /// Changes the document of the runs that are writing; gives it as it is then.
    async fn change_runs(&self, change: impl Fn(&mut OpenRuns)) -> Result<OpenRuns, Error> {
        let mut document = Document::<OpenRuns>::new(self.parts.store, &self.runs_key);
        document
            .update(|stored| {
                let mut runs = stored.cloned().unwrap_or_default();
                change(&mut runs);
                Ok::<_, Error>((stored != Some(&runs)).then_some(runs))
            })
            .await?;
        Ok(document.value().cloned().unwrap_or_default())
    }

    /// The rows of `batch` that lie in a folder of `since` or later, before today's.
    async fn known(&self, batch: &Batch, since: NaiveDate, today: NaiveDate) -> Result<HashSet<u32>, Error> {
        let wanted: HashMap<&str, u32> = batch.keys.iter().map(String::as_str).zip(0..).collect();
        let mut known = HashSet::new();
        for listed in self.parts.store.list(&format!("{}/{OBSERVED}=", self.parts.root)).await? {
            let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
            let day = folder.rsplit_once('=').and_then(|(_, day)| day.parse::<NaiveDate>().ok());
            let (Some(day), Some(name)) = (day, Name::parse(folder, &listed.key)) else { continue };
            if day < since || day >= today {
                continue;
            }
            if let Some(part) = Part::open(&self.parts, name, &listed).await? {
                part.scan(&self.parts, &[], |key, _| known.extend(wanted.get(key).copied())).await?;
            }
        }
        Ok(known)
    }

    /// `versions` as rows of this table.
    fn batch(&self, batch: &Batch, versions: &[NewVersion]) -> Result<Batch, Error> {
        let rows = if versions.iter().map(|version| version.row).eq(0..batch.keys.len() as u32) {
            // Of a first run that is all of it, and a copy would be as much memory again.
            batch.rows.clone()
        } else {
            let positions = UInt32Array::from_iter_values(versions.iter().map(|version| version.row));
            take_record_batch(&batch.rows, &positions).map_err(|error| internal(&error))?
        };
        let written = batch.written.timestamp_micros();
        let first_seen =
            versions.iter().map(|version| Some(version.replaces.map_or(written, |(_, first_seen)| first_seen)));
        let replaces = versions.iter().map(|version| version.replaces.map(|(synced, _)| synced));
        let stamps = |stamps: TimestampMicrosecondArray| Arc::new(stamps.with_timezone("UTC")) as ArrayRef;
        let mut columns = rows.columns().to_vec();
        if let Ok(position) = batch.rows.schema_ref().index_of(own::FIRST_SEEN_AT) {
            columns[position] = stamps(first_seen.collect());
        }
        columns.push(stamps(replaces.collect()));
        let rows = RecordBatch::try_new(Arc::clone(&self.parts.schema), columns).map_err(|error| internal(&error))?;
        let fingerprints: Vec<i64> = versions.iter().map(|version| batch.fingerprints[version.row as usize]).collect();
        let keys = (0..versions.len()).map(|row| {
            let key = self.parts.key.iter();
            let parts = key.map(|name| rows.column_by_name(name).and_then(|column| key_part(column, row)));
            let parts: Option<Vec<String>> = parts.collect();
            parts.map(join_key).ok_or_else(|| Error::Internal("a key is null".into()))
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Batch { keys, rows, fingerprints, partitions: BTreeMap::new(), repeated: 0, written: batch.written })
    }
}

#[async_trait(?Send)]
impl RecordVersions for History<'_> {
    async fn record(
        &self,
        batch: &Batch,
        versions: &[NewVersion],
        merged: &mut Merged,
    ) -> Result<(), Error> {
        if versions.is_empty() {
            return Ok(());
        }
        let today = batch.written.date_naive();
        let since = *self.since.get_or_try_init(async || self.note(today).await).await?;
        let batch = self.batch(batch, versions)?;
        let mut rows: Vec<u32> = (0..).take(versions.len()).collect();
        if since < today {
            let known = self.known(&batch, since, today).await?;
            rows.retain(|row| !known.contains(row));
        }
        let mut written = Merged::default();
        let merge = PartitionMerge::new(&self.parts, &format!("{OBSERVED}={today}"), &batch);
        let outcome = merge.run(&rows, &mut written).await;
        *merged += Merged { objects: written.objects, bytes_written: written.bytes_written, ..Merged::default() };
        outcome
    }
}
