use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::{Options, start_blocking};
use crate::{
    Fault, Faults, RetryAfter, Server,
    client::{Received, send},
};

fn report(server: &Server, body: &Value) -> Received {
    let headers = ["Authorization: Bearer sandbox-key", "Content-Type: application/json"];
    send("POST", &format!("{}/reports/sales", server.base_url), &headers, &body.to_string()).unwrap()
}

fn data(received: &Received) -> Vec<Value> {
    assert_eq!(received.status, 200, "{}", received.text());
    received.json()["data"].as_array().unwrap().clone()
}

#[test]
fn advancing_by_what_was_received_reads_every_sale_once() {
    let options = Options { sales: 1_234, page_cap: 70, ..Options::default() };
    let server = start_blocking(options.clone()).unwrap();
    let mut codes = Vec::new();
    loop {
        let page = data(&report(&server, &json!({"offset": codes.len(), "limit": 500})));
        assert!(page.len() <= 70);
        if page.is_empty() {
            break;
        }
        codes.extend(page.iter().map(|sale| sale["uniqueCode"].as_str().unwrap().to_owned()));
    }
    assert!(codes.iter().cloned().eq(options.truth().unique_codes(0)));
    assert_eq!(server.count(), 1_234_usize.div_ceil(70) + 1);
}

#[test]
fn a_page_without_a_limit_has_the_default_one() {
    let server = start_blocking(Options { default_limit: 10, ..Options::default() }).unwrap();
    assert_eq!(data(&report(&server, &json!({}))).len(), 10);
    let headers = ["Authorization: Bearer sandbox-key"];
    let events = send("GET", &format!("{}/events/search?offset=8", server.base_url), &headers, "").unwrap();
    assert_eq!(data(&events).len(), 4);
}

#[test]
fn an_event_can_have_sales_before_it_is_listed() {
    let server = start_blocking(Options { unlisted: 2, ..Options::default() }).unwrap();
    let events = || {
        let headers = ["Authorization: Bearer sandbox-key"];
        data(&send("GET", &format!("{}/events/search", server.base_url), &headers, "").unwrap())
    };
    let before = events();
    server.set_revision(1);
    let after = events();
    assert_eq!((before.len(), after.len(), &after[..10]), (10, 12, before.as_slice()));
    let search = json!({"forSearchItemType": "EVENT", "searchItemCodes": [after[11]["id"]]});
    server.set_revision(0);
    assert!(!data(&report(&server, &json!({"search": search}))).is_empty());
}

#[test]
fn a_window_over_http_holds_both_edges() {
    let options = Options::default();
    let sales: Vec<Value> = options.truth().sales(0).collect();
    let server = start_blocking(options).unwrap();
    let date = |index: usize| sales[index]["date"].clone();
    let body = json!({"filteredBy": {"salesStartDate": date(10), "salesEndDate": date(20)}});
    assert_eq!(data(&report(&server, &body)), sales[10..=20]);
}

#[test]
fn refusals_are_text() {
    let server = start_blocking(Options::default()).unwrap();
    let url = format!("{}/reports/sales", server.base_url);
    let key = "Authorization: Bearer sandbox-key";
    let status = |method, headers: &[&str], body| send(method, &url, headers, body).unwrap().status;
    assert_eq!(status("POST", &[], "{}"), 401);
    assert_eq!(status("POST", &["Authorization: Bearer other"], "{}"), 401);
    assert_eq!(status("GET", &[key], ""), 405);
    assert_eq!(status("POST", &[key], "{"), 400);
    assert_eq!(status("POST", &[key], r#"{"filteredBy":{"salesStartDate":"soon"}}"#), 400);
    assert_eq!(server.answered(400), 2);
}

#[test]
fn faults_come_where_they_were_asked_for() {
    let at = vec![
        (1, Fault::Reset),
        (2, Fault::TruncatedBody),
        (3, Fault::TooManyRequests { retry_after: Some(RetryAfter::Seconds(7)) }),
        (4, Fault::TooManyRequests { retry_after: Some(RetryAfter::Date(7)) }),
        (5, Fault::HtmlBody),
        (6, Fault::MissingEnvelope),
        (7, Fault::Status503),
        (8, Fault::Delay(Duration::from_millis(50))),
    ];
    let server = start_blocking(Options { faults: Faults { at, ..Faults::default() }, ..Options::default() }).unwrap();
    let url = format!("{}/reports/sales", server.base_url);
    let headers = ["Authorization: Bearer sandbox-key"];
    assert!(send("POST", &url, &headers, "{}").is_err());
    let cut = send("POST", &url, &headers, "{}");
    if let Ok(cut) = cut {
        let length: usize = cut.header("content-length").unwrap().parse().unwrap();
        assert!(cut.status == 200 && cut.body.len() == length / 2, "{} of {length}", cut.body.len());
    }
    assert_eq!(report(&server, &json!({})).header("retry-after"), Some("7"));
    assert!(report(&server, &json!({})).header("retry-after").unwrap().ends_with(" GMT"));
    assert!(report(&server, &json!({})).text().starts_with("<!DOCTYPE html>"));
    assert_eq!(report(&server, &json!({})).json(), json!({}));
    assert_eq!(report(&server, &json!({})).status, 503);
    assert_eq!(data(&report(&server, &json!({}))).len(), 100);
    let statuses: Vec<Option<u16>> = server.requests().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [None, Some(200), Some(429), Some(429), Some(200), Some(200), Some(503), Some(200)]);
}

#[test]
fn the_key_rotates_and_a_revision_shows_at_once() {
    let faults = Faults { rotate_key_after: Some((1, "second-key".into())), ..Faults::default() };
    let options = Options { sales: 20, faults, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let url = format!("{}/reports/sales", server.base_url);
    assert_eq!(report(&server, &json!({})).status, 200);
    assert_eq!(report(&server, &json!({})).status, 401);
    server.set_revision(2);
    let sales = send("POST", &url, &["Authorization: Bearer second-key"], "{}").unwrap();
    assert_eq!(data(&sales).len(), 20 + 2 * 3);
    let seen = server.requests().pop().unwrap();
    assert_eq!((seen.number, &*seen.method, &*seen.path, &*seen.body), (3, "POST", "/v1/reports/sales", "{}"));
}

#[tokio::test]
async fn a_server_stops_when_it_is_dropped() {
    let server = super::start(Options::default()).await.unwrap();
    let url = format!("{}/events/search", server.base_url);
    assert_eq!(send("GET", &url, &["Authorization: Bearer sandbox-key"], "").unwrap().status, 200);
    drop(server);
    assert!(send("GET", &url, &[], "").is_err());
}

#[test]
fn codes_of_a_large_report_stay_apart() {
    let truth = Options { sales: 300_000, ..Options::default() }.truth();
    assert_eq!(truth.unique_codes(0).collect::<HashSet<String>>().len(), 300_000);
}
