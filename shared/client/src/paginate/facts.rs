//! What a response says beside its records: how much there is, whether there is more, and what leads to the next page.

use manifest::template::param_text;
use manifest::{JsonPath, RangeEnd};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::text::excerpt;

/// What a response says beside its records.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The records (by offset) or pages (by page number) of the query, at the paginator's `total_path`.
    pub(super) count: Option<u64>,
    /// Whether there is more, at `has_more_path`.
    pub(super) has_more: Option<bool>,
    /// The next page's link or page token.
    pub(super) next: Option<Value>,
}

/// A body, and whether there is no record in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyRead<'b> {
    /// The body, perhaps without its records.
    pub(super) body: &'b Value,
    pub(super) is_empty: bool,
}

/// Finds the facts in a response.
pub(super) type FindFacts<'f> = dyn Fn(&HeaderMap, BodyRead<'_>) -> Result<Facts, String> + 'f;

/// Finds the facts that a paginator by offset or page number needs.
///
/// # Errors
///
/// A message, if a value that must be there is absent or of another type.
pub(super) fn range_facts(end: &RangeEnd, read: BodyRead<'_>) -> Result<Facts, String> {
    let count = match &end.total {
        // An empty page ends the query whatever its count is, and many have none.
        Some(total)
            if total.path.first(read.body).is_none()
                && (!total.required || (read.is_empty && end.stop_after_empty_page)) =>
        {
            None
        }
        Some(total) => Some(count_at(read.body, &total.path)?),
        None => None,
    };
    let has_more = end.has_more_path.as_ref().map(|path| has_more_at(read.body, path)).transpose()?;
    Ok(Facts { count, has_more, next: None })
}

/// Reads the whole number at `path`; it may be written as text.
///
/// # Errors
///
/// A message, if there is none.
pub(super) fn count_at(body: &Value, path: &JsonPath) -> Result<u64, String> {
    let value =
        path.first(body).ok_or_else(|| format!("`{path}` is not in the answer, which should say how much there is"))?;
    param_text(value).parse().map_err(|_| format!("`{path}` is {}, not a whole number", shorten(value)))
}

/// Reads the whole number in the header `name`. An absent header says nothing, as gateways drop headers.
///
/// # Errors
///
/// A message, if the header is not a whole number.
pub(super) fn count_in_header(headers: &HeaderMap, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| format!("the header `{name}` is `{value}`, not a whole number"))
}

/// Reads whether there is more, at `path`: true, false, or a text with that meaning.
///
/// # Errors
///
/// A message, if there is no such value.
pub(super) fn has_more_at(body: &Value, path: &JsonPath) -> Result<bool, String> {
    let Some(value) = path.first(body) else {
        return Err(format!("`{path}` is not in the answer, which should say whether there is more"));
    };
    let has_more = match value {
        Value::Bool(has_more) => Some(*has_more),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "yes" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "0" | "n" | "f" => Some(false),
            _ => None,
        },
        _ => None,
    };
    has_more.ok_or_else(|| format!("`{path}` is {}, neither true nor false", shorten(value)))
}

/// Returns the beginning of a value, for a message: the value can be a whole response.
pub(super) fn shorten(value: &Value) -> String {
    excerpt(value.to_string().as_bytes())
}
