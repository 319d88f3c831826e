//! Results deeper than the API serves, read in parts that each fit: windows of time, and where a single moment is too deep, the
//! values of other parameters.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_64;

use crate::fetch::paginate::{End, First, Message, News, Reader};
use crate::fetch::{Record, Stop};
use crate::manifest::template::plain;
use crate::manifest::{Column, Cut, JsonPath, Resource, TimeParams};
use crate::plan::calendar::Calendar;
use crate::plan::sweep::{Sweep, Verdict, Window};
use crate::plan::{Part, Slice};
use crate::time;

/// A query that may be too deep, and how it is cut.
pub(super) struct Deep<'d, 'r> {
    reader: &'d Reader<'r>,
    resource: &'d Resource,
    root: Slice,
    time: &'d TimeParams,
    news: &'d mpsc::Sender<Message>,
    /// The numbers that its parts take, the first of them its own.
    numbers: &'d Cell<usize>,
    own_number: Cell<Option<usize>>,
}

/// A window whose first page has come.
struct Opened {
    slice: Arc<Slice>,
    first: First,
    window: Window,
    /// Whether it is too deep, and time cannot cut it.
    moment: bool,
}

impl<'d, 'r> Deep<'d, 'r> {
    /// The query `root`, number `index` of its plan.
    pub(super) fn new(
        reader: &'d Reader<'r>,
        resource: &'d Resource,
        (index, root): (usize, Slice),
        time: &'d TimeParams,
        news: &'d mpsc::Sender<Message>,
        numbers: &'d Cell<usize>,
    ) -> Self {
        Self { reader, resource, root, time, news, numbers, own_number: Cell::new(Some(index)) }
    }

    /// Reads all of it in the windows of `sweep`, of at most `limit` records each, `side_by_side` at a time. Gives when they start.
    pub(super) async fn read(&self, sweep: Sweep, limit: u64, side_by_side: usize) -> Option<Calendar> {
        let sweep = RefCell::new(sweep);
        // The next window is asked for while the last one's further pages are on their way.
        let parts = stream::unfold(&sweep, async |sweep| Some((self.next(sweep).await?, sweep)));
        let root = Arc::new(self.root.clone());
        let read = async |part: Opened| {
            let Opened { slice, first, window, moment } = part;
            if moment {
                self.cut(slice, first, &self.resource.slices.then, limit).boxed_local().await;
            } else {
                let starts = RefCell::new(Vec::new());
                let observe = |records: &[Record]| starts.borrow_mut().extend(self.starts(records));
                self.reader.rest(self.number(), slice, first, self.news, &observe).await;
                sweep.borrow_mut().read(window, &starts.into_inner());
            }
            let news = News::Covered { from: window.from, to: window.to };
            let _ = self.news.send(Message { index: usize::MAX, slice: Arc::clone(&root), news }).await;
        };
        parts.for_each_concurrent(side_by_side, read).await;
        sweep.borrow().calendar()
    }

    /// Asks for windows until one fits.
    async fn next(&self, sweep: &RefCell<Sweep>) -> Option<Opened> {
        loop {
            if self.news.is_closed() {
                return None;
            }
            let window = sweep.borrow().propose()?;
            let mut slice = self.root.within(self.time, window.from, window.to);
            slice.part_of = Some(Part { query: self.root.name.clone(), from: window.from, to: window.to });
            let slice = Arc::new(slice);
            let first = match self.reader.first(&slice, self.news).await {
                Ok(Some(first)) => first,
                ended => {
                    let stop = matches!(ended, Err(Stop::Limit(_)));
                    self.end(slice, ended.map(|_| End::Reached)).await;
                    sweep.borrow_mut().answered(window, 0, &[]);
                    if stop {
                        return None;
                    }
                    continue;
                }
            };
            let total = first.total().unwrap_or(first.records().len() as u64);
            let starts: Vec<i64> = self.starts(first.records()).collect();
            match sweep.borrow_mut().answered(window, total, &starts) {
                Verdict::TooDeep => tracing::debug!(slice = slice.name, total, "too deep; cutting it"),
                verdict => return Some(Opened { slice, first, window, moment: verdict == Verdict::Moment }),
            }
        }
    }

    /// The starts of records, where they have one.
    fn starts<'v>(&'v self, records: &'v [Record]) -> impl Iterator<Item = i64> + 'v {
        records.iter().filter_map(|record| {
            let start = record.at(self.time.path.as_ref()?)?;
            time::parse_instant(start.as_str()?).map(|instant| instant.timestamp())
        })
    }

    fn number(&self) -> usize {
        self.own_number.take().unwrap_or_else(|| {
            let number = self.numbers.get();
            self.numbers.set(number + 1);
            number
        })
    }

    async fn end(&self, slice: Arc<Slice>, end: Result<End, Stop>) {
        let _ = self.news.send(Message { index: self.number(), slice, news: News::End(end) }).await;
    }

