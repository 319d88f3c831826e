//! See Tickets: every sale once, whatever the server's page cap, its faults, and how often it is read.

mod codes;
mod original;

use std::collections::BTreeSet;

use sandbox::function::Function;
use sandbox::see_tickets::{DateFormat, Options, start_blocking};
use sandbox::{Fault, Faults, RetryAfter, Server};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::lake::{Lake, duckdb};

const KEY: &str = "sandbox-key";
const SALES: &str = "see_tickets/sales";
/// Requests for the events whose codes a run of sales asks for: their page, and the empty one after it.
const EVENTS: usize = 2;

fn sales(server: &Server, lake: &Lake) -> Function {
    Function::reading("sales", "see_tickets", lake.path()).against("see_tickets", &server.base_url, KEY)
}

fn codes(rows: Vec<Vec<Value>>) -> BTreeSet<String> {
    let count = rows.len();
    let codes: BTreeSet<String> = rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), count, "a key is stored twice");
    codes
}

#[test]
fn a_hundred_thousand_sales_arrive_once_under_a_page_cap() {
    let options = Options { sales: 100_000, page_cap: 73, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();

    let report = sales(&server, &lake).complete();
    assert_eq!(
        report["records"],
        json!({"received": 100_000, "new": 100_000, "changed": 0, "unchanged": 0, "rejected": 0})
    );
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
    assert_eq!(lake.value(SALES, "SELECT count(DISTINCT sale_month) FROM {table}"), json!(4));

    let before = lake.parts();
    let again = sales(&server, &lake).with(&["--full"]).complete();
    assert_eq!(again["records"]["unchanged"], 100_000);
    assert_eq!(
        (&again["records"]["new"], &again["records"]["changed"], &again["objects"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(lake.parts(), before);
}

#[test]
fn a_later_run_reads_a_week_back_and_lands_what_changed() {
    let options = Options { sales: 3_000, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let first = sales(&server, &lake).complete();
    let watermark = first["watermark"].as_str().unwrap();
    assert!(watermark.starts_with("2026-11-20T"), "{watermark}");

    server.set_revision(1);
    let seen = server.count();
    let second = sales(&server, &lake).complete();
    let changed = truth.changed_codes(0, 1).len();
    let new = truth.count(1) - truth.count(0);
    assert!(changed > 0 && new > 0);
    assert_eq!((&second["records"]["new"], &second["records"]["changed"]), (&json!(new), &json!(changed)));
    assert!(second["records"]["received"].as_u64().unwrap() < 600, "only the last days are read again: {second}");
    let body: Value = serde_json::from_str(&server.requests()[seen + EVENTS].body).unwrap();
    assert!(body["filteredBy"]["salesStartDate"].as_str().unwrap().starts_with("2026-11-13T"), "{body}");

    let expected: BTreeSet<String> = truth.unique_codes(1).collect();
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), expected);
    let pending = truth.sales(1).filter(|sale| sale["isPending"] == json!(true)).count();
    assert_eq!(lake.value(SALES, "SELECT count(*) FROM {table} WHERE isPending"), json!(pending));
    let late = "SELECT count(*) FROM {table} WHERE synced_at > first_seen_at";
    assert_eq!(lake.value(SALES, late), json!(changed));

    let third = sales(&server, &lake).complete();
    assert_eq!(
        (&third["records"]["new"], &third["records"]["changed"], &third["objects"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[test]
fn columns_are_the_seed_s_and_values_the_api_s() {
    let options = Options { sales: 400, date_format: DateFormat::Mixed, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    sales(&server, &lake).complete();

    let columns: Vec<(String, String)> = lake
        .query(SALES, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {table})")
        .into_iter()
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_owned()))
        .collect();
    let seed = "affiliate currency date deliveryMethod deviceModel deviceType eventDate eventId eventName faceValue grossCost \
                grossFace grossSales isInternetOrder isPending country countryIso postCode region1 region2 region3 region4 \
                offerCode partnerSite paymentMethod priceId priceName salesChannel sold source taxTotal ticketPrice uniqueCode";
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let own = ["synced_at", "first_seen_at", "_fingerprint", "_extra", "_issues", "sale_month"];
    assert_eq!(names, seed.split_whitespace().chain(own).collect::<Vec<_>>());
    for (name, data_type) in
        [("faceValue", "DOUBLE"), ("sold", "BIGINT"), ("isPending", "BOOLEAN"), ("date", "VARCHAR")]
    {
        assert!(columns.contains(&(name.into(), data_type.into())), "{name}: {columns:?}");
    }
    assert!(columns.contains(&("synced_at".into(), "TIMESTAMP WITH TIME ZONE".into())), "{columns:?}");

    let stored =
        lake.query(SALES, "SELECT uniqueCode, date, sold, grossSales, postCode, sale_month FROM {table} ORDER BY 1");
    let mut expected: Vec<Value> = truth.sales(0).collect();
    expected.sort_by_key(|sale| sale["uniqueCode"].as_str().unwrap().to_owned());
    assert_eq!(stored.len(), expected.len());
    for (row, sale) in stored.iter().zip(&expected) {
        assert_eq!(row[0], sale["uniqueCode"]);
        assert_eq!(row[1], sale["date"], "a date stays as the API wrote it");
        assert_eq!(row[2].as_i64(), sale["sold"].as_i64());
        assert_eq!(row[3].as_f64(), sale["grossSales"].as_f64());
        assert_eq!(row[4], sale.pointer("/location/postCode").cloned().unwrap_or(Value::Null));
        assert_eq!(row[5].as_str().unwrap(), &sale["date"].as_str().unwrap()[..7], "every form finds its month");
    }
}

#[test]
fn what_is_broken_is_kept_aside_once() {
    let options = Options { sales: 500, broken: 20, ..Options::default() };
    let truth = options.truth();
    let (keyless, mistyped) = (truth.without_code(), truth.with_wrong_type());
    assert!(keyless > 0 && mistyped > 0);
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    // More than one of a hundred are rejected, so the run is not complete.
    let report = sales(&server, &lake).incomplete();
    assert!(keyless > 5);
    assert_eq!(report["records"]["rejected"], json!(keyless));
    assert_eq!(report["records"]["new"], json!(500 - keyless));
    assert_eq!(lake.value(SALES, "SELECT count(*) FROM {table} WHERE _issues IS NOT NULL"), json!(mistyped));

    let rejected: Vec<_> =
        lake.objects().into_keys().filter(|path| path.to_string_lossy().contains("_rejected")).collect();
    assert_eq!(rejected.len(), keyless);
    let one: Value = serde_json::from_slice(&std::fs::read(&rejected[0]).unwrap()).unwrap();
    assert!(one["reason"].as_str().unwrap().contains("uniqueCode"), "{one}");
    assert!(one["record"].is_object() && one["request"].as_str().unwrap().starts_with("POST reports/sales"), "{one}");

    let before = lake.objects();
    sales(&server, &lake).with(&["--full"]).incomplete();
    assert_eq!(lake.objects(), before);
}

#[test]
fn faults_are_outlived() {
    // 2,000 sales in pages of 100, each but the first from the last sale of the one before, and an empty page.
    const PAGES: usize = 22;
    let faults = [
        (2, Fault::Status500),
        (4, Fault::TooManyRequests { retry_after: Some(RetryAfter::Seconds(1)) }),
        (6, Fault::TooManyRequests { retry_after: Some(RetryAfter::Date(2)) }),
        (8, Fault::Reset),
        (10, Fault::TruncatedBody),
        (12, Fault::HtmlBody),
        (14, Fault::MissingEnvelope),
    ];
    let count = faults.len();
    let faults = Faults { at: faults.into(), ..Faults::default() };
    let options = Options { sales: 2_000, faults, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = sales(&server, &lake).complete();
    assert_eq!(report["requests"], json!({"sent": EVENTS + PAGES + count, "retried": count, "throttled": 2}));
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
}

#[test]
fn a_server_that_stays_down_fails_the_run_and_keeps_what_came_before() {
    let at = (EVENTS + 5..40).map(|number| (number, Fault::Status503)).collect();
    let options = Options { sales: 2_000, faults: Faults { at, ..Faults::default() }, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = sales(&server, &lake).run();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert_eq!(ended.report["status"], "failed");
    assert_eq!(ended.report["error"]["kind"], "Unavailable");
    assert_eq!(ended.report["error"]["retryable"], true);
    assert!(ended.errors.contains("503"), "{}", ended.errors);
    assert_eq!(ended.report["records"]["new"], 397, "four pages came before, which overlap by a sale");
    assert_eq!(ended.report["watermark"], Value::Null);
    assert_eq!(lake.value(SALES, "SELECT count(*) FROM {table}"), 397);
}

#[test]
fn a_run_out_of_requests_is_partial_and_a_later_one_completes_it() {
    let options = Options { sales: 1_000, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = sales(&server, &lake).with(&["--max-requests", "6"]).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(3), &json!("partial")), "{}", ended.errors);
    assert_eq!((&ended.report["requests"]["sent"], &ended.report["records"]["new"]), (&json!(6), &json!(397)));
    assert_eq!(ended.report["watermark"], Value::Null);
    let report = sales(&server, &lake).complete();
    // The second run resumes at the last page of the first run.
    assert_eq!((&report["records"]["new"], &report["records"]["unchanged"]), (&json!(603), &json!(99)));
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
}

#[test]
fn a_window_and_event_codes_narrow_the_run() {
    let options = Options { sales: 1_000, ..Options::default() };
    let all: Vec<Value> = options.truth().sales(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = sales(&server, &lake).with(&["--from", "2026-10-01", "--to", "2026-10-10"]).complete();
    let day = |sale: &Value| sale["date"].as_str().unwrap()[..10].to_owned();
    let expected = all.iter().filter(|sale| ("2026-10-01".."2026-10-11").contains(&day(sale).as_str())).count();
    assert!(expected > 0);
    assert_eq!(report["records"]["new"], json!(expected));

    let code = all[0]["eventId"].as_str().unwrap();
    let other = Lake::new();
    let report = sales(&server, &other).with(&["--param", &format!("event_codes={code}")]).complete();
    assert_eq!(report["records"]["new"], json!(all.iter().filter(|sale| sale["eventId"] == code).count()));
    assert_eq!(report["watermark"], Value::Null, "a narrowed run says nothing about the rest");
}

#[test]
fn events_arrive_too_and_in_json() {
    let options = Options { events: 250, page_cap: 40, ..Options::default() };
    let truth = options.truth().events();
    let server = start_blocking(options).unwrap();
    for format in ["parquet", "json"] {
        let lake = Lake::new();
        let events = Function::reading("events", "see_tickets", lake.path())
            .against("see_tickets", &server.base_url, KEY)
            .env("FORMAT", format);
        assert_eq!(events.complete()["records"]["new"], 250);
        let stored = lake.query("see_tickets/events", "SELECT id, name, venueName FROM {table} ORDER BY id");
        let mut expected: Vec<Vec<Value>> =
            truth.iter().map(|event| ["id", "name", "venueName"].map(|name| event[name].clone()).into()).collect();
        expected.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
        assert_eq!(stored, expected);
        let again = events.complete();
        assert_eq!((&again["records"]["unchanged"], &again["objects"]), (&json!(250), &json!(0)));

        let other = if format == "json" { "parquet" } else { "json" };
        let refused = events.with(&["--format", other]).run();
        assert_eq!(refused.code, Some(2), "{}", refused.errors);
        assert!(refused.errors.contains("format"), "{}", refused.errors);
    }
}

#[test]
fn the_same_over_s3_with_the_key_from_secrets_manager() {
    let aws = Aws::start();
    aws.keep_secret("prod/see-tickets", r#"{"api_key": "sandbox-key"}"#);
    for format in ["parquet", "json"] {
        let options = Options { sales: 3_000, page_cap: 73, ..Options::default() };
        let truth = options.truth();
        let server = start_blocking(options).unwrap();
        let prefix = format!("{format}/deep");
        let function = Function::new("sales")
            .env("SOURCE", "see_tickets")
            .env("LAKE", &format!("s3://lake/{prefix}"))
            .env("FORMAT", format)
            .env("SECRET_ID", "prod/see-tickets")
            .env("SEE_TICKETS_BASE_URL", &server.base_url);
        let function = aws.grant(function);
        let first = function.complete();
        assert_eq!(first["records"]["new"], 3_000);
        let second = function.clone().with(&["--full"]).complete();
        assert_eq!((&second["records"]["unchanged"], &second["objects"]), (&json!(3_000), &json!(0)));
        server.set_revision(1);
        let third = function.complete();
        assert_eq!(third["records"]["changed"], json!(truth.changed_codes(0, 1).len()));

        let copy = Lake::new();
        let objects = aws.download(&prefix, copy.path());
        assert_eq!(objects, 4 + 2, "a part a month, the layout and the progress");
        let stored = duckdb(&copy.path().join(&prefix), SALES, "SELECT uniqueCode FROM {table}");
        assert_eq!(codes(stored), truth.unique_codes(1).collect());
    }
}
