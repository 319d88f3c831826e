//! The side of a reading that asks the API: each query of a plan in the way that it is read.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::cut::{Cutting, Stored};
use super::deep::Deep;
use client::Api;
use client::paginate::{End, Message, News, Reader};
use manifest::Resource;
use crate::plan::sweep::Sweep;
use crate::plan::{Plan, Slice};
use crate::state::{Calendars, Checkpoint, Place};

/// Windows of one query that are read at a time: the next one's first page comes while the last one's others do.
const WINDOWS: usize = 2;

/// A query that is to be read.
pub(super) enum Query {
    /// By its number in the plan. It is made when its turn comes: a plan can have a hundred thousand.
    Planned(usize),
    /// One that was read and did not add up.
    Again(usize, Arc<Slice>),
}

/// The side that asks the API.
pub(super) struct Fetching<'f, 'r, 's> {
    pub(super) reader: Reader<'r>,
    pub(super) api: &'r Api<'r>,
    pub(super) resource: &'r Resource,
    pub(super) plan: &'f Plan<'f>,
    /// What an earlier invocation read.
    pub(super) earlier: &'f Checkpoint,
    /// When the records of its queries start.
    pub(super) calendars: RefCell<&'f mut Calendars<'s>>,
    /// Where values that queries are cut by are stored.
    pub(super) stored: &'f Stored<'f>,
    /// Queries of which it read all.
    pub(super) skipped: Cell<usize>,
    /// The next number for a part of a query.
    pub(super) numbers: Cell<usize>,
}

impl Fetching<'_, '_, '_> {
    /// Reads `pending`, several side by side.
    pub(super) async fn read(&self, pending: Vec<Query>, news: mpsc::Sender<Message>) {
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
                let gaps = self.earlier.gaps(&slice.name, from, to);
                if gaps.is_empty() {
                    return self.skipped.set(self.skipped.get() + 1);
                }
                let name = self.plan.calendar_name(index, &slice).map(str::to_owned);
                let deep = Deep::new(&cutting, (index, slice), time);
                for (from, to) in gaps {
                    let sweep = Sweep::new(from, to, limit, cutting.page).about(chrono::Utc::now().timestamp());
                    let calendar = name.as_ref().and_then(|name| self.calendars.borrow().of(name).cloned());
                    let calendar = deep.read(sweep.with_calendar(calendar), WINDOWS).await;
                    if let (Some(name), Some(calendar)) = (&name, calendar) {
                        self.calendars.borrow_mut().note(name, calendar);
                    }
                }
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
            (Ok(slice), ..) => {
                let resumption = self.earlier.place(&slice.name).map(Place::resumption);
                self.reader.resume(index, Arc::new(slice), resumption.as_ref(), news).await;
            }
            (Err((name, reason)), ..) => {
                let slice = Arc::new(Slice { name, ..Slice::default() });
                let _ = news.send(Message { index, slice, news: News::End(Ok(End::Cut(reason))) }).await;
            }
        }
    }
}
