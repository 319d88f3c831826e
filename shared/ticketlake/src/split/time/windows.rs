//! The windows of a query that is split by time, each with its first page.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use client::Record;
use manifest::time::{self, TimeRange};
use manifest::{Query, TimeParams};

use super::super::{FirstAnswer, SplitSource};
use super::window_splitter::{WindowFit, WindowSplitter};
use crate::error::Stop;
use crate::state::Calendar;

/// The windows of one query, requested one after the other.
#[derive(Debug)]
pub struct Windows<'w, S> {
    source: &'w S,
    query: &'w Query,
    time: &'w TimeParams,
    splitter: RefCell<WindowSplitter>,
    /// The total of the whole range, if its first page was requested.
    total: Cell<Option<u64>>,
}

/// A window whose first page was requested.
#[derive(Debug)]
pub enum OpenWindow<F> {
    /// The window has at most as many records as can be read.
    Fits(Arc<Query>, TimeRange, F),
    /// The window is one second that has more records than can be read.
    Moment(Arc<Query>, TimeRange, F),
    /// The manifest ignores the answer.
    Ignored(TimeRange),
    /// The request failed.
    Failed(Arc<Query>, Stop),
}

impl<'w, S: SplitSource> Windows<'w, S> {
    /// Creates the windows of `query`, which `splitter` splits by the parameters `time`.
    pub fn new(source: &'w S, query: &'w Query, time: &'w TimeParams, splitter: WindowSplitter) -> Self {
        Self { source, query, time, splitter: RefCell::new(splitter), total: Cell::new(None) }
    }

    /// Requests the first pages of windows until a window fits or is one second long. `None` if everything is covered.
    pub async fn next(&self) -> Option<OpenWindow<S::First>> {
        loop {
            let window = self.splitter.borrow().next_window()?;
            let query = Arc::new(self.query.within(self.time, window));
            let first = match self.source.first_page(&query).await {
                Ok(Some(first)) => first,
                outcome => {
                    self.splitter.borrow_mut().skip(window);
                    return Some(match outcome {
                        Err(stop) => OpenWindow::Failed(query, stop),
                        Ok(_) => OpenWindow::Ignored(window),
                    });
                }
            };
            if window == self.splitter.borrow().range() {
                self.total.set(first.total());
            }
            let total = first.records_of_query();
            let starts = self.starts(first.records());
            match self.splitter.borrow_mut().add_first_page(window, total, &starts) {
                WindowFit::TooDeep => tracing::debug!(query = query.label, total, "too deep; splitting it"),
                WindowFit::Moment => return Some(OpenWindow::Moment(query, window, first)),
                WindowFit::Fits => return Some(OpenWindow::Fits(query, window, first)),
            }
        }
    }

    /// Returns the total of the whole range. `None` if the first window was a part of it, or if the API gives no total.
    pub fn total(&self) -> Option<u64> {
        self.total.get()
    }

    /// Adds the starts of all records of `window`.
    pub fn add_starts(&self, window: TimeRange, starts: &[i64]) {
        self.splitter.borrow_mut().add_starts(window, starts);
    }

    /// Returns the starts of those records that have one, in seconds since 1970.
    pub fn starts(&self, records: &[Record]) -> Vec<i64> {
        let start = |record: &Record| {
            let start = record.at(self.time.path.as_ref()?)?;
            time::parse_instant(start.as_str()?).map(|instant| instant.timestamp())
        };
        records.iter().filter_map(start).collect()
    }

    /// Returns the calendar of the records that were read. `None` if no window was read.
    pub fn calendar(&self) -> Option<Calendar> {
        self.splitter.borrow().calendar()
    }
}
