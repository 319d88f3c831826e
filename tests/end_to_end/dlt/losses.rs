//! What dlt loses in silence while it reads pages: the loss itself, and what is made of the same answers here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbox::stub::Response;
use serde_json::{Value, json};

use super::worker::{extract, load};
use super::{Mine, ended, events, page, records, stub};

fn distinct(rows: &[Value]) -> usize {
    rows.iter().map(|row| row["id"].to_string()).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_misspelt_selector_is_no_empty_api() {
    let stub = stub(|request| page(request, 250, 100));
    let manifest = events(
        &stub,
        &json!({"path": "events", "data_selector": "evnts", "paginator": {"type": "offset", "limit": 100}}),
    );
    assert_eq!(extract(&manifest, "events").succeeded(), Vec::<Value>::new(), "dlt reads nothing, and is content");
    let ended = ended(
        &Mine::json(&manifest).reading("events").with(&["--attempts", "2"]),
        1,
        &["`evnts` is not in the answer", "it has: events, total"],
    );
    assert_eq!(ended.report["error"]["kind"], "Decode");
}

#[test]
fn an_api_that_says_it_is_empty_needs_no_list() {
    let stub = stub(|_| Response::json(&json!({"total": 0})));
    let manifest = events(
        &stub,
        &json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 100}}),
    );
    assert_eq!(Mine::json(&manifest).reading("events").complete()["records"]["received"], 0);
}

#[test]
fn a_page_cap_below_the_limit_skips_nothing() {
    let stub = stub(|request| page(request, 250, 50));
    let manifest = events(
        &stub,
        &json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 100}}),
    );
    assert_eq!(extract(&manifest, "events").succeeded().len(), 150, "dlt steps over what the cap held back");
    let mine = Mine::json(&manifest);
    assert_eq!(mine.reading("events").complete()["records"]["new"], 250);
    assert_eq!(mine.ids("events").len(), 250);
}

#[test]
fn a_page_that_comes_again_is_no_progress() {
    // The API calls its parameter `skip`, and takes no notice of `offset`.
    let stub = stub(|_| Response::json(&json!({"events": records(0..50), "total": 150})));
    let manifest = events(
        &stub,
        &json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 50}}),
    );
    let rows = extract(&manifest, "events").succeeded();
    assert_eq!((rows.len(), distinct(&rows)), (150, 50), "dlt reads one page three times, and counts to the total");
    ended(&Mine::json(&manifest).reading("events"), 1, &["gave the page before it once more", "check the paginator"]);
}

#[test]
fn a_cursor_or_link_that_comes_again_ends_the_reading() {
    for paginator in
        [json!({"type": "cursor", "cursor_path": "next"}), json!({"type": "json_link", "next_url_path": "next"})]
    {
        // Records are new with every answer, so that only the cursor tells. After 30 the stub has mercy.
        let answered = AtomicUsize::new(0);
        let stub = stub(move |_| {
            let number = answered.fetch_add(1, Ordering::Relaxed) % 30;
            let next = if number == 29 { Value::Null } else { json!("/events?page=2") };
            Response::json(&json!({"events": records(number..number + 1), "next": next}))
        });
        let endpoint = json!({"path": "events", "data_selector": "events", "paginator": paginator});
        let manifest = events(&stub, &endpoint);
        extract(&manifest, "events").succeeded();
        assert_eq!(stub.take().len(), 30, "dlt goes round until the API stops: {paginator}");
        let words = ["names a next page that was read already", "in circles"];
        ended(&Mine::json(&manifest).reading("events"), 1, &words);
        assert_eq!(stub.take().len(), 2, "{paginator}");
    }
}

