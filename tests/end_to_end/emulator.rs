//! The functions as Lambda functions, under `cargo lambda watch`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{eventzilla, function, see_tickets, ticketmaster};
use serde_json::{Value, json};

use crate::lake::Lake;
use crate::tools::{Process, free_port, program};

/// Invokes `function` with `event` by `cargo lambda invoke`; gives what it printed and whether it succeeded.
fn invoke(port: u16, name: &str, event: &str) -> (bool, String) {
    invoke_with(port, name, ["--data-ascii", event])
}

fn invoke_with(port: u16, name: &str, data: [&str; 2]) -> (bool, String) {
    let mut command = Command::new(program("cargo-lambda"));
    command.args(["lambda", "invoke", name, "--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
    command.args(data);
    let output = command.current_dir(function::root()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Starts `cargo lambda watch` over `lake`, with `environment`; gives the port that functions are invoked at.
fn watch(lake: &Lake, environment: &[(&str, &str)]) -> (Process, u16) {
    // Built before the emulator asks for it, by the same cargo.
    function::binary("events");
    let port = free_port();
    let mut watch = Command::new(program("cargo-lambda"));
    watch
        .args([
            "lambda",
            "watch",
            "--ignore-changes",
            "--invoke-port",
            &port.to_string(),
            "--invoke-address",
            "127.0.0.1",
        ])
        .current_dir(function::root())
        .env("LAKE", lake.path())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (Process::start(&mut watch, port), port)
}

#[test]
fn each_function_answers_its_example_event() {
    let market = ticketmaster::Options { events: 300, ..ticketmaster::Options::default() };
    let market = ticketmaster::start_blocking(market).unwrap();
    let sales = see_tickets::Options { sales: 500, ..see_tickets::Options::default() };
    let tickets = see_tickets::start_blocking(sales).unwrap();
    let organizer = eventzilla::start_blocking(eventzilla::Options::default()).unwrap();
    let lake = Lake::new();
    let environment = [
        ("TICKETMASTER_API_KEY", "sandbox-key"),
        ("TICKETMASTER_BASE_URL", market.base_url.as_str()),
        ("SEE_TICKETS_API_KEY", "sandbox-key"),
        ("SEE_TICKETS_BASE_URL", tickets.base_url.as_str()),
        ("EVENTZILLA_API_KEY", "sandbox-key"),
        ("EVENTZILLA_BASE_URL", organizer.base_url.as_str()),
    ];
    let (_watch, port) = watch(&lake, &environment);
    let functions = std::fs::read_dir(function::root().join("functions")).unwrap();
    for function in functions {
        let name = function.unwrap().file_name().into_string().unwrap();
        let file = function::root().join("tests/events").join(&name).with_extension("json");
        let data = ["--data-file", file.to_str().unwrap()];
        // What an earlier function harvested is not new, but a second invocation of any finds nothing at all.
        for second in [false, true] {
            let (done, text) = invoke_when_ready(port, &name, data);
            assert!(done, "{name}: {text}");
            let report: Value = serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{name}: {text}"));
            assert_eq!(report["status"], "complete", "{name}: {report}");
            assert!(report["records"]["received"].as_u64().unwrap() > 0, "{name}: {report}");
            assert!(!second || report["records"]["new"] == 0, "{name}: {report}");
        }
    }
}

#[test]
fn events_answers_under_cargo_lambda_watch() {
    let options = ticketmaster::Options { events: 300, ..ticketmaster::Options::default() };
    let market = ticketmaster::start_blocking(options).unwrap();
    let tickets = see_tickets::start_blocking(see_tickets::Options::default()).unwrap();
    let lake = Lake::new();
    let environment = [
        ("SOURCE", "ticketmaster"),
        ("TICKETMASTER_API_KEY", "sandbox-key"),
        ("TICKETMASTER_BASE_URL", market.base_url.as_str()),
        ("SEE_TICKETS_API_KEY", "sandbox-key"),
        ("SEE_TICKETS_BASE_URL", tickets.base_url.as_str()),
    ];
    let (_watch, port) = watch(&lake, &environment);

    // An empty event, as a schedule sends it, asks for what the environment says.
    let (done, text) = invoke_when_ready(port, "events", ["--data-ascii", "{}"]);
    assert!(done, "{text}");
    let report: Value = serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!((&report["status"], &report["source"]), (&json!("complete"), &json!("ticketmaster")), "{report}");
    assert_eq!(report["records"]["new"], 300);

    // The same function reads another source's events when the event says so, and the second time finds nothing new.
    for expected in [12, 0] {
        let (done, text) = invoke(port, "events", r#"{"source": "see_tickets"}"#);
        assert!(done, "{text}");
        let report: Value = serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(report["records"]["new"], expected, "{report}");
    }

    // The parameters of a run are fields of the event too.
    let event = r#"{"source": "see_tickets", "page_size": 7, "attempts": 1, "request_timeout": 30}"#;
    let (done, text) = invoke(port, "events", event);
    assert!(done, "{text}");
    assert!(tickets.requests().last().unwrap().query.contains("limit=7"), "{:?}", tickets.requests().last());
    let seen = tickets.count();
    let event =
        r#"{"source": "see_tickets", "initial_days": 366, "page_size": 0, "attempts": 11, "request_timeout": 301}"#;
    let (_, text) = invoke(port, "events", event);
    let ranges = [
        ("initial_days", "1 to 365"),
        ("page_size", "from 1"),
        ("attempts", "1 to 10"),
        ("request_timeout", "1 to 300"),
    ];
    for (field, range) in ranges {
        assert!(text.contains(field) && text.contains(range), "`{field}`, `{range}`: {text}");
    }
    assert_eq!(tickets.count(), seen);

    let seen = market.count();
    let (done, text) = invoke(port, "events", r#"{"soruce": "ticketmaster", "from": 5}"#);
    assert!(!done || text.contains("errorType"), "{text}");
    // The command breaks and frames the lines.
    let text = text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for word in ["Config", "soruce", "Did you mean `source`?", "from"] {
        assert!(text.contains(word), "`{word}`: {text}");
    }
    assert_eq!(market.count(), seen);
}

/// The emulator starts the function at its first invocation, and answers an error until it is up.
fn invoke_when_ready(port: u16, name: &str, data: [&str; 2]) -> (bool, String) {
    let begin = Instant::now();
    loop {
        let (done, text) = invoke_with(port, name, data);
        if done || begin.elapsed() > Duration::from_secs(180) {
            return (done, text);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
