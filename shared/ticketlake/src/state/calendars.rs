//! When the records of a resource start, as its runs read them: a hint by which the next run asks for fewer windows.
//!
//! `_state/<source>/<resource>/calendar.json`, apart from the progress: it is larger, and nothing depends on it. One that is missing, old
//! or unreadable costs requests; one that cannot be read or written is a warning.

use std::collections::BTreeMap;

use lake::{Document, JsonContent, Store};
use manifest::QueryId;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use crate::error::Error;

/// The calendars of a resource, by the query that is split, without its range of time.
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
    changed: bool,
}

impl<'s> Calendars<'s> {
    /// The calendars of `resource`, a resource of `source`, before any is known.
    pub fn new(store: &'s dyn Store, source: &str, resource: &str) -> Self {
        let document = Document::new(store, format!("_state/{source}/{resource}/calendar.json"));
        Self { document, calendars: StoredCalendars::default(), changed: false }
    }

    /// Reads what earlier runs left; nothing where that cannot be read.
    pub async fn load(&mut self) {
        let unreadable = self.document.refresh_or_discard().await.unwrap_or_else(Some);
        if let Some(error) = unreadable {
            tracing::warn!(%error, "the time windows are found without a calendar");
        }
        self.calendars = self.document.value().cloned().unwrap_or_default();
    }

    /// The calendar of `query`.
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

    /// Writes the calendars if they have changed. Of two runs at a time, those of the one that ends last stay.
    ///
    /// # Errors
    ///
    /// The store's. The next run needs more requests then, and loses nothing.
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
