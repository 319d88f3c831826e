//! What a response says about further records, in members that the manifest does not name.
//!
//! A manifest can leave out how an API gives pages, or name the wrong place. The records of the first page then look like all records, unless
//! the rest of the response is read: `has_more: true`, a link to the next page, or a count of records that is greater than the number received.
//! The names are those of the APIs that dlt, Airbyte and the `OData`, HAL, Spring and Elasticsearch conventions document.

use manifest::JsonPath;
use manifest::template::param_text;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};

use super::link;

/// The names of members that are true if there are more records. All names are in lower case, without `_`, `-`, `@` and `.`.
const TRUE_IF_MORE: [&str; 12] = [
    "hasmore",
    "hasmoreitems",
    "hasmoreresults",
    "hasnext",
    "hasnextpage",
    "istruncated",
    "more",
    "moreavailable",
    "moreitems",
    "morerecords",
    "moreresults",
    "truncated",
];
/// The names of members that are false if there are more records.
const FALSE_IF_MORE: [&str; 8] =
    ["done", "endofstream", "exhausted", "finished", "islast", "islastpage", "last", "lastpage"];
/// The names of members that lead to the next page. They are null, empty or absent on the last page.
const NEXT: [&str; 18] = [
    "continuation",
    "continuationtoken",
    "continuationuri",
    "lastevaluatedkey",
    "next",
    "nextcontinuationtoken",
    "nextcursor",
    "nexthref",
    "nextlink",
    "nextmarker",
    "nextoffset",
    "nextpage",
    "nextpagetoken",
    "nextpageurl",
    "nextrecordsurl",
    "nexttoken",
    "nexturl",
    "odatanextlink",
];
/// The names of members that count the records of the query or of the page.
const RECORD_COUNTS: [&str; 17] = [
    "count",
    "found",
    "numfound",
    "odatacount",
    "recordsfiltered",
    "recordstotal",
    "resultcount",
    "total",
    "totalcount",
    "totalelements",
    "totalentries",
    "totalhits",
    "totalitems",
    "totalrecords",
    "totalresults",
    "totalrows",
    "totalsize",
];
/// The names of members that count the pages of the query.
const PAGE_COUNTS: [&str; 6] = ["lastpage", "numpages", "pagecount", "pages", "pagestotal", "totalpages"];
/// The names of objects that describe the page. Members of other objects can belong to the content, such as `summary.total` in money.
const CONTAINERS: [&str; 18] = [
    "cursor",
    "cursors",
    "data",
    "hits",
    "info",
    "links",
    "meta",
    "metadata",
    "page",
    "pageinfo",
    "pager",
    "pagination",
    "paging",
    "payload",
    "response",
    "responsemetadata",
    "result",
    "resultinfo",
];
/// The names of headers that count the records of the query.
const COUNT_HEADERS: [&str; 3] = ["x-total-count", "x-total", "x-total-results"];
/// The depth of objects in which members are looked for.
const MAX_DEPTH: usize = 3;

/// What a response says about further records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Each statement that there are more pages, for example `` `has_more` is true ``.
    pub more: Vec<String>,
    /// The counts of records by the places where they are. Some APIs count the records of the page, others those of the query.
    pub record_counts: Vec<(String, u64)>,
    /// The counts of pages by the places where they are.
    pub page_counts: Vec<(String, u64)>,
}

/// The places in a body that hold no hints.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownPlaces<'k> {
    /// The place of the records.
    pub(super) selector: &'k JsonPath,
    /// The places that the manifest gives a meaning, and those that it excludes.
    pub(super) named: &'k [&'k JsonPath],
    /// Whether a link to the next page in the header `Link` is followed.
    pub(super) follows_header_link: bool,
}

impl Hints {
    /// Finds the hints in a response. `body` can be without its records.
    pub(super) fn find(headers: &HeaderMap, body: &Value, known: &KnownPlaces<'_>) -> Self {
        let mut hints = Self::default();
        if !known.follows_header_link
            && let Some(target) = link::with_rel(headers, "next")
        {
            hints.more.push(format!("the header `Link` names the next page, {target}"));
        }
        for name in COUNT_HEADERS {
            let count = headers.get(name).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            hints.record_counts.extend(count.map(|count| (format!("the header `{name}`"), count)));
        }
        let excluded = |path: &&JsonPath| path.first(body).map(std::ptr::from_ref);
        let search = Search {
            skipped: known.named.iter().copied().chain([known.selector]).filter_map(|path| excluded(&path)).collect(),
            containers: ancestors(body, known.selector),
        };
        if let Value::Object(members) = body
            && !search.skips(body)
        {
            search.add_members(members, "", 1, &mut hints);
        }
        hints
    }

    /// Returns the first hint that contradicts a read of `records` records on `pages` pages. `None` if there is no such hint.
    pub fn contradiction(&self, records: u64, pages: u64) -> Option<String> {
        let counts = |counts: &[(String, u64)], read: u64, noun: &str| {
            let (place, count) = counts.iter().find(|(_, count)| *count > read)?;
            Some(format!("{place} is {count}, and {read} {noun} were received"))
        };
        let by_counts = counts(&self.record_counts, records, "records");
        self.more.first().cloned().or(by_counts).or_else(|| counts(&self.page_counts, pages, "pages"))
    }
}

/// Returns the objects that contain the value at `path`, by their addresses.
fn ancestors(body: &Value, path: &JsonPath) -> Vec<*const Value> {
    let mut ancestors = Vec::new();
    let mut value = body;
    for step in path.steps() {
        ancestors.push(std::ptr::from_ref(value));
        let manifest::path::Step::Field(name) = step else { break };
        let Some(member) = value.get(name) else { break };
        value = member;
    }
    ancestors
}

