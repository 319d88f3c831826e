//! By what each answer says about the next page: a link or a cursor.

use std::collections::HashSet;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{End, Facts, Position, Read, Reading, Resumption, Wanted, ends, link, more, put};
use crate::fetch::{Call, Stop};
use crate::manifest::template::plain;
use crate::manifest::{JsonPath, Paginator, Place};

impl<'r> Reading<'r, '_> {
    /// Follows the answers until one names no next page.
    pub(super) async fn follow(&self, paginator: &Paginator, first: Option<Read>) -> Result<End, Stop> {
        let mut call = self.call();
        let mut followed = HashSet::new();
        let mut previous = None;
        let mut pages = 0;
        let mut received = 0;
        let mut first = first;
        let mut at = None;
        if let Some(Resumption { position: Position::Cursor(cursor), before }) = self.resumption {
            let mut there = self.call();
            // A cursor that the API has forgotten meanwhile is no reason to fail: then the slice is read from its beginning.
            if self.advance(&mut there, paginator, cursor.clone()).is_ok()
                && let Ok(Some(page)) =
                    self.page(&there, *before, &|headers, body, _| facts(paginator, headers, body)).await
            {
                (call, received, first, at) = (there, *before, Some(page), Some(cursor.clone()));
            }
        }
        loop {
            let read = match first.take() {
                Some(read) => Some(read),
                None => self.page(&call, received, &|headers, body, _| facts(paginator, headers, body)).await?,
            };
            let Some(Read { mut page, facts }) = read else { return Ok(self.ignored(pages)) };
            page.at = at.take().map(Position::Cursor);
            pages += 1;
            received += page.records.len() as u64;
            let ends = ends(&page);
            if ends.is_some() && ends == previous {
                return Err(self.repeated(&page));
            }
            previous = ends.or(previous);
            let (none, left, request) = (page.records.is_empty(), self.leaves_range(&page), page.request.clone());
            if self.send(page).await == Wanted::No {
                return Ok(End::Reached);
            }
            if left {
                return Ok(End::LeftRange);
            }
            if let Some(end) = self.ended(paginator, &facts, none, received) {
                return Ok(end);
            }
            let Some(next) = facts.next else { return Ok(End::Reached) };
            if !followed.insert(plain(&next)) {
                let what = "names a next page that was read already: the API would be read in circles";
                return Err(self.wrong(&request, what.into()));
            }
            // A link may repeat the key that the request carried; what is kept of a slice must not.
            at = matches!(paginator, Paginator::Cursor { .. } | Paginator::HeaderCursor { .. }).then(|| next.clone());
            self.advance(&mut call, paginator, next).map_err(|reason| self.wrong(&request, reason))?;
        }
    }

    /// How the slice ends at this answer, if it does.
    fn ended(&self, paginator: &Paginator, facts: &Facts, none: bool, received: u64) -> Option<End> {
        if let Paginator::Cursor { stop_after_empty_page: true, .. } = paginator
            && none
        {
            return Some(match facts.has_more {
                Some(true) => End::Cut("a page has no records, and the answer says that there are more".into()),
                _ => End::Reached,
            });
        }
        match (facts.has_more, &facts.next) {
            (Some(false), _) => Some(End::Reached),
            (Some(true), None) => {
                Some(End::Cut("the answer says that there is more, and gives no cursor to it".into()))
            }
            (None, None) => Some(End::Reached),
            (_, Some(_)) => {
                let deep = self.reader.endpoint.depth_limit.is_some_and(|depth| received >= depth);
                deep.then_some(End::TooDeep)
            }
        }
    }

    /// Makes `call` the request for the next page.
    fn advance(&self, call: &mut Call<'r>, paginator: &Paginator, next: Value) -> Result<(), String> {
        match paginator {
            Paginator::JsonLink { .. } | Paginator::HeaderLink { .. } => {
                let (target, params) = link::resolve(self.reader.api.base_url(), call, &plain(&next))?;
                call.target = target;
                call.params = params;
            }
            Paginator::HeaderCursor { param, .. } => put(call, &Place::Query(param.clone()), next),
            Paginator::Cursor { place, .. } => put(call, place, next),
            _ => {}
        }
        Ok(())
    }
}

/// What an answer says about the next page.
pub(super) fn facts(paginator: &Paginator, headers: &HeaderMap, body: &Value) -> Result<Facts, String> {
    let next = match paginator {
        Paginator::JsonLink { next_url_path } => text_at(body, next_url_path)?,
        Paginator::HeaderLink { rel } => link::with_rel(headers, rel).map(Value::from),
        Paginator::HeaderCursor { header, .. } => {
            let value = headers.get(header).and_then(|value| value.to_str().ok()).map(str::trim);
            value.filter(|value| !value.is_empty()).map(Value::from)
        }
        Paginator::Cursor { cursor_path, .. } => cursor_path.first(body).filter(|cursor| is_cursor(cursor)).cloned(),
        _ => None,
    };
    let has_more = match paginator {
        Paginator::Cursor { has_more_path: Some(path), .. } => Some(more(body, path)?),
        _ => None,
    };
    Ok(Facts { bound: None, has_more, next })
}

/// The link at `path`; null and an empty text say that there is none.
fn text_at(body: &Value, path: &JsonPath) -> Result<Option<Value>, String> {
    match path.first(body) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().into())),
        Some(value) => Err(format!("`{path}` is {}, not a link", super::short(value))),
    }
}

/// What is falsy to dlt ends the reading.
fn is_cursor(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => false,
        Value::Bool(true) => true,
    }
}
