//! Every paginator with each of its fields: what is asked for, page after page, and that it ends.

use std::ops::Range;

use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, ended, events, records, stub};

/// A manifest of `events` whose pages are asked for by `paginator`.
fn by(stub: &Stub, paginator: &Value) -> Value {
    events(stub, &json!({"path": "events", "data_selector": "events", "paginator": paginator}))
}

/// What was asked for: each request's parameters, or its body where it has one.
fn asked(stub: &Stub) -> Vec<String> {
    let one = |request: Request| {
        if request.method == "POST" {
            return request.body;
        }
        let pairs = request.params.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    };
    stub.take().into_iter().map(one).collect()
}

/// Reads `new` records to the end by `paginator`, asking for `expected`.
fn reads(stub: &Stub, paginator: &Value, new: u64, expected: &[&str]) {
    reads_all(stub, &by(stub, paginator), new, expected);
}

fn reads_all(stub: &Stub, manifest: &Value, new: u64, expected: &[&str]) {
    let report = Mine::json(manifest).reading("events").complete();
    assert_eq!(report["records"]["new"], new, "{manifest}");
    assert_eq!(asked(stub), expected, "{manifest}");
}

/// A run that ends as incomplete with `new` records, having asked for `expected`.
fn is_cut(stub: &Stub, paginator: &Value, new: u64, expected: &[&str], words: &[&str]) {
    let ended = ended(&Mine::json(&by(stub, paginator)).reading("events"), 4, words);
    assert_eq!(ended.report["records"]["new"], new, "{paginator}");
    assert_eq!(asked(stub), expected, "{paginator}");
}

