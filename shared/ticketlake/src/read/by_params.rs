//! Reads the queries of a plan that are split by their parameters.

use std::collections::HashSet;
use std::sync::Arc;

use client::FirstPage;
use manifest::Query;

use super::PlanReading;
use super::split_reading::SplitReading;
use crate::error::Stop;
use crate::evidence::{Evidence, ProvenQuery, SplitEvidence, Unproven, Verdict};
use crate::plan::PlannedQuery;
use crate::report::IncompleteQuery;
use crate::split::SplitSource;
use crate::split::params::{ParamSplitter, SplitProof, SplitResult};
use crate::state::FinishedQuery;

/// A query that was read by subqueries and is complete.
pub(super) struct SubqueryRead {
    pub(super) proof: ProvenQuery,
    /// The hashes of the keys of its records.
    pub(super) keys: HashSet<u64>,
}

impl PlanReading<'_, '_, '_> {
    /// Reads a query, by subqueries if it is too deep.
    pub(super) async fn split_by_params(&self, planned: PlannedQuery<'_>) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        match SplitReading::new(self).first_page(&query).await {
            Ok(Some(first)) => {
                if let Some(SubqueryRead { proof, .. }) = self.read_subqueries(&query, first).await? {
                    self.finish_split(&query, proof);
                }
                Ok(())
            }
            Ok(None) => {
                self.failures.set(0);
                self.finish_split(&query, ProvenQuery { records: 0, unproven: Some(Unproven::Ignored) });
                Ok(())
            }
            Err(stop) => self.record_stop(&query.label, &Evidence::default(), stop),
        }
    }

    /// Records that a query that was split is complete.
    fn finish_split(&self, query: &Query, proof: ProvenQuery) {
        self.record_complete(&query.label, None, proof);
        self.checkpoint.borrow_mut().finish(query.id(), FinishedQuery { proof, evidence: None });
    }

    /// Reads `query`, by subqueries if it is too deep. Returns `None` if it is incomplete.
    pub(super) async fn read_subqueries(
        &self,
        query: &Arc<Query>,
        first: FirstPage,
    ) -> Result<Option<SubqueryRead>, Stop> {
        let limit = self.served_limit().unwrap_or_default();
        let source = SplitReading::new(self);
        let splitter = ParamSplitter {
            source: &source,
            resource: self.ctx.resource,
            stored: self.stored,
            earlier: &self.earlier,
            limit,
            page_size: self.reader.page_size().unwrap_or(limit),
        };
        let is_counted = first.total().is_some();
        let before = self.total_before(query, &first, limit);
        let SplitResult { total, received, proof } = match splitter.read(query, first).await {
            Ok(result) => result,
            Err(stop) => return self.record_stop(&query.label, &Evidence::default(), stop).map(|()| None),
        };
        self.failures.set(0);
        self.outcome.borrow_mut().add_total(Some(total));
        let has_anonymous = source.has_anonymous();
        let keys = match source.into_keys() {
            Ok(keys) => keys,
            Err(verdict) => {
                self.record_incomplete_split(query, (total, received), self.reason(verdict));
                return Ok(None);
            }
        };
        if let SplitProof::Short(reason) = proof {
            self.record_short_split(query, (total, received), reason);
            return Ok(None);
        }
        let mut evidence = SplitEvidence { keys, before, after: None };
        let verdict = match self.judge_split(query, &mut evidence, &proof).await {
            Ok(verdict) => verdict,
            Err(stop) => return self.record_stop(&query.label, &Evidence::default(), stop).map(|()| None),
        };
        let verdict = match verdict {
            // A response without a total, which a gateway may have dropped with its header, proves nothing.
            Verdict::Proven if !is_counted => Verdict::Unproven(Unproven::NoTotal),
            Verdict::Proven if has_anonymous => Verdict::Unproven(Unproven::UnknownKeys),
            verdict => verdict,
        };
        match ProvenQuery::new(&verdict, received) {
            Some(proof) => Ok(Some(SubqueryRead { proof, keys: evidence.keys })),
            None => {
                self.record_short_split(query, (total, received), self.reason(verdict));
                Ok(None)
            }
        }
    }

    /// Gives the verdict on a query of which no subquery is short. Its total is requested again if it was split.
    async fn judge_split(
        &self,
        query: &Arc<Query>,
        evidence: &mut SplitEvidence,
        proof: &SplitProof,
    ) -> Result<Verdict, Stop> {
        match proof {
            SplitProof::Complete if evidence.before.is_some() => {
                evidence.after = self.total_of(query).await?;
                Ok(evidence.verdict(self.ctx.resource.endpoint.total_limit))
            }
            SplitProof::Complete => Ok(Verdict::Proven),
            SplitProof::TotalChanged => Ok(Verdict::Unproven(Unproven::TotalChanged)),
            SplitProof::ByValues | SplitProof::NoExactTotal | SplitProof::Short(_) => {
                Ok(Verdict::Unproven(Unproven::TotalIsLowerBound))
            }
        }
    }

    /// Returns the total of a query before its first subquery was read, by this run or by an earlier one. `None` if the query is not split.
    fn total_before(&self, query: &Query, first: &FirstPage, limit: u64) -> Option<u64> {
        let total = first.total().filter(|total| *total > limit);
        let before = self.earlier.split_total(query.id()).or(total);
        if let Some(before) = before {
            self.checkpoint.borrow_mut().set_split_total(query.id(), before);
        }
        before
    }

    /// Records that a query is incomplete although it was read to its end. The next run reads all its subqueries again, since it is not known
    /// which of them lacks records.
    fn record_short_split(&self, query: &Query, counts: (u64, u64), reason: String) {
        self.checkpoint.borrow_mut().clear_subqueries();
        self.record_incomplete_split(query, counts, reason);
    }

    /// Records that a query that was split is incomplete: it has `total` records, and `received` were received.
    pub(super) fn record_incomplete_split(&self, query: &Query, (total, received): (u64, u64), reason: String) {
        tracing::warn!(query = query.label, total, received, "{reason}");
        let incomplete = IncompleteQuery { query: query.label.clone(), total: Some(total), received, reason };
        self.outcome.borrow_mut().queries.incomplete.push(incomplete);
    }
}
