//! All records, each made from its index when it is asked for, and how they change.

use std::io;

use serde_json::{Map, Value};

use super::{Options, Resource, details};
use crate::{
    clock::{self, DAY},
    dice::{Dice, Purpose},
};

/// When something is looked at: the data follows from both, and from nothing else that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    pub(super) request: usize,
    pub(super) revision: u32,
}

/// A record's times, and which of its states it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) created: i64,
    pub(super) updated: i64,
    /// 0 for the first state; what a change changes follows from it.
    pub(super) version: u64,
}

/// The records of all collections.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) seed: u64,
    counts: [usize; 3],
    begins: i64,
    now: i64,
    bulk: f64,
    moving: f64,
    moving_over: usize,
    first_revision: u32,
    changed_per_revision: usize,
    added_per_revision: usize,
}

/// How long before `now` many records were changed at once.
const BULK_CHANGES: [i64; 3] = [2 * DAY + 3_600, 9 * DAY, 30 * DAY];

/// The state of a record that moved while it was read.
const MOVED: u64 = 1 << 32;

impl Population {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let now = clock::strict_utc(&options.now)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("not a time: {}", options.now)))?;
        Ok(Self {
            seed: options.seed,
            counts: [options.organizations, options.products, options.projects],
            begins: now - i64::from(options.days.max(2)) * DAY,
            now,
            bulk: options.bulk,
            moving: options.moving,
            moving_over: options.moving_over.max(1),
            first_revision: options.revision,
            changed_per_revision: options.changed_per_revision,
            added_per_revision: options.added_per_revision,
        })
    }

    pub(super) fn count(&self, resource: Resource, revision: u32) -> usize {
        self.counts[resource as usize] + revision as usize * self.added_per_revision
    }

    /// Ids grow with the index, with gaps.
    pub(super) fn id(resource: Resource, index: usize) -> u64 {
        let index = index as u64;
        match resource {
            Resource::Organizations => 44 + 3 * index,
            Resource::Products => 33 + 5 * index,
            Resource::Projects => 4_021 + 11 * index,
        }
    }

    pub(super) fn dice(&self, purpose: Purpose, resource: Resource, index: usize) -> Dice {
        Dice::new(self.seed, purpose, (resource as u64) << 40 | index as u64)
    }

    /// The request from which on a record has moved to the end of the order of changes.
    pub(super) fn moves_at(&self, resource: Resource, index: usize) -> Option<usize> {
        let mut dice = self.dice(Purpose::RecordChange, resource, index);
        let moves = index < self.counts[resource as usize] && dice.chance(self.moving);
        moves.then(|| 1 + dice.below(self.moving_over))
    }

    /// Whether a revision changes a record, and as which of the changed ones.
    fn changed_in(&self, resource: Resource, index: usize, revision: u32) -> Option<usize> {
        let count = self.counts[resource as usize];
        if index >= count || self.changed_per_revision == 0 {
            return None;
        }
        // Every so many records one is changed, and each revision begins to count at another record.
        let stride = (count / self.changed_per_revision).max(1);
        let shift = self.dice(Purpose::RecordChange, resource, 1 << 39 | revision as usize).below(count);
        let place = (index + shift) % count;
        (place.is_multiple_of(stride) && place / stride < self.changed_per_revision).then_some(place / stride)
    }

    /// Everything that happens in a revision happens after all of the one before it, moves included.
    fn begin_of(&self, revision: u32) -> i64 {
        self.now + i64::from(revision) * DAY
    }

    pub(super) fn times(&self, resource: Resource, index: usize, tick: Tick) -> Times {
        if let Some(added) = index.checked_sub(self.counts[resource as usize]) {
            let per_revision = self.added_per_revision.max(1);
            let created = self.begin_of((added / per_revision) as u32 + 1) + 600 + (added % per_revision) as i64;
            return Times { created, updated: created, version: 0 };
        }
        let mut times = self.first_times(resource, index);
        if let Some(moved) = self.moves_at(resource, index).filter(|moved| *moved <= tick.request) {
            // Half a day after the revision that is being read began.
            times.updated = self.begin_of(self.first_revision) + DAY / 2 + moved as i64;
            times.version = MOVED;
        }
        for revision in (1..=tick.revision).rev() {
            if let Some(nth) = self.changed_in(resource, index, revision) {
                let updated = self.begin_of(revision) + 1_200 + nth as i64;
                if updated > times.updated {
                    times = Times { updated, version: u64::from(revision), ..times };
                }
                break;
            }
        }
        times
    }

    fn first_times(&self, resource: Resource, index: usize) -> Times {
        let mut dice = self.dice(Purpose::RecordTimes, resource, index);
        let share = (index as f64 + dice.unit()) / self.counts[resource as usize] as f64;
        let end = self.now - DAY;
        let created = self.begins + (share * (end - self.begins) as f64) as i64;
        let throw = dice.unit();
        let updated = if throw < self.bulk {
            // So many records of one instant do not fit in a page.
            (self.now - *dice.pick(&BULK_CHANGES)).max(created)
        } else if throw < self.bulk + (1.0 - self.bulk) * 0.3 {
            created
        } else {
            created + (dice.unit() * (end - created) as f64) as i64
        };
        Times { created, updated, version: 0 }
    }

    /// A record with every field that a collection gives.
    pub(super) fn record(&self, resource: Resource, index: usize, tick: Tick) -> Map<String, Value> {
        details::record(self, resource, index, self.times(resource, index, tick))
    }
}
