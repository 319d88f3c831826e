//! From a slice to its pages, in order, each as soon as it is there.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Api, Call, Stop};
use crate::error::Error;
use crate::manifest::template::plain;
use crate::manifest::{Endpoint, JsonPath, Paginator, Place};
use crate::plan::Slice;

/// One page of a slice.
#[derive(Debug)]
pub struct Page {
    /// As the API gave them.
    pub records: Vec<Value>,
    /// Records of the whole slice, as this page's answer said.
    pub total: Option<u64>,
    /// The request that brought it, without the key.
    pub request: String,
    /// Pages of the whole slice, as this page's answer said; or records, for an offset paginator with its own total.
    bound: Option<u64>,
}

/// How a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At its last record.
    Reached,
    /// At the depth that the API serves: there is more.
    TooDeep,
}

/// Reads `slice` to its end and sends every page to `pages` in order. Ends early, without error, when nobody receives.
pub async fn read(api: &Api<'_>, endpoint: &Endpoint, slice: &Slice, pages: mpsc::Sender<Page>) -> Result<End, Stop> {
    let reader = Reader { api, endpoint, slice };
    match &endpoint.paginator {
        Paginator::SinglePage => {
            let page = reader.page(&[], None, 0).await?;
            let _ = pages.send(page).await;
            Ok(End::Reached)
        }
        Paginator::Offset { limit, offset, offset_place, limit_place, total_path } => {
            let at = |offset: u64| vec![(offset_place, offset), (limit_place, *limit)];
            let total_path = total_path.as_ref().or(endpoint.total_path.as_ref());
            reader.by_offset(*offset, at, total_path, &pages).await
        }
        Paginator::PageNumber { base_page, page_place, total_path } => {
            reader.by_number(*base_page, page_place, total_path.as_ref(), &pages).await
        }
    }
}

struct Reader<'r> {
    api: &'r Api<'r>,
    endpoint: &'r Endpoint,
    slice: &'r Slice,
}

