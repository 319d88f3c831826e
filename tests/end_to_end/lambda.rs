//! The functions as Lambda runs them: what they log and measure, how their errors are called, and what their deadline does.

use std::time::{Duration, SystemTime};

use sandbox::function::Function;
use sandbox::runtime::Lambda;
use sandbox::{Faults, Rate, Server, see_tickets};
use serde_json::{Value, json};

use crate::lake::Lake;

/// `sales` as a Lambda function whose environment names everything: the payload may be empty.
fn sales(server: &Server, lake: &Lake) -> Function {
    Function::new("sales")
        .against("see_tickets", &server.base_url, "sandbox-key")
        .env("SOURCE", "see_tickets")
        .env("LAKE", lake.path().to_str().unwrap())
}

fn in_seconds(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

/// The lines, each of which is a JSON object.
fn objects(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

fn saying<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

#[test]
fn an_invocation_logs_its_beginning_and_its_end_by_the_usual_names() {
    let server = see_tickets::start_blocking(see_tickets::Options { sales: 300, ..Default::default() }).unwrap();
    let lake = Lake::new();
    let mut lambda = Lambda::start(sales(&server, &lake)).unwrap();
    for _ in 0..2 {
        let answer = lambda.invoke(&json!({}), in_seconds(900));
        assert_eq!((answer.failed, &answer.body["status"]), (false, &json!("complete")), "{}", answer.body);
    }
    let lines = objects(&lambda.end());
    let (begun, ended) = (saying(&lines, "the run starts"), saying(&lines, "the run ended"));
    assert_eq!((begun.len(), ended.len()), (2, 2), "{lines:?}");
    for (index, line) in begun.iter().chain(&ended).enumerate() {
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["service"], "ticketlake");
        assert_eq!(line["function_name"], "ticketlake-under-test");
        assert_eq!(line["cold_start"], json!(index % 2 == 0), "{line}");
        let expected = format!("00000000-0000-0000-0000-{:012}", index % 2 + 1);
        assert_eq!(line["function_request_id"], json!(expected));
        let time = line["timestamp"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
    }
    assert_eq!(ended[0]["status"], "complete");
    let report: Value = serde_json::from_str(ended[0]["report"].as_str().unwrap()).unwrap();
    assert_eq!(report["records"]["new"], 300);
    // At `info` nothing else is said of a run without trouble: the two lines, and the metrics.
    let others: Vec<&Value> = lines.iter().filter(|line| line["location"] != "lambda_runtime").collect();
    assert_eq!(others.len(), 6, "{others:?}");
}

#[test]
fn each_slice_is_a_line_at_debug() {
    let server = see_tickets::start_blocking(see_tickets::Options { sales: 300, ..Default::default() }).unwrap();
    let lake = Lake::new();
    let mut lambda = Lambda::start(sales(&server, &lake).env("AWS_LAMBDA_LOG_LEVEL", "DEBUG")).unwrap();
    let answer = lambda.invoke(&json!({}), in_seconds(900));
    let lines = objects(&lambda.end());
    let slices = saying(&lines, "the query is complete");
    assert_eq!(json!(slices.len()), answer.body["slices"]["whole"]);
    assert_eq!((&slices[0]["level"], &slices[0]["received"]), (&json!("DEBUG"), &json!(300)), "{slices:?}");
}

#[test]
fn metrics_are_lines_in_the_embedded_format() {
    let faults = Faults { at: [(4, sandbox::Fault::Status503)].into(), ..Faults::default() };
    let options = see_tickets::Options { sales: 300, faults, ..Default::default() };
    let server = see_tickets::start_blocking(options).unwrap();
    let lake = Lake::new();
    let mut lambda = Lambda::start(sales(&server, &lake)).unwrap();
    let report = lambda.invoke(&json!({}), in_seconds(900)).body;
    assert!(lambda.invoke(&json!({"from": "yesterday"}), in_seconds(900)).failed);
    let lines = objects(&lambda.end());
    let metrics = saying(&lines, "metrics");
    let [first, second] = metrics.as_slice() else { panic!("{metrics:?}") };
    for line in [first, second] {
        assert_eq!((&line["source"], &line["entity"]), (&json!("see_tickets"), &json!("sales")));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "ticketlake");
        assert_eq!(directive["Dimensions"], json!([["source", "entity"]]));
        // Whatever is declared is there, as a number.
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}: {line}");
        }
        let now = chrono::Utc::now().timestamp_millis();
        assert!((now - line["_aws"]["Timestamp"].as_i64().unwrap()).abs() < 600_000);
    }
    let counts = ["Received", "New", "Changed", "Rejected", "Requests", "Retried", "Throttled"];
    assert_eq!(
        counts.map(|name| first[name].as_f64().unwrap()),
        [300.0, 300.0, 0.0, 0.0, report["requests"]["sent"].as_f64().unwrap(), 1.0, 0.0],
        "{first}"
    );
    let ends = ["Complete", "Partial", "Incomplete", "Failed"];
    assert_eq!(ends.map(|name| first[name].as_f64().unwrap()), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(ends.map(|name| second[name].as_f64().unwrap()), [0.0, 0.0, 0.0, 1.0]);
    assert!(first["Lag"].as_f64().unwrap() >= 0.0 && first["Duration"].as_f64().unwrap() > 0.0);
    assert!(second.get("Lag").is_none(), "a run that was refused has no watermark");
}

