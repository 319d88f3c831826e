//! From a slice to its pages, in order, each as soon as it is there.

mod auto;
mod follow;
mod link;
mod range;

use std::sync::{Arc, OnceLock};

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::records;
use super::{Api, Body, Call, Record, Stop, record};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::manifest::template::plain;
use crate::manifest::{Endpoint, JsonPath, Paginator, Place, Resource, Total};
use crate::plan::Slice;

/// One page of a slice.
#[derive(Debug)]
pub struct Page {
    /// As the API gave them.
    pub records: Vec<Record>,
    /// Records of the whole slice, as this page's answer said.
    pub total: Option<u64>,
    /// The request that brought it, without the key.
    pub request: String,
    /// Where it lies, to be asked for again; `None` of a page that only the one before it leads to.
    pub at: Option<Position>,
    /// Its place among those that are read ahead, given back when it is used up.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Where a page lies in its slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// At this offset, in records.
    Offset(u64),
    /// It is the page of this number, where pages have so many records (`None`: what the manifest says).
    Number(u64, Option<u64>),
    /// Behind this cursor.
    Cursor(Value),
}

/// From where on a slice is read that an earlier invocation read in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The first page to be read.
    pub position: Position,
    /// Records before it.
    pub before: u64,
}

/// How a slice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At its last record.
    Reached,
    /// Where its records leave the range that was asked for, in an API that gives them in order.
    LeftRange,
    /// At the depth that the API serves: there is more.
    TooDeep,
    /// Before its end, for this reason.
    Cut(String),
}

/// What a reading of slices brings, in the order of each slice.
#[derive(Debug)]
pub struct Message {
    /// The slice's number in its plan.
    pub index: usize,
    /// The slice.
    pub slice: Arc<Slice>,
    /// What there is of it.
    pub news: News,
}

/// What there is of a slice.
#[derive(Debug)]
pub enum News {
    /// Its next page.
    Page(Page),
    /// Its end: nothing follows.
    End(Result<End, Stop>),
    /// Of a query that is cut by time, all the parts of one window were read. `slice` is the query.
    Covered {
        /// The window's first second since 1970; `None`: from the beginning.
        from: Option<i64>,
        /// Its last; `None`: to the end.
        to: Option<i64>,
    },
    /// A part of a query that is cut by its parameters was read; with the hashes of its records' keys where they are all of it.
    Part(Option<Vec<u64>>),
    /// A query that is cut by its parameters was read: `came` of `total` records, and why not all, where it is not.
    Sum {
        /// Records that the API says the query has.
        total: u64,
        /// Distinct records that came of its parts.
        came: u64,
        /// Why they are not all of it.
        lack: Option<String>,
        /// Whether the API counts no further than its own limit: then `total` is what came, all ways to ask having been gone.
        uncounted: bool,
    },
}

/// What an answer says beside its records.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Records (by offset) or pages (by number) of the slice, as the paginator's `total_path` says.
    bound: Option<u64>,
    /// Whether there is more, as `has_more_path` says.
    has_more: Option<bool>,
    /// The next page's link or cursor.
    next: Option<Value>,
}

/// Whether the receiver still wants pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

/// Reads slices of one resource.
#[derive(Debug)]
pub struct Reader<'r> {
    api: &'r Api<'r>,
    endpoint: &'r Endpoint,
    resource: &'r str,
    /// Where the records lie, once the first answer has shown it.
    selector: OnceLock<JsonPath>,
    /// How the next page is asked for, once the first answer has shown it.
    detected: OnceLock<Paginator>,
    /// For pages that are read ahead: on their way, or waiting for those before them or to be stored. A page of events has 2.3 MB.
    room: Arc<Semaphore>,
}

impl<'r> Reader<'r> {
    /// Reads `resource` from `api`.
    pub fn new(api: &'r Api<'r>, resource: &'r Resource) -> Self {
        Self {
            api,
            endpoint: &resource.endpoint,
            resource: &resource.name,
            selector: OnceLock::new(),
            detected: OnceLock::new(),
            room: Arc::new(Semaphore::new(api.in_flight())),
        }
    }

