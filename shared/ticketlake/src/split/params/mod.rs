//! Queries deeper than the API serves, read in parts by the values of their parameters.
//!
//! A query with at most twice as many records as the API serves is read from both ends. A deeper one is split by one parameter after
//! another, and each part again in the same way. What proves it is a count at every level: the distinct keys that its parts brought,
//! against the total that the API gives for it. Records that no value brings (a venue without a country) show as a shortfall, which the
//! next parameter fills.

mod both_ends;
mod cells;
mod received;
mod stored_values;
mod values;
mod way;

use std::cell::RefCell;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt, stream};
use manifest::{Query, Resource, SplitBy};

use self::received::ReceivedRecords;
pub use self::stored_values::StoredValues;
use self::way::SplitWay;
use super::{FirstAnswer, SplitSource};
use crate::error::{Error, Stop};
use crate::state::{Checkpoint, FinishedPart};

/// Times that a query is read before it counts as incomplete.
pub const MAX_READS: u32 = 3;
/// Parts of one query that are asked for at a time.
const PARTS_AT_A_TIME: usize = 2;
/// Parts that the reason of a shortfall names.
const MAX_NAMED_PARTS: usize = 3;

/// Splits the queries of one resource by their parameters.
#[derive(Debug)]
pub struct ParamSplitter<'d, S> {
    /// The side that reads.
    pub source: &'d S,
    /// The resource.
    pub resource: &'d Resource,
    /// The values of parameters that are stored.
    pub stored: &'d StoredValues<'d>,
    /// What an earlier run read.
    pub earlier: &'d Checkpoint,
    /// The records that the API serves of one query.
    pub limit: u64,
    /// The records of a page.
    pub page_size: u64,
}

/// What was received of a query that was split.
#[derive(Debug)]
pub struct SplitResult {
    /// The records that the API says the query has.
    pub total: u64,
    /// The distinct records that its parts brought.
    pub received: u64,
    /// Whether they are all.
    pub proof: SplitProof,
}

/// Whether the records that were received are all.
#[derive(Debug)]
pub enum SplitProof {
    /// They are.
    Complete,
    /// The API does not count so far, and nothing else tells.
    Uncounted,
    /// They are not, for this reason.
    Short(String),
}

/// What was received of a query or of a part of one.
struct Gathered {
    total: u64,
    received: ReceivedRecords,
    proof: SplitProof,
}

/// A query while its parts are read.
struct Level<'l> {
    query: &'l Query,
    total: u64,
    /// Whether the API counts no further than `total`.
    uncounted: bool,
    /// Whether the query is no part of another one.
    outermost: bool,
    received: RefCell<ReceivedRecords>,
    /// The parts that are short, in words.
    short: RefCell<Vec<String>>,
}

