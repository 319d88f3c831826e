//! Reads a plan's slices to their ends, several side by side, and again where they do not add up.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::PASSES;
use super::cut::{Cutting, Stored};
use super::deep::Deep;
use crate::error::Error;
use crate::fetch::paginate::{End, Message, News, Reader};
use crate::fetch::{Api, Stop};
use crate::landing::{Flushed, Landing, Tally};
use crate::manifest::Resource;
use crate::plan::{Plan, Slice};
use crate::report::{IncompleteSlice, Report};
use crate::state::{Checkpoint, Watermarks};

/// Windows of one query that are read at a time: the next one's first page comes while the last one's others do.
const WINDOWS: usize = 2;
/// Pages that wait to be mapped while more are on their way.
const PAGES_AHEAD: usize = 2;
/// Slices that fail one after the other before the API counts as down: each request was tried several times by then.
const MOST_FAILURES: u32 = 5;
/// Records in which the columns are found, where the manifest declares none.
const SAMPLE: usize = 200;

/// Reads every slice of `plan`, whose parents' records have `watermarks`.
pub(super) async fn read<'r>(
    api: &'r Api<'r>,
    resource: &'r Resource,
    plan: &Plan<'_>,
    watermarks: &Watermarks,
    landing: &mut Landing<'_>,
    checkpoint: &mut Checkpoint,
    report: &mut Report,
) -> Result<(), Stop> {
    let earlier = checkpoint.clone();
    let stored = landing.stored();
    let mut reading = Reading {
        checkpoint,
        frontiers: HashMap::new(),
        blocked: false,
        resource,
        plan,
        watermarks,
        landing,
        report,
        tallies: HashMap::new(),
        parts: HashSet::new(),
        again: Vec::new(),
        failures: 0,
        stopped: None,
    };
    let fetching = Fetching {
        reader: Reader::new(api, resource),
        api,
        resource,
        plan,
        earlier: &earlier,
        stored: &stored,
        skipped: Cell::new(0),
        numbers: Cell::new(plan.len()),
    };
    let mut pending: Vec<Query> = (0..plan.len()).map(Query::Planned).collect();
    for pass in 1..=PASSES {
        let (news, received) = mpsc::channel(PAGES_AHEAD);
        let fetch = fetching.read(pending, news);
        let ((), landed) = futures::join!(fetch, reading.land(received, pass == PASSES));
        landed?;
        pending = std::mem::take(&mut reading.again);
        if pending.is_empty() || reading.stopped.is_some() {
            break;
        }
        tracing::warn!(slices = pending.len(), "slices do not add up; reading them again");
    }
    reading.report.slices.earlier = fetching.skipped.get();
    reading.stopped.map_or(Ok(()), |reason| Err(Stop::Limit(reason)))
}

/// A query that is to be read.
enum Query {
    /// By its number in the plan. It is made when its turn comes: a plan can have a hundred thousand.
    Planned(usize),
    /// One that was read and did not add up.
    Again(usize, Arc<Slice>),
}

/// The side that asks the API.
struct Fetching<'f, 'r> {
    reader: Reader<'r>,
    api: &'r Api<'r>,
    resource: &'r Resource,
    plan: &'f Plan<'f>,
    /// What an earlier invocation read.
    earlier: &'f Checkpoint,
    /// Where values that queries are cut by are stored.
    stored: &'f Stored<'f>,
    /// Queries of which it read all.
    skipped: Cell<usize>,
    /// The next number for a part of a query.
    numbers: Cell<usize>,
}

impl Fetching<'_, '_> {
    /// Reads `pending`, several side by side.
    async fn read(&self, pending: Vec<Query>, news: mpsc::Sender<Message>) {
        let news = &news;
        let side_by_side = if pending.len() > 1 { self.api.in_flight() } else { 1 };
        stream::iter(pending).for_each_concurrent(side_by_side, async |query| self.query(query, news).await).await;
    }

