//! Queries deeper than the API serves, read in parts by the values of their parameters.
//!
//! What is not twice as deep as the limit is read from both ends. What is deeper is cut by one parameter after another, each part
//! again in the same way. The proof is a count at every level: the distinct keys that its parts brought, against the total that
//! the API gives for it. What some values do not bring (a venue without a country) shows as a lack, which the next parameter fills.

mod came;
mod cells;
mod leaf;
mod ways;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use self::came::Came;
pub(crate) use self::ways::Stored;
use self::ways::Way;
use crate::error::Error;
use client::Stop;
use client::paginate::{First, Message, News, Reader};
use manifest::{By, Resource};
use crate::plan::Slice;
use crate::state::Checkpoint;

/// Parts of one query that are asked for at a time.
const SIDE_BY_SIDE: usize = 2;
/// Parts that a lack's reason names.
const MOST_NAMED: usize = 3;

/// How the queries of one resource are cut.
pub(super) struct Cutting<'d, 'r> {
    pub(super) reader: &'d Reader<'r>,
    pub(super) resource: &'d Resource,
    pub(super) stored: &'d Stored<'d>,
    /// What an earlier invocation read.
    pub(super) earlier: &'d Checkpoint,
    pub(super) news: &'d mpsc::Sender<Message>,
    /// The numbers that parts take.
    pub(super) numbers: &'d Cell<usize>,
    /// Parts that an earlier invocation read.
    pub(super) skipped: &'d Cell<usize>,
    /// Records that the API serves of one query.
    pub(super) limit: u64,
    /// Records of a page.
    pub(super) page: u64,
}

/// What came of a query.
struct Gathered {
    total: u64,
    came: Came,
    proof: Proof,
}

/// Whether what came is all.
enum Proof {
    Whole,
    /// The API does not count so far, and nobody else did.
    Unknown,
    /// It is not, for this reason.
    Lacks(String),
}

/// A query while its parts are read.
struct Level<'l> {
    slice: &'l Slice,
    total: u64,
    /// Whether the API counts no further than `total`.
    uncounted: bool,
    came: RefCell<Came>,
    /// Parts that are not whole.
    lacking: RefCell<Vec<String>>,
}

impl Level<'_> {
    fn is_whole(&self) -> bool {
        !self.uncounted && self.came.borrow().len() >= self.total
    }
}

impl Cutting<'_, '_> {
    /// Reads query number `index` of the plan, whose first page is `first`, and says what came of it.
    pub(super) async fn read(&self, index: usize, slice: Arc<Slice>, first: First) {
        let news = match self.gather(index, &slice, first, true).boxed_local().await {
            Ok(Gathered { total, came, proof }) => {
                let uncounted = matches!(proof, Proof::Unknown);
                let lack = if let Proof::Lacks(reason) = proof { Some(reason) } else { None };
                News::Sum { total, came: came.len(), lack, uncounted }
            }
            Err(stop) => News::End(Err(stop)),
        };
        self.tell(index, &slice, news).await;
    }

    /// As [`Cutting::read`], of a part.
    async fn part(&self, level: &Level<'_>, slice: Arc<Slice>, first: First) -> Result<(), Stop> {
        let number = self.numbers.replace(self.numbers.get() + 1);
        let Gathered { total, came, proof } = self.gather(number, &slice, first, false).boxed_local().await?;
        let whole = matches!(proof, Proof::Whole).then(|| came.keys());
        if let Proof::Lacks(_) = proof {
            level.lacking.borrow_mut().push(format!("{} of {total} of `{}`", came.len(), slice.name));
        }
        level.came.borrow_mut().extend(came);
        self.tell(number, &slice, News::Part(whole)).await;
        Ok(())
    }

    /// Records of `slice` in no order, where the API gives them so.
    async fn sample(&self, slice: &Slice) -> Result<Option<First>, Stop> {
        let params = &self.resource.slices.sample;
        if params.is_empty() {
            return Ok(None);
        }
        let mut mixed = slice.clone();
        mixed.params.extend(params.clone());
        self.probe(&Arc::new(mixed)).await
    }

    /// The first page of a part; `None`: the API does not take the value. What it would have brought is missed where the numbers do not
    /// add up.
    async fn probe(&self, slice: &Arc<Slice>) -> Result<Option<First>, Stop> {
        match self.reader.first(slice, self.news).await {
            Err(Stop::Error(error @ Error::Api { retryable: false, .. })) => {
                tracing::warn!(slice = slice.name, "{error}");
                Ok(None)
            }
            probed => probed,
        }
    }

    /// Whether the API counts no further than `total`.
    fn is_uncounted(&self, total: u64) -> bool {
        self.resource.endpoint.total_limit.is_some_and(|limit| total >= limit)
    }

    async fn tell(&self, index: usize, slice: &Arc<Slice>, news: News) {
        let _ = self.news.send(Message { index, slice: Arc::clone(slice), news }).await;
    }

    /// Reads `slice`. `root`: it is no part of another query.
    async fn gather(&self, number: usize, slice: &Arc<Slice>, first: First, root: bool) -> Result<Gathered, Stop> {
        let total = total(&first);
        if total > self.capacity() {
            return self.deep(number, slice, first, Came::default(), root).await;
        }
        let (came, whole) = self.leaf(number, slice, first).await?;
        if whole {
            return Ok(Gathered { total, came, proof: Proof::Whole });
        }
        match self.reader.first(slice, self.news).await? {
            // The two ends do not meet, as equals change places between two requests.
            Some(first) if total > self.limit => self.deep(number, slice, first, came, root).await,
            _ => {
                let proof = Proof::Lacks("every reading gave fewer records than the API says it has".into());
                Ok(Gathered { total, came, proof })
            }
        }
    }

