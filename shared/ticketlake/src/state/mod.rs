//! What a resource's runs leave for the next: how its table is laid out, and its watermark.
//!
//! `_state/<source>/<resource>.json`, changed only by compare-and-swap. The layout is written before the first row, so that
//! two first runs cannot lay one table out in two ways; the watermark after the rows, so that what is read twice is
//! merged twice, to no effect.
//!
//! Columns may come, go and be widened: every column that a row was ever written with stays here, and so in every part.

mod calendars;
mod checkpoint;
mod marks;
mod seen;

use std::collections::BTreeMap;

use arrow_schema::{DataType as ArrowType, Field};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::calendars::Calendars;
pub use self::checkpoint::{Checkpoint, Place};
pub use self::marks::Marks;
use manifest::Cursor;
use crate::error::{Error, Fault, Faults};
use manifest::{Column, DataType, Incremental, PartitionField, Resource};
use table::map;
use table::Format;
use lake::{Kind, Put, Store, StoreError, Version, When, wait_after_conflict};
use manifest::time::Instant;

/// Lost races after which something else must be wrong.
const MOST_CONFLICTS: u32 = 50;

/// The state of one resource in one lake.
#[derive(Debug)]
pub struct State<'s> {
    store: &'s dyn Store,
    key: String,
    stored: Option<(Stored, Version)>,
}

/// What decides where a key lies: it cannot change while rows lie there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Layout {
    format: String,
    primary_key: Vec<String>,
    partition: Vec<String>,
}

/// Readings that are kept: more than run side by side. Of an older one, what is stored is read again, to no effect.
const MOST_CHECKPOINTS: usize = 16;

/// Fields of a later version are kept as they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    layout: Layout,
    /// Every column that the table ever had, with its type.
    #[serde(default)]
    columns: BTreeMap<String, String>,
    watermark: Option<String>,
    /// By the parent's record: how far its children have come.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, String>,
    /// The last complete run that left no records of its range out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
    /// Readings that were cut short, one for each request; the one that was kept last behind the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checkpoints: Vec<Checkpoint>,
    /// Of a resource that is refreshed in parts: when each was last read whole.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    refresh: Marks,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// What a complete run needed, for the next one's estimate and for its warning when nothing comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Records received.
    pub records: u64,
    /// Requests sent.
    pub requests: u64,
}

/// How far each of a parent's records has come.
#[derive(Clone, Debug, Default)]
pub struct Watermarks(BTreeMap<String, Cursor>);

impl FromIterator<(String, Cursor)> for Watermarks {
    fn from_iter<I: IntoIterator<Item = (String, Cursor)>>(known: I) -> Self {
        Self(known.into_iter().collect())
    }
}

impl Watermarks {
    /// The watermark of the parent's record `key`.
    pub fn of(&self, key: &str) -> Option<Cursor> {
        self.0.get(key).copied()
    }
}