    async fn query(&self, query: Query, news: &mpsc::Sender<Message>) {
        if news.is_closed() {
            return;
        }
        let index = match query {
            Query::Again(index, slice) => return self.reader.read(index, slice, news).await,
            Query::Planned(index) => index,
        };
        let limit = self.resource.endpoint.depth_limit;
        let page = self.api.page_size().or(self.resource.endpoint.page_size.as_ref().map(|size| size.maximum));
        let cutting = Cutting {
            reader: &self.reader,
            resource: self.resource,
            stored: self.stored,
            earlier: self.earlier,
            news,
            numbers: &self.numbers,
            skipped: &self.skipped,
            limit: limit.unwrap_or(u64::MAX),
            page: page.or(limit).unwrap_or(u64::MAX),
        };
        match (self.plan.slice(index), self.plan.cut_by(index), limit) {
            (Ok(slice), ..) if self.earlier.has(&slice.name) => self.skipped.set(self.skipped.get() + 1),
            (Ok(slice), Some((time, from, to)), Some(limit)) => {
                let frontier = self.earlier.frontier(&slice.name);
                if frontier.is_some_and(|frontier| frontier == i64::MAX || to.is_some_and(|to| frontier > to)) {
                    return self.skipped.set(self.skipped.get() + 1);
                }
                let from = frontier.or(from);
                Deep::new(&cutting, (index, slice), time).read(from, to, limit, cutting.page, WINDOWS).await;
            }
            (Ok(slice), None, Some(_)) if self.plan.is_cut_by_params() => {
                let slice = Arc::new(slice);
                match self.reader.first(&slice, news).await {
                    Ok(Some(first)) => cutting.read(index, slice, first).await,
                    ended => {
                        let end = News::End(ended.map(|_| End::Reached));
                        let _ = news.send(Message { index, slice, news: end }).await;
                    }
                }
            }
            (Ok(slice), ..) => self.reader.read(index, Arc::new(slice), news).await,
            (Err((name, reason)), ..) => {
                let slice = Arc::new(Slice { name, ..Slice::default() });
                let _ = news.send(Message { index, slice, news: News::End(Ok(End::Cut(reason))) }).await;
            }
        }
    }
}

struct Reading<'s, 'l> {
    checkpoint: &'s mut Checkpoint,
    /// Of queries that are cut by time, by name: the windows that are read.
    frontiers: HashMap<String, Frontier>,
    /// Whether a part was not whole.
    blocked: bool,
    resource: &'s Resource,
    plan: &'s Plan<'s>,
    watermarks: &'s Watermarks,
    landing: &'s mut Landing<'l>,
    report: &'s mut Report,
    /// Of the slices that are being read.
    tallies: HashMap<usize, Tally>,
    /// Numbers of the parts that queries were cut into.
    parts: HashSet<usize>,
    /// Slices that did not add up.
    again: Vec<Query>,
    /// Slices that failed since one did not.
    failures: u32,
    /// The limit that the run reached.
    stopped: Option<String>,
}

impl Reading<'_, '_> {
    /// Takes what one pass over the slices brings. In the last pass, what does not add up is incomplete.
    async fn land(&mut self, mut received: mpsc::Receiver<Message>, last: bool) -> Result<(), Stop> {
        let mut held = Vec::new();
        let (mut records, mut failures) = (0, 0);
        while let Some(message) = received.recv().await {
            if !self.landing.needs_sample() {
                self.take(message, last).await?;
                continue;
            }
            match &message.news {
                News::Page(page) => records += page.records.len(),
                News::End(Ok(_)) => failures = 0,
                News::End(Err(_)) => failures += 1,
                News::Covered { .. } | News::Part(_) | News::Sum { .. } => {}
            }
            held.push(message);
            // An API that is down is to be noticed before all of it has been asked.
            if records >= SAMPLE || failures >= MOST_FAILURES {
                self.learn(&mut held, last).await?;
            }
        }
        self.learn(&mut held, last).await
    }