impl Reader<'_> {
    /// The page at `places`, which has `before` pages (or records, by offset) before it.
    async fn page(&self, places: &[(&Place, u64)], bound_path: Option<&JsonPath>, before: u64) -> Result<Page, Stop> {
        let mut call =
            Call { endpoint: self.endpoint, params: self.slice.params.clone(), body: self.slice.body.clone() };
        for (place, value) in places {
            match place {
                Place::Query(name) => {
                    call.params.insert(name.clone(), value.to_string());
                }
                Place::Body(path) => set(call.body.get_or_insert_with(|| json!({})), path, (*value).into()),
            }
        }
        let request = call.describe();
        let (records, total, bound) = self
            .api
            .answer(&call, |body| {
                let total = self.endpoint.total_path.as_ref().map(|path| count(&body, path)).transpose()?;
                let bound = bound_path.map(|path| count(&body, path)).transpose()?;
                // Past the end, where a shrinking result can leave a reader, Ticketmaster sends no list at all.
                let empty = total == Some(0) || bound.is_some_and(|bound| bound <= before);
                Ok((records(body, &self.endpoint.data_selector, empty)?, total, bound))
            })
            .await?;
        Ok(Page { records, total, request, bound })
    }

    /// Advances by what was received: a server may give fewer than asked. Ends at an empty page, or where the total says.
    async fn by_offset<'p>(
        &self,
        first: u64,
        at: impl Fn(u64) -> Vec<(&'p Place, u64)>,
        total_path: Option<&JsonPath>,
        pages: &mpsc::Sender<Page>,
    ) -> Result<End, Stop> {
        let mut offset = first;
        let mut previous: Option<(Value, Value)> = None;
        loop {
            if self.endpoint.depth_limit.is_some_and(|limit| offset - first >= limit) {
                return Ok(End::TooDeep);
            }
            let page = self.page(&at(offset), total_path, offset - first).await?;
            let ends = page.records.first().cloned().zip(page.records.last().cloned());
            let Some(ends) = ends else { return Ok(End::Reached) };
            if previous.as_ref() == Some(&ends) {
                return Err(Stop::Error(self.repeated(&page)));
            }
            previous = Some(ends);
            offset += page.records.len() as u64;
            let reached = page.bound.or(page.total).is_some_and(|total| offset - first >= total);
            if pages.send(page).await.is_err() || reached {
                return Ok(End::Reached);
            }
        }
    }

    /// With a number of pages known from the first, the rest is asked for several at a time, in order; without, one by one
    /// until an empty one.
    async fn by_number(
        &self,
        base: u64,
        place: &Place,
        total_path: Option<&JsonPath>,
        pages: &mpsc::Sender<Page>,
    ) -> Result<End, Stop> {
        let first = self.page(&[(place, base)], total_path, 0).await?;
        let size = first.records.len() as u64;
        let mut known = first.bound;
        let mut previous = first.records.first().cloned().zip(first.records.last().cloned());
        if size == 0 || pages.send(first).await.is_err() {
            return Ok(End::Reached);
        }
        let deepest = self.endpoint.depth_limit.map_or(u64::MAX, |limit| limit.div_ceil(size));
        let mut read = 1;
        loop {
            let until = known.unwrap_or(read + 1).min(deepest);
            if read >= until {
                let more = known.is_none_or(|known| known > deepest);
                return Ok(if read >= deepest && more { End::TooDeep } else { End::Reached });
            }
            let ahead = if known.is_some() { self.api.in_flight() } else { 1 };
            let mut batch = stream::iter(read..until)
                .map(async |number| self.page(&[(place, base + number)], total_path, number).await)
                .buffered(ahead)
                .boxed_local();
            while let Some(page) = batch.try_next().await? {
                read += 1;
                // Totals drift while one reads: the last answer's counts.
                known = page.bound.or(known);
                let ends = page.records.first().cloned().zip(page.records.last().cloned());
                if ends.is_none() && known.is_none_or(|known| read >= known) {
                    return Ok(End::Reached);
                }
                if ends.is_some() && previous == ends {
                    return Err(Stop::Error(self.repeated(&page)));
                }
                previous = ends;
                if pages.send(page).await.is_err() {
                    return Ok(End::Reached);
                }
            }
        }
    }

    fn repeated(&self, page: &Page) -> Error {
        Error::Decode {
            source_name: self.slice.name.clone(),
            request: page.request.clone(),
            detail: "gave the page before it once more: the API takes no notice of the page asked for; check the paginator's parameter"
                .into(),
        }
    }
}

/// The records at `selector`. Its absence is an error unless the answer says that there are none: a misspelt selector would
/// otherwise read as an empty API.
fn records(mut body: Value, selector: &JsonPath, empty: bool) -> Result<Vec<Value>, String> {
    let found = selector.first(&body).is_some();
    if !found {
        let keys = body.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(", "));
        return if empty {
            Ok(Vec::new())
        } else {
            Err(format!("`{selector}` is not in the answer; it has: {}", keys.unwrap_or_else(|| "no fields".into())))
        };
    }
    Ok(match take(&mut body, selector) {
        Value::Array(records) => records,
        Value::Null => Vec::new(),
        record => vec![record],
    })
}

/// Takes the value at `path` out of `body`, without a copy of it.
fn take(body: &mut Value, path: &JsonPath) -> Value {
    use crate::manifest::path::Step;
    let mut at = body;
    for step in path.steps() {
        let next = match step {
            Step::Field(name) => at.get_mut(name),
            Step::Index(index) => at.get_mut(index),
            Step::All => return Value::Array(at.as_array_mut().map(std::mem::take).unwrap_or_default()),
        };
        match next {
            Some(next) => at = next,
            None => return Value::Null,
        }
    }
    at.take()
}

/// The whole number at `path`; a number in a text counts.
fn count(body: &Value, path: &JsonPath) -> Result<u64, String> {
    let value =
        path.first(body).ok_or_else(|| format!("`{path}` is not in the answer, which should say how much there is"))?;
    plain(value).parse().map_err(|_| format!("`{path}` is {value}, not a whole number"))
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