impl Level<'_> {
    fn is_complete(&self) -> bool {
        !self.uncounted && self.received.borrow().len() >= self.total
    }
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads `query`, whose first page is `first`, in parts.
    pub async fn read(&self, query: &Arc<Query>, first: S::First) -> Result<SplitResult, Stop> {
        let Gathered { total, received, proof } = self.gather(query, first, true).boxed_local().await?;
        Ok(SplitResult { total, received: received.len(), proof })
    }

    /// Reads a part of `level`: `query`, which asks for `values` of `param`.
    async fn read_part(
        &self,
        level: &Level<'_>,
        (param, values): (&str, &[String]),
        query: Arc<Query>,
        first: S::First,
    ) -> Result<(), Stop> {
        let Gathered { total, received, proof } = self.gather(&query, first, false).boxed_local().await?;
        match proof {
            SplitProof::Complete => {
                let part = FinishedPart { param: param.to_owned(), values: values.to_vec(), keys: received.keys() };
                self.source.part_finished(level.query.id(), part);
            }
            SplitProof::Short(_) => {
                level.short.borrow_mut().push(format!("{} of {total} of `{}`", received.len(), query.label));
            }
            SplitProof::Uncounted => {}
        }
        level.received.borrow_mut().extend(received);
        Ok(())
    }

    /// Reads `query`. `outermost`: it is no part of another one.
    async fn gather(&self, query: &Arc<Query>, first: S::First, outermost: bool) -> Result<Gathered, Stop> {
        let total = first.records_of_query();
        if total > self.capacity() {
            return self.split(query, first, ReceivedRecords::default(), outermost).await;
        }
        let (received, complete) = self.read_both_ends(query, first).await?;
        if complete {
            return Ok(Gathered { total, received, proof: SplitProof::Complete });
        }
        match self.source.first_page(query).await? {
            // The two ends do not meet, as records that are equal in the order change places between two requests.
            Some(first) if total > self.limit => self.split(query, first, received, outermost).await,
            _ => {
                let reason = "every reading gave fewer records than the API says it has";
                Ok(Gathered { total, received, proof: SplitProof::Short(reason.into()) })
            }
        }
    }

    /// The records that one query gives from both of its ends.
    fn capacity(&self) -> u64 {
        if self.resource.slices.reverse.is_empty() { self.limit } else { 2 * self.limit }
    }

    /// Whether the API counts no further than `total`.
    fn is_uncounted(&self, total: u64) -> bool {
        self.resource.endpoint.total_limit.is_some_and(|limit| total >= limit)
    }

    /// The first page of a part; `None`: the API does not take the value. What it would have brought shows as a shortfall.
    async fn probe(&self, query: &Arc<Query>) -> Result<Option<S::First>, Stop> {
        match self.source.first_page(query).await {
            Err(Stop::Error(Error::Client(error @ client::Error::Api { retryable: false, .. }))) => {
                tracing::warn!(query = query.label, "{error}");
                Ok(None)
            }
            probed => probed,
        }
    }

    /// Records of `query` in no order, where the API gives them so.
    async fn sample(&self, query: &Query) -> Result<Option<S::First>, Stop> {
        let params = &self.resource.slices.sample;
        if params.is_empty() {
            return Ok(None);
        }
        let mut unordered = query.clone();
        unordered.params.extend(params.clone());
        self.probe(&Arc::new(unordered)).await
    }

    /// Reads `query` by its parts; `received` was received before.
    ///
    /// If the API gives no exact total, every way is tried to its end, but only for the outermost query: what lies in none of the parts of a
    /// part is found there too. The query is complete then when neither the values nor the places add anything.
    async fn split(
        &self,
        query: &Arc<Query>,
        first: S::First,
        received: ReceivedRecords,
        outermost: bool,
    ) -> Result<Gathered, Stop> {
        let total = first.records_of_query();
        let level = Level {
            query,
            total,
            uncounted: self.is_uncounted(total),
            outermost,
            received: RefCell::new(received),
            short: RefCell::default(),
        };
        level.received.borrow_mut().add(self.resource, first.records());
        self.take_earlier_parts(&level);
        let sample = self.sample(query).await?;
        let records = sample.as_ref().map_or(first.records(), S::First::records);
        level.received.borrow_mut().add(self.resource, records);
        let ways = self.ways(query, records, total).await.map_err(Stop::Error)?;
        if ways.is_empty() {
            // As far as the API serves it.
            let (received, _) = self.read_both_ends(query, first).await?;
            level.received.borrow_mut().extend(received);
            return Ok(self.sum(level, total));
        }
        for first in [Some(first), sample].into_iter().flatten() {
            self.source.store_page(query, first.into_page()).await?;
        }
        self.read_ways(level, query, ways).await
    }

    /// Reads a query by one way after the other, until it is complete.
    async fn read_ways(&self, level: Level<'_>, query: &Arc<Query>, ways: Vec<SplitWay>) -> Result<Gathered, Stop> {
        let mut least = level.total;
        for (rank, way) in ways.into_iter().enumerate() {
            let param = &self.resource.slices.then[way.param()].param;
            let (total, received) = (level.total, level.received.borrow().len());
            tracing::info!(query = query.label, total, received, "too deep; splitting it by {param}");
            match way {
                SplitWay::Values { param, groups, rest } => {
                    self.read_values(&level, param, groups, rank > 0).await?;
                    if let (Some(rest), 0) = (rest, rank) {
                        // With what has none of these values it is all, whatever the API counts.
                        self.read_values(&level, param, vec![rest], false).await?;
                        if level.short.borrow().is_empty() {
                            let received = level.received.into_inner();
                            let total = if level.uncounted { received.len() } else { level.total };
                            let total = total.min(received.len());
                            return Ok(Gathered { total, received, proof: SplitProof::Complete });
                        }
                    }
                }
                SplitWay::Cells { param } => self.read_cells(&level, param, rank > 0).await?,
            }
            if level.is_complete() || (level.uncounted && !level.outermost) {
                break;
            }
            if level.uncounted {
                continue;
            }
            // The query may have shrunk meanwhile.
            let first = self.source.first_page(query).await?;
            least = first.as_ref().map_or(least, |first| least.min(first.records_of_query()));
            if level.received.borrow().len() >= least {
                break;
            }
        }
        Ok(self.sum(level, least))
    }

    /// What was received of a query whose ways have all been read.
    fn sum(&self, level: Level<'_>, total: u64) -> Gathered {
        let received = level.received.into_inner();
        let short = level.short.into_inner();
        if level.uncounted && short.is_empty() {
            return Gathered { total: received.len(), received, proof: SplitProof::Uncounted };
        }
        if !level.uncounted && received.len() >= total {
            return Gathered { total, received, proof: SplitProof::Complete };
        }
        let params: Vec<&str> = self.resource.slices.then.iter().map(|split| split.param.as_str()).collect();
        let mut reason = match params.as_slice() {
            [] => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                self.capacity()
            ),
            params => format!(
                "its parts by {} have {} of {total} records: the others have none of the values that it can be split by; narrow it with `params`",
                params.join(", "),
                received.len()
            ),
        };
        if !short.is_empty() {
            let named = &short[..short.len().min(MAX_NAMED_PARTS)];
            reason = format!("{reason} (incomplete: {} parts, {})", short.len(), named.join(", "));
        }
        Gathered { total, received, proof: SplitProof::Short(reason) }
    }

    /// Adds the keys that an earlier run read of the query's parts.
    fn take_earlier_parts(&self, level: &Level<'_>) {
        for part in self.earlier.parts(level.query.id()) {
            self.source.part_resumed();
            level.received.borrow_mut().add_keys(&part.keys);
        }
    }

    /// Reads a query by the values of parameter number `param`. `fills`: to fill what another parameter left out.
    async fn read_values(
        &self,
        level: &Level<'_>,
        param: usize,
        parts: Vec<Vec<String>>,
        fills: bool,
    ) -> Result<(), Stop> {
        let split = &self.resource.slices.then[param];
        let SplitBy::Values(values) = &split.by else { return Ok(()) };
        let read = async |part: Vec<String>| {
            if level.is_complete() || part.is_empty() {
                return Ok(());
            }
            let query = Arc::new(level.query.with_values(&split.param, &part));
            let Some(first) = self.probe(&query).await? else { return Ok(()) };
            let total = first.records_of_query();
            if total == 0 || (fills && level.received.borrow().having(param, &part) >= total) {
                return Ok(());
            }
            if fills && total > self.capacity() && values.path.is_none() {
                // It would be split as the whole was, with the same shortfall.
                return Ok(());
            }
            self.read_part(level, (&split.param, &part), query, first).await
        };
        stream::iter(parts.into_iter().map(Ok)).try_for_each_concurrent(PARTS_AT_A_TIME, read).await
    }
}
