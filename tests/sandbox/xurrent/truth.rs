//! What a server of the same options holds, computed without it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Resource,
    population::{Population, Tick},
};
use crate::clock;

/// Every record, to compare with what a client stored.
#[derive(Debug)]
pub struct Truth {
    population: Population,
    request: usize,
}

impl Truth {
    pub(super) fn new(population: Population) -> Self {
        Self { population, request: 0 }
    }

    /// The same as request number `request` finds it: with [`Options::moving`](super::Options::moving), records change
    /// while they are read. Without this nothing has moved yet.
    pub fn at_request(self, request: usize) -> Self {
        Self { request, ..self }
    }

    /// Every record of a revision in the order of the ids, with all that a collection gives for
    /// `fields=`[`Resource::fields`].
    pub fn records(&self, resource: Resource, revision: u32) -> impl Iterator<Item = Value> {
        let indices = 0..self.population.count(resource, revision);
        indices.map(move |index| Value::Object(self.population.record(resource, index, self.tick(revision))))
    }

    /// How many records a revision has.
    pub fn count(&self, resource: Resource, revision: u32) -> usize {
        self.population.count(resource, revision)
    }

    /// How many records of a revision were last updated from `from` to `to`, both included.
    ///
    /// # Panics
    /// If either is not a time with its zone.
    pub fn updated_within(&self, resource: Resource, revision: u32, from: &str, to: &str) -> usize {
        let instant = |text: &str| clock::instant_ms(text).expect("a time with its zone");
        let window = instant(from)..=instant(to);
        let updated = |index| self.population.times(resource, index, self.tick(revision)).updated * 1_000;
        (0..self.population.count(resource, revision)).filter(|index| window.contains(&updated(*index))).count()
    }

    /// The ids of the records that are in both revisions and differ.
    pub fn changed_ids(&self, resource: Resource, before: u32, after: u32) -> BTreeSet<u64> {
        let both = self.count(resource, before).min(self.count(resource, after));
        let times = |index, revision| self.population.times(resource, index, self.tick(revision));
        let differs = |index: &usize| times(*index, before) != times(*index, after);
        (0..both).filter(differs).map(|index| Population::id(resource, index)).collect()
    }

    /// The ids of the records that change while they are read, by whichever request.
    pub fn moving_ids(&self, resource: Resource) -> BTreeSet<u64> {
        let moves = |index: &usize| self.population.moves_at(resource, *index).is_some();
        (0..self.count(resource, 0)).filter(moves).map(|index| Population::id(resource, index)).collect()
    }

    fn tick(&self, revision: u32) -> Tick {
        Tick { request: self.request, revision }
    }
}