    /// Reads slice `index` of a plan to its end and hands over every page in order, then the end. Ends early, without error, when
    /// nobody receives.
    pub async fn read(&self, index: usize, slice: Arc<Slice>, news: &mpsc::Sender<Message>) {
        self.resume(index, slice, None, news).await;
    }

    /// As [`Reader::read`], from where an earlier invocation stopped.
    pub async fn resume(
        &self,
        index: usize,
        slice: Arc<Slice>,
        resumption: Option<&Resumption>,
        news: &mpsc::Sender<Message>,
    ) {
        let reading = Reading { reader: self, slice: &slice, news, index, observe: &|_| {}, resumption };
        let end = match &self.endpoint.paginator {
            Paginator::Auto => reading.as_suggested().await,
            paginator => reading.by(paginator, None).await,
        };
        // Nobody receives when the run has ended for another reason.
        let _ = news.send(Message { index, slice, news: News::End(end) }).await;
    }

    /// The first page of `slice`, to see how much there is; `None`: the manifest ignores the answer.
    pub async fn first(&self, slice: &Arc<Slice>, news: &mpsc::Sender<Message>) -> Result<Option<First>, Stop> {
        let reading = Reading { reader: self, slice, news, index: 0, observe: &|_| {}, resumption: None };
        Ok(reading.first_page().await?.map(First))
    }

    /// As [`Reader::read`], from the second page on: `first` is handed over as the first. `observe` sees every page.
    pub async fn rest(
        &self,
        index: usize,
        slice: Arc<Slice>,
        first: First,
        news: &mpsc::Sender<Message>,
        observe: &dyn Fn(&Page),
    ) {
        let end = self.pages(index, &slice, first, news, observe).await;
        let _ = news.send(Message { index, slice, news: News::End(end) }).await;
    }

    /// As [`Reader::rest`]; gives the end instead of handing it over.
    pub async fn pages(
        &self,
        index: usize,
        slice: &Arc<Slice>,
        first: First,
        news: &mpsc::Sender<Message>,
        observe: &dyn Fn(&Page),
    ) -> Result<End, Stop> {
        let reading = Reading { reader: self, slice, news, index, observe, resumption: None };
        reading.by(&self.endpoint.paginator, Some(first.0)).await
    }

    /// Hands `first` over, of a slice that is read no further.
    pub async fn hand_over(&self, index: usize, slice: &Arc<Slice>, first: First, news: &mpsc::Sender<Message>) {
        self.send(index, slice, first.0.page, news).await;
    }

    /// The records of `slice` from number `size * number` to before `size * (number + 1)`, counted from 0; `None`: the manifest ignores the
    /// answer, or its paginator does not count.
    pub async fn read_page(
        &self,
        index: usize,
        slice: &Arc<Slice>,
        (number, size): (u64, u64),
        news: &mpsc::Sender<Message>,
    ) -> Result<Option<Page>, Stop> {
        let reading = Reading { reader: self, slice, news, index, observe: &|_| {}, resumption: None };
        Ok(reading.numbered(number, size).await?.map(|read| read.page))
    }

    /// Hands a page of `slice` over.
    pub async fn send(&self, index: usize, slice: &Arc<Slice>, page: Page, news: &mpsc::Sender<Message>) {
        Reading { reader: self, slice, news, index, observe: &|_| {}, resumption: None }.send(page).await;
    }

    /// Requests that can be on their way at a time.
    pub fn in_flight(&self) -> usize {
        self.api.in_flight()
    }
}

/// A slice's first page.
#[derive(Debug)]
pub struct First(Read);

impl First {
    /// Records of the whole slice, as the answer said.
    pub fn total(&self) -> Option<u64> {
        self.0.page.total.or(self.0.facts.bound)
    }

    /// The page's records.
    pub fn records(&self) -> &[Record] {
        &self.0.page.records
    }
}

/// One slice being read.
struct Reading<'r, 's> {
    reader: &'s Reader<'r>,
    slice: &'s Arc<Slice>,
    news: &'s mpsc::Sender<Message>,
    index: usize,
    observe: &'s dyn Fn(&Page),
    resumption: Option<&'s Resumption>,
}

