//! How far a reading that was cut short has come: what the next invocation of the same request need not read again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::cursor::Cursor;
use crate::fetch::paginate::{Position, Resumption};
use crate::time::{self, Instant};

/// A reading that began longer ago than this is begun anew: what it has is too old to be called one state of the API.
const OLDEST: TimeDelta = TimeDelta::days(7);

/// A reading that goes on over several invocations. Everything it names is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What was asked for: [`crate::request::Request::signature`].
    pub request: String,
    /// When the first of its invocations began, RFC 3339.
    pub began: String,
    /// Hashes of the names of slices that are whole.
    #[serde(default)]
    slices: BTreeSet<u64>,
    /// By the name of a query that is cut by time: everything before this second since 1970 is whole.
    #[serde(default)]
    frontiers: BTreeMap<String, i64>,
    /// By a slice's name: how far it was read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    places: BTreeMap<String, Place>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// What the keys hash to that were met so far, where they are kept beside (in `<resource>.seen`). None while a run is under way: a
    /// checkpoint that it leaves when it is killed names slices whose keys nobody knows any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// How far a slice was read: everything before a page, which is read again, so that a few records fewer in front of it lose none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the page lies.
    pub position: Position,
    /// Distinct records before it.
    pub before: u64,
    /// Records of the slice, as the API said.
    pub total: Option<u64>,
    /// The furthest cursor before it.
    pub newest: Option<Cursor>,
}

impl Place {
    /// What the reader needs to go on.
    pub fn resumption(&self) -> Resumption {
        Resumption { position: self.position.clone(), before: self.before }
    }
}

impl Checkpoint {
    /// A reading of `request` that begins at `now`.
    pub fn new(request: String, now: Instant) -> Self {
        Self {
            request,
            began: time::format_instant(now),
            slices: BTreeSet::new(),
            frontiers: BTreeMap::new(),
            places: BTreeMap::new(),
            newest: None,
            seen: None,
        }
    }

    /// Whether it can go on for `request` at `now`.
    pub fn goes_on(&self, request: &str, now: Instant) -> bool {
        self.request == request && self.begin().is_some_and(|began| began <= now && now - began <= OLDEST)
    }

    /// When it began.
    pub fn begin(&self) -> Option<Instant> {
        time::parse_instant(&self.began)
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty() && self.frontiers.is_empty() && self.places.is_empty()
    }

    /// Takes note that the slice called `name` is whole.
    pub fn finish(&mut self, name: &str) {
        self.slices.insert(xxh3_64(name.as_bytes()));
        self.leave(name);
    }

    /// Takes note how far the slice called `name` was read.
    pub fn stand(&mut self, name: &str, place: Place) {
        self.places.insert(name.to_owned(), place);
    }

    /// How far the slice called `name` was read.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    /// Forgets how far the slice called `name` was read: it is read from its beginning.
    pub fn leave(&mut self, name: &str) {
        self.places.remove(name);
    }

    /// Whether the slice called `name` is whole.
    pub fn has(&self, name: &str) -> bool {
        self.slices.contains(&xxh3_64(name.as_bytes()))
    }

    /// Takes note that the query called `name` is whole up to the second `to`; `None`: to its end.
    pub fn reach(&mut self, name: &str, to: Option<i64>) {
        let next = to.map_or(i64::MAX, |to| to.saturating_add(1));
        let frontier = self.frontiers.entry(name.to_owned()).or_insert(next);
        *frontier = next.max(*frontier);
    }

    /// Whether the query called `name`, which ends at the second `to`, is whole.
    pub fn covers(&self, name: &str, to: Option<i64>) -> bool {
        let frontier = self.frontier(name);
        self.has(name) || frontier.is_some_and(|frontier| frontier == i64::MAX || to.is_some_and(|to| frontier > to))
    }

    /// Where the query called `name` goes on, in seconds since 1970; `i64::MAX`: it is whole.
    pub fn frontier(&self, name: &str) -> Option<i64> {
        self.frontiers.get(name).copied()
    }
}
