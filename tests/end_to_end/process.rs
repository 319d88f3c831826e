//! The function as a process: signals, closed pipes, and lakes that cannot be one.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sandbox::function::Function;
use sandbox::{Fault, Faults, see_tickets, ticketmaster};
use serde_json::Value;

use crate::lake::Lake;

fn send_signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The records of the API.
const SALES: usize = 10_000;

/// The number of the request that takes 30 seconds.
const SLOW_REQUEST: usize = 8;

/// An API with a slow answer.
fn slow_api() -> see_tickets::Options {
    let faults = Faults { at: vec![(SLOW_REQUEST, Fault::Delay(Duration::from_secs(30)))], ..Faults::default() };
    see_tickets::Options { sales: SALES, faults, ..see_tickets::Options::default() }
}

#[test]
fn a_signal_stops_a_run_that_stores_what_it_has_read() {
    for name in ["TERM", "INT"] {
        let server = see_tickets::start_blocking(slow_api()).unwrap();
        let lake = Lake::new();
        let function = Function::reading("sales", "see_tickets", lake.path()).against(
            "see_tickets",
            &server.base_url,
            "sandbox-key",
        );
        let child = function.start();
        while server.count() < SLOW_REQUEST {
            sleep(Duration::from_millis(20));
        }
        send_signal(&child, name);
        let signalled = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["status"]), (Some(3), &"partial".into()), "{report}");
        assert_eq!(report["stopped"], format!("stopped by SIG{name}"));
        let stored = report["records"]["new"].as_u64().unwrap();
        assert!(stored > 0, "{report}");
        assert_eq!(lake.value("see_tickets/sales", "SELECT count(*) FROM {table}"), stored);

        let rest = function.complete();
        assert_eq!(lake.value("see_tickets/sales", "SELECT count(*) FROM {table}"), SALES, "{rest}");
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let server = see_tickets::start_blocking(slow_api()).unwrap();
    let lake = Lake::new();
    let function =
        Function::reading("sales", "see_tickets", lake.path()).against("see_tickets", &server.base_url, "sandbox-key");
    let mut child = function.start();
    while server.count() < SLOW_REQUEST {
        sleep(Duration::from_millis(20));
    }
    send_signal(&child, "TERM");
    send_signal(&child, "INT");
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 143 | 3)), "{code:?}");
}

/// A stream whose reader has closed it.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Stdio::from(writer)
}

#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let server = see_tickets::start_blocking(see_tickets::Options::default()).unwrap();
    for (key, code) in [("sandbox-key", 0), ("not-the-key-at-all", 5)] {
        for (closes_output, closes_errors) in [(true, false), (false, true), (true, true)] {
            let stream = |is_closed: bool| if is_closed { closed_pipe() } else { Stdio::null() };
            let lake = Lake::new();
            let function = Function::reading("sales", "see_tickets", lake.path())
                .against("see_tickets", &server.base_url, key)
                .env("RUST_LOG", "trace");
            let mut command = function.command();
            let status = command.stdout(stream(closes_output)).stderr(stream(closes_errors)).status().unwrap();
            assert_eq!(status.code(), Some(code), "{closes_output} {closes_errors}");
        }
    }
}

#[test]
fn a_lake_that_cannot_be_one_is_refused_before_any_request() {
    let server = see_tickets::start_blocking(see_tickets::Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for (lake, words) in [("", "is empty"), (file.to_str().unwrap(), "is a file")] {
        let function = Function::reading("sales", "see_tickets", lake);
        let ended = function.against("see_tickets", &server.base_url, "sandbox-key").run();
        assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(2), &"Config".into()), "{}", ended.errors);
        assert!(ended.errors.contains("lake") && ended.errors.contains(words), "{}", ended.errors);
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn a_check_leaves_no_object() {
    let options =
        ticketmaster::Options { events: 100, api_key: "sandbox-key".into(), ..ticketmaster::Options::default() };
    let server = ticketmaster::start_blocking(options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let function = Function::reading("events", "ticketmaster", &lake).with(&["--check"]);
    function.against("ticketmaster", &server.base_url, "sandbox-key").complete();
    assert!(server.count() > 0);
    assert!(!lake.exists());
}