/// A page and what its answer said.
#[derive(Debug)]
struct Read {
    page: Page,
    facts: Facts,
}

impl<'r> Reading<'r, '_> {
    /// Reads by `paginator`; `first` is the slice's first page, where it was read already.
    async fn by(&self, paginator: &Paginator, first: Option<Read>) -> Result<End, Stop> {
        match paginator {
            Paginator::Offset { limit, offset, offset_place, limit_place, end } => {
                let limit = self.reader.api.page_size().unwrap_or(*limit);
                self.by_offset(*offset, limit, (offset_place, limit_place), end, first).await
            }
            Paginator::PageNumber { base_page, page, page_place, end } => {
                self.by_number(*base_page, *page, page_place, end, first).await
            }
            paginator => self.follow(paginator, first).await,
        }
    }

    /// The slice's first page, of a paginator that counts.
    async fn first_page(&self) -> Result<Option<Read>, Stop> {
        match &self.reader.endpoint.paginator {
            Paginator::Offset { limit, offset, offset_place, limit_place, end } => {
                let limit = self.reader.api.page_size().unwrap_or(*limit);
                self.at_offset(u64::from(*offset == 1), *offset, limit, (offset_place, limit_place), end).await
            }
            Paginator::PageNumber { base_page, page, page_place, end } => {
                self.at_number(*base_page, *page, page_place, end).await
            }
            paginator => self.page(&self.call(), 0, &|headers, body, _| follow::facts(paginator, headers, body)).await,
        }
    }

    /// The slice's first request.
    fn call(&self) -> Call<'r> {
        let mut call = Call {
            endpoint: self.reader.endpoint,
            target: self.slice.path.clone(),
            params: self.slice.params.clone(),
            headers: self.slice.headers.clone(),
            body: self.slice.body.clone(),
        };
        if let Some(size) = &self.reader.endpoint.page_size {
            put(&mut call, &size.place, self.reader.api.page_size().unwrap_or(size.maximum).into());
        }
        call
    }

    /// The page that `call` brings, with what `facts` finds in the answer. `before`: pages or records of the slice before it.
    /// `None`: the manifest ignores the answer.
    async fn page(&self, call: &Call<'r>, before: u64, facts: &FactsOf<'_>) -> Result<Option<Read>, Stop> {
        let endpoint = self.reader.endpoint;
        let request = call.describe();
        let read = self
            .reader
            .api
            .answer(call, |headers, body| {
                let known = endpoint.data_selector.as_ref().or_else(|| self.reader.selector.get());
                let no_json = |error| format!("no JSON: {error}");
                let (body, texts) = match known.filter(|selector| self.takes_texts(selector)) {
                    Some(selector) => record::envelope(body, selector).map_err(no_json)?,
                    None => (serde_json::from_slice(body).map_err(no_json)?, Vec::new()),
                };
                let selector = match known {
                    Some(selector) => selector.clone(),
                    None => {
                        let found = records::detect(&body, self.reader.resource)?;
                        tracing::info!(resource = self.reader.resource, selector = %found, "the records were found in the answer; say so with `data_selector`");
                        self.reader.selector.get_or_init(|| found).clone()
                    }
                };
                let none = texts.is_empty() && records::none_at(&body, &selector);
                let facts = facts(headers, &body, none)?;
                let total = match &endpoint.total {
                    Some(Total::Path(path)) => Some(count(&body, path)?),
                    Some(Total::Header(name)) => header_count(headers, name)?,
                    None => None,
                };
                // Past the end, where a shrinking result can leave a reader, Ticketmaster sends no list at all.
                let empty = total == Some(0) || facts.bound.is_some_and(|bound| bound <= before);
                let values = records::take(body, &selector, empty)?.into_iter().map(Record::Value);
                Ok((texts.into_iter().chain(values).collect(), total, facts))
            })
            .await?;
        Ok(read.map(|(records, total, facts)| Read {
            page: Page { records, total, request, at: None, room: None },
            facts,
        }))
    }

    /// Whether a page's records can stay texts: nothing beside them is looked for among them.
    fn takes_texts(&self, selector: &JsonPath) -> bool {
        let counted = matches!(self.reader.endpoint.paginator, Paginator::PageNumber { .. } | Paginator::Offset { .. });
        counted && !selector.is_many()
    }

    /// Hands a page over.
    async fn send(&self, page: Page) -> Wanted {
        (self.observe)(&page);
        let message = Message { index: self.index, slice: Arc::clone(self.slice), news: News::Page(page) };
        if self.news.send(message).await.is_ok() { Wanted::Yes } else { Wanted::No }
    }

    /// What an ignored answer makes of the slice: nothing to read where it is the first, else the end only if the API's numbers
    /// agree, which the caller finds out.
    fn ignored(&self, pages: u64) -> End {
        if pages == 0 {
            return End::Reached;
        }
        End::Cut(format!(
            "the answer to page {} is one that response_actions ignore: what follows it was not read",
            pages + 1
        ))
    }

    /// Whether the page's last record lies beyond the range, in an API that gives records in order.
    fn leaves_range(&self, page: &Page) -> bool {
        let Some(incremental) = &self.reader.endpoint.incremental else { return false };
        let last =
            page.records.last().and_then(|record| Cursor::of(&record.at(&incremental.cursor_path)?, incremental.kind));
        last.is_some_and(|last| self.slice.ends_before(last, incremental))
    }

    fn wrong(&self, request: &str, detail: String) -> Stop {
        Stop::Error(Error::Decode {
            source_name: self.reader.api.source().to_owned(),
            request: request.to_owned(),
            detail,
        })
    }

    fn repeated(&self, page: &Page) -> Stop {
        self.wrong(&page.request, "gave the page before it once more: the API takes no notice of the page asked for; check the paginator's parameter".into())
    }
}