#[test]
fn errors_have_stable_names_and_no_secret() {
    let server = see_tickets::start_blocking(see_tickets::Options { sales: 300, ..Default::default() }).unwrap();
    let down = Faults { at: (1..100).map(|number| (number, sandbox::Fault::Status503)).collect(), ..Faults::default() };
    let broken = see_tickets::start_blocking(see_tickets::Options { faults: down, ..Default::default() }).unwrap();
    let lake = Lake::new();
    let wrong = sales(&server, &lake).env("SEE_TICKETS_API_KEY", "a-wrong-key");
    let cases = [
        (sales(&server, &lake), json!({"form": 1}), "Config"),
        (sales(&server, &lake).env("SEE_TICKETS_API_KEY", ""), json!({}), "Secret"),
        (wrong, json!({}), "Auth"),
        (sales(&broken, &lake), json!({"attempts": 1}), "Unavailable"),
        (sales(&server, &lake).env("LAKE", "/proc/no/such/lake"), json!({}), "Store"),
    ];
    for (function, event, name) in cases {
        let mut lambda = Lambda::start(function).unwrap();
        let answer = lambda.invoke(&event, in_seconds(900));
        let lines = lambda.end();
        assert_eq!((answer.failed, &answer.body["errorType"]), (true, &json!(name)), "{}", answer.body);
        let metrics = objects(&lines);
        assert_eq!(saying(&metrics, "metrics")[0]["Failed"], json!(1.0));
        for text in lines.iter().chain([&answer.body.to_string()]) {
            assert!(!text.contains("wrong-key") && !text.contains("sandbox-key"), "{text}");
        }
    }
}

#[test]
fn a_run_ends_in_time_before_its_deadline_and_goes_on_in_the_next() {
    // 5,000 sales in pages of 100 at 10 requests a second: 5 s and more, of which an invocation has 3.
    let rate = Rate { per_second: 10, per_day: 5_000, ..Rate::default() };
    let options = see_tickets::Options { sales: 5_000, enforce_rate: Some(rate), ..Default::default() };
    let server = see_tickets::start_blocking(options).unwrap();
    let lake = Lake::new();
    let mut lambda = Lambda::start(sales(&server, &lake)).unwrap();
    let mut partial = 0;
    loop {
        let begin = std::time::Instant::now();
        let answer = lambda.invoke(&json!({}), in_seconds(3));
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        assert!(!answer.failed, "{}", answer.body);
        if answer.body["status"] == "complete" {
            break;
        }
        assert_eq!(answer.body["status"], "partial");
        assert!(answer.body["stopped"].as_str().unwrap().contains("time"), "{}", answer.body["stopped"]);
        partial += 1;
        assert!(partial < 10, "it never ends");
    }
    assert!(partial > 0);
    assert_eq!(lake.query("see_tickets/sales", "SELECT count(*) FROM {table}")[0][0], json!(5_000));
}

#[test]
fn a_deadline_that_lies_in_the_past_is_none() {
    // What `cargo lambda watch` gives, and what a context without one has.
    let server = see_tickets::start_blocking(see_tickets::Options { sales: 300, ..Default::default() }).unwrap();
    for deadline_ms in [600_000, 0] {
        let lake = Lake::new();
        let mut lambda = Lambda::start(sales(&server, &lake)).unwrap();
        let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms);
        assert_eq!(lambda.invoke(&json!({}), deadline).body["status"], "complete");
    }
}