    /// Reads `slice`, which is deeper than `limit`, by the values of one of `cuts`; by the next where that does not bring all of it. Gives
    /// the keys that came.
    async fn cut(&self, slice: Arc<Slice>, first: First, cuts: &[Cut], limit: u64) -> HashSet<u64> {
        let total = first.total().unwrap_or(first.records().len() as u64);
        let ranked = ranked(cuts, first.records(), total, limit);
        if ranked.is_empty() {
            // Read as far as the API serves it, which then says that there is more.
            self.reader.rest(self.number(), slice, first, self.news, &|_| {}).await;
            return HashSet::new();
        }
        tracing::info!(slice = slice.name, total, "a single moment is too deep; cutting it by other parameters");
        let came = RefCell::new(HashSet::new());
        for Ranked { cut, parts } in ranked {
            let others: Vec<Cut> = cuts.iter().filter(|other| other.param != cut.param).cloned().collect();
            for values in parts {
                let part = Arc::new(slice.with(&cut.param, &values));
                match self.reader.first(&part, self.news).await {
                    Ok(Some(first)) if first.total().is_some_and(|total| total > limit) => {
                        let below = self.cut(part, first, &others, limit).boxed_local().await;
                        came.borrow_mut().extend(below);
                    }
                    Ok(Some(first)) => {
                        let observe = |records: &[Record]| self.note(records, &came);
                        self.reader.rest(self.number(), part, first, self.news, &observe).await;
                    }
                    ended => {
                        let failed = ended.is_err();
                        self.end(part, ended.map(|_| End::Reached)).await;
                        if failed {
                            return came.into_inner();
                        }
                    }
                }
            }
            if came.borrow().len() as u64 >= total {
                return came.into_inner();
            }
        }
        // It may have shrunk meanwhile.
        let total = match self.reader.first(&slice, self.news).await {
            Ok(Some(first)) => first.total().unwrap_or(total),
            _ => total,
        };
        let came = came.into_inner();
        if came.len() as u64 >= total {
            return came;
        }
        let reason = format!(
            "its parts have {} of {total} records: some have none of the values that it can be cut by",
            came.len()
        );
        self.end(slice, Ok(End::Cut(reason))).await;
        came
    }

    /// Takes note of the records' keys.
    fn note(&self, records: &[Record], ids: &RefCell<HashSet<u64>>) {
        let column = |key: &String| self.resource.columns.iter().find(|column| column.name == *key);
        let columns: Vec<&Column> = self.resource.primary_key.iter().filter_map(column).collect();
        let key = |record: &Record| {
            let values = columns.iter().filter_map(|column| record.at(&column.path));
            let parts: Vec<String> = values.map(|value| plain(&value)).collect();
            xxh3_64(parts.join("\u{1f}").as_bytes())
        };
        ids.borrow_mut().extend(records.iter().map(key));
    }
}

/// A way to cut a query, with the values of each part.
struct Ranked<'c> {
    cut: &'c Cut,
    parts: Vec<Vec<String>>,
}

/// The ways among `cuts` that take a query of `total` records apart, by a sample of them: those that leave no record out first, of them
/// the one with the fewest requests.
fn ranked<'c>(cuts: &'c [Cut], sample: &[Record], total: u64, limit: u64) -> Vec<Ranked<'c>> {
    let mut ranked: Vec<((bool, usize), Ranked<'c>)> = cuts
        .iter()
        .filter_map(|cut| {
            let counts = counts(&cut.path, sample);
            let with: usize = counts.values().sum();
            let parts = bins(cut, &counts, sample.len(), total, limit);
            (counts.len() > 1).then_some(((with < sample.len(), parts.len()), Ranked { cut, parts }))
        })
        .collect();
    ranked.sort_by_key(|(cost, _)| *cost);
    ranked.into_iter().map(|(_, ranked)| ranked).collect()
}

/// How many records have each value at `path`.
fn counts(path: &JsonPath, records: &[Record]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.at(path)) {
        *counts.entry(plain(&value)).or_insert(0) += 1;
    }
    counts
}

/// The values in parts that are expected to fit: each alone, or several together where the parameter takes a list.
fn bins(cut: &Cut, counts: &BTreeMap<String, usize>, sample: usize, total: u64, limit: u64) -> Vec<Vec<String>> {
    if !cut.several {
        return counts.keys().map(|value| vec![value.clone()]).collect();
    }
    let mut largest: Vec<(&String, usize)> = counts.iter().map(|(value, count)| (value, *count)).collect();
    largest.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
    // A share seen in a sample of 200 can be a tenth of the total off.
    let room = sample as u64 * limit * 8 / 10 / total.max(1);
    let mut bins: Vec<(u64, Vec<String>)> = Vec::new();
    for (value, count) in largest {
        let count = count as u64;
        match bins.iter_mut().find(|(held, _)| held + count <= room) {
            Some((held, bin)) => {
                *held += count;
                bin.push(value.clone());
            }
            None => bins.push((count, vec![value.clone()])),
        }
    }
    bins.into_iter().map(|(_, bin)| bin).collect()
}
