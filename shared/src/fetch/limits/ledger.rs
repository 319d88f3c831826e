//! The use of the counted limits, shared by every function that reads a source into one lake.
//!
//! `_state/<source>/_quota.json`, changed only by compare-and-swap. A run reserves requests before it sends them, so that
//! runs at the same time never use more than there is, and gives back what it did not send. A killed run gives nothing
//! back: what it had reserved counts as used until the window ends.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::window::{Ceiling, Span, later};
use crate::error::Error;
use crate::manifest::Window;
use crate::store::{Kind, Put, Store, StoreError, Version, When, wait_after_conflict};

/// Lost races after which something else must be wrong.
const MOST_CONFLICTS: u32 = 50;
/// A reservation is this part of the window: a hundred writes for a whole day, and a hundredth lost with a killed run.
const CHUNKS: u32 = 100;
/// The least that is reserved at once, where a hundredth is less.
const LEAST_CHUNK: u32 = 10;

/// Every window's use. Fields of a later version are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    #[serde(default)]
    windows: Vec<Record>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// One window's use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    requests: u32,
    period_seconds: u64,
    #[serde(flatten)]
    span: Span,
    /// Sent and reserved.
    used: u32,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// What a run asks of one window, or gives back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) window: Window,
    /// When it began, as the ledger last said; never later in the ledger, unless it began anew.
    pub(super) began: Option<DateTime<Utc>>,
    /// The API's own word.
    pub(super) ceiling: Option<Ceiling>,
    /// Reserved and not used.
    pub(super) in_hand: u32,
}

/// What the ledger has for one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) span: Span,
    /// Requests that the run may send.
    pub(super) granted: u32,
    /// Requests that are left to others, and to the next reservation.
    pub(super) behind: u32,
}

impl Record {
    /// Takes up the API's word: when its window ends, and that no more is left than it says.
    fn reconcile(&mut self, ceiling: Option<Ceiling>, window: &Window) {
        let Some(ceiling) = ceiling else { return };
        if let Some(reset) = ceiling.reset
            && self.span.reconcile(reset, window)
        {
            self.used = 0;
        }
        self.used = self.used.max(window.requests.saturating_sub(ceiling.left));
    }

    fn behind(&self) -> u32 {
        self.requests.saturating_sub(self.used)
    }
}

impl Book {
    /// The record of `window`, begun anew when it is over. A window with other numbers is another window.
    fn record(&mut self, window: &Window, now: DateTime<Utc>) -> &mut Record {
        let period_seconds = window.period.as_secs();
        let is_it = |record: &Record| record.requests == window.requests && record.period_seconds == period_seconds;
        let fresh = Record {
            requests: window.requests,
            period_seconds,
            span: Span::beginning(now, window),
            used: 0,
            rest: serde_json::Map::new(),
        };
        let place = self.windows.iter().position(is_it).unwrap_or_else(|| {
            // What the manifest had before is of no use to anybody once it is long over.
            self.windows.retain(|record| later(record.span.ends, Duration::from_secs(record.period_seconds)) > now);
            self.windows.push(fresh.clone());
            self.windows.len() - 1
        });
        let record = &mut self.windows[place];
        if record.span.renews() <= now {
            *record = Record { rest: std::mem::take(&mut record.rest), ..fresh };
        }
        record
    }

    /// Reserves a chunk of `entry`'s window; near its end half of what is left, so that a run at the same time gets some.
    pub(super) fn reserve(&mut self, entry: &Entry, now: DateTime<Utc>) -> Grant {
        let window = &entry.window;
        let record = self.record(window, now);
        record.reconcile(entry.ceiling, window);
        let chunk = (window.requests / CHUNKS).max(LEAST_CHUNK);
        let granted = chunk.min(record.behind().div_ceil(2));
        record.used += granted;
        Grant { span: record.span, granted, behind: record.behind() }
    }

    /// Takes back what `entry` has in hand, and the API's word with it. Nothing of a window that is over.
    pub(super) fn give_back(&mut self, entry: &Entry, now: DateTime<Utc>) -> Grant {
        let window = &entry.window;
        let record = self.record(window, now);
        if entry.began.is_some_and(|began| record.span.began <= began) {
            record.used = record.used.saturating_sub(entry.in_hand);
            record.reconcile(entry.ceiling, window);
        }
        Grant { span: record.span, granted: 0, behind: record.behind() }
    }
}

/// Where the counted limits' use is kept.
#[derive(Debug)]
pub struct Ledger<'s> {
    /// `None`: only in this process.
    place: Option<(&'s dyn Store, String)>,
    /// As last read or written. Held while it is changed: one reservation of a run at a time.
    known: tokio::sync::Mutex<Option<(Book, Option<Version>)>>,
}

impl<'s> Ledger<'s> {
    /// That of `source` in `store`: all functions that read it into this lake share one key, and so one budget.
    pub fn new(store: &'s dyn Store, source: &str) -> Self {
        Self { place: Some((store, format!("_state/{source}/_quota.json"))), known: tokio::sync::Mutex::default() }
    }

    /// One of this process alone.
    pub(super) fn in_memory() -> Self {
        Self { place: None, known: tokio::sync::Mutex::default() }
    }

    /// Makes `change`, again on a newer state when somebody else was first. It is asked once more when it would change nothing
    /// of what was known from earlier: others may have given back since.
    pub(super) async fn change<T>(&self, change: impl Fn(&mut Book) -> T) -> Result<T, Error> {
        let mut known = self.known.lock().await;
        let Some((store, key)) = &self.place else {
            let (book, _) = known.get_or_insert_default();
            return Ok(change(book));
        };
        let mut lost = 0;
        while lost < MOST_CONFLICTS {
            let (fresh, (book, version)) = match known.take() {
                Some(known) => (false, known),
                None => (true, read(*store, key).await?),
            };
            let mut next = book.clone();
            let result = change(&mut next);
            if next == book {
                if fresh {
                    *known = Some((book, version));
                    return Ok(result);
                }
                continue;
            }
            let bytes = serde_json::to_vec_pretty(&next).map_err(|error| Error::Runtime(format!("quota: {error}")))?;
            match store.put(key, Bytes::from(bytes), version.map_or(When::Absent, When::Is)).await? {
                Put::Done(version) => {
                    *known = Some((next, Some(version)));
                    return Ok(result);
                }
                // What was known from earlier is often old: only a race on what was just read is one.
                Put::Conflict if !fresh => {}
                Put::Conflict => {
                    wait_after_conflict(lost).await;
                    lost += 1;
                }
            }
        }
        let detail = format!("another writer was first {MOST_CONFLICTS} times");
        Err(StoreError { kind: Kind::Other, operation: "write", place: key.clone(), detail }.into())
    }
}

async fn read(store: &dyn Store, key: &str) -> Result<(Book, Option<Version>), Error> {
    let Some((bytes, version)) = store.get(key).await? else {
        return Ok((Book::default(), None));
    };
    let book = serde_json::from_slice(&bytes);
    let book = book.map_err(|error| Error::Part { key: key.into(), detail: format!("not a quota: {error}") })?;
    Ok((book, Some(version)))
}
