//! The API's own words: errors in their recorded shapes, links, pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::query::{Found, Params};
use crate::server::Answer;

/// What a query value keeps as it is.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'~');

/// A 400 with one of the API's codes. The link to its explanation is called `self` for dates and `about` otherwise.
pub(super) fn bad_request(code: &str, detail: &str) -> Answer {
    let link = if code == "DIS1015" { "self" } else { "about" };
    let href = format!("/discovery/v2/errors.html#{code}");
    let error = json!({"code": code, "detail": detail, "status": "400 BAD_REQUEST", "_links": {link: {"href": href}}});
    Answer::json(400, &json!({"errors": [error]}))
}

/// What the sandbox cannot play: louder than an answer that ignores it.
pub(super) fn not_played(detail: &str) -> Answer {
    bad_request("SANDBOX", &format!("The sandbox does not know {detail}"))
}

pub(super) fn not_found(id: &str) -> Answer {
    let error = json!({
        "code": "DIS1004",
        "detail": format!("Resource not found with provided criteria (locale=en-us, id={id})"),
        "status": "404",
        "_links": {"about": {"href": "/discovery/v2/errors.html#DIS1004"}},
    });
    Answer::json(404, &json!({"errors": [error]}))
}

/// An error of the gateway before the API.
pub(super) fn fault(status: u16, text: &str, code: &str) -> Answer {
    Answer::json(status, &json!({"fault": {"faultstring": text, "detail": {"errorcode": code}}}))
}

/// A page of a search.
pub(super) fn page(kind: &str, path: &str, params: &Params, found: Found) -> Answer {
    // "At least so many": the index does not count further.
    let total = found.total.min(10_000);
    let pages = total.div_ceil(found.size);
    let mut body = json!({
        "_links": links(path, params, found.size, found.number, pages),
        "page": {"size": found.size, "totalElements": total, "totalPages": pages, "number": found.number},
    });
    if !found.items.is_empty() {
        // Not through `json!`, which would copy the page.
        body["_embedded"][kind] = Value::Array(found.items);
    }
    let mut answer = Answer::json(200, &body);
    let unknown: Vec<&str> = params.unknown(kind);
    if !unknown.is_empty() {
        answer.headers.push(("x-unknown-params", unknown.join(",")));
    }
    answer
}

/// Relative, with the caller's parameters, never with the key. Only `self` when there is one page; `self` alone has
/// its values encoded to the last comma.
fn links(path: &str, params: &Params, size: usize, number: usize, pages: usize) -> Value {
    let pair = |(name, value): (&str, &str)| format!("{name}={}", utf8_percent_encode(value, VALUE));
    let query: Vec<String> = params.all().map(pair).collect();
    let own = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
    let mut links = json!({"self": {"href": own}});
    if pages <= 1 && number == 0 {
        return links;
    }
    let others: Vec<String> =
        params.all().filter(|(name, _)| !matches!(*name, "page" | "size" | "sort")).map(pair).collect();
    let sort = params.one("sort").map(|sort| format!("&sort={sort}")).unwrap_or_default();
    let to = |page: usize| {
        let others: String = others.iter().map(|pair| format!("{pair}&")).collect();
        json!({"href": format!("{path}?{others}page={page}&size={size}{sort}")})
    };
    let last = pages.saturating_sub(1);
    links["first"] = to(0);
    if number > 0 {
        links["prev"] = to((number - 1).min(last));
    }
    if number < last {
        links["next"] = to(number + 1);
    }
    links["last"] = to(last);
    links
}