#[test]
fn an_ignored_answer_after_the_first_page_is_told() {
    let stub = stub(|request| match request.number("offset") {
        100 => Response::status(404, r#"{"error": "no such page"}"#),
        _ => page(request, 250, 100),
    });
    let manifest = events(
        &stub,
        &json!({
            "path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 100},
            "response_actions": [{"status_code": 404, "action": "ignore"}],
        }),
    );
    assert_eq!(extract(&manifest, "events").succeeded().len(), 100, "dlt takes it for the end");
    let words = ["page 2 is one that response_actions ignore: what follows it was not read"];
    let ended = ended(&Mine::json(&manifest).reading("events"), 4, &words);
    let slice = &ended.report["slices"]["incomplete"][0];
    assert_eq!((&slice["expected"], &slice["received"]), (&json!(250), &json!(100)), "{}", ended.report);
}

#[test]
fn a_total_that_is_not_there_is_told_without_the_body() {
    let personal = "jane.doe@example.org ".repeat(500);
    let stub = stub(move |_| Response::json(&json!({"events": [{"id": 1, "buyer": personal}]})));
    let paginator = json!({"type": "offset", "limit": 100, "total_path": "total"});
    let manifest = events(&stub, &json!({"path": "events", "data_selector": "events", "paginator": paginator}));
    let error = extract(&manifest, "events").error.unwrap();
    assert!(error.contains("jane.doe") && error.len() > 10_000, "dlt prints the whole answer: {error}");
    let ended = ended(
        &Mine::json(&manifest).reading("events").with(&["--attempts", "1"]),
        1,
        &["`total` is not in the answer, which should say how much there is"],
    );
    assert!(!format!("{}{}", ended.report, ended.errors).contains("jane.doe"), "{}", ended.errors);
}

#[test]
fn a_long_error_is_told_in_part() {
    let text = format!("refused: {}", "and on ".repeat(2_000));
    let stub = stub(move |_| Response::status(400, &text));
    let manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    let ended = ended(&Mine::json(&manifest).reading("events"), 1, &["answered 400: refused: and on"]);
    let message = ended.report["error"]["message"].as_str().unwrap();
    assert!(message.len() < 500, "{message}");
}

#[test]
fn the_list_that_comes_first_is_not_taken_for_the_records() {
    let body = r#"{"pagination": [{"id": 1, "offset": 0}], "events": [{"id": 0}, {"id": 1}, {"id": 2}]}"#;
    let stub = stub(|_| Response::status(200, body));
    let manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    let rows = extract(&manifest, "events").succeeded();
    assert!(rows.len() == 1 && rows[0]["offset"] == 0, "dlt takes the pagination: {rows:?}");
    let mine = Mine::json(&manifest);
    mine.reading("events").complete();
    assert_eq!(mine.ids("events"), ["0", "1", "2"], "the list of the resource's own name");

    // No list has a name that says so: which it is must be said.
    let mut other = manifest;
    other["resources"][0]["name"] = "shows".into();
    ended(
        &Mine::json(&other).reading("shows").with(&["--attempts", "1"]),
        1,
        &["several lists are in the answer: ", "events", "pagination", "`data_selector`"],
    );
}

#[test]
fn a_misspelt_response_action_is_refused() {
    let stub = stub(|_| Response::json(&json!(records(0..3))));
    let actions = json!([{"status_code": 404, "action": "retyr"}]);
    let manifest = events(&stub, &json!({"path": "events", "paginator": "single_page", "response_actions": actions}));
    assert_eq!(extract(&manifest, "events").succeeded().len(), 3, "dlt accepts it, and does nothing by it");
    stub.take();
    let words = ["`retyr` is not one of ignore, retry, fail", "Did you mean `retry`?"];
    ended(&Mine::json(&manifest).reading("events"), 2, &words);
    assert!(stub.take().is_empty());
}

#[test]
fn what_is_loaded_twice_is_stored_once() {
    let stub = stub(|_| Response::json(&json!(records(0..3))));
    let manifest = |disposition: &str, key: &Value| {
        let mut manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
        manifest["resources"][0]["write_disposition"] = disposition.into();
        manifest["resources"][0]["primary_key"] = key.clone();
        manifest
    };
    let key = json!("id");
    let append = manifest("append", &key);
    load(&append, "events", "append", "duckdb").succeeded();
    assert_eq!(load(&append, "events", "append", "duckdb").succeeded().len(), 6, "dlt appends to a key too");
    let mine = Mine::json(&append);
    mine.reading("events").complete();
    assert_eq!(mine.reading("events").complete()["records"]["unchanged"], 3);
    assert_eq!(mine.ids("events"), ["0", "1", "2"]);

    let merge = manifest("merge", &key);
    load(&merge, "events", "files", "filesystem").succeeded();
    assert_eq!(load(&merge, "events", "files", "filesystem").succeeded().len(), 6, "dlt merges no files, but appends");
    let mine = Mine::json(&merge);
    mine.reading("events").complete();
    mine.reading("events").complete();
    assert_eq!(mine.ids("events"), ["0", "1", "2"]);
}

#[test]
fn a_merge_without_a_key_is_refused() {
    let stub = stub(|_| Response::json(&json!(records(0..3))));
    let mut manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    manifest["resources"][0].as_object_mut().unwrap().remove("primary_key");
    load(&manifest, "events", "keyless", "duckdb").succeeded();
    assert_eq!(load(&manifest, "events", "keyless", "duckdb").succeeded().len(), 6, "dlt appends");
    stub.take();
    ended(&Mine::json(&manifest).reading("events"), 2, &["`merge` needs `primary_key`"]);
    assert!(stub.take().is_empty());
}

#[test]
fn a_field_that_changes_its_type_has_the_variant_that_dlt_has() {
    let answered = AtomicUsize::new(0);
    // Each program reads twice; the second time there is another price.
    let stub = stub(move |_| match answered.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Response::json(&json!([{"id": 1, "price": 5}])),
        _ => Response::json(&json!([{"id": 2, "price": "free"}])),
    });
    let manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    load(&manifest, "events", "types", "duckdb").succeeded();
    let rows = load(&manifest, "events", "types", "duckdb").succeeded();
    let second = rows.iter().find(|row| row["id"] == 2).unwrap();
    assert_eq!((&second["price"], &second["price__v_text"]), (&Value::Null, &json!("free")), "dlt adds a column");
    let mine = Mine::json(&manifest);
    mine.reading("events").complete();
    mine.reading("events").complete();
    assert_eq!(mine.column("events", "price"), ["5", "null"]);
    assert_eq!(mine.column("events", "price__v_text"), ["free", "null"]);
}
