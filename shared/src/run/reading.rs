//! Reads a plan's slices to their ends, several side by side, and again where they do not add up.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::PASSES;
use crate::error::Error;
use crate::fetch::paginate::{End, Message, News, Reader};
use crate::fetch::{Api, Stop};
use crate::landing::{Landing, Tally};
use crate::manifest::Resource;
use crate::plan::{Plan, Slice};
use crate::report::{IncompleteSlice, Report};
use crate::state::Watermarks;

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
    report: &mut Report,
) -> Result<(), Stop> {
    let mut reading = Reading {
        resource,
        plan,
        watermarks,
        landing,
        report,
        tallies: HashMap::new(),
        again: Vec::new(),
        failures: 0,
        stopped: None,
    };
    let reader = Reader::new(api, resource);
    let side_by_side = if plan.len() > 1 { api.in_flight() } else { 1 };
    let mut pending: Vec<usize> = (0..plan.len()).collect();
    for pass in 1..=PASSES {
        let (news, received) = mpsc::channel(PAGES_AHEAD);
        let fetch = fetch(&reader, plan, pending, side_by_side, news);
        let ((), landed) = futures::join!(fetch, reading.land(received, pass == PASSES));
        landed?;
        pending = std::mem::take(&mut reading.again);
        if pending.is_empty() || reading.stopped.is_some() {
            break;
        }
        tracing::warn!(slices = pending.len(), "slices do not add up; reading them again");
    }
    reading.stopped.map_or(Ok(()), |reason| Err(Stop::Limit(reason)))
}

/// Reads the slices `pending`. Each is made when its turn comes: a plan can have a hundred thousand.
async fn fetch(
    reader: &Reader<'_>,
    plan: &Plan<'_>,
    pending: Vec<usize>,
    side_by_side: usize,
    news: mpsc::Sender<Message>,
) {
    let news = &news;
    let one = async |index: usize| {
        if news.is_closed() {
            return;
        }
        match plan.slice(index) {
            Ok(slice) => reader.read(index, Arc::new(slice), news).await,
            Err((name, reason)) => {
                let slice = Arc::new(Slice { name, ..Slice::default() });
                let _ = news.send(Message { index, slice, news: News::End(Ok(End::Cut(reason))) }).await;
            }
        }
    };
    stream::iter(pending).for_each_concurrent(side_by_side, one).await;
}

struct Reading<'s, 'l> {
    resource: &'s Resource,
    plan: &'s Plan<'s>,
    watermarks: &'s Watermarks,
    landing: &'s mut Landing<'l>,
    report: &'s mut Report,
    /// Of the slices that are being read.
    tallies: HashMap<usize, Tally>,
    /// Slices that did not add up.
    again: Vec<usize>,
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
            News::End(_) => None,
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
                Ok(self.landing.page(page, &slice, tally).await?)
            }
            News::End(end) => {
                let tally = self.tallies.remove(&index).unwrap_or_default();
                self.end(index, &slice, tally, end, last)
            }
        }
    }

    /// What a slice's end means.
    fn end(
        &mut self,
        index: usize,
        slice: &Slice,
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
                self.stopped.get_or_insert(reason);
                return Ok(());
            }
            Err(Stop::Error(error)) => return self.failed(slice, &tally, error),
        };
        let whole = tally.is_whole();
        let reason = match end {
            End::Reached if whole => return self.whole(index, &tally),
            // The total counts the records on the other side of the range's edge too.
            End::LeftRange => return self.whole(index, &tally),
            End::Reached if !last => {
                self.again.push(index);
                return Ok(());
            }
            End::Reached => format!("{PASSES} readings gave fewer records than the API says it has"),
            End::TooDeep => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                self.resource.endpoint.depth_limit.unwrap_or_default()
            ),
            // Cut short, and yet all that the API says it has.
            End::Cut(_) if whole && tally.total.is_some() => return self.whole(index, &tally),
            End::Cut(reason) => reason,
        };
        self.incomplete(slice, &tally, reason);
        Ok(())
    }

    fn whole(&mut self, index: usize, tally: &Tally) -> Result<(), Stop> {
        self.count(tally);
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
        self.incomplete(slice, tally, error.to_string());
        Ok(())
    }

    fn incomplete(&mut self, slice: &Slice, tally: &Tally, reason: String) {
        self.count(tally);
        let (name, expected, received) = (slice.name.clone(), tally.total, tally.distinct());
        tracing::warn!(slice = name, expected, received, "{reason}");
        self.report.slices.incomplete.push(IncompleteSlice { name, expected, received, reason });
    }

    fn count(&mut self, tally: &Tally) {
        if let Some(total) = tally.total {
            *self.report.expected.get_or_insert_default() += total;
        }
    }
}
