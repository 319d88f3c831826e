//! What a slice should have and what came of it.

use std::collections::HashSet;

use manifest::Cursor;
use client::paginate::Position;
use table::merge::key_hash;
use crate::state::Place;

/// What a slice should have and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records that the API says the slice has, by its last page.
    pub(crate) total: Option<u64>,
    /// Whether the total fell from one page to the next.
    shrank: bool,
    keys: HashSet<u64>,
    /// Records that no key tells apart: rejected ones, those left out, and those that were exploded.
    others: u64,
    /// Distinct records that an earlier invocation read before the first page of this one.
    before: u64,
    /// The furthest cursor of its records.
    pub(crate) newest: Option<Cursor>,
}

impl Tally {
    /// Of a slice that an earlier invocation read in part. What comes in front of the page that it stopped at makes a record arrive
    /// in both, and count twice: at most as many as were added since, which a reading does not promise to have.
    pub(crate) fn resumed(place: &Place) -> Self {
        Self { before: place.before, total: place.total, newest: place.newest, ..Self::default() }
    }

    /// What a later invocation needs to go on with the page at `position`, the next to be counted.
    pub(crate) fn place(&self, position: Position) -> Place {
        Place { position, before: self.distinct(), total: self.total, newest: self.newest }
    }

    /// A record of this key came.
    pub(crate) fn add(&mut self, key: &str) {
        self.keys.insert(key_hash(key));
    }

    /// A record came that no key tells from others.
    pub(crate) fn add_other(&mut self) {
        self.others += 1;
    }

    /// Distinct records received.
    pub(crate) fn distinct(&self) -> u64 {
        self.before + self.keys.len() as u64 + self.others
    }

    /// Takes up what a page says of the slice's size.
    pub(crate) fn count(&mut self, total: Option<u64>) {
        self.shrank |= matches!((self.total, total), (Some(before), Some(now)) if now < before);
        self.total = total.or(self.total);
    }

    /// Whether they are all that the API says there are.
    ///
    /// A record that goes while the slice is read moves those behind it forward, the first of the next page onto a page that was
    /// read: it is missing, and the total is one less, so that the numbers add up all the same. One that comes only makes the
    /// numbers differ.
    pub(crate) fn is_whole(&self) -> bool {
        !self.shrank && self.total.is_none_or(|total| self.distinct() >= total)
    }

    /// Why it is not.
    pub(crate) fn lack(&self) -> &'static str {
        if self.shrank {
            "records went while it was read, each time: those behind them may have been passed over"
        } else {
            "every reading gave fewer records than the API says it has"
        }
    }
}