/// The state with `resource` and `format` taken up; `None` when it says so already.
fn next(stored: Option<&Stored>, resource: &Resource, format: Format) -> Result<Option<Stored>, Faults> {
    let partition = |field: &PartitionField| format!("{}={}({})", field.name, field.transform, field.from);
    let layout = Layout {
        format: format.name().into(),
        primary_key: resource.primary_key.clone(),
        partition: resource.partition.iter().map(partition).collect(),
    };
    let declared = resource.columns.iter().map(|column| (column.name.clone(), type_name(column)));
    let mark =
        resource.vanished.iter().map(|vanished| (vanished.column.clone(), DataType::Timestamp.name().to_owned()));
    let declared = declared.chain(mark);
    let Some(stored) = stored else {
        let rest = serde_json::Map::new();
        let columns = declared.collect();
        return Ok(Some(Stored {
            layout,
            columns,
            watermark: None,
            parents: BTreeMap::new(),
            last: None,
            checkpoints: Vec::new(),
            refresh: Marks::default(),
            rest,
        }));
    };
    let mut faults = Vec::new();
    if stored.layout.format != layout.format {
        let message = format!("the table is stored as {}: use that, or another lake", stored.layout.format);
        faults.push(Fault::new("format", message));
    }
    // Rows that lie there by another key or in other folders would not be found, and be stored twice.
    for (name, was, is) in [
        ("primary_key", &stored.layout.primary_key, &layout.primary_key),
        ("partition", &stored.layout.partition, &layout.partition),
    ] {
        if was != is {
            let (was, is) = (was.join(", "), is.join(", "));
            let message =
                format!("the table is stored by [{was}], the manifest now says [{is}]: keep it, or use another lake");
            faults.push(Fault::new(format!("{}.{name}", resource.name), message));
        }
    }
    let mut columns = stored.columns.clone();
    for (name, is) in declared {
        let was = columns.entry(name.clone()).or_insert_with(|| is.clone());
        if *was == is || widens(was, &is) {
            *was = is;
        } else {
            let message = format!(
                "is stored as {was}, and {is} cannot hold all of that: give the new type's column another name"
            );
            faults.push(Fault::new(format!("{}.columns.{name}", resource.name), message));
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    Ok((columns != stored.columns).then(|| Stored { columns, ..stored.clone() }))
}

/// A column's type as the state holds it: `text`, `list of text`.
fn type_name(column: &Column) -> String {
    if column.list { format!("{LIST_OF}{}", column.data_type.name()) } else { column.data_type.name().into() }
}

const LIST_OF: &str = "list of ";

/// Whether every value of type `was` is one of type `is`. A bigint beyond 2^53 is rounded as a double; prices are not that large. A
/// date is no timestamp: over the parts that still have dates, DuckDB takes midnight in the reader's own zone.
fn widens(was: &str, is: &str) -> bool {
    matches!(
        (was, is),
        ("text", "json")
            | ("bigint", "double" | "decimal")
            | ("json" | "bigint" | "double" | "bool" | "date" | "timestamp" | "decimal", "text")
    )
}

/// How a column of the state lies in a part; `None` for a type of a later version.
fn arrow_type(type_name: &str) -> Option<ArrowType> {
    match type_name.strip_prefix(LIST_OF) {
        Some(element) => Some(map::list_of(map::arrow_type(DataType::parse(element)?))),
        None => Some(map::arrow_type(DataType::parse(type_name)?)),
    }
}

impl<'s> State<'s> {
    /// Reads the state of `resource`, a resource of `source`.
    pub async fn load(store: &'s dyn Store, source: &str, resource: &str) -> Result<Self, Error> {
        let key = format!("_state/{source}/{resource}.json");
        let stored = Self::read(store, &key).await?;
        Ok(Self { store, key, stored })
    }

    async fn read(store: &dyn Store, key: &str) -> Result<Option<(Stored, Version)>, Error> {
        let Some((bytes, version)) = store.get(key).await? else {
            return Ok(None);
        };
        let stored = serde_json::from_slice(&bytes);
        let stored =
            stored.map_err(|error| Error::Part { key: key.into(), detail: format!("not a state: {error}") })?;
        Ok(Some((stored, version)))
    }

    /// How far complete runs have come.
    pub fn watermark(&self, resource: &Resource) -> Option<Cursor> {
        let kind = resource.endpoint.incremental.as_ref()?.kind;
        self.stored().and_then(|stored| Cursor::parse(stored.watermark.as_deref()?, kind))
    }

    /// How far the children of each of the parent's records have come.
    pub fn watermarks(&self, resource: &Resource) -> Watermarks {
        let (Some(incremental), Some(stored)) = (&resource.endpoint.incremental, self.stored()) else {
            return Watermarks::default();
        };
        let parents = stored.parents.iter();
        Watermarks(
            parents.filter_map(|(key, text)| Some((key.clone(), Cursor::parse(text, incremental.kind)?))).collect(),
        )
    }

    /// What the last complete run needed.
    pub fn last(&self) -> Option<Last> {
        self.stored().and_then(|stored| stored.last)
    }

    /// Every column that the table ever had, with its type.
    pub fn columns(&self) -> BTreeMap<String, String> {
        self.stored().map(|stored| stored.columns.clone()).unwrap_or_default()
    }

    fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref().map(|(stored, _)| stored)
    }

    /// Whether rows of `resource` in `format` can be merged into what is stored; an error names every column and setting that
    /// stands against it.
    pub fn check(&self, resource: &Resource, format: Format) -> Result<(), Faults> {
        next(self.stored.as_ref().map(|(stored, _)| stored), resource, format).map(|_| ())
    }

    /// Takes the table for `resource` in `format` before rows are written. Gives the columns that are stored and that the
    /// manifest has no more.
    pub async fn claim(&mut self, resource: &Resource, format: Format) -> Result<Vec<Field>, Error> {
        self.change(|stored| Ok(next(stored, resource, format)?)).await?;
        let stored = self.stored.iter().flat_map(|(stored, _)| &stored.columns);
        let retired = stored.filter(|(name, _)| {
            let marks = resource.vanished.as_ref().is_some_and(|vanished| vanished.column == **name);
            !marks && !resource.columns.iter().any(|column| column.name == **name)
        });
        Ok(retired.filter_map(|(name, type_name)| Some(Field::new(name, arrow_type(type_name)?, true))).collect())
    }

    /// Moves the watermark to `reached`, and those of the parent's records to `parents`, unless they are there or further already.
    pub async fn advance(
        &mut self,
        incremental: &Incremental,
        reached: Option<Cursor>,
        parents: &[(String, Cursor)],
    ) -> Result<(), Error> {
        self.change(|stored| {
            let Some(stored) = stored else { return Ok(None) };
            let mut next = stored.clone();
            let further = |was: Option<&String>, reached: Cursor| {
                let was = was.and_then(|text| Cursor::parse(text, incremental.kind));
                let further = reached.further(was, incremental);
                (was != Some(further)).then(|| further.to_string())
            };
            if let Some(moved) = reached.and_then(|reached| further(stored.watermark.as_ref(), reached)) {
                next.watermark = Some(moved);
            }
            for (key, reached) in parents {
                if let Some(moved) = further(next.parents.get(key), *reached) {
                    next.parents.insert(key.clone(), moved);
                }
            }
            Ok((next.watermark != stored.watermark || next.parents != stored.parents).then_some(next))
        })
        .await
    }

    /// Notes what a complete run needed.
    pub async fn note(&mut self, last: Last) -> Result<(), Error> {
        self.change(|stored| {
            Ok(stored
                .filter(|stored| stored.last != Some(last))
                .map(|stored| Stored { last: Some(last), ..stored.clone() }))
        })
        .await
    }

    /// The reading of `request` that was cut short, if it can go on at `now`.
    pub fn checkpoint(&self, request: &str, now: Instant) -> Option<Checkpoint> {
        self.stored()?.checkpoints.iter().find(|checkpoint| checkpoint.goes_on(request, now)).cloned()
    }

    /// Keeps how far a reading has come, beside those of other requests: a schedule and the windows of a backfill run side by side.
    pub async fn keep(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        if checkpoint.is_empty() {
            return self.forget(&checkpoint.request).await;
        }
        self.change(|stored| {
            let changed = stored.filter(|stored| !stored.checkpoints.contains(checkpoint));
            Ok(changed.map(|stored| {
                let mut next = stored.clone();
                next.checkpoints.retain(|other| other.request != checkpoint.request);
                next.checkpoints.push(checkpoint.clone());
                let most = next.checkpoints.len().saturating_sub(MOST_CHECKPOINTS);
                next.checkpoints.drain(..most);
                next
            }))
        })
        .await
    }

    /// Forgets how far the reading of `request` has come: it is complete, or begins anew.
    pub async fn forget(&mut self, request: &str) -> Result<(), Error> {
        self.change(|stored| {
            let changed = stored.filter(|stored| stored.checkpoints.iter().any(|other| other.request == request));
            Ok(changed.map(|stored| {
                let mut next = stored.clone();
                next.checkpoints.retain(|other| other.request != request);
                next
            }))
        })
        .await
    }

    /// When each part of a resource that is refreshed in parts was last read whole.
    pub fn marks(&self) -> Marks {
        self.stored().map(|stored| stored.refresh.clone()).unwrap_or_default()
    }

    /// Takes note of parts that were read whole.
    pub async fn mark(&mut self, reach: impl Fn(&mut Marks)) -> Result<(), Error> {
        self.change(|stored| {
            let Some(stored) = stored else { return Ok(None) };
            let mut refresh = stored.refresh.clone();
            reach(&mut refresh);
            Ok((refresh != stored.refresh).then(|| Stored { refresh, ..stored.clone() }))
        })
        .await
    }

    /// Writes what `change` makes of the state, again with a newer one when somebody else was first; `None` leaves it.
    async fn change(&mut self, change: impl Fn(Option<&Stored>) -> Result<Option<Stored>, Error>) -> Result<(), Error> {
        for lost in 0..MOST_CONFLICTS {
            let Some(next) = change(self.stored.as_ref().map(|(stored, _)| stored))? else {
                return Ok(());
            };
            let bytes = serde_json::to_vec_pretty(&next).map_err(|error| Error::Runtime(format!("state: {error}")))?;
            let when = self.stored.as_ref().map_or(When::Absent, |(_, version)| When::Is(version.clone()));
            match self.store.put(&self.key, Bytes::from(bytes), when).await? {
                Put::Done(version) => {
                    self.stored = Some((next, version));
                    return Ok(());
                }
                Put::Conflict => {
                    wait_after_conflict(lost).await;
                    self.stored = Self::read(self.store, &self.key).await?;
                }
            }
        }
        let detail = format!("another writer was first {MOST_CONFLICTS} times");
        Err(StoreError { kind: Kind::Other, operation: "write", place: self.key.clone(), detail }.into())
    }
}
