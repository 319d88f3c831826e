//! Each shipped source, cut short at every request of a run and resumed: the rows and the proof are those of a run in one go.

use sandbox::function::Function;
use sandbox::{eventzilla, see_tickets, ticketmaster, xurrent};
use serde_json::{Value, json};

use crate::deep;
use crate::lake::Lake;

/// The requests that a resumed run may repeat: the page where it stopped for each query that was open, and the page that leads there.
const REPEATED: u64 = 6;

/// The requests that a resumed run of deep results may repeat: a window of time that is not whole is read again. Two windows of five pages
/// are read at a time, and their last pages may be missing.
const REPEATED_OF_WINDOWS: u64 = 10;

/// Every row's key and fingerprint.
fn rows(lake: &Lake, table: &str, key: &str) -> Vec<Vec<Value>> {
    lake.query(table, &format!("SELECT {key}, _fingerprint FROM {{table}} ORDER BY ALL"))
}

fn sent(report: &Value) -> u64 {
    report["requests"]["sent"].as_u64().unwrap()
}

/// Reads `table` in one go, and once for each of its requests, cut short there and resumed, which may repeat `repeated` requests. Returns
/// the report of the first run.
fn cut_short_at_every_request(table: &str, key: &str, repeated: u64, reading: impl Fn(&Lake) -> Function) -> Value {
    let whole = Lake::new();
    let report = reading(&whole).complete();
    let (wanted, needed) = (rows(&whole, table, key), sent(&report));
    assert!(needed > 5, "{report}");
    for most in 1..needed {
        let lake = Lake::new();
        let first = reading(&lake).with(&["--max-requests", &most.to_string()]).run();
        assert_eq!((first.code, &first.report["status"]), (Some(3), &json!("partial")), "{most}: {}", first.errors);
        let second = reading(&lake).complete();
        assert_eq!(rows(&lake, table, key), wanted, "{most} of {needed} requests: {second}");
        assert_eq!(second["proof"], report["proof"], "{most} of {needed} requests: {second}");
        let requests = sent(&first.report) + sent(&second);
        assert!(requests <= needed + repeated, "{requests} requests for {needed}, cut short after {most}: {second}");
    }
    report
}

#[test]
fn sales_of_see_tickets() {
    let options = see_tickets::Options { sales: 1_000, ..see_tickets::Options::default() };
    let events = options.events;
    let server = see_tickets::start_blocking(options).unwrap();
    let report = cut_short_at_every_request("see_tickets/sales", "uniqueCode", REPEATED, |lake| {
        Function::reading("sales", "see_tickets", lake.path()).against("see_tickets", &server.base_url, "sandbox-key")
    });
    // The API gives no total, neither of the sales nor of the events whose sales they are.
    let expected = json!({"queries": 2, "records": 1_000 + events});
    assert_eq!(report["proof"]["unproven"], expected, "{report}");
}

#[test]
fn attendees_of_eventzilla() {
    let options = eventzilla::Options { events: 12, ..eventzilla::Options::default() };
    let server = eventzilla::start_blocking(options).unwrap();
    cut_short_at_every_request("eventzilla/attendees", "_events_id, id", REPEATED, |lake| {
        Function::reading("resource", "eventzilla", lake.path()).with(&["--resource", "attendees"]).against(
            "eventzilla",
            &server.base_url,
            "sandbox-key",
        )
    });
}

#[test]
fn organizations_of_xurrent() {
    let options =
        xurrent::Options { organizations: 1_000, now: "2025-11-20T12:00:00Z".into(), ..xurrent::Options::default() };
    let server = xurrent::start_blocking(options).unwrap();
    let report = cut_short_at_every_request("xurrent/organizations", "id", REPEATED, |lake| {
        Function::reading("resource", "xurrent", lake.path())
            .with(&["--resource", "organizations", "--page-size", "100"])
            .env("XURRENT_ACCOUNT", "wdc")
            .env("XURRENT_BASE_URL", &server.base_url)
            .env("XURRENT_OAUTH_TOKEN", "sandbox-key")
    });
    assert_eq!(report["proof"]["proven"]["records"], 1_000, "{report}");
}

#[test]
fn deep_results_of_ticketmaster() {
    let options = ticketmaster::Options { events: 2_500, images: 0, ..ticketmaster::Options::default() };
    let server = ticketmaster::start_blocking(options).unwrap();
    let report = cut_short_at_every_request("ticketmaster/events", "id", REPEATED_OF_WINDOWS, |lake| {
        deep::reading("events", &server, lake)
    });
    assert_eq!(report["proof"]["unproven"]["records"], 0, "{report}");
}
