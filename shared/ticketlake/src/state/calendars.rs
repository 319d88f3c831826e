//! When the records of a resource start, as its runs read them: a hint by which the next one asks for fewer windows.
//!
//! `_state/<source>/<resource>_calendar.json`, apart from the state: it is larger, and nothing depends on it. One that is missing, old
//! or unreadable costs requests; one that cannot be read or written is a warning.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::plan::calendar::Calendar;
use lake::{Kind, Put, Store, StoreError, Version, When, wait_after_conflict};

/// Lost races after which the others' is as good.
const MOST_CONFLICTS: u32 = 5;

/// The calendars of one resource in one lake, by the names of its queries.
#[derive(Debug)]
pub struct Calendars<'s> {
    store: &'s dyn Store,
    key: String,
    stored: Stored,
    version: Option<Version>,
    changed: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    queries: BTreeMap<String, Calendar>,
}

impl<'s> Calendars<'s> {
    /// Those of `resource`, a resource of `source`, before any is known.
    pub fn new(store: &'s dyn Store, source: &str, resource: &str) -> Self {
        let key = format!("_state/{source}/{resource}_calendar.json");
        Self { store, key, stored: Stored::default(), version: None, changed: false }
    }

    /// Reads what earlier runs left; nothing where that cannot be read.
    pub async fn load(&mut self) {
        match self.store.get(&self.key).await {
            Ok(Some((bytes, version))) => {
                self.version = Some(version);
                self.stored = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                    tracing::warn!(key = self.key, %error, "not a calendar: the windows are found without it");
                    Stored::default()
                });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the windows are found without a calendar"),
        }
    }

    /// What is known of the query `name`.
    pub fn of(&self, name: &str) -> Option<&Calendar> {
        self.stored.queries.get(name)
    }

    /// Takes in what was read of the query `name`.
    pub fn note(&mut self, name: &str, calendar: Calendar) {
        if self.stored.queries.get(name) != Some(&calendar) {
            self.stored.queries.insert(name.to_owned(), calendar);
            self.changed = true;
        }
    }

    /// Writes them where they have changed. Of two runs at once the last one's stay.
    pub async fn save(&mut self) -> Result<(), Error> {
        if !self.changed {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.stored).map_err(|error| Error::Runtime(format!("calendar: {error}")))?;
        let bytes = Bytes::from(bytes);
        for lost in 0..MOST_CONFLICTS {
            let when = self.version.clone().map_or(When::Absent, When::Is);
            match self.store.put(&self.key, bytes.clone(), when).await? {
                Put::Done(version) => {
                    (self.version, self.changed) = (Some(version), false);
                    return Ok(());
                }
                Put::Conflict => {
                    wait_after_conflict(lost).await;
                    self.version = self.store.get(&self.key).await?.map(|(_, version)| version);
                }
            }
        }
        let detail = format!("another writer was first {MOST_CONFLICTS} times");
        Err(StoreError { kind: Kind::Other, operation: "write", place: self.key.clone(), detail }.into())
    }
}
