//! `--page-size`: more records on a page than the manifest says, against APIs that give fewer than requested.

use serde_json::{Value, json};

use super::{Mine, Request, Response, Stub, ended, records, stub};

const RECORDS: usize = 1050;

/// How an API that gives at most `CAP` records at once finds the page of a number.
#[derive(Clone, Copy, Debug)]
enum Numbering {
    /// A page has as many records as it gives.
    ByGiven,
    /// A page has as many records as requested, of which it gives the first ones.
    ByRequested,
}

/// The API's answer to a request for `size` records by offset, page number or page token, of which it gives at most `cap`.
fn answer(request: &Request, cap: usize, numbering: Numbering) -> Response {
    let asked = request.number("size").max(request.number("limit")).max(1);
    let given = asked.min(cap);
    let page = match numbering {
        Numbering::ByGiven => given,
        Numbering::ByRequested => asked,
    };
    let from = (request.number("offset") + request.number("cursor") + request.number("page") * page).min(RECORDS);
    let to = (from + given).min(RECORDS);
    let next = (to < RECORDS).then(|| to.to_string());
    Response::json(&json!({
        "events": records(from..to), "total": RECORDS, "pages": RECORDS.div_ceil(page), "next": next,
    }))
}

fn manifest(stub: &Stub, endpoint: &Value) -> Value {
    let mut manifest = super::events(stub, &json!({"path": "events", "data_selector": "events"}));
    manifest["resources"][0]["endpoint"].as_object_mut().unwrap().extend(endpoint.as_object().unwrap().clone());
    manifest
}

/// Every paginator with a parameter for the size of a page, without and with a total.
fn endpoints() -> Vec<Value> {
    let sized = |paginator: Value| json!({"paginator": paginator, "page_size": {"param": "size", "maximum": 1000}});
    let with_total = |mut endpoint: Value| {
        endpoint["total_path"] = json!("total");
        endpoint
    };
    vec![
        json!({"paginator": {"type": "offset", "limit": 20, "total_path": null}}),
        json!({"paginator": {"type": "offset", "limit": 20}}),
        sized(json!({"type": "page_number", "total_path": null})),
        sized(json!({"type": "page_number", "total_path": "pages"})),
        with_total(sized(json!({"type": "page_number", "total_path": "pages"}))),
        with_total(sized(json!({"type": "page_number", "total_path": null}))),
        sized(json!({"type": "cursor", "cursor_path": "next"})),
        sized(json!("auto")),
    ]
}

#[test]
fn more_records_on_a_page_need_fewer_requests() {
    let stub = stub(|request| answer(request, 500, Numbering::ByGiven));
    for endpoint in endpoints() {
        let mine = Mine::json(&manifest(&stub, &endpoint));
        mine.reading("events").with(&["--page-size", "500"]).complete();
        assert_eq!(mine.ids("events").len(), RECORDS, "{endpoint}");
        let sent = stub.take().len();
        assert!((3..=4).contains(&sent), "{sent} requests: {endpoint}");
    }
}

#[test]
fn an_api_that_gives_fewer_records_than_requested_is_read_to_its_end() {
    for numbering in [Numbering::ByGiven, Numbering::ByRequested] {
        for (asked, cap) in [(1000, 100), (500, 100), (500, 499), (1000, 7), (300, 250)] {
            let stub = stub(move |request| answer(request, cap, numbering));
            for endpoint in endpoints() {
                let mine = Mine::json(&manifest(&stub, &endpoint));
                mine.reading("events").with(&["--page-size", &asked.to_string()]).complete();
                assert_eq!(mine.ids("events").len(), RECORDS, "{numbering:?} {asked} {cap} {endpoint}");
                let sent = stub.take().len();
                // Pages by offset can overlap by a record. One request more finds the end, and one more that there is no second page.
                assert!(
                    sent <= RECORDS.div_ceil(cap - 1) + 2,
                    "{sent} requests: {numbering:?} {asked} {cap} {endpoint}"
                );
            }
        }
    }
}

/// The API counts one page of the size that is requested, and gives less than that.
#[test]
fn a_count_of_one_page_is_not_the_end_if_the_page_is_short() {
    let stub = stub(|request| answer(request, 1000, Numbering::ByRequested));
    let endpoint = json!({
        "paginator": {"type": "page_number", "total_path": "pages"}, "page_size": {"param": "size", "maximum": 2000},
    });
    let mine = Mine::json(&manifest(&stub, &endpoint));
    mine.reading("events").with(&["--page-size", "2000"]).complete();
    assert_eq!(mine.ids("events").len(), RECORDS);
}

#[test]
fn a_run_that_was_cut_short_resumes_with_the_same_size_and_begins_again_with_another() {
    for numbering in [Numbering::ByGiven, Numbering::ByRequested] {
        let stub = stub(move |request| answer(request, 100, numbering));
        for endpoint in endpoints() {
            let mine = Mine::json(&manifest(&stub, &endpoint));
            let part = |size: &str| mine.reading("events").with(&["--page-size", size, "--max-requests", "4"]);
            ended(&part("500"), 3, &[]);
            ended(&part("500"), 3, &[]);
            let resumed = stub.take().len();
            // Another size is another query, so that no page is taken for another one.
            ended(&part("300"), 3, &[]);
            let first = &stub.take()[0];
            let place = ["offset", "page", "cursor"].map(|name| first.number(name));
            assert_eq!((resumed, place), (8, [0, 0, 0]), "{endpoint}");
            for size in ["300", "500"] {
                let runs = (0..9).take_while(|_| part(size).run().code == 3).count();
                assert!((1..=4).contains(&runs), "{runs} runs: {numbering:?} {size} {endpoint}");
                assert_eq!(mine.ids("events").len(), RECORDS, "{numbering:?} {size} {endpoint}");
            }
            stub.take();
        }
    }
}

#[test]
fn a_maximum_of_the_manifest_is_not_exceeded() {
    let stub = stub(|request| answer(request, 200, Numbering::ByGiven));
    let sized = json!({"paginator": {"type": "page_number", "total_path": "pages"}, "page_size": {"param": "size", "maximum": 200}});
    let mine = Mine::json(&manifest(&stub, &sized));
    let words = ["page_size", "201 is out of range", "1 to 200", "`page_size.maximum`"];
    ended(&mine.reading("events").with(&["--page-size", "201"]), 2, &words);
    // The same parameter with a maximum bounds an offset paginator too.
    let offset = json!({"paginator": {"type": "offset", "limit": 50}, "page_size": {"param": "limit", "maximum": 200}});
    let mine = Mine::json(&manifest(&stub, &offset));
    ended(&mine.reading("events").with(&["--page-size", "201"]), 2, &words);
    assert!(stub.take().is_empty());
    mine.reading("events").with(&["--page-size", "200"]).complete();
    assert!(stub.take().iter().all(|request| request.number("limit") == 200));
    assert_eq!(mine.ids("events").len(), RECORDS);
    let none = json!({"paginator": {"type": "page_number", "total_path": "pages"}});
    let mine = Mine::json(&manifest(&stub, &none));
    ended(&mine.reading("events").with(&["--page-size", "5"]), 2, &["page_size", "no page size parameter"]);
}
