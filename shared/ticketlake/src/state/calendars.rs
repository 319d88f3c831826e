//! The stored calendars of a resource: `_state/<source>/<resource>/calendar.json`.
//!
//! A calendar is a hint with which the next run requests fewer time windows. It is stored separately from the progress, since it is larger
//! and no result depends on it. Without a calendar the run needs more requests. If it cannot be read or written, that is a warning.

use std::collections::BTreeMap;

use lake::{Document, JsonContent, Store};
use manifest::QueryId;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use crate::error::Error;

/// The calendars of a resource, by the query that is split, without its time window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredCalendars {
    queries: BTreeMap<QueryId, Calendar>,
}

impl JsonContent for StoredCalendars {
    const NAME: &'static str = "calendar";
    const VERSION: u64 = 1;
}

/// The calendars of one resource in one lake.
#[derive(Debug)]
pub struct Calendars<'s> {
    document: Document<'s, StoredCalendars>,
    calendars: StoredCalendars,
    /// Whether a calendar has changed since it was loaded.
    changed: bool,
}

impl<'s> Calendars<'s> {
    /// Creates the calendars of `resource`, a resource of `source`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, source: &str, resource: &str) -> Self {
        let document = Document::new(store, format!("_state/{source}/{resource}/calendar.json"));
        Self { document, calendars: StoredCalendars::default(), changed: false }
    }

    /// Reads the stored calendars. There are none if they cannot be read.
    pub async fn load(&mut self) {
        let unreadable = self.document.refresh_or_discard().await.unwrap_or_else(Some);
        if let Some(error) = unreadable {
            tracing::warn!(%error, "the stored calendar cannot be read; the run needs more requests");
        }
        self.calendars = self.document.value().cloned().unwrap_or_default();
    }

    /// Returns the calendar of `query`.
    pub fn get(&self, query: QueryId) -> Option<&Calendar> {
        self.calendars.queries.get(&query)
    }

    /// Sets the calendar of `query`.
    pub fn set(&mut self, query: QueryId, calendar: Calendar) {
        if self.get(query) != Some(&calendar) {
            self.calendars.queries.insert(query, calendar);
            self.changed = true;
        }
    }

    /// Writes the calendars if they have changed. If two runs write them, those of the last one stay.
    ///
    /// # Errors
    ///
    /// The error of the store. The next run then needs more requests, and loses nothing.
    pub async fn save(&mut self) -> Result<(), Error> {
        if !self.changed {
            return Ok(());
        }
        let calendars = &self.calendars;
        self.document.update(|_| Ok::<_, Error>(Some(calendars.clone()))).await?;
        self.changed = false;
        Ok(())
    }
}
