//! Reads the queries of a plan that are not split, each to its end, and again if records can be missing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use client::{End, Page, Pages};
use manifest::Query;

use super::open_query::{Addition, OpenQuery, PageFacts};
use super::{PlanReading, ReadQuery};
use crate::error::Stop;
use crate::evidence::{ProvenQuery, Unproven, Verdict};
use crate::plan::PlannedQuery;
use crate::state::{FinishedQuery, QueryProgress};

/// The end of one read of a query.
pub(super) enum ReadEnd {
    /// The verdict on its evidence.
    Judged(Verdict),
    /// The query failed, or a limit of the run was reached.
    Stopped(Stop),
}

impl PlanReading<'_, '_, '_> {
    /// Reads the query number `index` of the plan, and resumes it where an earlier run stopped.
    pub(super) async fn read_unsplit(&self, index: usize, planned: PlannedQuery<'_>) -> Result<(), Stop> {
        let query = Arc::new(planned.query);
        let id = query.id();
        let mut progress = self.earlier.progress(id);
        let mut reads = 0;
        loop {
            let earlier = progress.take();
            let is_resumed = earlier.is_some();
            let open = Rc::new(RefCell::new(OpenQuery::new(earlier, self.ctx.resource.endpoint.total_limit)));
            self.open.borrow_mut().insert(id, Rc::clone(&open));
            let mut pages = self.reader.pages(&query, earlier.map(QueryProgress::resumption));
            let end = self.read_pages(&query, &mut pages, &open, &|_| {}).await?;
            let evidence = open.borrow().evidence().clone();
            let verdict = match end {
                ReadEnd::Stopped(stop) => return self.record_stop(&query.label, &evidence, stop),
                ReadEnd::Judged(verdict) => verdict,
            };
            self.failures.set(0);
            if is_resumed && !verdict.is_complete() && verdict != Verdict::TooDeep {
                tracing::info!(
                    query = query.label,
                    "the list has changed since the earlier run; reading the query from its beginning"
                );
                continue;
            }
            reads += 1;
            if verdict.is_read_again(reads) {
                tracing::warn!(query = query.label, ?verdict, "records may be missing; reading the query again");
                continue;
            }
            self.open.borrow_mut().remove(&id);
            let Some(proof) = ProvenQuery::new(&verdict, evidence.distinct()) else {
                self.checkpoint.borrow_mut().clear_progress(id);
                self.record_incomplete(&query.label, &evidence, self.reason(verdict));
                return Ok(());
            };
            self.record_complete(&query.label, evidence.total(), proof);
            let records = self.sink.lock().await.ingest.remembers_siblings().then(|| evidence.to_stored());
            self.checkpoint.borrow_mut().finish(id, FinishedQuery { proof, evidence: records });
            let newest = evidence.newest();
            self.outcome.borrow_mut().finished.push(ReadQuery { index, newest });
            return Ok(());
        }
    }

    /// Reads the pages of `query` and ingests each while the next one is requested. `observe` is called with every page. The error is one of
    /// ingesting.
    pub(super) async fn read_pages(
        &self,
        query: &Arc<Query>,
        pages: &mut Pages<'_>,
        open: &RefCell<OpenQuery>,
        observe: &dyn Fn(&Page),
    ) -> Result<ReadEnd, Stop> {
        let mut next = pages.next().await;
        loop {
            let page = match next {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(stop) => return Ok(ReadEnd::Stopped(stop.into())),
            };
            observe(&page);
            let ingest = self.ingest_page(query, page, open);
            let (following, ingested) = futures::join!(pages.next(), ingest);
            if ingested? == Addition::Moved {
                return Ok(ReadEnd::Judged(Verdict::Moved));
            }
            if open.borrow().evidence().is_in_circles() {
                return Ok(ReadEnd::Judged(open.borrow().evidence().circle_verdict()));
            }
            next = following;
        }
        if open.borrow().is_unchecked() {
            return Ok(ReadEnd::Judged(Verdict::Moved));
        }
        let end = pages.end().cloned().unwrap_or(End::Reached);
        let verdict = open.borrow().evidence().verdict(&end);
        if open.borrow().is_empty() && end == End::Reached {
            // The first response is one that the manifest ignores.
            return Ok(ReadEnd::Judged(Verdict::Unproven(Unproven::Ignored)));
        }
        Ok(ReadEnd::Judged(match verdict {
            Verdict::Unproven(Unproven::NoTotal) if self.reader.lacks_paginator() => {
                Verdict::Unproven(Unproven::NoPaginator)
            }
            verdict => verdict,
        }))
    }

    /// Ingests one page and adds it to the evidence of its query. The checkpoint is saved if all rows so far are stored.
    pub(super) async fn ingest_page(
        &self,
        query: &Arc<Query>,
        page: Page,
        open: &RefCell<OpenQuery>,
    ) -> Result<Addition, Stop> {
        let facts = PageFacts::of(&page);
        // The lock is held until the checkpoint is saved, so that the checkpoint names stored rows only.
        let mut sink = self.sink.lock().await;
        let ingested = sink.ingest.page(page, query).await.inspect_err(|_| self.outcome.borrow_mut().finished.clear());
        let ingested = ingested.map_err(Stop::Error)?;
        let furthest = |cursor, other| self.furthest(cursor, other);
        let addition = open.borrow_mut().add_page(&facts, &ingested.records, furthest);
        if let Some(newest) = ingested.records.newest {
            let mut outcome = self.outcome.borrow_mut();
            outcome.newest = Some(self.furthest(newest, outcome.newest));
        }
        if ingested.flushed {
            self.save_checkpoint(&mut sink).await?;
        }
        Ok(addition)
    }
}