    /// Finds the columns in what was held back, and takes it.
    async fn learn(&mut self, held: &mut Vec<Message>, last: bool) -> Result<(), Stop> {
        let sample = held.iter().filter_map(|message| match &message.news {
            News::Page(page) => Some(page.records.iter()),
            _ => None,
        });
        self.landing.learn(sample.flatten());
        for message in held.drain(..) {
            self.take(message, last).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: Message, last: bool) -> Result<(), Stop> {
        let Message { index, slice, news } = message;
        match news {
            News::Page(page) => {
                let tally = self.tallies.entry(index).or_default();
                if self.landing.page(page, &slice, tally).await? == Flushed::Yes {
                    // What has ended by now is stored.
                    self.landing.state.keep(Some(self.checkpoint)).await?;
                }
                Ok(())
            }
            News::Covered { window, to } => {
                if self.blocked {
                    return Ok(());
                }
                let frontier = self.frontiers.entry(slice.name.clone()).or_default();
                for to in frontier.cover(window, to) {
                    self.checkpoint.reach(&slice.name, to);
                }
                Ok(())
            }
            News::Part(keys) => {
                self.tallies.remove(&index);
                if let Some(keys) = keys {
                    self.failures = 0;
                    self.plan_part(index);
                    self.report.slices.whole += 1;
                    self.checkpoint.finish_part(&slice.name, keys);
                }
                Ok(())
            }
            News::Sum { total, came, lack, uncounted } => {
                self.tallies.remove(&index);
                self.failures = 0;
                self.plan_part(index);
                if uncounted {
                    let limit = self.resource.endpoint.total_limit.unwrap_or_default();
                    self.report.warnings.push(format!(
                        "the API counts no further than {limit}: `{}` is whole by its parts, each of which is, and by nothing more found by any other parameter",
                        slice.name
                    ));
                }
                match lack {
                    None => {
                        self.count(Some(total));
                        self.report.slices.whole += 1;
                        self.checkpoint.finish(&slice.name);
                    }
                    Some(reason) => self.incomplete(&slice, Some(total), came, reason),
                }
                Ok(())
            }
            News::End(end) => {
                let tally = self.tallies.remove(&index).unwrap_or_default();
                self.plan_part(index);
                self.end(index, &slice, tally, end, last)
            }
        }
    }

    /// Takes note of a part that the plan did not know of.
    fn plan_part(&mut self, index: usize) {
        if index >= self.plan.len() && self.parts.insert(index) {
            self.report.slices.planned += 1;
        }
    }

    /// What a slice's end means.
    fn end(
        &mut self,
        index: usize,
        slice: &Arc<Slice>,
        tally: Tally,
        end: Result<End, Stop>,
        last: bool,
    ) -> Result<(), Stop> {
        let end = match end {
            Ok(end) => {
                self.failures = 0;
                end
            }
            Err(Stop::Limit(reason)) => {
                self.block();
                self.stopped.get_or_insert(reason);
                return Ok(());
            }
            Err(Stop::Error(error)) => return self.failed(slice, &tally, error),
        };
        let whole = tally.is_whole();
        let reason = match end {
            End::Reached if whole => return self.whole(index, slice, &tally),
            // The total counts the records on the other side of the range's edge too.
            End::LeftRange => return self.whole(index, slice, &tally),
            End::Reached if !last => {
                self.block();
                self.again.push(Query::Again(index, Arc::clone(slice)));
                return Ok(());
            }
            End::Reached => tally.lack().to_owned(),
            End::TooDeep => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                self.resource.endpoint.depth_limit.unwrap_or_default()
            ),
            // Cut short, and yet all that the API says it has.
            End::Cut(_) if whole && tally.total.is_some() => return self.whole(index, slice, &tally),
            End::Cut(reason) => reason,
        };
        self.incomplete(slice, tally.total, tally.distinct(), reason);
        Ok(())
    }

    fn whole(&mut self, index: usize, slice: &Slice, tally: &Tally) -> Result<(), Stop> {
        self.count(tally.total);
        self.checkpoint.finish(&slice.name);
        self.report.slices.whole += 1;
        if let Some(newest) = tally.newest {
            self.landing.reached.extend(self.plan.reached(index, newest, self.watermarks));
        }
        Ok(())
    }

    /// One query among several that fails leaves the others as they are; but an API that is down is an error, and so is what no other
    /// query can do better.
    fn failed(&mut self, slice: &Slice, tally: &Tally, error: Error) -> Result<(), Stop> {
        let of_the_slice = matches!(error, Error::Api { .. } | Error::Decode { .. });
        self.failures += 1;
        let limit = MOST_FAILURES.min(u32::try_from(self.plan.len()).unwrap_or(u32::MAX));
        if !of_the_slice || self.failures >= limit {
            return Err(Stop::Error(error));
        }
        self.incomplete(slice, tally.total, tally.distinct(), error.to_string());
        Ok(())
    }

    /// A part is not whole: what lies behind it is read again by a later invocation.
    fn block(&mut self) {
        self.blocked = true;
    }

    fn incomplete(&mut self, slice: &Slice, expected: Option<u64>, received: u64, reason: String) {
        self.block();
        self.count(expected);
        let name = slice.name.clone();
        tracing::warn!(slice = name, expected, received, "{reason}");
        self.report.slices.incomplete.push(IncompleteSlice { name, expected, received, reason });
    }

    fn count(&mut self, total: Option<u64>) {
        if let Some(total) = total {
            *self.report.expected.get_or_insert_default() += total;
        }
    }
}

/// The windows of one query that are read, up to the first that is not.
#[derive(Debug, Default)]
struct Frontier {
    /// The next window to wait for.
    next: usize,
    /// Those beyond it, with their ends.
    beyond: BTreeMap<usize, Option<i64>>,
}

impl Frontier {
    /// Adds a window; gives the ends of those that no other is missing before.
    fn cover(&mut self, window: usize, to: Option<i64>) -> Vec<Option<i64>> {
        self.beyond.insert(window, to);
        let mut ends = Vec::new();
        while let Some(end) = self.beyond.remove(&self.next) {
            self.next += 1;
            ends.push(end);
        }
        ends
    }
}
