//! What an answer says beside its records: how much there is, whether there is more, and where the next page lies.

use manifest::template::plain;
use manifest::{JsonPath, RangeEnd};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::text::detail;

/// What an answer says beside its records.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerFacts {
    /// The records (by offset) or pages (by number) of the query, as the paginator's `total_path` says.
    pub(super) bound: Option<u64>,
    /// Whether there is more, as `has_more_path` says.
    pub(super) has_more: Option<bool>,
    /// The next page's link or page token.
    pub(super) next: Option<Value>,
}

/// Finds what an answer says beside its records; the last argument says whether it has none.
pub(super) type FactsOf<'f> = dyn Fn(&HeaderMap, &Value, bool) -> Result<AnswerFacts, String> + 'f;

/// The facts that a paginator by offset or page number looks for.
pub(super) fn range_facts(end: &RangeEnd, body: &Value, none: bool) -> Result<AnswerFacts, String> {
    let bound = match &end.total {
        // An empty page ends the reading whatever it says; many have no total.
        Some(total) if total.path.first(body).is_none() && (!total.required || (none && end.stop_after_empty_page)) => {
            None
        }
        Some(total) => Some(count(body, &total.path)?),
        None => None,
    };
    let has_more = end.has_more_path.as_ref().map(|path| more(body, path)).transpose()?;
    Ok(AnswerFacts { bound, has_more, next: None })
}

/// The whole number at `path`; a number in a text counts.
pub(super) fn count(body: &Value, path: &JsonPath) -> Result<u64, String> {
    let value =
        path.first(body).ok_or_else(|| format!("`{path}` is not in the answer, which should say how much there is"))?;
    plain(value).parse().map_err(|_| format!("`{path}` is {}, not a whole number", short(value)))
}

/// The whole number in the header `name`; one that is absent says nothing, as gateways drop headers.
pub(super) fn header_count(headers: &HeaderMap, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| format!("the header `{name}` is `{value}`, not a whole number"))
}

/// Whether there is more, by the value at `path`: true, false, or a text of that meaning.
pub(super) fn more(body: &Value, path: &JsonPath) -> Result<bool, String> {
    match path.first(body) {
        Some(Value::Bool(more)) => Ok(*more),
        Some(Value::String(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "1" | "y" | "t" => Ok(true),
            "false" | "no" | "0" | "n" | "f" => Ok(false),
            _ => Err(format!("`{path}` is {}, neither true nor false", short(&text.as_str().into()))),
        },
        Some(value) => Err(format!("`{path}` is {}, neither true nor false", short(value))),
        None => Err(format!("`{path}` is not in the answer, which should say whether there is more")),
    }
}

/// The beginning of a value, for a message: it can be a whole answer.
pub(super) fn short(value: &Value) -> String {
    detail(value.to_string().as_bytes())
}