    /// Records that one query gives from both of its ends.
    fn capacity(&self) -> u64 {
        if self.resource.slices.reverse.is_empty() { self.limit } else { 2 * self.limit }
    }

    /// Reads `slice` by its parts; `came` came before.
    ///
    /// Of a query that the API does not count to its end, every way is gone to its end, but only of the outermost one: what lies in
    /// none of the parts of a part is found there too. Complete is then what neither the values nor the places add anything to.
    async fn deep(
        &self,
        number: usize,
        slice: &Arc<Slice>,
        first: First,
        came: Came,
        root: bool,
    ) -> Result<Gathered, Stop> {
        let total = total(&first);
        let uncounted = self.is_uncounted(total);
        let level = Level { slice, total, uncounted, came: RefCell::new(came), lacking: RefCell::default() };
        level.came.borrow_mut().add(self.resource, first.records());
        self.take_earlier(&level);
        let sample = self.sample(slice).await?;
        let records = sample.as_ref().map_or(first.records(), First::records);
        level.came.borrow_mut().add(self.resource, records);
        let ways = self.ways(slice, records, total).await.map_err(Stop::Error)?;
        if ways.is_empty() {
            // As far as the API serves it.
            let (came, _) = self.leaf(number, slice, first).await?;
            level.came.borrow_mut().extend(came);
            return Ok(self.sum(level, total));
        }
        for first in [Some(first), sample].into_iter().flatten() {
            self.reader.hand_over(number, slice, first, self.news).await;
        }
        let mut least = total;
        for (rank, way) in ways.into_iter().enumerate() {
            let param = &self.resource.slices.then[way.cut()].param;
            tracing::info!(
                slice = slice.name,
                total,
                came = level.came.borrow().len(),
                "too deep; cutting it by {param}"
            );
            match way {
                Way::Values { cut, parts, rest } => {
                    self.values(&level, cut, parts, rank > 0).await?;
                    if let (Some(rest), 0) = (rest, rank) {
                        // With what has none of these values it is all, whatever the API counts.
                        self.values(&level, cut, vec![rest], false).await?;
                        if level.lacking.borrow().is_empty() {
                            let came = level.came.into_inner();
                            let total = if uncounted { came.len() } else { total };
                            return Ok(Gathered { total: total.min(came.len()), came, proof: Proof::Whole });
                        }
                    }
                }
                Way::Cells { cut } => self.cells(&level, cut, rank > 0).await?,
            }
            if level.is_whole() || self.news.is_closed() || (uncounted && !root) {
                break;
            }
            if uncounted {
                continue;
            }
            // It may have shrunk meanwhile.
            least = self
                .reader
                .first(slice, self.news)
                .await?
                .as_ref()
                .map_or(least, |first| least.min(self::total(first)));
            if level.came.borrow().len() >= least {
                break;
            }
        }
        Ok(self.sum(level, least))
    }

    fn sum(&self, level: Level<'_>, total: u64) -> Gathered {
        let came = level.came.into_inner();
        let lacking = level.lacking.into_inner();
        if level.uncounted && lacking.is_empty() {
            return Gathered { total: came.len(), came, proof: Proof::Unknown };
        }
        if !level.uncounted && came.len() >= total {
            return Gathered { total, came, proof: Proof::Whole };
        }
        let params: Vec<&str> = self.resource.slices.then.iter().map(|cut| cut.param.as_str()).collect();
        let mut reason = match params.as_slice() {
            [] => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                self.capacity()
            ),
            params => format!(
                "its parts by {} have {} of {total} records: the others have none of the values that it can be cut by; narrow it with `params`",
                params.join(", "),
                came.len()
            ),
        };
        if !lacking.is_empty() {
            let named = &lacking[..lacking.len().min(MOST_NAMED)];
            reason = format!("{reason} (not whole: {} parts, {})", lacking.len(), named.join(", "));
        }
        Gathered { total, came, proof: Proof::Lacks(reason) }
    }

    /// Takes up what an earlier invocation read of the query's parts.
    fn take_earlier(&self, level: &Level<'_>) {
        for cut in &self.resource.slices.then {
            for (_, keys) in self.earlier.parts(&level.slice.part_prefix(&cut.param)) {
                self.skipped.set(self.skipped.get() + 1);
                level.came.borrow_mut().add_keys(keys);
            }
        }
    }

    /// Reads a query by the values of one parameter. `fills`: to fill what another parameter left out.
    async fn values(&self, level: &Level<'_>, index: usize, parts: Vec<Vec<String>>, fills: bool) -> Result<(), Stop> {
        let cut = &self.resource.slices.then[index];
        let By::Values(values) = &cut.by else { return Ok(()) };
        let read = async |part: Vec<String>| {
            if level.is_whole() || self.news.is_closed() {
                return Ok(());
            }
            if part.is_empty() {
                return Ok(());
            }
            let slice = Arc::new(level.slice.with(&cut.param, &part));
            let Some(first) = self.probe(&slice).await? else { return Ok(()) };
            let total = total(&first);
            if total == 0 || (fills && level.came.borrow().having(index, &part) >= total) {
                return Ok(());
            }
            if fills && total > self.capacity() && values.path.is_none() {
                // It would be cut as the whole was, with the same lack.
                return Ok(());
            }
            self.part(level, slice, first).await
        };
        stream::iter(parts.into_iter().map(Ok)).try_for_each_concurrent(SIDE_BY_SIDE, read).await
    }
}

/// Records of the whole slice.
fn total(first: &First) -> u64 {
    first.total().unwrap_or(first.records().len() as u64)
}
