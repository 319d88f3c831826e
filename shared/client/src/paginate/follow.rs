//! By what each response says about the next page: a link or a page token.

use std::collections::{BTreeMap, HashSet};

use manifest::template::param_text;
use manifest::{JsonPath, Paginator, ParamLocation};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::facts::{Facts, has_more_at, shorten};
use super::link;
use super::page::{End, PageEdges, PageEvent, PageWithFacts, Position, Resumption, edges};
use super::query_reader::{QueryReader, put};
use crate::call::Call;
use crate::encode::remove_parameter;
use crate::error::Stop;

/// A query whose responses lead to the next page. It ends where one names no next page.
#[derive(Debug)]
pub(super) struct FollowPages<'p> {
    paginator: &'p Paginator,
    /// The request for the next page.
    call: Call<'p>,
    /// The position of the next page.
    position: Option<Position>,
    /// The next page, if it was read already.
    read_page: Option<PageWithFacts>,
    resumption: Option<Resumption>,
    /// The links and page tokens that were followed.
    followed: HashSet<String>,
    previous: Option<PageEdges>,
    /// Pages that came.
    pages: u64,
    /// Records that came, and those before the resumption.
    records: u64,
}

impl<'p> FollowPages<'p> {
    pub(super) fn new(
        paginator: &'p Paginator,
        query: &QueryReader<'p>,
        resumption: Option<Resumption>,
        first_page: Option<PageWithFacts>,
    ) -> Self {
        Self {
            paginator,
            call: query.call(),
            position: None,
            read_page: first_page,
            resumption,
            followed: HashSet::new(),
            previous: None,
            pages: 0,
            records: 0,
        }
    }

    pub(super) async fn next(&mut self, query: &QueryReader<'p>) -> Result<PageEvent, Stop> {
        self.resume(query).await;
        let read = match self.read_page.take() {
            Some(read) => Some(read),
            None => self.page_of(query, &self.call, self.records).await?,
        };
        let Some(PageWithFacts { mut page, facts }) = read else {
            return Ok(PageEvent::End(QueryReader::ignored(self.pages)));
        };
        page.position = self.position.take();
        self.pages += 1;
        self.records += page.records.len() as u64;
        let edges = edges(&page);
        if edges.is_some() && edges == self.previous {
            return Err(query.repeated_page(&page));
        }
        self.previous = edges.or(self.previous.take());
        if query.leaves_range(&page) {
            return Ok(PageEvent::LastPage(page, End::LeftRange));
        }
        if let Some(end) = self.end_after(query, &facts, page.records.is_empty()) {
            return Ok(PageEvent::LastPage(page, end));
        }
        let Some(next) = facts.next else { return Ok(PageEvent::LastPage(page, End::Reached)) };
        if !self.followed.insert(param_text(&next)) {
            let detail = "names a next page that was read already: the API would be read in circles";
            return Ok(PageEvent::DeadEnd(page, detail.into()));
        }
        Ok(match advance(query, &mut self.call, self.paginator, next.clone()) {
            Ok(()) => {
                self.position = Some(self.position_of(next));
                PageEvent::Page(page)
            }
            Err(reason) => PageEvent::DeadEnd(page, reason),
        })
    }

    async fn page_of(
        &self,
        query: &QueryReader<'p>,
        call: &Call<'p>,
        before: u64,
    ) -> Result<Option<PageWithFacts>, Stop> {
        query.page(call, before, &|headers, read| link_facts(self.paginator, headers, read.body)).await
    }

    /// The position of the page that `next` leads to, for which [`Self::call`] is the request.
    fn position_of(&self, next: Value) -> Position {
        match self.paginator {
            Paginator::JsonLink { .. } | Paginator::HeaderLink { .. } => Position::Link(self.call.target.clone()),
            _ => Position::PageToken(next),
        }
    }

