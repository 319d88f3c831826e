//! A query while it is read.

use client::{Page, Position, Resumption};
use manifest::Cursor;

use crate::evidence::{Evidence, PageRecords};
use crate::state::QueryProgress;

/// A query while it is read: its evidence so far, and the position from which a later run can resume.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenQuery {
    evidence: Evidence,
    /// The position of the last page. `None` if the query cannot be resumed there.
    position: Option<Position>,
    /// The number of records received before that page.
    before: u64,
    /// The position from which the query was resumed, until its first page shows that the list has not changed.
    unchecked: Option<Position>,
}

/// Whether a page can be added to the evidence of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addition {
    /// The page was added.
    Added,
    /// The first page of a resumed query is not the page where the earlier run stopped.
    Moved,
}

impl OpenQuery {
    /// Creates a query that is read from its beginning, or that is resumed from `progress`. `total_limit` is the total at which the API stops
    /// counting.
    pub(super) fn new(progress: Option<&QueryProgress>, total_limit: Option<u64>) -> Self {
        let Some(progress) = progress else {
            return Self { evidence: Evidence::default().with_total_limit(total_limit), ..Self::default() };
        };
        Self {
            evidence: Evidence::from_stored(&progress.evidence).with_total_limit(total_limit),
            position: Some(progress.position.clone()),
            before: progress.before,
            unchecked: Some(progress.position.clone()),
        }
    }

    /// Returns the evidence.
    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Returns the evidence of a query that was read to its end.
    pub(super) fn into_evidence(self) -> Evidence {
        self.evidence
    }

    /// Returns the progress from which a later run resumes at the last page. `None` if the query cannot be resumed there.
    pub(super) fn progress(&self) -> Option<QueryProgress> {
        let position = self.position.clone()?;
        Some(QueryProgress { position, before: self.before, evidence: self.evidence.to_stored() })
    }

    /// Returns whether no page was received.
    pub(super) fn is_empty(&self) -> bool {
        self.evidence.pages() == 0
    }

    /// Returns whether the query was resumed, and no page has shown yet that the list has not changed.
    pub(super) fn is_unchecked(&self) -> bool {
        self.unchecked.is_some()
    }

    /// Adds a page. `records` are its records, and `newest` returns the furthest of two cursors.
    ///
    /// The first page of a resumed query was read by the earlier run, too. If its first record is another one that the earlier run did not
    /// receive, records before it were removed or moved to a later page, and others took their places.
    pub(super) fn add_page(
        &mut self,
        page: &PageFacts,
        records: &PageRecords,
        newest: impl Fn(Cursor, Option<Cursor>) -> Cursor,
    ) -> Addition {
        if let Some(resumed_from) = self.unchecked.take() {
            let Some(first) = records.records.first() else { return Addition::Moved };
            if page.position.as_ref() != Some(&resumed_from) {
                // The API has forgotten the position, and the query is read from its beginning.
                let limit = self.evidence.total_limit();
                *self = Self::new(None, limit);
            } else if self.evidence.has(first.key) {
                self.evidence.read_last_page_again(self.before);
            } else {
                return Addition::Moved;
            }
        }
        self.position = page.position.clone();
        self.before = self.evidence.received();
        self.evidence.add_page(page.total, records, &page.hints, newest);
        Addition::Added
    }
}

impl QueryProgress {
    /// Returns the values from which the reader resumes.
    pub(super) fn resumption(&self) -> Resumption {
        Resumption { position: self.position.clone(), before: self.before }
    }
}

/// What a page says about its query, beside its records.
#[derive(Clone, Debug)]
pub(super) struct PageFacts {
    total: Option<u64>,
    hints: client::Hints,
    position: Option<Position>,
}

impl PageFacts {
    /// Returns the facts of `page`.
    pub(super) fn of(page: &Page) -> Self {
        Self { total: page.total, hints: page.hints.clone(), position: page.position.clone() }
    }
}
