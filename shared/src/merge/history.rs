//! Every version of a row that was seen, kept once: `<resource>_history/observed_date=…`.
//!
//! A version is written here before it replaces the one before it in the table, so that a run killed between the two writes loses
//! none. What tells it from every other is its key, what it says (`_fingerprint`) and the version that it replaced, by that one's
//! `synced_at` (`_replaces`): a run that meets the same change after a crash finds it here and does not write it twice.
//!
//! It may meet it on another day, in another folder. So a run notes the day on which it began to write
//! (`_state/<source>/<resource>_history.json`) and takes the note back at its end, when the table has all that it wrote here.
//! A note that stays is a killed run's: from its day on, folders before today's are looked through.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema};
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate, Utc};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::buffer::{Batch, internal};
use super::name::Name;
use super::part::Part;
use super::{Merged, Table, partition};
use crate::error::Error;
use crate::manifest::{DataType, WriteDisposition};
use crate::map::{self, join_key, own};
use crate::store::{Put, When, wait_after_conflict};

/// The `synced_at` of the version that this one replaced; null for a key's first.
pub(crate) const REPLACES: &str = "_replaces";
/// The folders' name.
pub(crate) const OBSERVED: &str = "observed_date";
/// A run that began longer ago than this is over, one way or another: a Lambda lives 15 minutes.
const LONGEST_RUN: Days = Days::new(1);

/// The history of one table.
#[derive(Debug)]
pub(super) struct History<'t> {
    pub(super) table: Table<'t>,
    notes_key: String,
    /// This run's name among the notes.
    run: String,
    /// The first day that is looked through; set when this run's note is written.
    since: OnceCell<NaiveDate>,
}

/// A row about to be written into the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewVersion {
    /// In the batch.
    pub(super) row: u32,
    /// Of the version that it replaces: `synced_at` and `first_seen_at`, in microseconds.
    pub(super) replaces: Option<(i64, i64)>,
}

#[derive(Default, Serialize, Deserialize)]
struct Notes {
    open: BTreeMap<String, NaiveDate>,
}

impl<'t> History<'t> {
    /// The history of `table`.
    pub(super) fn of(table: &Table<'t>) -> Self {
        let fields = table.schema.fields().iter().cloned();
        let replaces = Field::new(REPLACES, map::arrow_type(DataType::Timestamp), true);
        let schema = Arc::new(Schema::new(fields.chain([Arc::new(replaces)]).collect::<Vec<_>>()));
        let key = table.key.iter().map(String::as_str).chain([own::FINGERPRINT, REPLACES]);
        let run = format!("{}-{:08x}", Utc::now().format("%Y%m%dT%H%M%S%6f"), rand::rng().random::<u32>());
        Self {
            notes_key: format!("_state/{}_history.json", table.root),
            run,
            since: OnceCell::new(),
            table: Table {
                store: table.store,
                root: format!("{}_history", table.root),
                stored: Arc::clone(&schema),
                schema,
                columns: table.columns,
                key: key.map(str::to_owned).collect(),
                // A version says whether it was missing; it is never missing itself.
                mark: None,
                passed_by: Vec::new(),
                disposition: WriteDisposition::Append,
                format: table.format,
                target_bytes: table.target_bytes,
                rewriting: Arc::default(),
                history: None,
            },
        }
    }

    /// Keeps `retired` columns of what is stored.
    pub(super) fn retain(&mut self, retired: Vec<Field>) {
        self.table.retain(retired);
    }

    /// Writes `versions` of `batch` that are not there yet; counts the objects it took.
    pub(super) async fn record(
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
        let folder = format!("{OBSERVED}={today}");
        let mut written = Merged::default();
        // Boxed: the table's merge leads here, and this into a merge of its own.
        let outcome = Box::pin(partition::merge(&self.table, &folder, &batch, &rows, None, &mut written)).await;
        *merged += Merged { objects: written.objects, bytes_written: written.bytes_written, ..Merged::default() };
        outcome
    }

    /// Takes this run's note back. With `covered_since`, the start of a run that read everything there is, also those of runs
    /// killed before it: what they left here and not in the table, that run has met again.
    pub(super) async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        if !self.since.initialized() {
            return Ok(());
        }
        let over = covered_since.and_then(|start| start.date_naive().checked_sub_days(LONGEST_RUN));
        self.change(|notes| {
            notes.open.retain(|run, day| *run != self.run && over.is_none_or(|over| *day >= over));
        })
        .await
        .map(|_| ())
    }

    /// Notes that this run writes from `today` on; gives the first day of all runs that do.
    async fn note(&self, today: NaiveDate) -> Result<NaiveDate, Error> {
        let notes = self.change(|notes| _ = notes.open.insert(self.run.clone(), today)).await?;
        Ok(notes.open.into_values().min().unwrap_or(today))
    }

    async fn change(&self, change: impl Fn(&mut Notes)) -> Result<Notes, Error> {
        let fault = |detail: String| Error::Part { key: self.notes_key.clone(), detail };
        let mut lost = 0;
        loop {
            let stored = self.table.store.get(&self.notes_key).await?;
            let (mut notes, when) = match stored {
                Some((bytes, version)) => {
                    (serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?, When::Is(version))
                }
                None => (Notes::default(), When::Absent),
            };
            change(&mut notes);
            let bytes = serde_json::to_vec(&notes).map_err(|error| fault(error.to_string()))?;
            if self.table.store.put(&self.notes_key, Bytes::from(bytes), when).await? != Put::Conflict {
                return Ok(notes);
            }
            lost += 1;
            wait_after_conflict(lost).await;
        }
    }

    /// The rows of `batch` that lie in a folder of `since` or later, before today's.
    async fn known(&self, batch: &Batch, since: NaiveDate, today: NaiveDate) -> Result<HashSet<u32>, Error> {
        let wanted: HashMap<&str, u32> = batch.keys.iter().map(String::as_str).zip(0..).collect();
        let mut known = HashSet::new();
        for listed in self.table.store.list(&format!("{}/{OBSERVED}=", self.table.root)).await? {
            let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
            let day = folder.rsplit_once('=').and_then(|(_, day)| day.parse::<NaiveDate>().ok());
            let (Some(day), Some(name)) = (day, Name::parse(folder, &listed.key)) else { continue };
            if day < since || day >= today {
                continue;
            }
            if let Some(part) = Part::open(&self.table, name, &listed).await? {
                part.scan(&self.table, &[], |key, _| known.extend(wanted.get(key).copied())).await?;
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
        let rows = RecordBatch::try_new(Arc::clone(&self.table.schema), columns).map_err(|error| internal(&error))?;
        let fingerprints: Vec<i64> = versions.iter().map(|version| batch.fingerprints[version.row as usize]).collect();
        let keys = (0..versions.len()).map(|row| {
            let parts = self
                .table
                .key
                .iter()
                .map(|name| rows.column_by_name(name).and_then(|column| super::part::key_part(column, row)));
            let parts: Option<Vec<String>> = parts.collect();
            parts.map(join_key).ok_or_else(|| Error::Runtime("a key is null".into()))
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Batch { keys, rows, fingerprints, partitions: BTreeMap::new(), repeated: 0, written: batch.written })
    }
}
