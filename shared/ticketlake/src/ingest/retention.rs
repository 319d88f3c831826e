//! How long records are kept after they are past.

use chrono::TimeDelta;
use manifest::Resource;
use manifest::time::Instant;
use table::map::{Cell, Row};
use table::merge::first_moment;

use crate::context::RunContext;

/// The retention of one resource, for the length of a run.
#[derive(Debug)]
pub(super) struct Retention {
    /// Rows that were past before this are removed; `None`: rows are kept for good.
    pub(super) oldest: Option<Instant>,
    /// The places of the columns that say when a row is past.
    passed_by: Vec<usize>,
}

impl Retention {
    /// The retention of `resource`, as the run's request says.
    pub(super) fn new(ctx: &RunContext<'_>, resource: &Resource) -> Self {
        let place = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let days = ctx.request.retention_days.filter(|_| !resource.passed_by.is_empty());
        let oldest = days.and_then(TimeDelta::try_days).and_then(|days| ctx.now().checked_sub_signed(days));
        Self { oldest, passed_by: resource.passed_by.iter().filter_map(place).collect() }
    }

    /// Whether `row` was past before the oldest that is kept: stored, it would be removed by the same run.
    pub(super) fn is_expired(&self, row: &Row) -> bool {
        let Some(oldest) = self.oldest else { return false };
        let passed = self.passed_by.iter().find_map(|place| match row.cells.get(*place) {
            Some(Cell::Timestamp(instant)) => Some(*instant),
            Some(Cell::Date(day)) => Some(first_moment(*day)),
            _ => None,
        });
        passed.is_some_and(|passed| passed < oldest.timestamp_micros())
    }
}