    /// Reads the page at which an earlier run stopped. A page token that the API has forgotten meanwhile is no error: then the query is read
    /// from its beginning.
    async fn resume(&mut self, query: &QueryReader<'p>) {
        // The resumption stays until its page was read, since the wait for it can be dropped.
        let Some(Resumption { position, before }) = self.resumption.clone() else { return };
        let mut call = query.call();
        let is_valid = match &position {
            Position::PageToken(token) => advance(query, &mut call, self.paginator, token.clone()).is_ok(),
            // The link is resolved again, so that a stored address leads to no other host.
            Position::Link(address) => advance(query, &mut call, self.paginator, address.clone().into()).is_ok(),
            Position::Offset(_) | Position::PageNumber { .. } => false,
        };
        if is_valid && let Ok(Some(read)) = self.page_of(query, &call, before).await {
            self.call = call;
            self.records = before;
            self.read_page = Some(read);
            self.position = Some(position);
        }
        self.resumption = None;
    }

    /// How the query ends at a response, if it does.
    fn end_after(&self, query: &QueryReader<'p>, facts: &Facts, is_empty: bool) -> Option<End> {
        if let Paginator::Cursor { stop_after_empty_page: true, .. } = self.paginator
            && is_empty
        {
            return Some(match facts.has_more {
                Some(true) => End::Stopped("a page has no records, and the answer says that there are more".into()),
                _ => End::Reached,
            });
        }
        match (facts.has_more, &facts.next) {
            (Some(false), _) | (None, None) => Some(End::Reached),
            (Some(true), None) => {
                Some(End::Stopped("the answer says that there is more, and gives no cursor to it".into()))
            }
            (_, Some(_)) => {
                let is_too_deep = query.endpoint().depth_limit.is_some_and(|limit| self.records >= limit);
                is_too_deep.then_some(End::TooDeep)
            }
        }
    }
}

/// Makes `call` the request for the next page.
fn advance<'p>(query: &QueryReader<'p>, call: &mut Call<'p>, paginator: &Paginator, next: Value) -> Result<(), String> {
    match paginator {
        Paginator::JsonLink { .. } | Paginator::HeaderLink { .. } => {
            let mut address = link::resolve(query.reader.api.base_url(), call, &param_text(&next))?;
            // A link may repeat the key that the request carried.
            for name in query.reader.api.key_params(query.endpoint()) {
                remove_parameter(&mut address, name);
            }
            call.target = address.into();
            call.params = BTreeMap::new();
        }
        Paginator::HeaderCursor { param, .. } => put(call, &ParamLocation::Query(param.clone()), next),
        Paginator::Cursor { place, .. } => put(call, place, next),
        _ => {}
    }
    Ok(())
}

/// Finds what a response says about the next page.
///
/// # Errors
///
/// A message, if a value is of another type than expected.
pub(super) fn link_facts(paginator: &Paginator, headers: &HeaderMap, body: &Value) -> Result<Facts, String> {
    let next = match paginator {
        Paginator::JsonLink { next_url_path } => link_at(body, next_url_path)?,
        Paginator::HeaderLink { rel } => link::with_rel(headers, rel).map(Value::from),
        Paginator::HeaderCursor { header, .. } => {
            let token = headers.get(header).and_then(|value| value.to_str().ok()).map(str::trim);
            token.filter(|token| !token.is_empty()).map(Value::from)
        }
        Paginator::Cursor { cursor_path, .. } => cursor_path.first(body).filter(|token| is_page_token(token)).cloned(),
        _ => None,
    };
    let has_more = match paginator {
        Paginator::Cursor { has_more_path: Some(path), .. } => Some(has_more_at(body, path)?),
        _ => None,
    };
    Ok(Facts { count: None, has_more, next })
}

/// Reads the link at `path`; null and an empty text say that there is none.
fn link_at(body: &Value, path: &JsonPath) -> Result<Option<Value>, String> {
    match path.first(body) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().into())),
        Some(value) => Err(format!("`{path}` is {}, not a link", shorten(value))),
    }
}

/// Whether a value is a page token. Any value that is false in Python ends the query, as in dlt. A token may be an object or a list, such as
/// `LastEvaluatedKey` of `DynamoDB` and `search_after` of Elasticsearch.
fn is_page_token(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_token) => *is_token,
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}
