//! A time range of a query, with the number of its records.

/// A time range whose number of records an answer of the API has given.
#[derive(Clone, Debug)]
pub(super) struct CountedRange {
    /// The first second.
    pub(super) from: i64,
    /// The last second.
    pub(super) to: i64,
    /// The number of records. It is a lower bound if `exact` is false.
    pub(super) total: f64,
    /// Whether `total` is exact.
    pub(super) exact: bool,
    /// The starts of all records or of a random sample of them, in order.
    pub(super) starts: Vec<i64>,
}

impl CountedRange {
    /// Estimates the number of records from `from` to `to` by the share of `starts` in that range. Without any starts, the records are
    /// assumed to be spread evenly.
    pub(super) fn records(&self, from: i64, to: i64) -> f64 {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from > to {
            return 0.0;
        }
        let share = if self.starts.is_empty() {
            (to - from + 1) as f64 / (self.to - self.from + 1) as f64
        } else {
            let up_to = |to: i64| self.starts.partition_point(|start| *start <= to);
            (up_to(to) - up_to(from - 1)) as f64 / self.starts.len() as f64
        };
        self.total * share
    }
}
