//! Splits queries that are too deep into subqueries, by the values of their parameters.
//!
//! A query with at most twice as many records as the API serves is read from both ends. A deeper one is split by one parameter after
//! another, and each subquery in the same way. A split query is complete if the number of distinct keys of its subqueries is its total.
//! Records without a value of the parameter (a venue without a country) show as a shortfall, and are read by the next parameter.

mod both_ends;
mod cells;
mod received;
mod stored_values;
mod values;
mod way;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt, stream};
use manifest::{Query, Resource, SplitBy};

use self::received::ReceivedRecords;
pub use self::stored_values::StoredValues;
use self::way::SplitWay;
use super::{FirstAnswer, SplitSource};
use crate::error::{Error, Stop};
use crate::state::{Checkpoint, FinishedSubquery};

/// The number of subqueries that are read at the same time.
const SUBQUERIES_AT_A_TIME: usize = 2;
/// The greatest number of incomplete subqueries that a message names.
const MAX_NAMED_SUBQUERIES: usize = 3;

/// Splits the queries of one resource by their parameters.
#[derive(Debug)]
pub struct ParamSplitter<'d, S> {
    /// The source of pages.
    pub source: &'d S,
    /// The resource.
    pub resource: &'d Resource,
    /// The stored values of parameters.
    pub stored: &'d StoredValues<'d>,
    /// The checkpoint of an earlier run.
    pub earlier: &'d Checkpoint,
    /// The greatest number of records that the API serves for one query.
    pub limit: u64,
    /// The number of records on a page.
    pub page_size: u64,
}

/// The result of a query that was split.
#[derive(Debug)]
pub struct SplitResult {
    /// The total of the query.
    pub total: u64,
    /// The number of distinct records received.
    pub received: u64,
    /// Whether these are all records.
    pub proof: SplitProof,
}

/// Whether all records of a query were received.
#[derive(Debug)]
pub enum SplitProof {
    /// All records were received.
    Complete,
    /// The total is only a lower bound. All subqueries are complete: one for each value, and one for the records without these values.
    ByValues,
    /// The total is only a lower bound, and no subquery is short.
    NoExactTotal,
    /// As many records were received as the query has at the end, and it had more at the beginning.
    TotalChanged,
    /// Records are missing, for this reason.
    Short(String),
}

/// The records received of a query or subquery.
struct QueryResult {
    total: u64,
    received: ReceivedRecords,
    proof: SplitProof,
}

/// A query while its subqueries are read.
struct SplitQuery<'l> {
    query: &'l Query,
    total: u64,
    /// Whether `total` is only a lower bound.
    is_total_inexact: bool,
    /// Whether the query is not a subquery of another one.
    outermost: bool,
    received: RefCell<ReceivedRecords>,
    /// A description of each subquery that is short.
    short: RefCell<Vec<String>>,
    /// Whether the API rejected a subquery or has no exact total of one: the subqueries together prove nothing then.
    unproven: Cell<bool>,
}

