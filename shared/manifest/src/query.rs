//! Queries: list requests, and what identifies them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::cursor::{Cursor, CursorKind};
use crate::endpoint::{BodyTemplate, Endpoint};
use crate::incremental::{Incremental, RowOrder};
use crate::resource::Resource;
use crate::source::Manifest;
use crate::split::{TimeEnds, TimeParams};
use crate::template::Template;
use crate::time::{self, TimeRange};

/// The version of the data that a [`QueryId`] is a hash of. If that data changes, a new version gives every query another id, so that
/// no stored progress is taken for that of another query.
const ID_VERSION: u32 = 1;

/// The id of a query: a 128-bit hash of everything that decides the response.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(u128);

impl fmt::Display for QueryId {
    /// Writes the id as 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for QueryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QueryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The part of a [`QueryId`] that all queries of one endpoint have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryScope(u128);

impl QueryScope {
    /// The scope of `endpoint` below `base_url`. `page_size` is the number of records in a page, if the request of the run sets it.
    pub fn new(base_url: &str, endpoint: &Endpoint, page_size: Option<u64>) -> Self {
        let scope = json!({
            "version": ID_VERSION,
            "base_url": base_url,
            "method": endpoint.method.name(),
            "paginator": endpoint.paginator,
            "page_size": endpoint.page_size,
            "requested_page_size": page_size,
            "data_selector": endpoint.data_selector,
            "total": endpoint.total,
        });
        Self(xxh3_128(scope.to_string().as_bytes()))
    }
}

/// The id of everything that decides which records a resource has, whatever the range of a query: a 128-bit hash. What was read in one
/// scope says nothing about another: another base URL, a corrected path or another account.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(u128);

impl ScopeId {
    /// The scope of `resource` in the configured `manifest`. That of a resource with a parent includes the scope of the parent.
    pub fn new(manifest: &Manifest, resource: &Resource) -> Self {
        let endpoint = &resource.endpoint;
        let parent = resource.parent.as_ref();
        let parent_scope =
            parent.and_then(|parent| manifest.resource(&parent.resource)).map(|parent| Self::new(manifest, parent));
        let texts = |templates: &BTreeMap<String, Template>| -> BTreeMap<String, String> {
            templates.iter().map(|(name, template)| (name.clone(), template.to_string())).collect()
        };
        let body = endpoint.body.as_ref().map(|body| match body {
            BodyTemplate::Json(template) => ("json", template.to_string()),
            BodyTemplate::Data(template) => ("data", template.to_string()),
        });
        let cursor = endpoint.incremental.as_ref().map(|incremental| {
            json!({
                "path": incremental.cursor_path,
                "is_number": incremental.kind == CursorKind::Number,
                "descending": incremental.descending,
                "start_param": incremental.start_param,
                "end_param": incremental.end_param,
            })
        });
        let scope = json!({
            "version": ID_VERSION,
            "query": QueryScope::new(&manifest.client.base_url, endpoint, None).0.to_string(),
            "path": endpoint.path.to_string(),
            "params": texts(&endpoint.params),
            "headers": [&manifest.client.headers, &texts(&endpoint.headers)],
            "body": body,
            "settings": manifest.values,
            "cursor": cursor,
            "parent": parent_scope,
        });
        Self(xxh3_128(scope.to_string().as_bytes()))
    }
}

impl Serialize for ScopeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for ScopeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Body {
    /// A JSON value.
    Json(Value),
    /// The fields of a form, by name, sent as `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// A text that is sent as it is.
    Text(String),
}

impl fmt::Display for Body {
    /// Writes the body for messages. The fields of a form are not encoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{value}"),
            Self::Form(fields) => f.write_str(&join_params(fields)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Writes query parameters for messages: as in a URL, but without encoding.
pub fn join_params(params: &BTreeMap<String, String>) -> String {
    params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// One list request, read page by page to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    scope: QueryScope,
    /// The name of the query in messages and in the report: its time window, its extra parameters or its parent. Nothing is decided by
    /// it.
    pub label: String,
    /// The path below the base URL, or a whole address.
    pub path: String,
    /// The query parameters by name, without those of the page and of the key.
    pub params: BTreeMap<String, String>,
    /// The headers by name, without those of the client.
    pub headers: BTreeMap<String, String>,
    /// The body, without the parameters of the page.
    pub body: Option<Body>,
    /// The fields of the parent's record that each record keeps, by column name.
    pub parent_fields: Map<String, Value>,
    /// The first cursor of the range; `None` means that the range has no beginning.
    pub start: Option<Cursor>,
    /// The cursor before which the range ends; `None` means that the range has no end.
    pub end: Option<Cursor>,
}

impl Query {
    /// An empty query in `scope`. Messages call it `label`.
    pub fn new(scope: QueryScope, label: impl Into<String>) -> Self {
        Self { scope, label: label.into(), ..Self::default() }
    }

    /// Returns the hash of everything that decides the response: method, base URL, path, parameters, headers, body, paginator, page
    /// size, selector and range. The headers of the client, among them those that hold a key, do not count.
    pub fn id(&self) -> QueryId {
        let parts = json!([
            ID_VERSION,
            format!("{:032x}", self.scope.0),
            self.path,
            self.params,
            self.headers,
            self.body,
            self.start.map(|start| start.to_string()),
            self.end.map(|end| end.to_string()),
        ]);
        QueryId(xxh3_128(parts.to_string().as_bytes()))
    }

    /// Returns whether the API's records are in order and `cursor` lies beyond the end of the range. If the API has no parameter for
    /// the end of the range, the last page has such records.
    pub fn ends_before(&self, cursor: Cursor, incremental: &Incremental) -> bool {
        match (incremental.row_order, self.last_in_order(incremental)) {
            (Some(RowOrder::Asc), Some(last)) => cursor > last,
            (Some(RowOrder::Desc), Some(last)) => cursor < last,
            (_, None) | (None, _) => false,
        }
    }

    /// Returns whether the API's records are in order and some of them can lie beyond the end of the range.
    pub fn has_end(&self, incremental: &Incremental) -> bool {
        self.last_in_order(incremental).is_some()
    }

    /// Returns the last cursor of the range in the order of the API's records. `None` if they have no order, or the range has no end.
    fn last_in_order(&self, incremental: &Incremental) -> Option<Cursor> {
        // If runs go backwards, the range begins at its greatest cursor.
        let (first, last) = if incremental.descending { (self.end, self.start) } else { (self.start, self.end) };
        match incremental.row_order? {
            RowOrder::Asc => last,
            RowOrder::Desc => first,
        }
    }

    /// Returns the same query within the time window `window`. An open end is not sent.
    ///
    /// The request reaches [`TimeParams::overlap_seconds`] beyond the window on each side.
    #[must_use]
    pub fn within(&self, time: &TimeParams, window: TimeRange) -> Self {
        let mut query = self.clone();
        if window == TimeRange::ALL {
            return query;
        }
        let format = |seconds: i64| time::from_seconds(seconds).map(time::format_seconds);
        let overlap = time.overlap_seconds();
        let first = window.from.map(|first| first.saturating_sub(overlap));
        let last = window.to.map(|last| last.saturating_add(overlap));
        let (from, to) = (first.and_then(format), last.and_then(format));
        query.label = window.to_string();
        match &time.ends {
            TimeEnds::Pair { start_param, end_param } => {
                query.params.extend(from.map(|from| (start_param.clone(), from)));
                query.params.extend(to.map(|to| (end_param.clone(), to)));
            }
            TimeEnds::Range { param } => {
                let or_open = |end: Option<String>| end.unwrap_or_else(|| "*".into());
                query.params.insert(param.clone(), format!("{},{}", or_open(from), or_open(to)));
            }
        }
        query
    }

    /// Returns the same query for `values` of the query parameter `param`, with commas.
    #[must_use]
    pub fn with_values(&self, param: &str, values: &[String]) -> Self {
        let mut query = self.clone();
        let values = values.join(",");
        query.label = format!("{} {param}={values}", self.label);
        query.params.insert(param.to_owned(), values);
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::built_in;

    fn query() -> Query {
        let manifest = built_in::find("ticketmaster").unwrap().unwrap();
        let endpoint = &manifest.resource("events").unwrap().endpoint;
        let mut query = Query::new(QueryScope::new("https://api.example", endpoint, None), "all");
        query.path = "events".into();
        query.params.insert("locale".into(), "*".into());
        query
    }

    #[test]
    fn an_id_depends_on_everything_that_decides_the_response_and_on_nothing_else() {
        let base = query();
        assert_eq!(Query { label: "everything".into(), ..base.clone() }.id(), base.id());
        let manifest = built_in::find("ticketmaster").unwrap().unwrap();
        let events = &manifest.resource("events").unwrap().endpoint;
        let venues = &manifest.resource("venues").unwrap().endpoint;
        let elsewhere = |scope| Query { scope, ..base.clone() }.id();
        let other_values = base.with_values("countryCode", &["IE".into()]);
        let other_window = TimeRange { from: Some(0), to: None };
        let ids = [
            base.id(),
            Query { path: "events/1".into(), ..base.clone() }.id(),
            Query { body: Some(Body::Text("x".into())), ..base.clone() }.id(),
            Query { start: Some(Cursor::Number(1)), ..base.clone() }.id(),
            other_values.id(),
            base.with_values("countryCode", &["GB".into()]).id(),
            base.within(&TimeParams::pair("from", "to"), other_window).id(),
            elsewhere(QueryScope::new("https://api.example", events, Some(20))),
            elsewhere(QueryScope::new("https://sandbox.example", events, None)),
            elsewhere(QueryScope::new("https://api.example", venues, None)),
        ];
        let distinct: std::collections::BTreeSet<QueryId> = ids.into_iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn a_scope_depends_on_the_address_the_parameters_and_the_parent() {
        let scope = |base_url: Option<&str>, change: fn(&mut Manifest)| {
            let mut manifest = built_in::find("see_tickets").unwrap().unwrap();
            if let Some(base_url) = base_url {
                manifest.client.base_url = base_url.to_owned();
            }
            change(&mut manifest);
            ScopeId::new(&manifest, manifest.resource("sales").unwrap())
        };
        let position =
            |manifest: &Manifest, name: &str| manifest.resources.iter().position(|resource| resource.name == name);
        let base = scope(None, |_| {});
        assert_eq!(scope(None, |manifest| manifest.name = "other".into()), base);
        assert_ne!(scope(Some("https://sandbox.example"), |_| {}), base);
        for parent in ["sales", "events"] {
            let mut manifest = built_in::find("see_tickets").unwrap().unwrap();
            let index = position(&manifest, parent).unwrap();
            let template = Template::parse("x".into(), &|_| Ok(())).unwrap();
            manifest.resources[index].endpoint.params.insert("kind".into(), template);
            assert_ne!(ScopeId::new(&manifest, manifest.resource("sales").unwrap()), base, "{parent}");
        }
    }

    #[test]
    fn an_id_is_stored_as_text() {
        let id = query().id();
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text.len(), 34);
        assert_eq!(serde_json::from_str::<QueryId>(&text).unwrap(), id);
    }
}
