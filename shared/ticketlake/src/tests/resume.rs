//! A query that is longer than one invocation: each invocation resumes at the page where the previous one stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, ended, events, page, records, stub};

/// Records of every slice here, in pages of ten.
const RECORDS: usize = 100;

fn by(stub: &Stub, paginator: &Value) -> Mine {
    Mine::json(&events(stub, &json!({"path": "events", "data_selector": "events", "paginator": paginator})))
}

/// Reads in invocations of four requests until one is complete; gives the number of invocations.
fn in_parts(mine: &Mine) -> usize {
    for invocation in 1..20 {
        let run = mine.reading("events").with(&["--max-requests", "4"]).run();
        if run.code == 0 {
            return invocation;
        }
        assert_eq!((run.code, &run.report["status"]), (3, &json!("partial")), "{}\n{}", run.report, run.errors);
    }
    panic!("it never ends");
}

fn numbered(request: &Request, total: usize) -> Response {
    let from = (request.number("page").saturating_sub(1) * 10).min(total);
    let pages = total.div_ceil(10);
    Response::json(&json!({"events": records(from..(from + 10).min(total)), "total": total, "pages": pages}))
}

fn behind_cursor(request: &Request) -> Response {
    let from = request.number("cursor");
    let next = (from + 10 < RECORDS).then(|| (from + 10).to_string());
    Response::json(&json!({"events": records(from..from + 10), "cursors": {"next": next}}))
}

#[test]
fn each_kind_of_page_is_gone_on_from() {
    let offset = stub(|request| page(request, RECORDS, 10));
    let number = stub(|request| numbered(request, RECORDS));
    let cursor = stub(behind_cursor);
    let kinds = [
        (&offset, json!({"type": "offset", "limit": 10})),
        (&offset, json!({"type": "offset", "limit": 10, "total_path": null})),
        (&number, json!({"type": "page_number", "base_page": 1, "total_path": "pages"})),
        (&number, json!({"type": "page_number", "base_page": 1, "total_path": null})),
        (&cursor, json!({"type": "cursor", "cursor_path": "cursors.next", "cursor_param": "cursor"})),
    ];
    for (stub, paginator) in kinds {
        let mine = by(stub, &paginator);
        let invocations = in_parts(&mine);
        let sent = stub.take().len();
        assert_eq!(mine.ids("events").len(), RECORDS, "{paginator}");
        // Each invocation reads the last page of the one before it again, and what ends at an empty page asks for that.
        assert!(sent <= 11 + invocations, "{sent} requests in {invocations} invocations: {paginator}");
        assert!(invocations > 2, "{paginator}");
        // The reading is over: the next one begins at the beginning, and finds nothing.
        assert_eq!(mine.reading("events").complete()["records"]["new"], 0);
        assert!(stub.take().len() >= 10);
    }
}

#[test]
fn a_slice_that_shrank_meanwhile_is_read_from_its_beginning() {
    // The first record goes after the first invocation: each of the others moves one place forward.
    let gone = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&gone);
    let stub = stub(move |request| {
        let (gone, offset) = (now.load(Ordering::Relaxed), request.number("offset"));
        let to = (gone + offset + 10).min(RECORDS);
        Response::json(&json!({"events": records((gone + offset).min(to)..to), "total": RECORDS - gone}))
    });
    let endpoint = json!({
        "path": "events", "data_selector": "events", "total_path": "total",
        "paginator": {"type": "offset", "limit": 10},
    });
    let mine = Mine::json(&events(&stub, &endpoint));
    ended(&mine.reading("events").with(&["--max-requests", "4"]), 3, &[]);
    gone.store(15, Ordering::Relaxed);
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), RECORDS);
    let asked: Vec<usize> = stub.take().iter().map(|request| request.number("offset")).collect();
    assert_eq!(asked[4..6], [30, 40], "it goes on");
    assert_eq!(asked.iter().filter(|offset| **offset == 0).count(), 2, "and begins again: {asked:?}");
}

#[test]
fn a_cursor_that_the_api_forgot_begins_again() {
    // Cursors are good for one invocation: each has its own in front.
    let invocation = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&invocation);
    let stub = stub(move |request| {
        let (invocation, cursor) = (now.load(Ordering::Relaxed), request.param("cursor"));
        let (of, from) = cursor.split_once('-').unwrap_or_default();
        if !cursor.is_empty() && of != invocation.to_string() {
            return Response::status(410, "the cursor is gone");
        }
        let from: usize = from.parse().unwrap_or(0);
        let next = (from + 10 < RECORDS).then(|| format!("{invocation}-{}", from + 10));
        Response::json(&json!({"events": records(from..from + 10), "cursors": {"next": next}}))
    });
    let mine = by(&stub, &json!({"type": "cursor", "cursor_path": "cursors.next", "cursor_param": "cursor"}));
    ended(&mine.reading("events").with(&["--max-requests", "4"]), 3, &[]);
    invocation.store(2, Ordering::Relaxed);
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), RECORDS);
    let asked: Vec<String> = stub.take().iter().map(|request| request.param("cursor").to_owned()).collect();
    assert_eq!(asked[3..7], ["1-30", "1-30", "", "2-10"], "{asked:?}");
}

#[test]
fn readings_of_different_requests_do_not_begin_each_other_anew() {
    let stub = stub(|request| page(request, RECORDS, 10));
    let endpoint = json!({
        "path": "events", "data_selector": "events", "filters": {"kind": {}},
        "paginator": {"type": "offset", "limit": 10},
    });
    let mine = Mine::json(&events(&stub, &endpoint));
    let some = |kind: &str| mine.reading("events").with(&["--param", &format!("kind={kind}"), "--max-requests", "4"]);
    for kind in ["a", "b", "a", "b"] {
        ended(&some(kind), 3, &[]);
    }
    let asked: Vec<(String, usize)> =
        stub.take().iter().map(|request| (request.param("kind").to_owned(), request.number("offset"))).collect();
    let of = |kind: &str| -> Vec<usize> {
        asked.iter().filter(|(other, _)| other == kind).map(|(_, offset)| *offset).collect()
    };
    for kind in ["a", "b"] {
        assert_eq!(of(kind), [0, 10, 20, 30, 30, 40, 50, 60]);
    }
}
