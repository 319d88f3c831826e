//! What reading one query showed, and what that proves.
//!
//! No I/O and no clock: [`Evidence::verdict`] is a function of what was received.

use std::collections::HashSet;

use client::{End, Position};
use manifest::Cursor;

use crate::state::QueryProgress;

/// What one page of a query brought, as the table sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRecords {
    /// The hashes of the records' keys.
    pub keys: Vec<u64>,
    /// The records that no key tells apart: rejected and excluded ones, and those that became several rows.
    pub unkeyed: u64,
    /// The furthest cursor.
    pub newest: Option<Cursor>,
}

/// What reading one query showed so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    keys: HashSet<u64>,
    unkeyed: u64,
    /// The distinct records that an earlier run read before the first page of this one.
    before: u64,
    /// The records that the API says the query has, by its last page.
    total: Option<u64>,
    /// Whether the total fell from one page to the next.
    shrank: bool,
    /// The furthest cursor of its records.
    newest: Option<Cursor>,
}

/// What is known of a query that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record that the API says there is was received, or the API gives no total and the query was read to its end.
    Complete,
    /// Records are missing by the API's own numbers, for this reason: reading again can help.
    Short(&'static str),
    /// The API does not give all of the query's records.
    TooDeep,
    /// The query ended before its end, for this reason.
    Stopped(String),
}

impl Evidence {
    /// The evidence of a query that an earlier run read in part. A record that comes in front of the page where it stopped makes another one
    /// arrive in both runs, and count twice: at most as many as were added since, which a reading does not promise to have.
    pub fn resumed(progress: &QueryProgress) -> Self {
        Self { before: progress.before, total: progress.total, newest: progress.newest, ..Self::default() }
    }

    /// What a later run needs to go on with the page at `position`, the next to be added.
    pub fn progress_at(&self, position: Position) -> QueryProgress {
        QueryProgress { position, before: self.distinct(), total: self.total, newest: self.newest }
    }

    /// Adds a page: what it says of the query's total, and its records. `newest` is the furthest of two cursors.
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

    /// The distinct records received.
    pub fn distinct(&self) -> u64 {
        self.before + self.keys.len() as u64 + self.unkeyed
    }

    /// The records that the API says the query has, by its last page.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The furthest cursor of its records.
    pub fn newest(&self) -> Option<Cursor> {
        self.newest
    }

    /// Whether every record that the API says there is was received.
    ///
    /// A record that is removed while the query is read moves those behind it forward, the first of the next page onto a page that was
    /// read: it is missing, and the total is one less, so that the numbers are equal all the same. One that is added only makes the
    /// numbers differ.
    fn is_complete(&self) -> bool {
        !self.shrank && self.total.is_none_or(|total| self.distinct() >= total)
    }

    /// What is known of the query, which ended with `end`.
    pub fn verdict(&self, end: &End) -> Verdict {
        match end {
            End::Reached if self.is_complete() => Verdict::Complete,
            End::Reached => Verdict::Short(self.shortfall_reason()),
            // The total counts the records on the other side of the range's edge too.
            End::LeftRange => Verdict::Complete,
            End::TooDeep => Verdict::TooDeep,
            // Stopped, and yet all that the API says it has.
            End::Stopped(_) if self.is_complete() && self.total.is_some() => Verdict::Complete,
            End::Stopped(reason) => Verdict::Stopped(reason.clone()),
        }
    }

    /// Why records are missing.
    fn shortfall_reason(&self) -> &'static str {
        if self.shrank {
            "records were removed while it was read, each time: those behind them may have been passed over"
        } else {
            "every reading gave fewer records than the API says it has"
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
        let short = "every reading gave fewer records than the API says it has";
        let shrank = "records were removed while it was read, each time: those behind them may have been passed over";
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
        /// Repeats never make up for a record that is missing.
        #[test]
        fn only_distinct_keys_count(keys in prop::collection::vec(0_u64..30, 0..60), total in 0_u64..40) {
            let distinct: HashSet<u64> = keys.iter().copied().collect();
            let verdict = evidence(&[(Some(total), &keys)]).verdict(&End::Reached);
            prop_assert_eq!(verdict == Verdict::Complete, distinct.len() as u64 >= total);
        }
    }
}
