//! What a server of the same options holds, computed without it.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::catalogue::{At, Catalogue, Event, NONE, Tick};
use crate::clock;

/// The whole catalogue, to compare with what a client stored.
#[derive(Debug)]
pub struct Truth(Catalogue);

impl Truth {
    pub(super) fn new(catalogue: Catalogue) -> Self {
        Self(catalogue)
    }

    /// The ids of every event that is there at a revision before anything moves, dated or not.
    pub fn event_ids(&self, revision: u32) -> BTreeSet<String> {
        ids(self.events(revision))
    }

    /// The ids of the events that neither come, go nor move while they are read: what a complete run has, whatever else
    /// it saw.
    pub fn steady_event_ids(&self, revision: u32) -> BTreeSet<String> {
        let steady = |event: &&Event| !matches!(event.change, Some((_, At::Request(_))));
        ids(self.events(revision).filter(steady))
    }

    /// The ids of the events that come, go or move while they are read: a run may have any of them, and no id that is
    /// neither here nor in [`Truth::event_ids`].
    pub fn moving_event_ids(&self) -> BTreeSet<String> {
        ids(self.0.events.iter().filter(|event| matches!(event.change, Some((_, At::Request(_))))))
    }

    /// The ids of the TBA and TBD events, which no dated window returns.
    pub fn undated_event_ids(&self, revision: u32) -> BTreeSet<String> {
        ids(self.events(revision).filter(|event| event.start.is_none()))
    }

    /// The ids of the events that start from `from` to `to`, both included; `YYYY-MM-DDTHH:mm:ssZ`.
    ///
    /// # Panics
    /// If either is not a time in that format.
    pub fn event_ids_between(&self, revision: u32, from: &str, to: &str) -> BTreeSet<String> {
        let (from, to) = (clock::strict_utc(from).expect("from"), clock::strict_utc(to).expect("to"));
        let tick = Tick { request: 0, revision };
        let starts_then = |event: &&Event| event.start_at(tick).is_some_and(|start| from <= start && start <= to);
        ids(self.events(revision).filter(starts_then))
    }

    /// One event as the API shows it at a revision, before anything moves.
    pub fn event(&self, id: &str, revision: u32) -> Option<Value> {
        let tick = Tick { request: 0, revision };
        let event = self.0.event_by_id(id).filter(|event| event.is_there(tick))?;
        Some(self.0.records.event(event, tick))
    }

    /// The ids of every event that is at both revisions and differs.
    pub fn changed_event_ids(&self, before: u32, after: u32) -> BTreeSet<String> {
        let differs = |event: &&Event| {
            let show = |revision| self.event(&event.id, revision);
            matches!(event.change, Some((_, At::Revision(_)))) && show(before).is_some() && show(before) != show(after)
        };
        ids(self.events(after).filter(differs))
    }

    /// The ids of every venue that the venue search finds.
    pub fn venue_ids(&self) -> BTreeSet<String> {
        let listed = self.0.venues.iter().filter(|venue| !venue.unlisted);
        listed.map(|venue| venue.id.to_string()).collect()
    }

    /// The ids of every attraction that the attraction search finds.
    pub fn attraction_ids(&self) -> BTreeSet<String> {
        let listed = self.0.attractions.iter().filter(|attraction| !attraction.unlisted);
        listed.map(|attraction| attraction.id.to_string()).collect()
    }

    /// The ids of every venue that lies inside an event of a revision.
    pub fn harvested_venue_ids(&self, revision: u32) -> BTreeSet<String> {
        let positions: HashSet<u32> = self.events(revision).map(|event| event.venue).filter(|at| *at != NONE).collect();
        positions.iter().map(|position| self.0.venues[*position as usize].id.to_string()).collect()
    }

    /// The ids of every attraction that lies inside an event of a revision.
    pub fn harvested_attraction_ids(&self, revision: u32) -> BTreeSet<String> {
        let of = |event: &Event| self.0.records.attractions_of(event.index);
        let positions: HashSet<u32> = self.events(revision).flat_map(of).collect();
        positions.iter().map(|position| self.0.attractions[*position as usize].id.to_string()).collect()
    }

    /// The ids of every venue and of every attraction that lies inside one of these events.
    pub fn harvested_within(&self, events: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
        let events: Vec<&Event> = events.iter().filter_map(|id| self.0.event_by_id(id)).collect();
        let venues = events.iter().filter(|event| event.venue != NONE).map(|event| event.venue as usize);
        let attractions = events.iter().flat_map(|event| self.0.records.attractions_of(event.index));
        (
            venues.map(|position| self.0.venues[position].id.to_string()).collect(),
            attractions.map(|position| self.0.attractions[position as usize].id.to_string()).collect(),
        )
    }

    /// The items of the classification page.
    pub fn classifications(&self) -> &[Value] {
        &self.0.classifications
    }

    fn events(&self, revision: u32) -> impl Iterator<Item = &Event> {
        let tick = Tick { request: 0, revision };
        self.0.events.iter().filter(move |event| event.is_there(tick))
    }
}

fn ids<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeSet<String> {
    events.map(|event| event.id.to_string()).collect()
}