impl SplitQuery<'_> {
    /// Returns whether all records were received.
    fn is_complete(&self) -> bool {
        !self.is_total_inexact && self.received.borrow().len() >= self.total
    }
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads `query`, whose first page is `first`, by subqueries if it is too deep.
    pub async fn read(&self, query: &Arc<Query>, first: S::First) -> Result<SplitResult, Stop> {
        let QueryResult { total, received, proof } = self.read_query(query, first, true).boxed_local().await?;
        Ok(SplitResult { total, received: received.len(), proof })
    }

    /// Reads `query`, the subquery of `level` by `values` of `param`.
    async fn read_subquery(
        &self,
        level: &SplitQuery<'_>,
        (param, values): (&str, &[String]),
        query: Arc<Query>,
        first: S::First,
    ) -> Result<(), Stop> {
        let QueryResult { total, received, proof } = self.read_query(&query, first, false).boxed_local().await?;
        match proof {
            SplitProof::Complete | SplitProof::ByValues => {
                let part = FinishedSubquery { param: param.to_owned(), values: values.to_vec(), keys: received.keys() };
                self.source.subquery_finished(level.query.id(), part);
            }
            SplitProof::Short(_) => {
                level.short.borrow_mut().push(format!("{} of {total} of `{}`", received.len(), query.label));
            }
            SplitProof::TotalChanged => {}
            SplitProof::NoExactTotal => level.unproven.set(true),
        }
        level.received.borrow_mut().extend(received);
        Ok(())
    }

    /// Reads `query`, which is `outermost` if it is not a subquery of another one.
    async fn read_query(&self, query: &Arc<Query>, first: S::First, outermost: bool) -> Result<QueryResult, Stop> {
        let total = first.records_of_query();
        if total > self.capacity() || self.is_inexact(total) {
            return self.split(query, first, ReceivedRecords::default(), outermost).await;
        }
        let (received, complete) = self.read_both_ends(query, first).await?;
        if complete {
            return Ok(QueryResult { total, received, proof: SplitProof::Complete });
        }
        match self.source.first_page(query).await? {
            // The two ends do not meet: records that are equal in the order can change places between two requests.
            Some(first) if total > self.limit => self.split(query, first, received, outermost).await,
            _ => {
                let reason = "received fewer records than the total in every read";
                Ok(QueryResult { total, received, proof: SplitProof::Short(reason.into()) })
            }
        }
    }

    /// Returns the greatest number of records that can be read of one query, from both ends if the order can be reversed.
    fn capacity(&self) -> u64 {
        if self.resource.slices.reverse.is_empty() { self.limit } else { 2 * self.limit }
    }

    /// Returns whether `total` is only a lower bound.
    fn is_inexact(&self, total: u64) -> bool {
        self.resource.endpoint.total_limit.is_some_and(|limit| total >= limit)
    }

    /// Requests the first page of a subquery. `None` if the API rejects the value; its records then show as a shortfall.
    async fn probe(&self, query: &Arc<Query>) -> Result<Option<S::First>, Stop> {
        match self.source.first_page(query).await {
            Err(Stop::Error(Error::Client(error @ client::Error::Api { retryable: false, .. }))) => {
                tracing::warn!(query = query.label, "{error}");
                Ok(None)
            }
            first_page => first_page,
        }
    }

    /// Requests records of `query` in random order, if the API supports that.
    async fn sample(&self, query: &Query) -> Result<Option<S::First>, Stop> {
        let params = &self.resource.slices.sample;
        if params.is_empty() {
            return Ok(None);
        }
        let mut unordered = query.clone();
        unordered.params.extend(params.clone());
        self.probe(&Arc::new(unordered)).await
    }

    /// Reads `query` by subqueries; `received` was received before.
    ///
    /// If the API gives no exact total, every way is read to its end, but only for the outermost query, whose ways also find the records
    /// that a subquery misses. The query is then complete if the last way finds no further record.
    async fn split(
        &self,
        query: &Arc<Query>,
        first: S::First,
        received: ReceivedRecords,
        outermost: bool,
    ) -> Result<QueryResult, Stop> {
        let total = first.records_of_query();
        let level = SplitQuery {
            query,
            total,
            is_total_inexact: self.is_inexact(total),
            outermost,
            received: RefCell::new(received),
            short: RefCell::default(),
            unproven: Cell::new(false),
        };
        level.received.borrow_mut().add(self.resource, first.records());
        self.add_earlier_subqueries(&level);
        let sample = self.sample(query).await?;
        let records = sample.as_ref().map_or(first.records(), S::First::records);
        level.received.borrow_mut().add(self.resource, records);
        let ways = self.ways(query, records, total).await.map_err(Stop::Error)?;
        if let Some(sample) = sample {
            self.source.store_page(query, sample.into_page()).await?;
        }
        if ways.is_empty() {
            // The query cannot be split, and is read as far as the API serves it.
            let (received, _) = self.read_both_ends(query, first).await?;
            level.received.borrow_mut().extend(received);
            return Ok(self.conclude(level, total, false));
        }
        self.source.store_page(query, first.into_page()).await?;
        self.read_ways(level, query, ways).await
    }

    /// Reads a query by one way after the other until it is complete.
    async fn read_ways(
        &self,
        level: SplitQuery<'_>,
        query: &Arc<Query>,
        ways: Vec<SplitWay>,
    ) -> Result<QueryResult, Stop> {
        let mut least_total = level.total;
        for (rank, way) in ways.into_iter().enumerate() {
            let param = &self.resource.slices.then[way.param()].param;
            let (total, received) = (level.total, level.received.borrow().len());
            tracing::info!(query = query.label, total, received, "too deep; splitting it by {param}");
            match way {
                SplitWay::Values { param, groups, rest } => {
                    self.read_values(&level, param, groups, rank > 0).await?;
                    if let (Some(rest), 0) = (rest, rank) {
                        self.read_values(&level, param, vec![rest], false).await?;
                        if level.is_total_inexact && level.short.borrow().is_empty() && !level.unproven.get() {
                            let received = level.received.into_inner();
                            return Ok(QueryResult { total: received.len(), received, proof: SplitProof::ByValues });
                        }
                    }
                }
                SplitWay::Cells { param } => self.read_cells(&level, param, rank > 0).await?,
            }
            let reaches_total = level.received.borrow().len() >= level.total;
            if level.is_complete() || (level.is_total_inexact && !level.outermost && reaches_total) {
                break;
            }
            if level.is_total_inexact {
                continue;
            }
            // Records may have been removed since the first page.
            let first = self.source.first_page(query).await?;
            least_total = first.as_ref().map_or(least_total, |first| least_total.min(first.records_of_query()));
            if level.received.borrow().len() >= least_total {
                break;
            }
        }
        Ok(self.conclude(level, least_total, true))
    }

    /// Returns the result of a query whose ways have all been read. `by_subqueries` is set if it had any.
    ///
    /// An inexact total is a lower bound: a query with fewer records than that is short.
    fn conclude(&self, level: SplitQuery<'_>, total: u64, by_subqueries: bool) -> QueryResult {
        let received = level.received.into_inner();
        let short = level.short.into_inner();
        if level.is_total_inexact && by_subqueries && short.is_empty() && received.len() >= total {
            return QueryResult { total: received.len(), received, proof: SplitProof::NoExactTotal };
        }
        if !level.is_total_inexact && received.len() >= total {
            // Of the records that were removed meanwhile, some were received, and would stand for others that were not.
            let proof = if total < level.total { SplitProof::TotalChanged } else { SplitProof::Complete };
            return QueryResult { total, received, proof };
        }
        let params: Vec<&str> = self.resource.slices.then.iter().map(|split| split.param.as_str()).collect();
        let mut reason = match params.as_slice() {
            [] => format!(
                "the API serves at most {} records of one query; narrow it with `from` and `to` or `params`",
                self.capacity()
            ),
            params => format!(
                "received {1} of {total} records by {0}: the others have none of the known values of these parameters; narrow it with `params`",
                params.join(", "),
                received.len()
            ),
        };
        if !short.is_empty() {
            let named = &short[..short.len().min(MAX_NAMED_SUBQUERIES)];
            reason = format!("{reason} (incomplete: {} subqueries, {})", short.len(), named.join(", "));
        }
        QueryResult { total, received, proof: SplitProof::Short(reason) }
    }

    /// Adds the keys of the subqueries that an earlier run read.
    fn add_earlier_subqueries(&self, level: &SplitQuery<'_>) {
        for part in self.earlier.subqueries(level.query.id()) {
            self.source.subquery_resumed(part);
            level.received.borrow_mut().add_keys(&part.keys);
        }
    }

    /// Reads a query by groups of values of the parameter number `param`. `fills_shortfall` is set if another parameter was read before:
    /// subqueries that can add nothing are then skipped.
    async fn read_values(
        &self,
        level: &SplitQuery<'_>,
        param: usize,
        groups: Vec<Vec<String>>,
        fills_shortfall: bool,
    ) -> Result<(), Stop> {
        let split = &self.resource.slices.then[param];
        let SplitBy::Values(values) = &split.by else { return Ok(()) };
        let read = async |group: Vec<String>| {
            if level.is_complete() || group.is_empty() {
                return Ok(());
            }
            let query = Arc::new(level.query.with_values(&split.param, &group));
            let Some(first) = self.probe(&query).await? else {
                level.unproven.set(true);
                return Ok(());
            };
            let total = first.records_of_query();
            if total == 0 || (fills_shortfall && level.received.borrow().count_with(param, &group) >= total) {
                return Ok(());
            }
            if fills_shortfall && total > self.capacity() && values.path.is_none() {
                // The subquery would be split as the query was, with the same shortfall.
                return Ok(());
            }
            self.read_subquery(level, (&split.param, &group), query, first).await
        };
        stream::iter(groups.into_iter().map(Ok)).try_for_each_concurrent(SUBQUERIES_AT_A_TIME, read).await
    }
}
