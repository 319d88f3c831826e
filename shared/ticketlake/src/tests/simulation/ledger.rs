//! What the API had, and when: the truth that the law compares the lake with.

use super::scenario::{Flaw, Record};

/// Every change of the API, in order. A moment is the number of changes before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Vec<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u32,
    /// The record after the change. `None` if it was deleted.
    record: Option<Record>,
}

impl Ledger {
    /// The present moment.
    pub(super) fn now(&self) -> usize {
        self.0.len()
    }

    pub(super) fn put(&mut self, record: Record) {
        self.0.push(Entry { id: record.id, record: Some(record) });
    }

    pub(super) fn delete(&mut self, id: u32) {
        self.0.push(Entry { id, record: None });
    }

    /// The records that the API has had ever since the moment `since`, as they were then.
    pub(super) fn present_since(&self, since: usize) -> Vec<Record> {
        let mut present: Vec<Record> = Vec::new();
        for (moment, entry) in self.0.iter().enumerate() {
            let place = present.iter().position(|known| known.id == entry.id);
            match (entry.record, place) {
                (Some(record), Some(place)) if moment < since => present[place] = record,
                (Some(record), None) if moment < since => present.push(record),
                (None, Some(place)) => {
                    present.swap_remove(place);
                }
                _ => {}
            }
        }
        present
    }

    /// Whether the record has lost its id by now.
    pub(super) fn is_spoiled(&self, id: u32) -> bool {
        let last = self.0.iter().rev().find(|entry| entry.id == id);
        last.and_then(|entry| entry.record).is_some_and(|record| record.flaw == Some(Flaw::NoKey))
    }

    /// Whether the record changed after the moment `since`.
    pub(super) fn has_changed(&self, id: u32, since: usize) -> bool {
        self.0[since..].iter().any(|entry| entry.id == id)
    }
}
