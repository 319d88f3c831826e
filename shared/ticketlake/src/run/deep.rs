//! Results deeper than the API serves, read in windows of time that each fit; a single moment that is too deep is cut by its other
//! parameters.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::cut::Cutting;
use client::paginate::{End, First, Message, News, Page, Reader};
use client::{Record, Stop};
use manifest::TimeParams;
use crate::plan::calendar::Calendar;
use crate::plan::sweep::{Sweep, Verdict, Window};
use crate::plan::{Part, Slice};
use manifest::time;

/// A query that may be too deep, and how it is cut.
pub(super) struct Deep<'d, 'r> {
    reader: &'d Reader<'r>,
    /// For a moment that is too deep.
    cutting: &'d Cutting<'d, 'r>,
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
    pub(super) fn new(cutting: &'d Cutting<'d, 'r>, (index, root): (usize, Slice), time: &'d TimeParams) -> Self {
        let Cutting { reader, news, numbers, .. } = *cutting;
        Self { reader, cutting, root, time, news, numbers, own_number: Cell::new(Some(index)) }
    }

    /// Reads all of it in the windows of `sweep`, `side_by_side` at a time. Gives when its records start.
    pub(super) async fn read(&self, sweep: Sweep, side_by_side: usize) -> Option<Calendar> {
        let sweep = RefCell::new(sweep);
        // The next window is asked for while the last one's further pages are on their way.
        let parts = stream::unfold(&sweep, async |sweep| Some((self.next(sweep).await?, sweep)));
        let root = Arc::new(self.root.clone());
        let read = async |part: Opened| {
            let Opened { slice, first, window, moment } = part;
            if moment {
                self.cutting.read(self.number(), slice, first).await;
            } else {
                let starts = RefCell::new(Vec::new());
                let observe = |page: &Page| starts.borrow_mut().extend(self.starts(&page.records));
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
                    sweep.borrow_mut().passed(window);
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
}
