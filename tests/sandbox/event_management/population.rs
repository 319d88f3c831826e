//! How many records there are at a revision, and which of them a revision changes.

use std::collections::BTreeSet;

/// Every so many of the first events and users change with each revision.
const CHANGES_EVERY: usize = 25;

/// What belongs to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    Attendee,
    Ticket,
    Transaction,
}

/// The numbers that everything else is derived from.
#[derive(Debug)]
pub(crate) struct Population {
    pub(crate) events: usize,
    pub(crate) users: usize,
    pub(crate) categories: usize,
    pub(crate) attendees_per_event: usize,
    pub(crate) tickets_per_event: usize,
    pub(crate) transactions_per_event: usize,
    pub(crate) added_per_revision: usize,
    /// Events that have no children.
    pub(crate) childless: BTreeSet<usize>,
    /// Events that are listed, and not found when they are asked for.
    pub(crate) deleted: BTreeSet<usize>,
}

impl Population {
    pub(crate) fn events(&self, revision: u32) -> usize {
        self.events + self.added(revision)
    }

    pub(crate) fn users(&self, revision: u32) -> usize {
        self.users + self.added(revision)
    }

    /// How many children of a kind an event has.
    pub(crate) fn of_event(&self, kind: Child, event: usize, revision: u32) -> usize {
        if self.childless.contains(&event) {
            return 0;
        }
        let sold_later = if event < self.added_per_revision { revision as usize } else { 0 };
        match kind {
            Child::Attendee => self.attendees_per_event + sold_later,
            Child::Ticket => self.tickets_per_event,
            Child::Transaction => self.transactions_per_event + sold_later,
        }
    }

    /// All children of a kind that can be read: their event's index, and which of its children it is.
    pub(crate) fn readable(&self, kind: Child, revision: u32) -> impl Iterator<Item = (usize, usize)> {
        let found = (0..self.events(revision)).filter(|event| !self.deleted.contains(event));
        found.flat_map(move |event| (0..self.of_event(kind, event, revision)).map(move |nth| (event, nth)))
    }

    /// How often an event, and with it the first of its children of each kind, has changed since revision 0.
    pub(crate) fn changes_of_event(&self, event: usize, revision: u32) -> u32 {
        if event < self.events { changes(event, revision) } else { 0 }
    }

    /// As [`Population::changes_of_event`], for the first of an event's children of each kind.
    pub(crate) fn changes_of_child(&self, event: usize, nth: usize, revision: u32) -> u32 {
        if nth == 0 { self.changes_of_event(event, revision) } else { 0 }
    }

    /// Whether one of an event's children is among those that change.
    pub(crate) fn child_changes(&self, event: usize, nth: usize) -> bool {
        self.changes_of_child(event, nth, 1) > 0
    }

    /// How often a user has changed since revision 0.
    pub(crate) fn changes_of_user(&self, user: usize, revision: u32) -> u32 {
        if user < self.users { changes(user, revision) } else { 0 }
    }

    fn added(&self, revision: u32) -> usize {
        revision as usize * self.added_per_revision
    }
}

fn changes(index: usize, revision: u32) -> u32 {
    if index.is_multiple_of(CHANGES_EVERY) { revision } else { 0 }
}
