//! The requests and responses of one query.

use std::sync::Arc;

use bytes::Bytes;
use manifest::{Body, Cursor, Endpoint, JsonPath, Paginator, ParamLocation, Query, Total};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::facts::{BodyRead, Facts, FindFacts, count_at, count_in_header};
use super::hints::{Hints, KnownPlaces};
use super::page::{End, Page, PageWithFacts};
use super::reader::Reader;
use crate::api::Received;
use crate::body::{ResponseBody, Selection, SplitBody};
use crate::call::Call;
use crate::error::{Error, Stop};
use crate::record::Record;
use crate::records;
use crate::reported_errors::check_no_errors;

/// The content of a response.
struct PageContent {
    records: Vec<Record>,
    total: Option<u64>,
    facts: Facts,
    hints: Hints,
}

/// One query of a reader: builds its requests and reads its responses, in whatever order a paginator asks for pages.
#[derive(Clone, Debug)]
pub(super) struct QueryReader<'p> {
    pub(super) reader: &'p Reader<'p>,
    pub(super) query: Arc<Query>,
}

impl<'p> QueryReader<'p> {
    pub(super) fn new(reader: &'p Reader<'p>, query: &Arc<Query>) -> Self {
        Self { reader, query: Arc::clone(query) }
    }

    pub(super) fn endpoint(&self) -> &'p Endpoint {
        self.reader.endpoint
    }

    /// The request of the query, without what a paginator adds.
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

    /// Reads the page that `call` brings, with the facts that `find_facts` finds in the response. `before` is the number of pages or records
    /// of the query before it. Returns `None` if the manifest ignores the response.
    pub(super) async fn page(
        &self,
        call: &Call<'p>,
        before: u64,
        find_facts: &FindFacts<'_>,
    ) -> Result<Option<PageWithFacts>, Stop> {
        let read = |headers: &HeaderMap, body: &Bytes| self.read(headers, body, before, find_facts);
        let response = self.reader.api.send(call, read).await?;
        Ok(response.map(|Received { value, request, sent_at }| {
            let PageContent { records, total, facts, hints } = value;
            let (position, overlap, room) = (None, None, None);
            let page = Page { records, total, request, read_at: sent_at, position, hints, overlap, room };
            PageWithFacts { page, facts }
        }))
    }

    /// Reads the content of a response.
    fn read(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        before: u64,
        find_facts: &FindFacts<'_>,
    ) -> Result<PageContent, String> {
        let body = ResponseBody::new(body);
        let known_selector = self.endpoint().data_selector.as_ref().or_else(|| self.reader.detected_selector.get());
        let selector = match known_selector {
            Some(selector) => selector.clone(),
            None => {
                let body = body.value()?;
                check_no_errors(&body, None, &self.endpoint().ignore_hints)?;
                self.detect_selector(&body)?
            }
        };
        let keeps_elements = self.looks_into_records(&selector);
        let SplitBody { rest, records } = body.split(Selection { selector: &selector, keeps_elements })?;
        check_no_errors(&rest, Some(&selector), &self.endpoint().ignore_hints)?;
        let facts = find_facts(headers, BodyRead { body: &rest, is_empty: records.is_empty() })?;
        let total = match &self.endpoint().total {
            Some(Total::Path(path)) => Some(count_at(&rest, path)?),
            Some(Total::Header(name)) => count_in_header(headers, name)?,
            None => None,
        };
        let hints = self.hints(headers, &rest, &selector);
        // Past the end, which a shrinking result can leave behind a reader, Ticketmaster sends no list at all.
        let may_be_absent = total == Some(0) || facts.count.is_some_and(|count| count <= before);
        records::check_place(&rest, &selector, may_be_absent)?;
        Ok(PageContent { records, total, facts, hints })
    }

    /// Finds what a response says about further records beside the places that the manifest names.
    fn hints(&self, headers: &HeaderMap, body: &Value, selector: &JsonPath) -> Hints {
        let paginator = self.reader.paginator();
        let mut named: Vec<&JsonPath> = self.endpoint().ignore_hints.iter().collect();
        named.extend(paginator.into_iter().flat_map(Paginator::paths));
        if let Some(Total::Path(path)) = &self.endpoint().total {
            named.push(path);
        }
        let follows_header_link = matches!(paginator, Some(Paginator::HeaderLink { .. }));
        Hints::find(headers, body, &KnownPlaces { selector, named: &named, follows_header_link })
    }

    /// Finds where the records are, in the first response, if the manifest does not say.
    fn detect_selector(&self, body: &Value) -> Result<JsonPath, String> {
        let found = records::detect(body, self.reader.resource)?;
        let resource = self.reader.resource;
        tracing::info!(resource, selector = %found, "the records were found in the answer; say so with `data_selector`");
        Ok(self.reader.detected_selector.get_or_init(|| found).clone())
    }

    /// Whether a fact about the query is looked for in its records, which are at `selector`.
    fn looks_into_records(&self, selector: &JsonPath) -> bool {
        let total = match &self.endpoint().total {
            Some(Total::Path(path)) => Some(path),
            _ => None,
        };
        let paths = self.reader.paginator().map(Paginator::paths).unwrap_or_default();
        paths.into_iter().chain(total).any(|path| path.may_lie_within(selector))
    }

    /// Whether the query ends at the first record beyond its range, if the API gives one.
    pub(super) fn can_leave_range(&self) -> bool {
        self.endpoint().incremental.as_ref().is_some_and(|incremental| self.query.has_end(incremental))
    }

    /// Whether the page's last record lies beyond the query's range, in an API that gives records in order.
    pub(super) fn leaves_range(&self, page: &Page) -> bool {
        let Some(incremental) = &self.endpoint().incremental else { return false };
        let last_cursor = page
            .records
            .last()
            .and_then(|record| Cursor::from_value(&record.at(&incremental.cursor_path)?, incremental.kind));
        last_cursor.is_some_and(|cursor| self.query.ends_before(cursor, incremental))
    }

    /// The end of a query whose next response is ignored, after `pages` pages. If that is the first response, there is nothing to read.
    pub(super) fn ignored(pages: u64) -> End {
        if pages == 0 {
            return End::Reached;
        }
        End::Stopped(format!(
            "the answer to page {} is one that response_actions ignore: what follows it was not read",
            pages + 1
        ))
    }

    /// The error of a response that is not what it should be.
    pub(super) fn decode_error(&self, request: &str, detail: String) -> Stop {
        Stop::Error(Error::Decode {
            source_name: self.reader.api.source().to_owned(),
            request: request.to_owned(),
            detail,
        })
    }

    /// The error of an API that gives the same page again.
    pub(super) fn repeated_page(&self, page: &Page) -> Stop {
        let detail = "gave the page before it once more: the API takes no notice of the page asked for; check the paginator's parameter";
        self.decode_error(&page.request, detail.into())
    }
}

/// Puts `value` in its place in a request.
pub(super) fn put(call: &mut Call<'_>, location: &ParamLocation, value: Value) {
    match location {
        ParamLocation::Query(name) => {
            call.params.insert(name.clone(), manifest::template::param_text(&value));
        }
        ParamLocation::Body(path) => {
            if !matches!(call.body, Some(Body::Json(_))) {
                call.body = Some(Body::Json(json!({})));
            }
            if let Some(Body::Json(body)) = &mut call.body {
                set_member(body, path, value);
            }
        }
    }
}

/// Sets the member at a dotted path, and creates the objects on the way.
fn set_member(body: &mut Value, path: &str, value: Value) {
    let mut member = body;
    for name in path.split('.') {
        if !member.is_object() {
            *member = json!({});
        }
        member = &mut member[name];
    }
    *member = value;
}