/// A search in one body. Places are compared by their addresses in the body.
struct Search {
    skipped: Vec<*const Value>,
    containers: Vec<*const Value>,
}

impl Search {
    fn skips(&self, value: &Value) -> bool {
        self.skipped.iter().any(|skipped| std::ptr::eq(*skipped, value))
    }

    /// Adds the hints among `members`, which are those of the object at `prefix`.
    fn add_members(&self, members: &Map<String, Value>, prefix: &str, depth: usize, hints: &mut Hints) {
        for (name, value) in members.iter().filter(|(_, value)| !self.skips(value)) {
            let path = format!("{prefix}{name}");
            let plain: String =
                name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
            hints.add(&path, &plain, value);
            let is_container = CONTAINERS.contains(&plain.as_str())
                || self.containers.iter().any(|container| std::ptr::eq(*container, value));
            if let Value::Object(inner) = value
                && is_container
                && depth < MAX_DEPTH
            {
                self.add_members(inner, &format!("{path}."), depth + 1, hints);
            }
        }
    }
}

impl Hints {
    /// Adds the hint that the member at `path` gives. `plain` is its name in the form of the lists of names.
    fn add(&mut self, path: &str, plain: &str, value: &Value) {
        let is_one_of = |names: &[&str]| names.contains(&plain);
        match value {
            Value::Bool(true) if is_one_of(&TRUE_IF_MORE) => self.more.push(format!("`{path}` is true")),
            Value::Bool(false) if is_one_of(&FALSE_IF_MORE) => self.more.push(format!("`{path}` is false")),
            _ if is_one_of(&NEXT) && leads_further(value) => self.more.push(format!("`{path}` names the next page")),
            _ => {
                let Some(count) = count(value) else { return };
                let place = || format!("`{path}`");
                if is_one_of(&RECORD_COUNTS) {
                    self.record_counts.push((place(), count));
                }
                if is_one_of(&PAGE_COUNTS) {
                    self.page_counts.push((place(), count));
                }
            }
        }
    }
}

/// Returns whether a link or a page token leads to another page.
fn leads_further(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) => false,
        Value::Bool(leads) => *leads,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(members) => members.values().any(leads_further),
    }
}

/// Returns the count that a member gives: a whole number, a text of digits, or Elasticsearch's `{"value": 12}`.
fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(_) | Value::String(_) => param_text(value).parse().ok(),
        Value::Object(members) => members.get("value").and_then(Value::as_u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hints(body: &Value, selector: &str, named: &[&str]) -> Hints {
        let selector = JsonPath::parse(selector).unwrap();
        let named: Vec<JsonPath> = named.iter().map(|path| JsonPath::parse(path).unwrap()).collect();
        let named: Vec<&JsonPath> = named.iter().collect();
        let known = KnownPlaces { selector: &selector, named: &named, follows_header_link: false };
        Hints::find(&HeaderMap::new(), body, &known)
    }

    #[test]
    fn usual_members_contradict_a_short_read() {
        for (body, contradiction) in [
            (json!({"data": [], "has_more": true}), "`has_more` is true"),
            (json!({"data": [], "hasMore": true}), "`hasMore` is true"),
            (json!({"data": [], "last": false}), "`last` is false"),
            (json!({"data": [], "next": "/x?page=2"}), "`next` names the next page"),
            (json!({"data": [], "links": {"next": {"href": "/x"}}}), "`links.next` names the next page"),
            (json!({"data": [], "_links": {"next": {"href": "/x"}}}), "`_links.next` names the next page"),
            (json!({"data": [], "@odata.nextLink": "x"}), "`@odata.nextLink` names the next page"),
            (
                json!({"data": [], "pagination": {"continuation": "abc"}}),
                "`pagination.continuation` names the next page",
            ),
            (json!({"data": [], "count": 3}), "`count` is 3, and 2 records were received"),
            (json!({"data": [], "total": "3"}), "`total` is 3, and 2 records were received"),
            (json!({"data": [], "meta": {"total": 3}}), "`meta.total` is 3, and 2 records were received"),
            (json!({"data": [], "hits": {"total": {"value": 9}}}), "`hits.total` is 9, and 2 records were received"),
            (json!({"data": [], "page": {"totalPages": 4}}), "`page.totalPages` is 4, and 1 pages were received"),
        ] {
            assert_eq!(hints(&body, "data", &[]).contradiction(2, 1).as_deref(), Some(contradiction), "{body}");
        }
    }

    #[test]
    fn the_last_page_of_an_honest_api_has_no_hint() {
        for body in [
            json!({"data": [], "has_more": false, "next": null, "count": 2, "total": 2}),
            json!({"data": [], "links": {"next": null, "self": "/x"}, "meta": {"total_pages": 1, "next_page": ""}}),
            json!({"data": [], "last": true, "totalElements": 2, "next": false}),
            // A number of another object is not a count of records.
            json!({"data": [], "summary": {"total": 120}, "id": 9}),
        ] {
            assert_eq!(hints(&body, "data", &[]).contradiction(2, 1), None, "{body}");
        }
    }

    #[test]
    fn records_and_named_places_hold_no_hints() {
        let record = json!({"id": 1, "total": 99, "has_more": true, "meta": {"count": 12}});
        assert_eq!(hints(&record, "$", &[]), Hints::default());
        assert_eq!(hints(&json!({"result": record}), "result", &[]), Hints::default());
        let body = json!({"list": {"items": [], "total": 99}, "cursor": {"next": "x"}});
        assert_eq!(hints(&body, "list.items", &["list.total", "cursor.next"]), Hints::default());
        assert_eq!(hints(&body, "list.items", &["cursor.next"]).record_counts, [("`list.total`".to_owned(), 99)]);
    }
}
