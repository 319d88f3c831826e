//! Reads a plan's slices to their ends, several side by side, and again where they do not add up.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::PASSES;
use super::fetching::{Fetching, Query};
use crate::error::Error;
use client::paginate::{End, Message, News, Reader};
use client::{Api, Record, Stop};
use crate::landing::{Flushed, Landing, Tally};
use manifest::{Resource, WriteDisposition};
use crate::plan::{Part, Plan, Slice};
use crate::report::{IncompleteSlice, Report};
use crate::state::{Calendars, Checkpoint, Watermarks};

/// Pages that wait to be mapped while more are on their way.
const PAGES_AHEAD: usize = 1;
/// Slices that fail one after the other before the API counts as down: each request was tried several times by then.
const MOST_FAILURES: u32 = 5;
/// Records in which the columns are found, where the manifest declares none.
const SAMPLE: usize = 200;

/// Reads every slice of `plan`, whose parents' records have `watermarks`.
#[expect(clippy::too_many_arguments, reason = "both sides of a reading meet here, each with what it keeps")]
pub(super) async fn read<'r>(
    api: &'r Api<'r>,
    resource: &'r Resource,
    plan: &Plan<'_>,
    watermarks: &Watermarks,
    landing: &mut Landing<'_>,
    checkpoint: &mut Checkpoint,
    calendars: &mut Calendars<'_>,
    report: &mut Report,
) -> Result<(), Stop> {
    let earlier = checkpoint.clone();
    if resource.endpoint.depth_limit.is_some() && (0..plan.len()).any(|index| plan.cut_by(index).is_some()) {
        calendars.load().await;
    }
    let stored = landing.stored();
    let mut reading = Reading {
        checkpoint,
        open: HashMap::new(),
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
        calendars: RefCell::new(calendars),
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

struct Reading<'s, 'l> {
    checkpoint: &'s mut Checkpoint,
    /// Windows that are not whole.
    open: HashMap<Part, Open>,
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
        while let Some(mut message) = received.recv().await {
            if !self.landing.needs_sample() {
                self.take(message, last).await?;
                continue;
            }
            match &mut message.news {
                News::Page(page) => {
                    records += page.records.len();
                    // It waits here, and those after it are wanted.
                    page.room = None;
                }
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
        let sample: Vec<Cow<'_, Value>> = sample.flatten().map(Record::value).collect();
        self.landing.learn(sample.iter().map(AsRef::as_ref));
        drop(sample);
        for message in held.drain(..) {
            self.take(message, last).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: Message, last: bool) -> Result<(), Stop> {
        let Message { index, slice, news } = message;
        match news {
            News::Page(mut page) => {
                let at = page.at.take();
                let known = self.checkpoint.place(&slice.name).filter(|place| Some(&place.position) == at.as_ref());
                let begun = || known.map(Tally::resumed).unwrap_or_default();
                let tally = self.tallies.entry(index).or_insert_with(begun);
                let place = at.map(|position| tally.place(position)).filter(|_| index < self.plan.len());
                let flushed = self.landing.page(page, &slice, tally).await?;
                if let Some(place) = place {
                    self.checkpoint.stand(&slice.name, place);
                }
                // What replaces a table is read in one go.
                let goes_on = self.resource.write_disposition != WriteDisposition::Replace;
                if flushed == Flushed::Yes && goes_on {
                    // What has ended by now is stored.
                    self.landing.state.keep(self.checkpoint).await?;
                }
                Ok(())
            }
            News::Covered { from, to } => {
                let window = Part { query: slice.name.clone(), from, to };
                match self.open.get_mut(&window) {
                    Some(open) => open.read = true,
                    None => self.checkpoint.cover(&window.query, from, to),
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
                        match &slice.part_of {
                            Some(window) => self.settle(index, window),
                            None => self.checkpoint.finish(&slice.name),
                        }
                    }
                    Some(reason) => self.incomplete(index, &slice, Some(total), came, reason),
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
                self.leave_open(index, slice);
                self.stopped.get_or_insert(reason);
                return Ok(());
            }
            Err(Stop::Error(error)) => return self.failed(index, slice, &tally, error),
        };
        let whole = tally.is_whole();
        let reason = match end {
            End::Reached if whole => return self.whole(index, slice, &tally),
            // The total counts the records on the other side of the range's edge too.
            End::LeftRange => return self.whole(index, slice, &tally),
            End::Reached if !last => {
                self.leave_open(index, slice);
                self.checkpoint.leave(&slice.name);
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
        self.incomplete(index, slice, tally.total, tally.distinct(), reason);
        Ok(())
    }

    fn whole(&mut self, index: usize, slice: &Slice, tally: &Tally) -> Result<(), Stop> {
        self.count(tally.total);
        tracing::debug!(slice = slice.name, expected = tally.total, received = tally.distinct(), "the slice is whole");
        match &slice.part_of {
            Some(window) => self.settle(index, window),
            None => self.checkpoint.finish(&slice.name),
        }
        self.report.slices.whole += 1;
        if let Some(newest) = tally.newest {
            self.landing.reached.extend(self.plan.reached(index, newest, self.watermarks));
        }
        Ok(())
    }

    /// One query among several that fails leaves the others as they are; but an API that is down is an error, and so is what no other
    /// query can do better.
    fn failed(&mut self, index: usize, slice: &Slice, tally: &Tally, error: Error) -> Result<(), Stop> {
        let of_the_slice = matches!(error, Error::Api { .. } | Error::Decode { .. });
        self.failures += 1;
        let limit = MOST_FAILURES.min(u32::try_from(self.plan.len()).unwrap_or(u32::MAX));
        if !of_the_slice || self.failures >= limit {
            return Err(Stop::Error(error));
        }
        self.incomplete(index, slice, tally.total, tally.distinct(), error.to_string());
        Ok(())
    }

    /// The slice is not whole: its window is read again by a later invocation, unless this one does.
    fn leave_open(&mut self, index: usize, slice: &Slice) {
        if let Some(window) = &slice.part_of {
            self.open.entry(window.clone()).or_default().parts.insert(index);
        }
    }

    /// Slice `index`, a part of `window`, is whole.
    fn settle(&mut self, index: usize, window: &Part) {
        let Some(open) = self.open.get_mut(window) else { return };
        open.parts.remove(&index);
        if open.parts.is_empty() && open.read {
            self.open.remove(window);
            self.checkpoint.cover(&window.query, window.from, window.to);
        }
    }

    fn incomplete(&mut self, index: usize, slice: &Slice, expected: Option<u64>, received: u64, reason: String) {
        self.leave_open(index, slice);
        self.checkpoint.leave(&slice.name);
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

/// A window of which parts are not whole.
#[derive(Debug, Default)]
struct Open {
    /// Their numbers.
    parts: HashSet<usize>,
    /// Whether all of its parts were read, whole or not.
    read: bool,
}
