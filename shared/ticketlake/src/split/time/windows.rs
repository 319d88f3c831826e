//! The windows of a query that is split by time, each with its first page.

use std::cell::RefCell;
use std::sync::Arc;

use client::Record;
use manifest::time::{self, TimeRange};
use manifest::{Query, TimeParams};

use super::super::{FirstAnswer, SplitSource};
use super::{WindowFit, WindowSplitter};
use crate::error::Stop;
use crate::state::Calendar;

/// The windows of one query, asked for one after the other.
#[derive(Debug)]
pub struct Windows<'w, S> {
    source: &'w S,
    query: &'w Query,
    time: &'w TimeParams,
    splitter: RefCell<WindowSplitter>,
}

/// A window whose first page has come, or has not.
#[derive(Debug)]
pub enum OpenWindow<F> {
    /// The window has at most as many records as can be read.
    Fits(Arc<Query>, TimeRange, F),
    /// The window is one second that has more records than can be read.
    Moment(Arc<Query>, TimeRange, F),
    /// The manifest ignores the answer.
    Ignored(Arc<Query>),
    /// There is no answer.
    Failed(Arc<Query>, Stop),
}

impl<'w, S: SplitSource> Windows<'w, S> {
    /// The windows of `query` by `time`, as `splitter` splits it.
    pub fn new(source: &'w S, query: &'w Query, time: &'w TimeParams, splitter: WindowSplitter) -> Self {
        Self { source, query, time, splitter: RefCell::new(splitter) }
    }

    /// Asks for windows until one fits, or is one second; `None`: everything is covered.
    pub async fn next(&self) -> Option<OpenWindow<S::First>> {
        loop {
            let window = self.splitter.borrow().next_window()?;
            let query = Arc::new(self.query.within(self.time, window));
            let first = match self.source.first_page(&query).await {
                Ok(Some(first)) => first,
                ended => {
                    self.splitter.borrow_mut().skip(window);
                    return Some(match ended {
                        Err(stop) => OpenWindow::Failed(query, stop),
                        Ok(_) => OpenWindow::Ignored(query),
                    });
                }
            };
            let total = first.records_of_query();
            let starts = self.starts(first.records());
            match self.splitter.borrow_mut().add_first_page(window, total, &starts) {
                WindowFit::TooDeep => tracing::debug!(query = query.label, total, "too deep; splitting it"),
                WindowFit::Moment => return Some(OpenWindow::Moment(query, window, first)),
                WindowFit::Fits => return Some(OpenWindow::Fits(query, window, first)),
            }
        }
    }

    /// Takes in the starts of all records of `window`.
    pub fn add_starts(&self, window: TimeRange, starts: &[i64]) {
        self.splitter.borrow_mut().add_starts(window, starts);
    }

    /// The starts of records, in seconds since 1970, where they have one.
    pub fn starts(&self, records: &[Record]) -> Vec<i64> {
        let start = |record: &Record| {
            let start = record.at(self.time.path.as_ref()?)?;
            time::parse_instant(start.as_str()?).map(|instant| instant.timestamp())
        };
        records.iter().filter_map(start).collect()
    }

    /// When the records start that were read; `None`: none was.
    pub fn calendar(&self) -> Option<Calendar> {
        self.splitter.borrow().calendar()
    }
}
