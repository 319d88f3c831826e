//! The verdict on a query: whether its evidence proves that all records were received.

use client::End;
use serde::{Deserialize, Serialize};

use super::gathered::{Evidence, MAX_BARREN_PAGES};

/// Whether a query is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The number of distinct records is the total of the query.
    Proven,
    /// The query was read to an end that the API gave, and nothing hints at more records, but there is no total that proves it.
    Unproven(Unproven),
    /// The number of distinct records is less than the total, for this reason.
    Short(&'static str),
    /// Records changed their places while the query was read, so that some may have been on no page.
    Moved,
    /// Records with one key have different contents, so that one row would stand for several records.
    Conflicting {
        /// The number of such records.
        records: u64,
        /// The key of one of them.
        example: String,
    },
    /// A response contradicts that these are all records.
    Suspicious(String),
    /// The query has more records than the API serves for one query.
    TooDeep,
    /// Reading stopped before the end of the query, for this reason.
    Stopped(String),
}

/// The reason why a query that was read to its end is not proven to be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unproven {
    /// The API gives no total.
    NoTotal,
    /// The API gives no total, the manifest names no paginator, and the first response suggests none.
    NoPaginator,
    /// The API stops counting at a limit, so that its total is a lower bound.
    TotalIsLowerBound,
    /// More records were received than the total counts.
    TotalIsTooSmall,
    /// The total changed while the query was read in parts.
    TotalChanged,
    /// As many records were received as the total counts, and rejected ones among them do not show their keys.
    UnknownKeys,
    /// Reading ended at the first record beyond the range, and the total counts the records beyond it.
    LeftRange,
    /// The manifest ignores the response.
    Ignored,
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoTotal => "the API gives no total",
            Self::NoPaginator => "the API gives no total, and the manifest names no paginator",
            Self::TotalIsLowerBound => "the API stops counting at a limit, so its total is a lower bound",
            Self::TotalIsTooSmall => "more records were received than the API counts",
            Self::TotalChanged => "the total changed while the query was read in parts",
            Self::UnknownKeys => {
                "rejected records do not show their keys, so they may be versions of others that were received"
            }
            Self::LeftRange => {
                "reading ended at the first record beyond the range, and the total counts those beyond it"
            }
            Self::Ignored => "`response_actions` ignore the response",
        })
    }
}

impl Verdict {
    /// Returns whether the query counts as complete.
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Proven | Self::Unproven(_))
    }

    /// Returns whether the query is read again after `reads` reads. A read without a change of the API's records can be complete.
    pub fn is_read_again(&self, reads: u32) -> bool {
        match self {
            Self::Short(_) | Self::Moved => reads < MAX_READS,
            // A record that was changed while the query was read conflicts once. A key that several records have conflicts each time.
            Self::Conflicting { .. } => reads < MAX_CONFLICTING_READS,
            Self::Proven | Self::Unproven(_) | Self::Suspicious(_) | Self::TooDeep | Self::Stopped(_) => false,
        }
    }
}

/// The greatest number of times that a query is read before it is incomplete.
pub const MAX_READS: u32 = 3;
/// The greatest number of times that a query with conflicting records is read.
const MAX_CONFLICTING_READS: u32 = 2;
/// The numbers at which APIs stop counting are multiples of this one.
const ROUND: u64 = 1000;
/// The reason why a query whose total decreased is short.
const REMOVED: &str = "records were removed in every read, so that others may have been skipped";

impl Evidence {
    /// Returns the verdict on the query, which ended with `end`.
    pub fn verdict(&self, end: &End) -> Verdict {
        if let Some(example) = self.conflict_example() {
            return Verdict::Conflicting { records: self.conflicts(), example: example.to_owned() };
        }
        let distinct = self.distinct();
        match (end, self.total()) {
            (End::LeftRange, _) if self.has_shrunk() => Verdict::Short(REMOVED),
            (End::LeftRange, _) if self.has_moved() => Verdict::Moved,
            (End::LeftRange, _) => Verdict::Unproven(Unproven::LeftRange),
            (End::Refused, Some(total)) if distinct == total && is_round(total) => {
                Verdict::Unproven(Unproven::TotalIsLowerBound)
            }
            (_, Some(total)) if distinct == total && !self.has_shrunk() && !self.is_lower_bound(total) => {
                match self.has_anonymous() {
                    true => Verdict::Unproven(Unproven::UnknownKeys),
                    false => Verdict::Proven,
                }
            }
            (End::TooDeep, _) => Verdict::TooDeep,
            (End::Stopped(reason), _) => Verdict::Stopped(reason.clone()),
            (End::Reached | End::Refused, _) if self.has_shrunk() => Verdict::Short(REMOVED),
            (End::Reached | End::Refused, Some(total)) if distinct < total => {
                Verdict::Short("received fewer records than the total in every read")
            }
            (End::Reached | End::Refused, Some(total)) if self.is_lower_bound(total) && self.has_moved() => {
                Verdict::Moved
            }
            (End::Reached | End::Refused, Some(total)) => self.or_suspicious(match self.is_lower_bound(total) {
                true => Unproven::TotalIsLowerBound,
                false => Unproven::TotalIsTooSmall,
            }),
            (End::Reached | End::Refused, None) if self.has_moved() => Verdict::Moved,
            (End::Reached | End::Refused, None) => self.or_suspicious(Unproven::NoTotal),
        }
    }