fn some(range: Range<usize>, more: Value) -> Response {
    let mut body = json!({"events": records(range)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Response::json(&body)
}

#[test]
fn single_page_asks_once() {
    let whole = stub(|_| some(0..3, json!({"next": null, "total": 3})));
    reads(&whole, &json!("single_page"), 3, &[""]);
    reads(&whole, &json!({"type": "single_page"}), 3, &[""]);
    let first = stub(|_| some(0..3, json!({"next": "/events?page=2", "total": 9})));
    is_cut(&first, &json!("single_page"), 3, &[""], &["a response hints at more records: `next` names the next page"]);
}

#[test]
fn a_hint_of_more_that_means_something_else_can_be_ignored() {
    let stub = stub(|_| some(0..3, json!({"meta": {"total": 9}})));
    is_cut(&stub, &json!("single_page"), 3, &[""], &["`meta.total` is 9, and 3 records were received"]);
    let mut manifest = by(&stub, &json!("single_page"));
    manifest["resources"][0]["endpoint"]["ignore_hints"] = json!(["meta.total"]);
    reads_all(&stub, &manifest, 3, &[""]);
}

#[test]
fn json_link_follows_links_of_each_form_until_there_is_none() {
    let stub = stub(|request| match request.param("page") {
        "" => some(0..2, json!({"links": {"next": "/events?page=2&a=b%20c"}})),
        "2" => some(2..4, json!({"links": {"next": format!("{}/events?page=3{{&sort}}", request.origin())}})),
        "3" => some(4..6, json!({"links": {"next": "?page=4"}})),
        "4" => some(6..7, json!({"links": {"next": null}})),
        _ => some(7..8, json!({"links": {}})),
    });
    let paginator = json!({"type": "json_link", "next_url_path": "links.next"});
    reads(&stub, &paginator, 7, &["", "a=b c&page=2", "page=3", "page=4"]);
    // The older name; the default place; an empty text ends it.
    let default = stub_of_default_links();
    reads(&default, &json!("json_response"), 6, &["", "page=2", "page=3"]);
    // The link has all parameters, as in dlt; a URI template takes those that it names from the request.
    let mut manifest = by(&stub, &paginator);
    manifest["resources"][0]["endpoint"]["params"] = json!({"sort": "id"});
    reads_all(&stub, &manifest, 7, &["sort=id", "a=b c&page=2", "page=3", "page=4"]);
    let templated = stub_of_templates();
    let mut manifest = by(&templated, &paginator);
    manifest["resources"][0]["endpoint"]["params"] = json!({"sort": "id,asc"});
    reads_all(&templated, &manifest, 4, &["sort=id,asc", "page=2&sort=id,asc"]);
}

fn stub_of_default_links() -> Stub {
    stub(|request| match request.param("page") {
        "" => some(0..2, json!({"next": "/events?page=2"})),
        "2" => some(2..4, json!({"next": "?page=3"})),
        _ => some(4..6, json!({"next": ""})),
    })
}

fn stub_of_templates() -> Stub {
    stub(|request| match request.param("page") {
        "" => some(0..2, json!({"links": {"next": "/events?page=2{&sort}"}})),
        _ => some(2..4, json!({})),
    })
}

#[test]
fn header_link_follows_the_relation_it_names() {
    let link = |request: &Request| match request.param("page") {
        "" => r#"</events?page=9>; rel="last", </events?page=2>; rel="next""#,
        "2" => r"</events?page=3>; rel=next, </events?page=4>; rel=more",
        _ => r#"</events?page=1>; rel="first""#,
    };
    let stub = stub(move |request| {
        let number = request.number("page");
        some(number * 2..number * 2 + 2, json!({})).with("link", link(request))
    });
    reads(&stub, &json!("header_link"), 6, &["", "page=2", "page=3"]);
    reads(&stub, &json!({"type": "header_link", "links_next_key": "last"}), 4, &["", "page=9"]);
}

#[test]
fn header_cursor_sends_the_header_s_value_back() {
    let stub = stub(|request| {
        let at = request.number("after") + request.number("cursor");
        let answer = some(at..at + 2, json!({}));
        match at {
            0 => answer.with("next", "2").with("x-after", "2"),
            2 => answer.with("next", "4").with("x-after", ""),
            _ => answer,
        }
    });
    reads(&stub, &json!("header_cursor"), 6, &["", "cursor=2", "cursor=4"]);
    let named = json!({"type": "header_cursor", "cursor_key": "X-After", "cursor_param": "after"});
    reads(&stub, &named, 4, &["", "after=2"]);
}

#[test]
fn cursor_goes_into_the_query_or_the_body() {
    let stub = stub(|request| {
        let body = request.body_json();
        let at = match body.pointer("/page/after") {
            Some(after) => usize::try_from(after.as_u64().expect("a number stays one")).unwrap(),
            None => request.number("cursor") + request.number("after"),
        };
        let next = if at < 4 { json!(at + 2) } else { Value::Null };
        some(at..at + 2, json!({"cursors": {"next": next}, "meta": {"after": next}}))
    });
    reads(&stub, &json!("cursor"), 6, &["", "cursor=2", "cursor=4"]);
    let named = json!({"type": "cursor", "cursor_path": "meta.after", "cursor_param": "after"});
    reads(&stub, &named, 6, &["", "after=2", "after=4"]);

    let mut manifest = by(&stub, &json!({"type": "cursor", "cursor_body_path": "page.after"}));
    manifest["resources"][0]["endpoint"]["method"] = "POST".into();
    manifest["resources"][0]["endpoint"]["json"] = json!({"page": {"size": 2}});
    let expected = [r#"{"page":{"size":2}}"#, r#"{"page":{"after":2,"size":2}}"#, r#"{"page":{"after":4,"size":2}}"#];
    reads_all(&stub, &manifest, 6, &expected);
}

/// `DynamoDB` gives an object (`LastEvaluatedKey`), Elasticsearch a list (`search_after`).
#[test]
fn cursor_may_be_an_object_or_a_list() {
    for (cursor, place) in [(json!({"id": {"S": "2"}}), "/start/id/S"), (json!(["2026-01-01", 2]), "/start/1")] {
        let next = cursor.clone();
        let stub = stub(move |request| match request.body_json().pointer(place) {
            None => some(0..2, json!({"next": next})),
            Some(_) if next.is_object() => some(2..3, json!({"next": {}})),
            Some(_) => some(2..3, json!({"next": []})),
        });
        let paginator = json!({"type": "cursor", "cursor_path": "next", "cursor_body_path": "start"});
        let mut manifest = by(&stub, &paginator);
        manifest["resources"][0]["endpoint"]["method"] = json!("POST");
        reads_all(&stub, &manifest, 3, &["", &json!({"start": cursor}).to_string()]);
    }
    let stub = stub(|request| match request.param("cursor") {
        "" => some(0..2, json!({"cursors": {"next": {"id": 2}}})),
        _ => some(2..3, json!({})),
    });
    reads(&stub, &json!("cursor"), 3, &["", r#"cursor={"id":2}"#]);
}

/// An API may have signed the link, so that its parameters must stay in their order and as they are written.
#[test]
fn json_link_leaves_the_query_of_a_link_as_it_is() {
    let signed = r#"z=1&a=2&a=3&filter={"status":"on%20sale"}&sig=x%2By"#;
    let stub = stub(move |request| match request.query.as_str() {
        "" => some(0..2, json!({"next": format!("/events?{signed}")})),
        _ => some(2..3, json!({"next": null})),
    });
    let manifest = Mine::json(&by(&stub, &json!({"type": "json_link", "next_url_path": "next"})));
    assert_eq!(manifest.reading("events").complete()["records"]["new"], 3);
    let sent: Vec<String> = stub.take().into_iter().map(|request| request.query).collect();
    assert_eq!(sent, ["".to_owned(), signed.replace('"', "%22")]);
}

#[test]
fn cursor_ends_where_the_answer_says_so() {
    // A feed that never runs out of cursors: the third page is empty, and the fourth says that there is no more.
    let stub = stub(|request| {
        let at = request.number("cursor");
        let records = if at == 4 { 0..0 } else { at..at + 2 };
        some(records, json!({"next": at + 2, "more": at < 6, "text": if at < 6 { "yes" } else { "no" }}))
    });
    let cursor = |more: Value| {
        let mut paginator = json!({"type": "cursor", "cursor_path": "next"});
        paginator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        paginator
    };
    let whole = ["", "cursor=2", "cursor=4", "cursor=6"];
    let until_empty = cursor(json!({"stop_after_empty_page": true}));
    is_cut(&stub, &until_empty, 4, &whole[..3], &["a response hints at more records: `more` is true"]);
    reads(&stub, &cursor(json!({"has_more_path": "more"})), 6, &whole);
    reads(&stub, &cursor(json!({"has_more_path": "text"})), 6, &whole);
    // The two contradict each other: that is said, and not decided.
    let both = cursor(json!({"has_more_path": "more", "stop_after_empty_page": true}));
    is_cut(&stub, &both, 4, &whole[..3], &["a page has no records, and the answer says that there are more"]);
    let lost = cursor(json!({"cursor_path": "nowhere", "has_more_path": "more"}));
    is_cut(&stub, &lost, 2, &whole[..1], &["says that there is more, and gives no cursor to it"]);
}

/// Seven records; `more` says whether there are others.
fn seven(request: &Request) -> Response {
    let body = request.body_json();
    let number = |name: &str| match body["page"][name].as_u64() {
        Some(number) => usize::try_from(number).unwrap(),
        None => request.number(name),
    };
    let from = (number("offset") + number("skip")).min(7);
    let end = (from + number("limit") + number("take")).min(7);
    some(from..end, json!({"total": 7, "meta": {"count": "7"}, "more": end < 7}))
}

/// Four records, the first of which has the offset 1.
fn from_one() -> Stub {
    stub(|request| {
        let from = request.number("offset") - 1;
        some(from.min(4)..(from + 3).min(4), json!({"total": 4}))
    })
}

#[test]
fn offset_counts_up_by_what_came() {
    let stub = stub(seven);
    let offset = |more: Value| {
        let mut paginator = json!({"type": "offset", "limit": 3});
        paginator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        paginator
    };
    let whole = ["limit=3&offset=0", "limit=3&offset=3", "limit=3&offset=6"];
    // dlt's default: `total`, where it is there.
    reads(&stub, &offset(json!({})), 7, &whole);
    reads(&stub, &offset(json!({"total_path": "meta.count", "stop_after_empty_page": false})), 7, &whole);
    reads(&stub, &offset(json!({"total_path": null})), 7, &[&whole[..], &["limit=3&offset=7"]].concat());
    let more = json!({"total_path": null, "has_more_path": "more", "stop_after_empty_page": false});
    reads(&stub, &offset(more), 7, &whole);
    let named = json!({"offset_param": "skip", "limit_param": "take"});
    reads(&stub, &offset(named), 7, &["skip=0&take=3", "skip=3&take=3", "skip=6&take=3"]);
    reads(&stub, &offset(json!({"offset": 4})), 3, &["limit=3&offset=4"]);
    reads(&from_one(), &offset(json!({"offset": 1})), 4, &["limit=3&offset=1", "limit=3&offset=4"]);
    is_cut(&stub, &offset(json!({"maximum_offset": 6})), 6, &whole[..2], &["`maximum_offset: 6` ends the reading"]);
    // Where the total says that nothing is left, a maximum leaves nothing out.
    reads(&stub, &offset(json!({"maximum_offset": 7})), 7, &whole);

    let paths = json!({"offset_body_path": "page.offset", "limit_body_path": "page.limit"});
    let mut manifest = by(&stub, &offset(paths));
    manifest["resources"][0]["endpoint"]["method"] = "POST".into();
    let body = |offset: u64| format!(r#"{{"page":{{"limit":3,"offset":{offset}}}}}"#);
    reads_all(&stub, &manifest, 7, &[&body(0), &body(3), &body(6)]);
    // dlt's default place of a total can have the number of records of the page alone, so the next one is requested.
    reads(&stub, &offset(json!({"limit": 7})), 7, &["limit=7&offset=0", "limit=7&offset=7"]);
}

#[test]
fn page_number_counts_pages() {
    let stub = stub(|request| {
        let body = request.body_json();
        let page = body["at"]["page"]
            .as_u64()
            .map_or(request.number("page") + request.number("p"), |page| usize::try_from(page).unwrap());
        let from = (page * 3).min(10);
        let end = (from + 3).min(10);
        some(from..end, json!({"total": 4, "pages": {"of": 4}, "more": page < 3}))
    });
    let pages = |more: Value| {
        let mut paginator = json!({"type": "page_number"});
        paginator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        paginator
    };
    let sorted = |paginator: &Value, new: u64, expected: &[&str]| {
        assert_eq!(Mine::json(&by(&stub, paginator)).reading("events").complete()["records"]["new"], new);
        // Pages whose number is known are asked for side by side.
        let mut seen = asked(&stub);
        seen.sort();
        assert_eq!(seen, expected, "{paginator}");
    };
    let whole = ["page=0", "page=1", "page=2", "page=3"];
    // dlt's default place of the number of pages may have another number, so one page more is requested.
    let checked = ["page=0", "page=1", "page=2", "page=3", "page=4"];
    sorted(&json!("page_number"), 10, &checked);
    sorted(&pages(json!({"total_path": "pages.of", "stop_after_empty_page": false})), 10, &whole);
    sorted(&pages(json!({"page_param": "p"})), 10, &["p=0", "p=1", "p=2", "p=3", "p=4"]);
    sorted(&pages(json!({"page": 2})), 4, &checked[2..]);
    // Numbered from 1, four pages are 1 to 4.
    sorted(&pages(json!({"base_page": 1})), 7, &["page=1", "page=2", "page=3", "page=4"]);
    reads(&stub, &pages(json!({"total_path": null})), 10, &[&whole[..], &["page=4"]].concat());
    let more = json!({"total_path": null, "has_more_path": "more", "stop_after_empty_page": false});
    reads(&stub, &pages(more), 10, &whole);
    let maximum = pages(json!({"maximum_page": 2, "total_path": null}));
    is_cut(&stub, &maximum, 6, &whole[..2], &["`maximum_page: 2` ends the reading where there is more"]);

    let mut manifest =
        by(&stub, &pages(json!({"page_body_path": "at.page", "total_path": null, "has_more_path": "more"})));
    manifest["resources"][0]["endpoint"]["method"] = "POST".into();
    let body = |page: u64| format!(r#"{{"at":{{"page":{page}}}}}"#);
    reads_all(&stub, &manifest, 10, &[&body(0), &body(1), &body(2), &body(3)]);
}

#[test]
fn auto_takes_what_the_first_answer_suggests() {
    let two = |request: &Request, more: Value| {
        let at = request.number("page") + request.number("cursor");
        some(at * 2..at * 2 + 2, if at == 0 { more } else { json!({"pages": 2}) })
    };
    type Script = Box<dyn Fn(&Request) -> Response + Send + Sync>;
    let cases: [(Script, u64, &[&str], &str); 5] = [
        (
            Box::new(move |request| {
                let answer = two(request, json!({"next": "/events?page=7"}));
                if request.number("page") == 0 { answer.with("link", "</events?page=1>; rel=next") } else { answer }
            }),
            4,
            &["", "page=1"],
            "HeaderLink",
        ),
        (
            Box::new(move |request| two(request, json!({"meta": {"next_page": "/events?page=1"}}))),
            4,
            &["", "page=1"],
            "JsonLink",
        ),
        (Box::new(move |request| two(request, json!({"pages": 2, "next": 1}))), 4, &["", "page=1"], "PageNumber"),
        (Box::new(move |request| two(request, json!({"next_cursor": 1}))), 4, &["", "cursor=1"], "Cursor"),
        (Box::new(move |request| two(request, json!({"total": 2}))), 2, &[""], "SinglePage"),
    ];
    for (script, new, expected, found) in cases {
        let stub = stub(script);
        for paginator in [Value::Null, json!("auto"), json!({})] {
            let mut manifest = by(&stub, &paginator);
            if paginator.is_null() {
                manifest["resources"][0]["endpoint"].as_object_mut().unwrap().remove("paginator");
            }
            let mine = Mine::json(&manifest);
            let ended = ended(&mine.reading("events"), 0, &[found, "say so with `paginator`"]);
            assert_eq!(ended.report["records"]["new"], new, "{found}");
            assert_eq!(asked(&stub), expected, "{found}");
        }
    }
}

#[test]
fn the_nearest_paginator_counts_and_one_entity_has_none() {
    let stub = stub(|request| match request.path.as_str() {
        "/events" => seven(request),
        "/others" => Response::json(&json!({"events": records(0..2), "total": 2})),
        path => Response::json(&json!({"id": path, "tags": [{"id": 1}, {"id": 2}]})),
    });
    let of = |endpoint: Value| {
        let mut manifest = by(&stub, &json!({"type": "offset", "limit": 9}));
        manifest["client"]["paginator"] = json!({"type": "offset", "limit": 7});
        manifest["resource_defaults"] = json!({"endpoint": {"paginator": {"type": "offset", "limit": 8}}});
        manifest["resources"][0]["endpoint"] = endpoint;
        manifest
    };
    let own = json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 9}});
    reads_all(&stub, &of(own), 7, &["limit=9&offset=0", "limit=9&offset=7"]);
    let none = json!({"path": "events", "data_selector": "events"});
    reads_all(&stub, &of(none.clone()), 7, &["limit=8&offset=0", "limit=8&offset=7"]);
    let mut manifest = of(none);
    manifest.as_object_mut().unwrap().remove("resource_defaults");
    reads_all(&stub, &manifest, 7, &["limit=7&offset=0", "limit=7&offset=7"]);
    // A path that ends with a record's own id brings that record alone.
    let other = json!({"name": "others", "endpoint": {"path": "others", "data_selector": "events"}});
    manifest["resources"][0]["endpoint"] = json!({"path": "events/{resources.others.id}"});
    manifest["resources"].as_array_mut().unwrap().push(other);
    reads_all(&stub, &manifest, 2, &["limit=7&offset=0", "limit=7&offset=2", "", ""]);
}

#[test]
fn what_no_paginator_can_be_is_refused() {
    let stub = stub(|_| some(0..1, json!({})));
    for (paginator, words) in [
        (json!("offset"), "`offset` needs its `limit`"),
        (json!({"type": "offset"}), "needs `limit`"),
        (json!({"type": "page_numbers"}), "Did you mean `page_number`?"),
        (json!({"type": "cursor", "cursor_params": "x"}), "Did you mean `cursor_param`?"),
        (json!({"type": "cursor", "cursor_param": "x", "cursor_body_path": "y"}), "not both"),
        (json!({"type": "page_number", "total_path": null, "stop_after_empty_page": false}), "never ends"),
        (json!({"type": "single_page", "limit": 5}), "unknown key; known here: type"),
    ] {
        ended(&Mine::json(&by(&stub, &paginator)).reading("events"), 2, &["resources[0].endpoint.paginator", words]);
    }
    assert!(stub.take().is_empty());
}
