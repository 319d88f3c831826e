//! The evidence of one query: what reading it observed, and the verdict whether it is complete.
//!
//! There is no I/O and no clock here: [`Evidence::verdict`] is a pure function.

use std::collections::HashSet;

use client::{End, Position};
use manifest::Cursor;

use crate::state::QueryProgress;

/// The records of one page, as they were mapped for the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRecords {
    /// The hashes of the records' keys.
    pub keys: Vec<u64>,
    /// The number of records without a key of their own: rejected and excluded ones, and those that became several rows.
    pub unkeyed: u64,
    /// The furthest cursor of the records.
    pub newest: Option<Cursor>,
}

/// What reading one query has observed so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The hashes of the distinct keys received.
    keys: HashSet<u64>,
    /// The number of records without a key of their own.
    unkeyed: u64,
    /// The number of distinct records that an earlier run received before the first page of this run.
    before: u64,
    /// The total of the query on its last page.
    total: Option<u64>,
    /// Whether the total decreased from one page to the next.
    shrank: bool,
    /// The furthest cursor of the records.
    newest: Option<Cursor>,
}

/// Whether a query is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The number of distinct records is the total, or the API gives no total and the query was read to its end.
    Complete,
    /// The number of distinct records is less than the total, for this reason. Another read can help.
    Short(&'static str),
    /// The query has more records than the API serves for one query.
    TooDeep,
    /// Reading stopped before the end of the query, for this reason.
    Stopped(String),
}

impl Evidence {
    /// Returns the evidence of a query that is resumed from `progress`. If a record is added before the page where the earlier run stopped,
    /// another record is received by both runs and counted twice. That can hide the absence of a record that was added since the start.
    pub fn resumed(progress: &QueryProgress) -> Self {
        Self { before: progress.before, total: progress.total, newest: progress.newest, ..Self::default() }
    }

    /// Returns the progress from which a later run resumes at `position`, the position of the next page.
    pub fn progress_at(&self, position: Position) -> QueryProgress {
        QueryProgress { position, before: self.distinct(), total: self.total, newest: self.newest }
    }

    /// Adds the total and the records of a page. `newest` returns the furthest of two cursors.
    pub fn add_page(
        &mut self,
        total: Option<u64>,
        records: &PageRecords,
        newest: impl Fn(Cursor, Option<Cursor>) -> Cursor,
    ) {
        self.shrank |= matches!((self.total, total), (Some(before), Some(now)) if now < before);
        self.total = total.or(self.total);
        self.keys.extend(&records.keys);
        self.unkeyed += records.unkeyed;
        if let Some(cursor) = records.newest {
            self.newest = Some(newest(cursor, self.newest));
        }
    }

    /// Returns the number of distinct records received.
    pub fn distinct(&self) -> u64 {
        self.before + self.keys.len() as u64 + self.unkeyed
    }

    /// Returns the total on the last page.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the furthest cursor of the records.
    pub fn newest(&self) -> Option<Cursor> {
        self.newest
    }

    /// Returns whether the number of distinct records is the total.
    ///
    /// If a record is removed during the read, the first record of the next page moves to a page that was read already. It is missed, and
    /// the total is one less, so that both numbers are equal. The query is therefore not complete if the total decreased. If a record is
    /// added, the numbers differ.
    fn is_complete(&self) -> bool {
        !self.shrank && self.total.is_none_or(|total| self.distinct() >= total)
    }

    /// Returns the verdict on the query, which ended with `end`.
    pub fn verdict(&self, end: &End) -> Verdict {
        match end {
            End::Reached if self.is_complete() => Verdict::Complete,
            End::Reached => Verdict::Short(self.shortfall_reason()),
            // The total includes the records outside of the range.
            End::LeftRange => Verdict::Complete,
            End::TooDeep => Verdict::TooDeep,
            // Reading stopped, but all records were received by then.
            End::Stopped(_) if self.is_complete() && self.total.is_some() => Verdict::Complete,
            End::Stopped(reason) => Verdict::Stopped(reason.clone()),
        }
    }

    /// Returns the reason why records are missing.
    fn shortfall_reason(&self) -> &'static str {
        if self.shrank {
            "records were removed in every read, so that others may have been skipped"
        } else {
            "received fewer records than the total in every read"
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(pages: &[(Option<u64>, &[u64])]) -> Evidence {
        let mut evidence = Evidence::default();
        for (total, keys) in pages {
            let records = PageRecords { keys: keys.to_vec(), ..PageRecords::default() };
            evidence.add_page(*total, &records, |cursor, _| cursor);
        }
        evidence
    }

    #[test]
    fn verdicts() {
        let stopped = || End::Stopped("no cursor".into());
        let short = "received fewer records than the total in every read";
        let shrank = "records were removed in every read, so that others may have been skipped";
        for (pages, end, verdict) in [
            (vec![(Some(3), &[1, 2][..]), (Some(3), &[3][..])], End::Reached, Verdict::Complete),
            (vec![(Some(3), &[1, 2][..]), (Some(3), &[2][..])], End::Reached, Verdict::Short(short)),
            (vec![(Some(3), &[1, 2][..]), (Some(2), &[][..])], End::Reached, Verdict::Short(shrank)),
            (vec![(None, &[1, 2][..])], End::Reached, Verdict::Complete),
            (vec![(Some(9), &[1, 2][..])], End::LeftRange, Verdict::Complete),
            (vec![(Some(9), &[1, 2][..])], End::TooDeep, Verdict::TooDeep),
            (vec![(Some(2), &[1, 2][..])], stopped(), Verdict::Complete),
            (vec![(None, &[1, 2][..])], stopped(), Verdict::Stopped("no cursor".into())),
        ] {
            assert_eq!(evidence(&pages).verdict(&end), verdict, "{pages:?} {end:?}");
        }
    }

    proptest! {
        /// Repeated records do not replace a missing one.
        #[test]
        fn only_distinct_keys_count(keys in prop::collection::vec(0_u64..30, 0..60), total in 0_u64..40) {
            let distinct: HashSet<u64> = keys.iter().copied().collect();
            let verdict = evidence(&[(Some(total), &keys)]).verdict(&End::Reached);
            prop_assert_eq!(verdict == Verdict::Complete, distinct.len() as u64 >= total);
        }
    }
}
