//! The requests and answers of one query.

use std::sync::Arc;

use manifest::{Body, Cursor, Endpoint, JsonPath, Paginator, ParamLocation, Query, Total};
use serde_json::{Value, json};

use super::answer::{FactsOf, count, header_count};
use super::page::{End, Page, ReadPage};
use super::reader::Reader;
use crate::call::Call;
use crate::error::{Error, Stop};
use crate::record;
use crate::records;

/// One query of a reader: builds its requests and reads its answers, in whatever order a paginator asks for pages.
#[derive(Clone, Debug)]
pub(super) struct QueryReader<'p> {
    pub(super) reader: &'p Reader<'p>,
    pub(super) query: Arc<Query>,
}

impl<'p> QueryReader<'p> {
    pub(super) fn endpoint(&self) -> &'p Endpoint {
        self.reader.endpoint
    }

    /// The query's first request, without what a paginator adds.
    pub(super) fn call(&self) -> Call<'p> {
        let query = &self.query;
        let mut call = Call {
            endpoint: self.reader.endpoint,
            target: query.path.clone(),
            params: query.params.clone(),
            headers: query.headers.clone(),
            body: query.body.clone(),
        };
        if let Some(size) = &self.reader.endpoint.page_size {
            put(&mut call, &size.place, self.reader.api.page_size().unwrap_or(size.maximum).into());
        }
        call
    }

    /// The page that `call` brings, with what `facts` finds in the answer. `before`: the pages or records of the query before it.
    /// `None`: the manifest ignores the answer.
    pub(super) async fn page(
        &self,
        call: &Call<'p>,
        before: u64,
        facts: &FactsOf<'_>,
    ) -> Result<Option<ReadPage>, Stop> {
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
                    None => self.detect_selector(&body)?,
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
                let values = records::take(body, &selector, empty)?.into_iter().map(record::Record::Value);
                Ok((texts.into_iter().chain(values).collect(), total, facts))
            })
            .await?;
        Ok(read.map(|(records, total, facts)| ReadPage {
            page: Page { records, total, request, position: None, room: None },
            facts,
        }))
    }

    /// Finds where the records lie in the first answer, where the manifest does not say.
    fn detect_selector(&self, body: &Value) -> Result<JsonPath, String> {
        let found = records::detect(body, self.reader.resource)?;
        let resource = self.reader.resource;
        tracing::info!(resource, selector = %found, "the records were found in the answer; say so with `data_selector`");
        Ok(self.reader.selector.get_or_init(|| found).clone())
    }

    /// Whether a page's records can stay texts: nothing beside them is looked for among them.
    fn takes_texts(&self, selector: &JsonPath) -> bool {
        let counted = matches!(self.reader.endpoint.paginator, Paginator::PageNumber { .. } | Paginator::Offset { .. });
        counted && !selector.is_many()
    }

    /// Whether the page's last record lies beyond the range, in an API that gives records in order.
    pub(super) fn leaves_range(&self, page: &Page) -> bool {
        let Some(incremental) = &self.reader.endpoint.incremental else { return false };
        let last =
            page.records.last().and_then(|record| Cursor::of(&record.at(&incremental.cursor_path)?, incremental.kind));
        last.is_some_and(|last| self.query.ends_before(last, incremental))
    }

    /// The end that an ignored answer makes of the query after `pages` pages: nothing to read where it is the first, else the end only if
    /// the API's numbers agree, which the caller finds out.
    pub(super) fn ignored(pages: u64) -> End {
        if pages == 0 {
            return End::Reached;
        }
        End::Stopped(format!(
            "the answer to page {} is one that response_actions ignore: what follows it was not read",
            pages + 1
        ))
    }

    pub(super) fn wrong(&self, request: &str, detail: String) -> Stop {
        Stop::Error(Error::Decode {
            source_name: self.reader.api.source().to_owned(),
            request: request.to_owned(),
            detail,
        })
    }

    pub(super) fn repeated(&self, page: &Page) -> Stop {
        let detail = "gave the page before it once more: the API takes no notice of the page asked for; check the paginator's parameter";
        self.wrong(&page.request, detail.into())
    }
}

/// Puts `value` in its place in a request.
pub(super) fn put(call: &mut Call<'_>, place: &ParamLocation, value: Value) {
    match place {
        ParamLocation::Query(name) => {
            call.params.insert(name.clone(), manifest::template::plain(&value));
        }
        ParamLocation::Body(path) => {
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
