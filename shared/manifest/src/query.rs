//! One list request, and what identifies it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::cursor::Cursor;
use crate::endpoint::{Endpoint, Incremental, RowOrder};
use crate::split::{TimeEnds, TimeParams};
use crate::time::{self, TimeRange};

/// The version of what a [`QueryId`] is a hash of. A change of that gives every query another id, so that nothing stored is taken for
/// a query that it does not belong to.
const ID_VERSION: u32 = 1;

/// What identifies a query: a 128-bit hash of everything that decides its answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(u128);

impl fmt::Display for QueryId {
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

/// What all queries of one endpoint have in common: the part of a [`QueryId`] that does not differ between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryScope(u128);

impl QueryScope {
    /// The scope of `endpoint` below `base_url`, whose pages have `page_size` records where the request says so.
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

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// Text that is sent as it is.
    Text(String),
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{value}"),
            Self::Form(fields) => f.write_str(&join_params(fields)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Parameters as they stand in a URL, without encoding: for messages.
pub fn join_params(params: &BTreeMap<String, String>) -> String {
    params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// One list request, read page by page to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    scope: QueryScope,
    /// For messages and the report: its time window, its extra parameters or its parent. Nothing is decided by it.
    pub label: String,
    /// The path below the base URL, or a whole address.
    pub path: String,
    /// The query parameters, without those of the page and the key.
    pub params: BTreeMap<String, String>,
    /// The headers beside the client's.
    pub headers: BTreeMap<String, String>,
    /// The body, without what the page adds to it.
    pub body: Option<Body>,
    /// The values that each record takes over from its parent, by column name.
    pub parent_fields: Map<String, Value>,
    /// The first cursor value of the range.
    pub start: Option<Cursor>,
    /// The last cursor value of the range.
    pub end: Option<Cursor>,
}

impl Query {
    /// An empty query in `scope`, called `label` in messages.
    pub fn new(scope: QueryScope, label: impl Into<String>) -> Self {
        Self { scope, label: label.into(), ..Self::default() }
    }

    /// The hash of everything that decides the answer: method, base URL, path, parameters, headers, body, paginator, page size and
    /// selector. Headers that hold a key are the client's, and are not among them.
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

    /// Whether `cursor` lies beyond the end of a range that the API gives in order. The last page has such records where the API has no
    /// parameter for the end.
    pub fn ends_before(&self, cursor: Cursor, incremental: &Incremental) -> bool {
        // The range of a cursor that goes down begins at its greatest value.
        let (first, last) = if incremental.descending { (self.end, self.start) } else { (self.start, self.end) };
        match incremental.row_order {
            Some(RowOrder::Asc) => last.is_some_and(|last| cursor > last),
            Some(RowOrder::Desc) => first.is_some_and(|first| cursor < first),
            None => false,
        }
    }

    /// The same query within a time window. Open ends are not sent.
    #[must_use]
    pub fn within(&self, time: &TimeParams, window: TimeRange) -> Self {
        let mut query = self.clone();
        if window == TimeRange::ALL {
            return query;
        }
        let written = |seconds: i64| time::from_seconds(seconds).map(time::format_seconds);
        let (from, to) = (window.from.and_then(written), window.to.and_then(written));
        query.label = window.to_string();
        match &time.ends {
            TimeEnds::Pair { start_param, end_param } => {
                query.params.extend(from.map(|from| (start_param.clone(), from)));
                query.params.extend(to.map(|to| (end_param.clone(), to)));
            }
            TimeEnds::Range { param } => {
                let open = |end: Option<String>| end.unwrap_or_else(|| "*".into());
                query.params.insert(param.clone(), format!("{},{}", open(from), open(to)));
            }
        }
        query
    }

    /// The same query for some values of a parameter.
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
    fn an_id_depends_on_what_decides_the_answer_and_on_nothing_else() {
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
    fn an_id_is_stored_as_text() {
        let id = query().id();
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text.len(), 34);
        assert_eq!(serde_json::from_str::<QueryId>(&text).unwrap(), id);
    }
}
