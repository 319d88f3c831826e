//! The retention: how long rows are kept after they are past.

use chrono::TimeDelta;
use manifest::Resource;
use manifest::time::Instant;
use table::map::{Cell, Row};
use table::merge::first_moment;

use crate::context::RunContext;

/// The retention of one resource during a run.
#[derive(Debug)]
pub(super) struct Retention {
    /// Rows that were past before this instant are removed. `None` keeps all rows.
    pub(super) oldest: Option<Instant>,
    /// The positions of the columns that say when a row is past.
    passed_by: Vec<usize>,
}

impl Retention {
    /// Returns the retention of `resource` by the request of the run.
    pub(super) fn new(ctx: &RunContext<'_>, resource: &Resource) -> Self {
        let position = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let days = ctx.request.retention_days.filter(|_| !resource.passed_by.is_empty());
        let oldest = days.and_then(TimeDelta::try_days).and_then(|days| ctx.now().checked_sub_signed(days));
        Self { oldest, passed_by: resource.passed_by.iter().filter_map(position).collect() }
    }

    /// Returns whether the retention would remove `row` again in the same run.
    pub(super) fn is_expired(&self, row: &Row) -> bool {
        let Some(oldest) = self.oldest else { return false };
        let passed = self.passed_by.iter().find_map(|position| match row.cells.get(*position) {
            Some(Cell::Timestamp(instant)) => Some(*instant),
            Some(Cell::Date(day)) => Some(first_moment(*day)),
            _ => None,
        });
        passed.is_some_and(|passed| passed < oldest.timestamp_micros())
    }
}
