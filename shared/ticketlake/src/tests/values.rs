//! The values of records: digits that no double holds, and records that cannot be decoded.

use serde_json::{Value, json};

use super::api::Response;
use super::rows::{Row, text};
use super::{Mine, Request, stub};

/// The text that a lake has of a rejected record.
fn rejected(mine: &Mine) -> Vec<Value> {
    let objects = mine.lake.objects();
    let rejected = objects.iter().filter(|(key, _)| key.starts_with("_rejected/"));
    rejected.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
}

fn manifest(base_url: &str, columns: &Value, endpoint: &Value) -> Value {
    json!({
        "client": {"base_url": base_url},
        "resources": [{
            "name": "things", "primary_key": "id", "write_disposition": "merge", "columns": columns, "endpoint": endpoint,
        }],
    })
}

/// One of three pages, of which the second has the record `bad` beside another one, and the place of the next page.
fn page(request: &Request, bad: &[u8]) -> Response {
    let number = match request.number("offset") {
        0 => request.number("cursor").max(request.number("page")),
        offset => offset - offset / 3,
    };
    let next = if number < 2 { format!("\"{}\"", number + 1) } else { "null".into() };
    let link = if number < 2 { format!("\"/things?page={}\"", number + 1) } else { "null".into() };
    let record: &[u8] = match number {
        0 => br#"{"id": "a"}"#,
        1 => bad,
        2 => br#"{"id": "c"}"#,
        _ => b"",
    };
    let good: &[u8] = if number == 1 { br#"{"id": "b"}, "# } else { b"" };
    let end = format!("], \"next\": {next}, \"link\": {link}}}");
    Response::bytes([b"{\"data\": [", good, record, end.as_bytes()].concat())
}

#[test]
fn a_bad_record_is_rejected_and_the_others_are_stored() {
    let nested = format!(r#"{{"id": "x", "n": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)).into_bytes();
    let bad_records = [
        (br#"{"id": "x", "s": "ab\ud83d"}"#.to_vec(), "surrogate"),
        (br#"{"id": "x", "n": 1e400}"#.to_vec(), "the number 1e+400 is beyond the range"),
        (br#"{"id": "x", "n": NaN}"#.to_vec(), "not JSON"),
        (b"{\"id\": \"x\", \"s\": \"caf\xE9\"}".to_vec(), "not UTF-8: the byte 21 is 0xE9"),
        (b"{\"id\": \"x\", \"s\": \"a\x00b\"}".to_vec(), "control character"),
        (nested, "more than 127 levels"),
    ];
    let paginators = [
        (json!({"type": "offset", "limit": 1}), "data"),
        (json!({"type": "page_number", "base_page": 0}), "data"),
        (json!({"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"}), "data"),
        (json!({"type": "json_link", "next_url_path": "link"}), "data"),
        (json!("auto"), "data"),
        (json!({"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"}), "data[*]"),
        (json!({"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"}), "$..data"),
    ];
    for (bad, reason) in bad_records {
        for (paginator, selector) in &paginators {
            let record = bad.clone();
            let stub = stub(move |request| page(request, &record));
            let endpoint = json!({"path": "things", "data_selector": selector, "paginator": paginator});
            let columns = json!({"id": {"data_type": "text"}});
            let mine = Mine::json(&manifest(&stub.base_url, &columns, &endpoint));
            for _ in 0..2 {
                let ended = mine.reading("things").run();
                assert_eq!(ended.report["records"]["rejected"], 1, "{paginator} {reason}: {}", ended.report);
                assert_eq!(mine.ids("things"), ["a", "b", "c"], "{paginator} {reason}: {}", ended.report);
                let kept = rejected(&mine);
                assert_eq!(kept.len(), 1);
                assert!(kept[0]["reason"].as_str().unwrap().contains(reason), "{}", kept[0]);
                match std::str::from_utf8(&bad) {
                    Ok(text) => assert_eq!(kept[0]["record_text"], text),
                    Err(_) => assert!(kept[0]["record_base64"].is_string(), "{}", kept[0]),
                }
            }
        }
    }
}

/// Reads these records, of which the JSON texts are given, into columns of all types.
fn read(records: &[&str]) -> (Mine, Value) {
    let body = format!("[{}]", records.join(", "));
    let stub = stub(move |_| Response::status(200, &body));
    let columns = json!({
        "id": {"data_type": "text"}, "n": {"data_type": "bigint"}, "d": {"data_type": "double"},
        "m": {"data_type": "decimal"}, "t": {"data_type": "text"}, "j": {"data_type": "json"},
    });
    let mine = Mine::json(&manifest(&stub.base_url, &columns, &json!({"path": "things", "paginator": "single_page"})));
    let report = mine.reading("things").run().report;
    (mine, report)
}

fn row(record: &str) -> Row {
    let (mine, report) = read(&[record]);
    let rows = mine.rows("things");
    assert_eq!(rows.len(), 1, "{report}");
    rows.into_iter().next().unwrap()
}

#[test]
fn numbers_keep_their_digits() {
    let long = "0.12345678901234567890123";
    for (record, column, expected, issues) in [
        (r#"{"id": "a", "n": 9007199254740993}"#, "n", "9007199254740993", "null"),
        (r#"{"id": "a", "d": 9007199254740993}"#, "d", "null", r#"{"d":9007199254740993}"#),
        (r#"{"id": "a", "d": 19.99}"#, "d", "19.99", "null"),
        (r#"{"id": "a", "d": 0.12345678901234567890123}"#, "d", "null", r#"{"d":0.12345678901234567890123}"#),
        (r#"{"id": "a", "n": 18446744073709551617}"#, "n", "null", r#"{"n":18446744073709551617}"#),
        (r#"{"id": "a", "t": 18446744073709551617}"#, "t", "18446744073709551617", "null"),
        (r#"{"id": "a", "t": 0.12345678901234567890123}"#, "t", long, "null"),
        (r#"{"id": "a", "j": [1.50, 18446744073709551617]}"#, "j", "[1.5,18446744073709551617]", "null"),
        (r#"{"id": "a", "m": 12345678901234567890.123456789}"#, "m", "12345678901234567890.123456789", "null"),
    ] {
        let row = row(record);
        assert_eq!(text(row.get(column)), expected, "{record}");
        assert_eq!(text(row.get("_issues")), issues, "{record}");
    }
    assert_eq!(
        text(row(r#"{"id": "a", "other": 18446744073709551617}"#).get("_extra")),
        r#"{"other":18446744073709551617}"#
    );
}

#[test]
fn the_notation_of_a_number_changes_no_row() {
    let texts = [r#"{"id": 7.0, "d": 1.50, "other": 2e1}"#, r#"{"id": 70e-1, "d": 15e-1, "other": 20.0}"#];
    let rows = texts.map(row);
    assert_eq!(text(rows[0].get("_fingerprint")), text(rows[1].get("_fingerprint")));
    assert_eq!(text(rows[0].get("_extra")), r#"{"other":20.0}"#);
}

#[test]
fn keys_of_many_digits_are_distinct() {
    let (mine, _) = read(&[r#"{"id": 18446744073709551617}"#, r#"{"id": 18446744073709551618}"#]);
    assert_eq!(mine.ids("things"), ["18446744073709551617", "18446744073709551618"]);
}

/// The two records have one key, and not one content.
#[test]
fn a_key_that_is_a_number_once_and_a_text_once_has_two_fingerprints() {
    for (number, string) in [(r#"{"id": 1}"#, r#"{"id": "1"}"#), (r#"{"id": true}"#, r#"{"id": "true"}"#)] {
        assert_ne!(text(row(number).get("_fingerprint")), text(row(string).get("_fingerprint")));
    }
}
