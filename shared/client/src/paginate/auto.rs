//! `auto`: the paginator that the first response suggests.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use manifest::{JsonPath, Paginator, ParamLocation, RangeEnd, RangeTotal};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::facts::{Facts, count_at};
use super::follow::link_facts;
use super::link;
use super::page::PageWithFacts;
use super::query_reader::QueryReader;
use crate::error::Stop;

/// How deep a field is looked for, as dlt does.
const MAX_DEPTH: usize = 3;

/// Finds the paginator of a query. Returns it with the query's first page, if that had to be read; `None` if the manifest ignores the
/// response.
pub(super) async fn detect<'p>(
    query: &QueryReader<'p>,
) -> Result<Option<(&'p Paginator, Option<PageWithFacts>)>, Stop> {
    if let Some(paginator) = query.reader.paginator() {
        return Ok(Some((paginator, None)));
    }
    Ok(first_page(query).await?.map(|(paginator, first)| (paginator, Some(first))))
}

/// Reads the query's first page, and the paginator that it suggests. A suggestion goes for all queries of the resource, but for that of a
/// single page: the first query may have no second page, while others have. Returns `None` if the manifest ignores the response.
pub(super) async fn first_page<'p>(query: &QueryReader<'p>) -> Result<Option<(&'p Paginator, PageWithFacts)>, Stop> {
    let suggested = OnceLock::new();
    let read = query
        .page(&query.call(), 0, &|headers, read| {
            let paginator = suggested.get_or_init(|| suggest(headers, read.body));
            let facts = link_facts(paginator, headers, read.body)?;
            match paginator {
                Paginator::PageNumber { end: RangeEnd { total: Some(total), .. }, .. } => {
                    Ok(Facts { count: Some(count_at(read.body, &total.path)?), ..facts })
                }
                _ => Ok(facts),
            }
        })
        .await?;
    let Some(read) = read else { return Ok(None) };
    let reader = query.reader;
    let paginator = match suggested.into_inner() {
        None | Some(Paginator::SinglePage) => {
            if !reader.has_reported_single_page.swap(true, Ordering::Relaxed) {
                report(reader.resource, &Paginator::SinglePage);
            }
            &Paginator::SinglePage
        }
        Some(paginator) => reader.detected_paginator.get_or_init(|| {
            report(reader.resource, &paginator);
            paginator
        }),
    };
    Ok(Some((paginator, read)))
}

/// Asks for a manifest that names the paginator.
fn report(resource: &str, paginator: &Paginator) {
    tracing::warn!(resource, ?paginator, "the first answer suggests how pages are asked for; say so with `paginator`");
}

/// Suggests a paginator in dlt's order: a `Link` header, a link in the body, a number of pages, a page token; otherwise a single page.
fn suggest(headers: &HeaderMap, body: &Value) -> Paginator {
    if link::with_rel(headers, "next").is_some() {
        return Paginator::HeaderLink { rel: "next".into() };
    }
    let is_link = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("http") || text.starts_with('/'));
    if let Some(next_url_path) = find(body, &|name, value| name.starts_with("next") && is_link(value)) {
        return Paginator::JsonLink { next_url_path };
    }
    let is_page_count = |name: &str| ["total_pages", "pages", "totalpages"].contains(&name.to_lowercase().as_str());
    if let Some(path) = find(body, &|name, value| is_page_count(name) && value.is_u64()) {
        return Paginator::PageNumber {
            base_page: 0,
            page: 0,
            page_location: ParamLocation::Query("page".into()),
            end: RangeEnd {
                total: Some(RangeTotal { path, required: true }),
                maximum: None,
                stop_after_empty_page: true,
                has_more_path: None,
            },
        };
    }
    let is_token = |value: &Value| value.is_string() || value.is_number();
    if let Some(cursor_path) = find(body, &|name, value| name.starts_with("next") && is_token(value)) {
        let place = ParamLocation::Query("cursor".into());
        return Paginator::Cursor { cursor_path, place, stop_after_empty_page: false, has_more_path: None };
    }
    Paginator::SinglePage
}

/// Returns the path of the first member that `fits`, outermost first.
fn find(body: &Value, fits: &dyn Fn(&str, &Value) -> bool) -> Option<JsonPath> {
    let mut level = vec![(String::from("$"), body)];
    for _ in 0..MAX_DEPTH {
        let mut members_below = Vec::new();
        for (path, value) in level {
            for (name, member) in value.as_object().into_iter().flatten() {
                let path = format!("{path}['{name}']");
                if fits(&name.to_lowercase(), member) {
                    return JsonPath::parse(&path).ok();
                }
                members_below.push((path, member));
            }
        }
        level = members_below;
    }
    None
}