/// Finds what an answer says beside its records; the last argument says whether it has none.
type FactsOf<'f> = dyn Fn(&HeaderMap, &Value, bool) -> Result<Facts, String> + 'f;

/// What tells one page from another without a copy of it.
fn ends(page: &Page) -> Option<(Record, Record, usize)> {
    Some((page.records.first()?.clone(), page.records.last()?.clone(), page.records.len()))
}

/// The whole number at `path`; a number in a text counts.
fn count(body: &Value, path: &JsonPath) -> Result<u64, String> {
    let value =
        path.first(body).ok_or_else(|| format!("`{path}` is not in the answer, which should say how much there is"))?;
    plain(value).parse().map_err(|_| format!("`{path}` is {}, not a whole number", short(value)))
}

/// The whole number in the header `name`; one that is absent says nothing, as gateways drop headers.
fn header_count(headers: &HeaderMap, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| format!("the header `{name}` is `{value}`, not a whole number"))
}

/// A value in a message: its beginning, as it can be a whole answer.
fn short(value: &Value) -> String {
    super::detail(value.to_string().as_bytes())
}

/// Whether there is more, by the value at `path`: true, false, or a text of that meaning.
fn more(body: &Value, path: &JsonPath) -> Result<bool, String> {
    match path.first(body) {
        Some(Value::Bool(more)) => Ok(*more),
        Some(Value::String(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "1" | "y" | "t" => Ok(true),
            "false" | "no" | "0" | "n" | "f" => Ok(false),
            _ => Err(format!("`{path}` is {}, neither true nor false", short(&text.as_str().into()))),
        },
        Some(value) => Err(format!("`{path}` is {}, neither true nor false", short(value))),
        None => Err(format!("`{path}` is not in the answer, which should say whether there is more")),
    }
}

/// Puts `value` in its place.
fn put(call: &mut Call<'_>, place: &Place, value: Value) {
    match place {
        Place::Query(name) => {
            call.params.insert(name.clone(), plain(&value));
        }
        Place::Body(path) => {
            if !matches!(call.body, Some(Body::Json(_))) {
                call.body = Some(Body::Json(json!({})));
            }
            if let Some(Body::Json(body)) = &mut call.body {
                set(body, path, value);
            }
        }
    }
}

/// Sets the member at a dotted path, making the objects on the way.
fn set(body: &mut Value, path: &str, value: Value) {
    let mut at = body;
    for name in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
}
