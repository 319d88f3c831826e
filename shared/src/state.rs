//! What a resource's runs leave for the next: how its table is laid out, and its watermark.
//!
//! `_state/<source>/<resource>.json`, changed only by compare-and-swap. The layout is written before the first row, so that
//! two first runs cannot lay one table out in two ways; the watermark after the rows, so that what is read twice is
//! merged twice, to no effect.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::manifest::Resource;
use crate::request::Format;
use crate::store::{Kind, Put, Store, StoreError, Version, When, wait_after_conflict};
use crate::time::{self, Instant};

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

/// Fields of a later version are kept as they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    layout: Layout,
    watermark: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
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
    pub fn watermark(&self) -> Option<Instant> {
        self.stored.as_ref().and_then(|(stored, _)| stored.watermark.as_deref()).and_then(time::parse_instant)
    }

    /// Makes sure that the table is laid out as `resource` and `format` say, before rows are written. Rows that lie there in another
    /// way would not be found, and be stored twice: that is refused.
    pub async fn claim(&mut self, resource: &Resource, format: Format) -> Result<(), Error> {
        let layout = Layout {
            format: format.name().into(),
            primary_key: resource.primary_key.clone(),
            partition: resource
                .partition
                .iter()
                .map(|field| format!("{}={}({})", field.name, field.transform, field.from))
                .collect(),
        };
        self.change(|stored| match stored {
            Some(stored) if stored.layout == layout => Ok(None),
            Some(Stored { layout: was, .. }) => {
                let mut faults = Vec::new();
                if was.format != layout.format {
                    faults.push(crate::error::Fault::new(
                        "format",
                        format!("the table is stored as {}: use that, or another lake", was.format),
                    ));
                }
                for (name, was, is) in [
                    ("primary_key", &was.primary_key, &layout.primary_key),
                    ("partition", &was.partition, &layout.partition),
                ] {
                    if was != is {
                        let message = format!(
                            "the table is stored by [{}], the manifest now says [{}]: keep it, or use another lake",
                            was.join(", "),
                            is.join(", ")
                        );
                        faults.push(crate::error::Fault::new(format!("{}.{name}", resource.name), message));
                    }
                }
                Err(crate::error::Faults(faults).into())
            }
            None => Ok(Some(Stored { layout: layout.clone(), watermark: None, rest: serde_json::Map::new() })),
        })
        .await
    }

    /// Moves the watermark to `reached` unless it is there or further already.
    pub async fn advance(&mut self, reached: Instant) -> Result<(), Error> {
        self.change(|stored| {
            let Some(stored) = stored else { return Ok(None) };
            if stored.watermark.as_deref().and_then(time::parse_instant).is_some_and(|watermark| watermark >= reached) {
                return Ok(None);
            }
            Ok(Some(Stored { watermark: Some(time::format_instant(reached)), ..stored.clone() }))
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
