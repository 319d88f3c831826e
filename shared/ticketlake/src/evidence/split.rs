//! The evidence of a query that was split into narrower ones: their records together, and the total of the query itself.
//!
//! Narrower queries that are each complete prove nothing about records that none of them has: between two seconds, at an end that the API
//! excludes, or without the field that the query was split by.

use std::collections::HashSet;

use super::verdict::{Unproven, Verdict};

/// The records of all parts of a query, and its own totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitEvidence {
    /// The hashes of the keys of the distinct records.
    pub keys: HashSet<u64>,
    /// The total before the first part was read.
    pub before: Option<u64>,
    /// The total after the last part was read.
    pub after: Option<u64>,
}

impl SplitEvidence {
    /// Returns the verdict on the query, all of whose parts are complete. `total_limit` is the total at which the API stops counting.
    pub fn verdict(&self, total_limit: Option<u64>) -> Verdict {
        let Some(after) = self.after.or(self.before) else { return Verdict::Unproven(Unproven::NoTotal) };
        let before = self.before.unwrap_or(after);
        let (least, greatest) = (before.min(after), before.max(after));
        let received = self.keys.len() as u64;
        if received < least {
            return Verdict::Short(
                "no part of the query has the other records: they may lack the field that it is split by (`slices.undated`), or the API may leave out an end of the parts",
            );
        }
        if total_limit.is_some_and(|limit| greatest >= limit) {
            return Verdict::Unproven(Unproven::TotalIsLowerBound);
        }
        match received {
            received if received == before && received == after => Verdict::Proven,
            received if received <= greatest => Verdict::Unproven(Unproven::TotalChanged),
            _ => Verdict::Unproven(Unproven::TotalIsTooSmall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_prove_a_query_by_its_own_total() {
        for (received, before, after, verdict) in [
            (5, Some(5), Some(5), Some(Verdict::Proven)),
            (5, None, None, Some(Verdict::Unproven(Unproven::NoTotal))),
            (5, Some(5), Some(6), Some(Verdict::Unproven(Unproven::TotalChanged))),
            (6, Some(7), Some(6), Some(Verdict::Unproven(Unproven::TotalChanged))),
            (7, Some(6), Some(6), Some(Verdict::Unproven(Unproven::TotalIsTooSmall))),
            (5, None, Some(5), Some(Verdict::Proven)),
            (12, Some(10), Some(10), Some(Verdict::Unproven(Unproven::TotalIsLowerBound))),
            (9, Some(10), Some(10), None),
            (4, Some(5), Some(5), None),
            (4, Some(5), Some(9), None),
        ] {
            let evidence = SplitEvidence { keys: (0..received).collect(), before, after };
            let found = evidence.verdict(Some(10));
            match verdict {
                Some(verdict) => assert_eq!(found, verdict),
                None => assert!(matches!(found, Verdict::Short(_)), "{found:?}"),
            }
        }
    }
}
