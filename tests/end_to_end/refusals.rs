//! Bad input: a clear message for each fault, exit code 2, and no request sent.

use sandbox::function::Function;
use sandbox::see_tickets::{Options, start_blocking};
use serde_json::Value;

use crate::lake::Lake;

/// Runs `function` against a fresh server; it must be refused with all of `words`, having sent nothing and stored nothing.
fn refused(function: impl Fn(Function) -> Function, words: &[&str]) -> Value {
    let server = start_blocking(Options::default()).unwrap();
    let lake = Lake::new();
    let function = function(Function::new("sales").env("LAKE", &lake.path().display().to_string()));
    let ended = function.against("see_tickets", &server.base_url, "sandbox-key").run();
    assert_eq!(ended.code, Some(2), "{}\n{}", ended.report, ended.errors);
    assert_eq!(ended.report["status"], "failed");
    assert_eq!(ended.report["error"]["kind"], "Config");
    for word in words {
        assert!(ended.errors.contains(word), "`{word}` is not in: {}", ended.errors);
    }
    assert_eq!(server.count(), 0);
    assert!(lake.objects().is_empty());
    ended.report
}

#[test]
fn an_unknown_source_is_met_with_the_known_ones() {
    refused(
        |function| function.with(&["--source", "see_ticket"]),
        &["see_tickets, ticketmaster", "Did you mean `see_tickets`?"],
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let arguments = [
        "--source",
        "see_tickets",
        "--from",
        "2026-13-01",
        "--to",
        "tomorrow",
        "--format",
        "csv",
        "--max-requests",
        "many",
    ];
    let report = refused(|function| function.with(&arguments), &["2026-13-01", "tomorrow", "csv", "many"]);
    let places: Vec<&str> =
        report["error"]["faults"].as_array().unwrap().iter().map(|fault| fault["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["from", "to", "format", "max_requests"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    refused(
        |function| function.with(&["--source", "see_tickets", "--from", "2026-02-01", "--to", "2026-01-01"]),
        &["from", "after `to`"],
    );
    refused(|function| function.with(&["--source", "see_tickets", "--full", "--from", "2026-01-01"]), &["full"]);
    refused(|function| function.with(&["--source", "see_tickets", "--resource", "events"]), &["reads `sales`"]);
    refused(
        |function| function.with(&["--source", "see_tickets", "--param", "event_code=1"]),
        &["Did you mean `event_codes`?"],
    );
    refused(|function| function, &["source", "is missing"]);
}

#[test]
fn an_unknown_argument_is_refused() {
    refused(|function| function.with(&["--source", "see_tickets", "--form", "2026-01-01"]), &["--form", "--from"]);
}

#[test]
fn a_broken_manifest_is_told_every_fault_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    let manifest = "client:
  base_url: api.example.com
  auth: {type: bearer, token: abc123}
  timeout: 5
resources:
  - name: things
    primary_key: id
    endpoint: {data_selector: 'a[?b]', paginator: {type: offsett, limit: 10}}
    columns:
      id: {data_type: txt}
";
    std::fs::write(&file, manifest).unwrap();
    let words = [
        "mine.yaml:2:13 client.base_url",
        "mine.yaml:3:31 client.auth.token",
        "mine.yaml:4:3 client.timeout",
        "mine.yaml:8:31 resources[0].endpoint.data_selector",
        "Did you mean `offset`?",
        "Did you mean `text`?",
    ];
    let report = refused(|function| function.with(&["--source", "mine", "--sources", file.to_str().unwrap()]), &words);
    assert_eq!(report["error"]["faults"].as_array().unwrap().len(), 6, "{report}");
    assert!(!report.to_string().contains("abc123"), "a key written into a manifest is not repeated: {report}");
}

#[test]
fn check_prints_the_plan_and_reads_nothing() {
    let server = start_blocking(Options::default()).unwrap();
    let lake = Lake::new();
    let function =
        Function::reading("sales", "see_tickets", lake.path()).against("see_tickets", &server.base_url, "sandbox-key");
    let report = function.with(&["--check", "--from", "2026-01-01"]).complete();
    let plan = &report["plan"];
    assert_eq!(plan["from"], "2026-01-01T00:00:00Z");
    assert_eq!(plan["request"], format!("POST {}/reports/sales", server.base_url));
    assert_eq!(plan["primary_key"][0], "uniqueCode");
    assert_eq!(plan["slices"], serde_json::json!(["one for every 50 records of `events`"]));
    let basis = "unknown: the queries depend on the records of `events`";
    assert_eq!((&plan["estimate"]["requests"], plan["estimate"]["basis"].as_str()), (&Value::Null, Some(basis)));
    assert_eq!(server.count(), 0);
    assert!(lake.objects().is_empty());
}
