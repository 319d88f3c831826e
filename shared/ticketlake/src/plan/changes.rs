//! What a run reads between two readings of everything: the newly announced, and what lies near.

use super::{Plan, Query};
use manifest::time::Instant;

/// What a run reads of a resource that is refreshed in parts. Without either part it reads nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The instant since when records were announced.
    pub announced: Option<Instant>,
    /// The window of time that is read whole, both ends inclusive.
    pub near: Option<(Instant, Instant)>,
}

impl<'p> Plan<'p> {
    /// The plan to read `changes` alone.
    pub fn with_changes(self, changes: Changes) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// Whether it reads a part that brings the newly announced, or what lies near, alone.
    pub fn is_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// The queries for `changes`.
    pub(super) fn change_queries(&self, changes: Changes) -> Vec<Query<'p>> {
        let mut queries = Vec::new();
        let declared = self.resource.refresh.as_ref().and_then(|refresh| refresh.announced.as_ref());
        if let (Some(announced), Some(since)) = (declared, changes.announced) {
            let time = Some((&announced.time, Some(since.timestamp()), None));
            queries.push(Query { label: "announced", extra: None, time });
            // A record that is announced without a date is in no dated query, and so not in the one above either.
            let undated = self.resource.slices.undated.iter();
            queries.extend(undated.map(|extra| Query { label: "announced", extra: Some(extra), time }));
        }
        if let (Some(time), Some((from, to))) = (&self.resource.slices.time, changes.near) {
            let time = Some((time, Some(from.timestamp()), Some(to.timestamp())));
            queries.push(Query { label: "near", extra: None, time });
        }
        queries
    }

    /// Whether every query for the newly announced (`near`: for what lies near) is whole, by what `covers` says of its name and ends.
    pub fn has_read(&self, near: bool, covers: impl Fn(&str, Option<i64>, Option<i64>) -> bool) -> bool {
        let label = if near { "near" } else { "announced" };
        let mut indexes = (0..self.len()).filter(|index| self.query(*index).is_some_and(|query| query.label == label));
        indexes.all(|index| {
            let (from, to) = self.cut_by(index).map_or((None, None), |(_, from, to)| (from, to));
            self.slice(index).is_ok_and(|slice| covers(&slice.name, from, to))
        })
    }
}
