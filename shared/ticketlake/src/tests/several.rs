//! A run of several resources, and the event that resumes it.

use serde_json::{Value, json};

use super::{Mine, Response, ended, page, stub};

/// Three resources of 30 records in pages of ten, of which only `b` has a cursor, and so a range.
fn mine(base_url: &str) -> Mine {
    let resource = |name: &str| {
        json!({
            "name": name, "primary_key": "id", "write_disposition": "merge",
            "endpoint": {
                "path": name, "data_selector": "events", "total_path": "total", "paginator": {"type": "offset", "limit": 10},
            },
        })
    };
    let mut resources = ["a", "b", "c"].map(resource);
    resources[1]["endpoint"]["incremental"] =
        json!({"cursor_path": "at", "on_cursor_value_missing": "include", "start_param": "since"});
    Mine::json(&json!({"client": {"base_url": base_url}, "resources": resources}))
}

/// The command line of a continuation.
fn resumed<'m>(mine: &'m Mine, event: &Value) -> super::Reading<'m> {
    let from = event["from"].as_str().map(|from| vec!["--from", from]).unwrap_or_default();
    mine.reading(event["resource"].as_str().unwrap()).with(&from)
}

#[test]
fn the_continuation_of_several_resources_resumes_those_that_were_cut_short() {
    let stub = stub(|request| page(request, 28, 10));
    let asked = || -> Vec<String> {
        stub.take().iter().map(|request| format!("{}{}", request.path, request.param("offset"))).collect()
    };
    for range in [&[][..], &["--from", "2026-01-01"][..]] {
        let mine = mine(&stub.base_url);
        let first = ended(&mine.reading("all").with(range).with(&["--max-requests", "5"]), 3, &["max_requests"]).report;
        assert_eq!(asked(), ["/a0", "/a10", "/a20", "/b0", "/b10"]);
        assert_eq!(first["continuation"]["resource"], "b,c", "{first}");
        assert_eq!(first["continuation"]["from"].is_string(), !range.is_empty());
        let second = ended(&resumed(&mine, &first["continuation"]).with(&["--max-requests", "4"]), 3, &[]).report;
        assert_eq!(asked(), ["/b10", "/b20", "/c0", "/c10"]);
        // One that is left has an event of its own, without the option that it does not support.
        assert_eq!(second["continuation"]["resource"], "c", "{second}");
        assert_eq!(second["continuation"]["from"], Value::Null);
        let third = resumed(&mine, &second["continuation"]).complete();
        assert_eq!((asked(), &third["continuation"]), (vec!["/c10".to_owned(), "/c20".to_owned()], &Value::Null));
        assert!(["a", "b", "c"].iter().all(|name| mine.ids(name).len() == 28));
    }
}

#[test]
fn complete_resources_have_no_continuation() {
    let stub = stub(|_| Response::json(&json!({"events": [{"id": 1}], "total": 1})));
    let report = mine(&stub.base_url).reading("a,b").complete();
    assert_eq!(report["continuation"], Value::Null);
}
