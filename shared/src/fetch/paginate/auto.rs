//! `auto`: the paginator that the first answer suggests.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{End, Facts, Reading, follow, link};
use crate::fetch::Stop;
use crate::manifest::{JsonPath, Paginator, Place, RangeEnd, RangeTotal};

/// How deep a key is looked for, as dlt does.
const DEEPEST: usize = 3;

impl Reading<'_, '_> {
    /// Reads the first page, then as it suggests: what the first slice showed goes for all of the resource.
    pub(super) async fn as_suggested(&self) -> Result<End, Stop> {
        if let Some(detected) = self.reader.detected.get() {
            return self.by(detected, None).await;
        }
        let call = self.call();
        let found = std::sync::OnceLock::new();
        let read = self
            .page(&call, 0, &|headers, body, _| {
                let paginator = found.get_or_init(|| suggested(headers, body));
                let mut facts = follow::facts(paginator, headers, body)?;
                if let Paginator::PageNumber { end: RangeEnd { total: Some(total), .. }, .. } = paginator {
                    facts = Facts { bound: Some(super::count(body, &total.path)?), ..facts };
                }
                Ok(facts)
            })
            .await?;
        let Some(read) = read else { return Ok(self.ignored(0)) };
        let paginator = found.into_inner().unwrap_or(Paginator::SinglePage);
        tracing::warn!(
            resource = self.reader.resource,
            paginator = ?paginator,
            "the first answer suggests how pages are asked for; say so with `paginator`"
        );
        let paginator = self.reader.detected.get_or_init(|| paginator);
        self.by(paginator, Some(read)).await
    }
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
            page_place: Place::Query("page".into()),
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
        let place = Place::Query("cursor".into());
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
