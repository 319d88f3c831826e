//! The retention: how long rows are kept after they are past.

use chrono::TimeDelta;
use manifest::Resource;
use manifest::time::Instant;
use table::map::{Cell, Row};
use table::merge::first_moment;

use crate::context::RunContext;

/// The retention of one resource during a run.
#[derive(Debug)]
pub(super) struct Retention<'i> {
    ctx: &'i RunContext<'i>,
    /// How long a row is kept. `None` keeps all rows.
    kept: Option<TimeDelta>,
    /// The positions of the columns that say when a row is past.
    passed_by: Vec<usize>,
}

impl<'i> Retention<'i> {
    /// Returns the retention of `resource` by the request of the run.
    pub(super) fn new(ctx: &'i RunContext<'i>, resource: &Resource) -> Self {
        let position = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let days = ctx.request.retention_days.filter(|_| !resource.passed_by.is_empty());
        let passed_by = resource.passed_by.iter().filter_map(position).collect();
        Self { ctx, kept: days.and_then(TimeDelta::try_days), passed_by }
    }

    /// Returns whether rows are removed.
    pub(super) fn is_limited(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns the instant before which a row must have been past to be removed. `None` keeps all rows: the request asks for that, or nobody
    /// knows the time, since the clocks of the machine and of the API disagree.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let kept = self.kept.filter(|_| self.ctx.clock.disagreement().is_none())?;
        self.ctx.now().checked_sub_signed(kept)
    }

    /// Returns whether the retention would remove `row` again in the same run.
    pub(super) fn is_expired(&self, row: &Row) -> bool {
        let Some(oldest) = self.oldest() else { return false };
        let passed = self.passed_by.iter().find_map(|position| match row.cells.get(*position) {
            Some(Cell::Timestamp(instant)) => Some(*instant),
            Some(Cell::Date(day)) => Some(first_moment(*day)),
            _ => None,
        });
        passed.is_some_and(|passed| passed < oldest.timestamp_micros())
    }
}
