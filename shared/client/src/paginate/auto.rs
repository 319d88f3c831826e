//! `auto`: the paginator that the first answer suggests.

use std::sync::OnceLock;

use manifest::{JsonPath, Paginator, ParamLocation, RangeEnd, RangeTotal};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::answer::{AnswerFacts, count};
use super::page::ReadPage;
use super::query_reader::QueryReader;
use super::{follow, link};
use crate::error::Stop;

/// How deep a key is looked for, as dlt does.
const DEEPEST: usize = 3;

/// The query's first page, and the paginator that it suggests: what the first query shows goes for all of the resource. `None`: the
/// manifest ignores the answer.
pub(super) async fn first_page(query: &QueryReader<'_>) -> Result<Option<ReadPage>, Stop> {
    let found = OnceLock::new();
    let read = query
        .page(&query.call(), 0, &|headers, body, _| {
            let paginator = found.get_or_init(|| suggested(headers, body));
            let facts = follow::facts(paginator, headers, body)?;
            match paginator {
                Paginator::PageNumber { end: RangeEnd { total: Some(total), .. }, .. } => {
                    Ok(AnswerFacts { bound: Some(count(body, &total.path)?), ..facts })
                }
                _ => Ok(facts),
            }
        })
        .await?;
    if read.is_some() {
        let paginator = found.into_inner().unwrap_or(Paginator::SinglePage);
        let resource = query.reader.resource;
        tracing::warn!(
            resource,
            ?paginator,
            "the first answer suggests how pages are asked for; say so with `paginator`"
        );
        query.reader.detected.get_or_init(|| paginator);
    }
    Ok(read)
}

/// By dlt's order: a `Link` header, a link in the body, a number of pages, a cursor; else there is one page.
fn suggested(headers: &HeaderMap, body: &Value) -> Paginator {
    if link::with_rel(headers, "next").is_some() {
        return Paginator::HeaderLink { rel: "next".into() };
    }
    let is_link = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("http") || text.starts_with('/'));
    if let Some(next_url_path) = find(body, &|name, value| name.starts_with("next") && is_link(value)) {
        return Paginator::JsonLink { next_url_path };
    }
    let is_total = |name: &str| ["total_pages", "pages", "totalpages"].contains(&name.to_lowercase().as_str());
    if let Some(path) = find(body, &|name, value| is_total(name) && value.is_u64()) {
        return Paginator::PageNumber {
            base_page: 0,
            page: 0,
            page_place: ParamLocation::Query("page".into()),
            end: RangeEnd {
                total: Some(RangeTotal { path, required: true }),
                maximum: None,
                stop_after_empty_page: true,
                has_more_path: None,
            },
        };
    }
    let is_cursor = |value: &Value| value.is_string() || value.is_number();
    if let Some(cursor_path) = find(body, &|name, value| name.starts_with("next") && is_cursor(value)) {
        let place = ParamLocation::Query("cursor".into());
        return Paginator::Cursor { cursor_path, place, stop_after_empty_page: false, has_more_path: None };
    }
    Paginator::SinglePage
}

/// The place of the first member that `fits`, outermost first.
fn find(body: &Value, fits: &dyn Fn(&str, &Value) -> bool) -> Option<JsonPath> {
    let mut level = vec![(String::from("$"), body)];
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for (path, value) in level {
            for (name, member) in value.as_object().into_iter().flatten() {
                let path = format!("{path}['{name}']");
                if fits(&name.to_lowercase(), member) {
                    return JsonPath::parse(&path).ok();
                }
                below.push((path, member));
            }
        }
        level = below;
    }
    None
}