    /// Returns the verdict on a query whose pages bring no new record.
    pub fn circle_verdict(&self) -> Verdict {
        let reason = format!(
            "{MAX_BARREN_PAGES} pages in a row brought no new record, so the pages go in circles; check the parameter of the paginator"
        );
        self.verdict(&End::Stopped(reason))
    }

    /// Returns the verdict of a query that was read to its end, unless a response hints at more records.
    fn or_suspicious(&self, unproven: Unproven) -> Verdict {
        match self.contradiction() {
            Some(hint) => Verdict::Suspicious(format!(
                "a response hints at more records: {hint}; check `paginator`, or name the place in `ignore_hints`"
            )),
            None => Verdict::Unproven(unproven),
        }
    }
}

/// Whether a total can be the number at which an API stops counting, such as Elasticsearch's 10,000.
fn is_round(total: u64) -> bool {
    total >= ROUND && total.is_multiple_of(ROUND)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use client::Hints;
    use proptest::prelude::*;

    use super::super::{PageRecords, ReceivedRecord, RecordVersion};
    use super::*;

    /// A page with this total and the records with these keys, each with this content.
    fn page(total: Option<u64>, records: &[(u64, u64)]) -> (Option<u64>, PageRecords) {
        let record = |(key, content): &(u64, u64)| ReceivedRecord {
            key: *key,
            version: RecordVersion::new(*content, None),
            name: key.to_string(),
            is_anonymous: false,
        };
        (total, PageRecords { records: records.iter().map(record).collect(), ..PageRecords::default() })
    }

    fn keyed(total: Option<u64>, keys: &[u64]) -> (Option<u64>, PageRecords) {
        page(total, &keys.iter().map(|key| (*key, 0)).collect::<Vec<_>>())
    }

    fn evidence(pages: &[(Option<u64>, PageRecords)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (total, records) in pages {
            evidence.add_page(*total, records, &Hints::default(), |cursor, _| cursor);
        }
        evidence
    }

    #[test]
    fn verdicts() {
        let stopped = || End::Stopped("no cursor".into());
        let short = Verdict::Short("received fewer records than the total in every read");
        let shrank = Verdict::Short("records were removed in every read, so that others may have been skipped");
        let unproven = Verdict::Unproven;
        for (pages, end, verdict) in [
            (vec![keyed(Some(3), &[1, 2]), keyed(Some(3), &[3])], End::Reached, Verdict::Proven),
            (vec![keyed(Some(3), &[1, 2]), keyed(Some(3), &[2])], End::Reached, short.clone()),
            (vec![keyed(Some(3), &[])], End::Reached, short.clone()),
            (vec![keyed(Some(0), &[])], End::Reached, Verdict::Proven),
            (vec![keyed(Some(3), &[1, 2]), keyed(Some(2), &[])], End::Reached, shrank.clone()),
            (vec![keyed(Some(2), &[1, 2]), keyed(Some(3), &[3])], End::Reached, Verdict::Proven),
            (vec![keyed(Some(1), &[1, 2])], End::Reached, unproven(Unproven::TotalIsTooSmall)),
            (vec![keyed(None, &[1, 2])], End::Reached, unproven(Unproven::NoTotal)),
            (vec![keyed(Some(9), &[1, 2])], End::LeftRange, unproven(Unproven::LeftRange)),
            (vec![keyed(Some(9), &[1, 2]), keyed(Some(8), &[4])], End::LeftRange, shrank.clone()),
            (vec![keyed(Some(2), &[1, 2])], End::Refused, Verdict::Proven),
            (vec![keyed(Some(3), &[1, 2])], End::Refused, short.clone()),
            (vec![keyed(Some(9), &[1, 2])], End::TooDeep, Verdict::TooDeep),
            (vec![keyed(Some(2), &[1, 2])], stopped(), Verdict::Proven),
            (vec![keyed(None, &[1, 2])], stopped(), Verdict::Stopped("no cursor".into())),
            (
                vec![page(Some(2), &[(1, 5), (2, 5)]), page(Some(2), &[(1, 6)])],
                End::Reached,
                Verdict::Conflicting { records: 1, example: "1".into() },
            ),
        ] {
            assert_eq!(evidence(&pages).verdict(&end), verdict, "{pages:?} {end:?}");
        }
    }

    #[test]
    fn a_total_at_the_limit_is_a_lower_bound() {
        let mut evidence = Evidence::default().with_total_limit(Some(2));
        let (total, records) = keyed(Some(2), &[1, 2]);
        evidence.add_page(total, &records, &Hints::default(), |cursor, _| cursor);
        assert_eq!(evidence.verdict(&End::Reached), Verdict::Unproven(Unproven::TotalIsLowerBound));
    }

    #[test]
    fn a_hint_of_more_makes_a_read_without_a_total_suspicious() {
        let more = Hints { more: vec!["`has_more` is true".into()], ..Hints::default() };
        for (total, is_suspicious) in [(None, true), (Some(2), false), (Some(1), true)] {
            let mut evidence = Evidence::default();
            let (total, records) = keyed(total, &[1, 2]);
            evidence.add_page(total, &records, &more, |cursor, _| cursor);
            let verdict = evidence.verdict(&End::Reached);
            assert_eq!(matches!(verdict, Verdict::Suspicious(_)), is_suspicious, "{total:?}");
        }
    }

    #[test]
    fn another_record_in_the_place_of_the_last_one_shows_a_move() {
        for (overlap, has_moved) in [(None, false), (Some(2), false), (Some(1), true)] {
            let (total, first) = keyed(None, &[1, 2]);
            let mut second = keyed(None, &[3]).1;
            second.overlap = overlap;
            let evidence = evidence(&[(total, first), (None, second)]);
            for end in [End::Reached, End::LeftRange] {
                assert_eq!(evidence.verdict(&end) == Verdict::Moved, has_moved, "{overlap:?} {end:?}");
            }
        }
    }

    #[test]
    fn a_record_that_does_not_show_its_key_proves_nothing() {
        for (total, verdict) in [
            (3, Verdict::Unproven(Unproven::UnknownKeys)),
            (2, Verdict::Unproven(Unproven::TotalIsTooSmall)),
            (4, Verdict::Short("received fewer records than the total in every read")),
        ] {
            let mut pages = [keyed(Some(total), &[1, 2]), keyed(Some(total), &[9])];
            pages[1].1.records[0].is_anonymous = true;
            assert_eq!(evidence(&pages).verdict(&End::Reached), verdict, "{total}");
            let stored = evidence(&pages).to_stored();
            assert_eq!(Evidence::from_stored(&stored).verdict(&End::Reached), verdict, "{total}");
        }
    }

    #[test]
    fn a_version_with_another_cursor_is_no_conflict() {
        let mut pages = [page(None, &[(1, 5)]), page(None, &[(1, 6)])];
        pages[1].1.records[0].version = RecordVersion::new(6, Some(manifest::Cursor::Number(7)));
        assert!(evidence(&pages).verdict(&End::Reached).is_complete());
    }

    proptest! {
        /// Repeated records do not replace a missing one, and only an equal total proves a read.
        #[test]
        fn only_distinct_keys_count(keys in prop::collection::vec(0_u64..30, 0..60), total in 0_u64..40) {
            let distinct: HashSet<u64> = keys.iter().copied().collect();
            let evidence = evidence(&[keyed(Some(total), &keys)]);
            let verdict = evidence.verdict(&End::Reached);
            prop_assert_eq!(verdict == Verdict::Proven, distinct.len() as u64 == total);
            prop_assert_eq!(verdict.is_complete(), distinct.len() as u64 >= total);
        }

        /// A query that is resumed after any page has the same verdict as one that was read in one go.
        #[test]
        fn stored_evidence_judges_as_the_original(
            keys in prop::collection::vec(prop::collection::vec((0_u64..30, 0_u64..2), 0..6), 1..8),
            total in prop::option::of(0_u64..40),
            cut in 0_usize..8,
        ) {
            let pages: Vec<_> = keys.iter().map(|keys| page(total, keys)).collect();
            let cut = cut.min(pages.len());
            let stored = serde_json::to_string(&evidence(&pages[..cut]).to_stored()).unwrap();
            let mut resumed = Evidence::from_stored(&serde_json::from_str(&stored).unwrap());
            for (total, records) in &pages[cut..] {
                resumed.add_page(*total, records, &Hints::default(), |cursor, _| cursor);
            }
            prop_assert_eq!(resumed.verdict(&End::Reached), evidence(&pages).verdict(&End::Reached));
        }
    }
}
