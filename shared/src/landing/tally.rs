//! What a slice should have and what came of it.

use std::collections::HashSet;

use crate::cursor::Cursor;

/// What a slice should have and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Records that the API says the slice has, by its last page.
    pub(crate) total: Option<u64>,
    pub(super) keys: HashSet<u64>,
    /// Records that no key tells apart: rejected ones, those left out, and those that were exploded.
    pub(super) others: u64,
    /// The furthest cursor of its records.
    pub(crate) newest: Option<Cursor>,
}

impl Tally {
    /// Distinct records received.
    pub(crate) fn distinct(&self) -> u64 {
        self.keys.len() as u64 + self.others
    }

    /// Whether they are as many as the API says there are.
    pub(crate) fn is_whole(&self) -> bool {
        self.total.is_none_or(|total| self.distinct() >= total)
    }
}
