//! By what each answer says about the next page: a link or a page token.

use std::collections::HashSet;

use manifest::template::plain;
use manifest::{JsonPath, Paginator, ParamLocation};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::answer::{AnswerFacts, more, short};
use super::link;
use super::page::{End, PageEdges, Position, ReadPage, Resumption, Step, edges};
use super::query_reader::{QueryReader, put};
use crate::call::Call;
use crate::error::Stop;

/// A query whose answers say where the next page lies. It ends where one names no next page.
#[derive(Debug)]
pub(super) struct FollowPages<'p> {
    paginator: &'p Paginator,
    call: Call<'p>,
    /// The position of the page that `call` brings, where it can be asked for again.
    position: Option<Position>,
    /// The page that was read already.
    first_page: Option<ReadPage>,
    resumption: Option<Resumption>,
    followed: HashSet<String>,
    previous: Option<PageEdges>,
    pages: u64,
    received: u64,
}

impl<'p> FollowPages<'p> {
    pub(super) fn new(
        paginator: &'p Paginator,
        query: &QueryReader<'p>,
        resumption: Option<Resumption>,
        first_page: Option<ReadPage>,
    ) -> Self {
        Self {
            paginator,
            call: query.call(),
            position: None,
            first_page,
            resumption,
            followed: HashSet::new(),
            previous: None,
            pages: 0,
            received: 0,
        }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<Step, Stop> {
        self.resume(query).await;
        let read = match self.first_page.take() {
            Some(read) => Some(read),
            None => {
                query.page(&self.call, self.received, &|headers, body, _| facts(self.paginator, headers, body)).await?
            }
        };
        let Some(ReadPage { mut page, facts }) = read else { return Ok(Step::End(QueryReader::ignored(self.pages))) };
        page.position = self.position.take();
        self.pages += 1;
        self.received += page.records.len() as u64;
        let edges = edges(&page);
        if edges.is_some() && edges == self.previous {
            return Err(query.repeated(&page));
        }
        self.previous = edges.or(self.previous.take());
        if query.leaves_range(&page) {
            return Ok(Step::Last(page, End::LeftRange));
        }
        if let Some(end) = self.ended(query, &facts, page.records.is_empty()) {
            return Ok(Step::Last(page, end));
        }
        let Some(next) = facts.next else { return Ok(Step::Last(page, End::Reached)) };
        if !self.followed.insert(plain(&next)) {
            let detail = "names a next page that was read already: the API would be read in circles";
            return Ok(Step::Failed(page, detail.into()));
        }
        // A link may repeat the key that the request carried; what is stored of a query must not.
        let is_token = matches!(self.paginator, Paginator::Cursor { .. } | Paginator::HeaderCursor { .. });
        self.position = is_token.then(|| Position::PageToken(next.clone()));
        Ok(match advance(query, &mut self.call, self.paginator, next) {
            Ok(()) => Step::Page(page),
            Err(reason) => Step::Failed(page, reason),
        })
    }

    /// Goes to the page where an earlier run stopped. A page token that the API has forgotten meanwhile is no reason to fail: then the
    /// query is read from its beginning.
    async fn resume(&mut self, query: &QueryReader<'p>) {
        let Some(Resumption { position: Position::PageToken(token), before }) = self.resumption.take() else { return };
        let mut call = query.call();
        if advance(query, &mut call, self.paginator, token.clone()).is_err() {
            return;
        }
        let read = query.page(&call, before, &|headers, body, _| facts(self.paginator, headers, body)).await;
        if let Ok(Some(page)) = read {
            self.call = call;
            self.received = before;
            self.first_page = Some(page);
            self.position = Some(Position::PageToken(token));
        }
    }

    /// How the query ends at this answer, if it does.
    fn ended(&self, query: &QueryReader<'p>, facts: &AnswerFacts, none: bool) -> Option<End> {
        if let Paginator::Cursor { stop_after_empty_page: true, .. } = self.paginator
            && none
        {
            return Some(match facts.has_more {
                Some(true) => End::Stopped("a page has no records, and the answer says that there are more".into()),
                _ => End::Reached,
            });
        }
        match (facts.has_more, &facts.next) {
            (Some(false), _) => Some(End::Reached),
            (Some(true), None) => {
                Some(End::Stopped("the answer says that there is more, and gives no cursor to it".into()))
            }
            (None, None) => Some(End::Reached),
            (_, Some(_)) => {
                let deep = query.endpoint().depth_limit.is_some_and(|depth| self.received >= depth);
                deep.then_some(End::TooDeep)
            }
        }
    }
}

/// Makes `call` the request for the next page.
fn advance<'p>(query: &QueryReader<'p>, call: &mut Call<'p>, paginator: &Paginator, next: Value) -> Result<(), String> {
    match paginator {
        Paginator::JsonLink { .. } | Paginator::HeaderLink { .. } => {
            let (target, params) = link::resolve(query.reader.api.base_url(), call, &plain(&next))?;
            call.target = target;
            call.params = params;
        }
        Paginator::HeaderCursor { param, .. } => put(call, &ParamLocation::Query(param.clone()), next),
        Paginator::Cursor { place, .. } => put(call, place, next),
        _ => {}
    }
    Ok(())
}

/// What an answer says about the next page.
pub(super) fn facts(paginator: &Paginator, headers: &HeaderMap, body: &Value) -> Result<AnswerFacts, String> {
    let next = match paginator {
        Paginator::JsonLink { next_url_path } => text_at(body, next_url_path)?,
        Paginator::HeaderLink { rel } => link::with_rel(headers, rel).map(Value::from),
        Paginator::HeaderCursor { header, .. } => {
            let value = headers.get(header).and_then(|value| value.to_str().ok()).map(str::trim);
            value.filter(|value| !value.is_empty()).map(Value::from)
        }
        Paginator::Cursor { cursor_path, .. } => {
            cursor_path.first(body).filter(|cursor| is_page_token(cursor)).cloned()
        }
        _ => None,
    };
    let has_more = match paginator {
        Paginator::Cursor { has_more_path: Some(path), .. } => Some(more(body, path)?),
        _ => None,
    };
    Ok(AnswerFacts { bound: None, has_more, next })
}

/// The link at `path`; null and an empty text say that there is none.
fn text_at(body: &Value, path: &JsonPath) -> Result<Option<Value>, String> {
    match path.first(body) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().into())),
        Some(value) => Err(format!("`{path}` is {}, not a link", short(value))),
    }
}

/// What is falsy to dlt ends the reading.
fn is_page_token(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => false,
        Value::Bool(true) => true,
    }
}
