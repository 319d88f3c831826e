//! `infra/backfill.asl.yaml` on an engine that runs the Amazon States Language, with a stand-in for Lambda.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::lake::{ErrorKind, StoreError};
use chrono::{Days, NaiveDate};
use sandbox::function::{self, Function};
use sandbox::see_tickets;
use sandbox::stub::{Response, Stub};
use serde_json::{Value, json};
use ticketlake::error::Error;

use crate::lake::Lake;
use crate::script;
use crate::tools::python;

const READER: &str = "/stack-see-tickets-resource";

/// What Lambda was asked, in its order.
#[derive(Debug)]
struct Asked {
    events: Vec<Value>,
    most_at_once: usize,
}

/// Runs the state machine with `input`; `answer` is given each event, and how often its window was asked for before.
fn run(input: &Value, answer: impl Fn(&Value, usize) -> Value + Send + Sync + 'static) -> (Value, Asked) {
    let tries: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let (live, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let lambda = Stub::start(move |request| {
        assert_eq!(request.path, READER);
        let event = request.json();
        seen.fetch_max(1 + live.fetch_add(1, Ordering::AcqRel), Ordering::AcqRel);
        let before = if event.get("max_requests").is_some() {
            0
        } else {
            let mut tries = tries.lock().unwrap();
            let before = tries.entry(event["from"].as_str().unwrap()[..10].to_owned()).or_default();
            *before += 1;
            *before - 1
        };
        let answer = answer(&event, before);
        live.fetch_sub(1, Ordering::AcqRel);
        Response::json(&answer)
    })
    .unwrap();
    let ended = script(
        "engine",
        &json!({
            "definition": "infra/backfill.asl.yaml",
            "substitutions": {"Functions": "stack-", "Partition": "aws"},
            "input": input,
            "invoke": lambda.base_url,
        }),
    );
    let events = lambda.take().iter().map(sandbox::stub::Request::json).collect();
    (ended, Asked { events, most_at_once: most.load(Ordering::Acquire) })
}

impl Asked {
    /// The first event of each window, in the order of the calls. The probe is not a window.
    fn windows(&self) -> Vec<(String, String)> {
        let mut seen = BTreeSet::new();
        let windows = self.events.iter().filter(|event| event.get("max_requests").is_none());
        let bounds = windows.map(|event| (text(&event["from"]), text(&event["to"])));
        bounds.filter(|(from, _)| seen.insert(from[..10].to_owned())).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn whole(received: u64) -> Value {
    json!({"payload": {"status": "complete", "records": {"received": received}}})
}

fn partial(received: u64, continuation: &Value) -> Value {
    json!({"payload": {"status": "partial", "records": {"received": received}, "continuation": continuation}})
}

fn error(name: &str) -> Value {
    json!({"error": name, "message": "as asked"})
}

/// The windows that a range from `first` falls into, `days` each.
fn windows(first: &str, last: &str, days: u64) -> Vec<(String, String)> {
    let (mut from, last): (NaiveDate, NaiveDate) = (first.parse().unwrap(), last.parse().unwrap());
    let mut found = Vec::new();
    while from <= last {
        let to = from.checked_add_days(Days::new(days - 1)).unwrap().min(last);
        found.push((from.to_string(), to.to_string()));
        from = to.succ_opt().unwrap();
    }
    found
}

#[test]
fn a_thousand_windows_end_complete_whatever_happens_on_the_way() {
    let input = json!({
        "source": "see_tickets", "resource": "sales", "from": "2007-01-01", "to": "2026-03-01", "days": 7,
        "concurrency": 4, "params": {"event_codes": "A,B"},
    });
    let expected = windows("2007-01-01", "2026-03-01", 7);
    assert_eq!(expected.len(), 1_000);
    let number: BTreeMap<String, usize> =
        expected.iter().enumerate().map(|(number, (from, _))| (from.clone(), number)).collect();
    let (ended, asked) = run(&input, move |event, before| {
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(event["params"], json!({"event_codes": "A,B"}), "{event}");
        if event.get("max_requests").is_some() {
            return partial(1, event);
        }
        let number = number[&event["from"].as_str().unwrap()[..10]];
        let going_on = event.get("going_on").and_then(Value::as_u64).unwrap_or(0);
        match number % 10 {
            1 if before == 0 => error("Unavailable"),
            2 if before < 2 => error("Lambda.Unknown"),
            3 if before == 0 => error("Quota"),
            // Two continuations, each of which must come back as it was given; the second run got nothing.
            4 | 5 if going_on < 2 => {
                assert_eq!(usize::try_from(going_on).unwrap(), before);
                let mut next = event.clone();
                next["going_on"] = json!(going_on + 1);
                next["from"] = json!(format!("{}T00:00:00Z", &text(&event["from"])[..10]));
                partial(if going_on == 0 { 30 } else { 0 }, &next)
            }
            4 | 5 => {
                assert_eq!(going_on, 2, "{event}");
                whole(70)
            }
            _ => whole(100),
        }
    });
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    assert_eq!(
        ended["output"],
        json!({
            "source": "see_tickets", "resource": "sales", "from": "2007-01-01", "to": "2026-03-01", "windows": 1_000,
            "complete": 1_000, "partial": 0, "incomplete": 0, "failed": 0, "received": 100_000, "unfinished": [],
        })
    );
    let mut begun = asked.windows();
    begun.sort();
    assert_eq!(begun, expected);
    // The probe; what failed was asked again, and what was partial gone on with.
    assert_eq!(asked.events.len(), 1 + 1_000 + 100 + 2 * 100 + 100 + 2 * 200);
    assert!((2..=4).contains(&asked.most_at_once), "{}", asked.most_at_once);
    let waits: Vec<f64> = ended["waits"].as_array().unwrap().iter().map(|wait| wait.as_f64().unwrap()).collect();
    let hours = waits.iter().filter(|wait| **wait >= 3600.0).count();
    assert_eq!(hours, 100 + 200, "after each refusal for the quota, and each run that got nothing");
    assert!(waits.iter().all(|wait| *wait <= 3600.0));
}

#[test]
fn what_does_not_end_complete_is_reported_and_fails_the_run() {
    let input =
        json!({"source": "see_tickets", "resource": "sales", "from": "2026-01-01", "to": "2026-01-20", "days": 2});
    let (ended, asked) = run(&input, |event, _| {
        if event.get("max_requests").is_some() {
            return error("Unavailable");
        }
        match &event["from"].as_str().unwrap()[8..] {
            "03" => error("Unavailable"),
            "05" => error("Decode"),
            "07" => error("Auth"),
            "09" => json!({"payload": {"status": "incomplete", "records": {"received": 5}}}),
            "11" => partial(1, event),
            _ => whole(10),
        }
    });
    assert_eq!((&ended["status"], &ended["error"]), (&json!("FAILED"), &json!("Incomplete")), "{ended}");
    let report: Value = serde_json::from_str(ended["cause"].as_str().unwrap()).unwrap();
    let counts = ["windows", "complete", "partial", "incomplete", "failed", "received"].map(|name| &report[name]);
    assert_eq!(counts, [&json!(10), &json!(5), &json!(1), &json!(1), &json!(3), &json!(50)]);
    assert_eq!(
        report["unfinished"],
        json!([
            {"from": "2026-01-03", "to": "2026-01-04", "status": "failed", "error": "Unavailable"},
            {"from": "2026-01-05", "to": "2026-01-06", "status": "failed", "error": "Decode"},
            {"from": "2026-01-07", "to": "2026-01-08", "status": "failed", "error": "Auth"},
            {"from": "2026-01-09", "to": "2026-01-10", "status": "incomplete"},
            {"from": "2026-01-11", "to": "2026-01-12", "status": "partial"},
        ])
    );
    let tries = |day: &str| asked.events.iter().filter(|event| text(&event["from"]).ends_with(day)).count();
    assert_eq!(["03", "05", "07", "09", "11", "13"].map(tries), [9, 1, 1, 1, 200, 1]);
    // One at a time, unless told otherwise, in their order.
    assert_eq!(asked.most_at_once, 1);
    assert_eq!(asked.windows(), windows("2026-01-01", "2026-01-20", 2));
}

#[test]
fn what_cannot_succeed_ends_before_the_first_window() {
    let input = json!({"source": "see_tickets", "resource": "sales", "from": "2026-01-01", "to": "2026-12-31"});
    let (ended, asked) = run(&input, |_, _| error("Auth"));
    assert_eq!((&ended["status"], &ended["error"]), (&json!("FAILED"), &json!("Auth")), "{ended}");
    assert_eq!(
        asked.events,
        [
            json!({"source": "see_tickets", "resource": "sales", "from": "2026-01-01", "to": "2026-01-07", "max_requests": 1})
        ]
    );

    let wrong = json!({"sourse": "see_tickets", "resource": 5, "from": "2026-02-01", "to": "2026-01-31T00:00:00Z", "days": 0.5,
        "concurrency": "two"});
    let late = json!({"source": "x", "resource": "y", "from": "2026-02-01", "to": "2026-01-31"});
    let many = json!({"source": "x", "resource": "y", "from": "2000-01-01", "to": "2026-01-31", "days": 1});
    let words: [(Value, &[&str]); 3] = [
        (
            wrong,
            &[
                "`sourse` is unknown",
                "`source` must be",
                "`resource` must",
                "`to` must",
                "`days` must",
                "`concurrency`",
            ],
        ),
        (late, &["`from` lies after `to`"]),
        (many, &["9528 windows", "raise `days`"]),
    ];
    for (input, words) in words {
        let (ended, asked) = run(&input, |_, _| whole(0));
        assert_eq!((&ended["status"], &ended["error"]), (&json!("FAILED"), &json!("Config")), "{ended}");
        for word in words {
            assert!(ended["cause"].as_str().unwrap().contains(word), "`{word}`: {ended}");
        }
        assert_eq!(asked.events, Vec::<Value>::new());
    }
}

/// The function itself, against the sandbox, cut short once in every window.
#[test]
fn a_backfill_of_the_real_function_lands_every_sale_once() {
    let options = see_tickets::Options { sales: 3_000, ..see_tickets::Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = see_tickets::start_blocking(options).unwrap();
    let lake = Lake::new();
    let (path, base_url) = (lake.path().to_owned(), server.base_url.clone());
    let input =
        json!({"source": "see_tickets", "resource": "sales", "from": "2026-08-01", "to": "2026-11-30", "days": 11});
    let (ended, asked) = run(&input, move |event, before| {
        let mut reading = Function::new("resource").with(&["--lake", &path.to_string_lossy()]);
        for (name, value) in event.as_object().unwrap() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            reading = reading.with(&[&format!("--{}", name.replace('_', "-")), &value]);
        }
        if before == 0 && event.get("max_requests").is_none() {
            reading = reading.with(&["--max-requests", "3"]);
        }
        let ended = reading.against("see_tickets", &base_url, "sandbox-key").run();
        match ended.report["error"]["kind"].as_str() {
            Some(kind) => error(kind),
            None => json!({"payload": ended.report}),
        }
    });
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    assert_eq!((&ended["output"]["windows"], &ended["output"]["complete"]), (&json!(12), &json!(12)));
    assert_eq!(asked.windows(), windows("2026-08-01", "2026-11-30", 11));
    assert!(asked.events.len() > 1 + 12, "windows were gone on with: {}", asked.events.len());
    let stored = lake.query("see_tickets/sales", "SELECT uniqueCode FROM {table}");
    let codes: BTreeSet<String> = stored.iter().map(|row| text(&row[0])).collect();
    assert_eq!(codes.len(), stored.len(), "a key is stored twice");
    assert_eq!(codes, truth);
}

fn definition() -> Value {
    let path = function::root().join("infra/backfill.asl.yaml");
    python(&format!("import json, yaml; print(json.dumps(yaml.safe_load(open('{}'))))", path.display()), &[])
}

/// An error's name is what the state machine knows of it: those that a later try may not meet are tried again, and no others.
#[test]
fn what_is_tried_again_is_what_can_help() {
    let text = || String::from("x");
    let client = |error: client::Error| Error::from(error);
    let errors = [
        Error::configuration("x", "y"),
        client(client::Error::Secret { name: text(), origin: text(), reason: text() }),
        client(client::Error::Unauthorized { source_name: text(), status: 401, detail: text(), origin: text() }),
        client(client::Error::Throttled { source_name: text(), attempts: 5, detail: text() }),
        client(client::Error::Api { source_name: text(), request: text(), detail: text(), retryable: true }),
        client(client::Error::Api { source_name: text(), request: text(), detail: text(), retryable: false }),
        client(client::Error::Decode { source_name: text(), request: text(), detail: text() }),
        Error::Store(StoreError { kind: ErrorKind::Other, operation: "read", place: text(), detail: text() }),
        Error::Table(table::Error::Part { key: text(), detail: text() }),
        Error::Runtime(text()),
    ];
    let definition = definition();
    let read = &definition["States"]["Windows"]["ItemProcessor"]["States"]["Read"];
    let tried_again: BTreeSet<&str> = read["Retry"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|retrier| retrier["ErrorEquals"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let probe = definition["States"]["Probe"]["Catch"][0]["ErrorEquals"].as_array().unwrap();
    for error in errors {
        assert_eq!(tried_again.contains(error.kind()), error.is_retryable(), "{}", error.kind());
        // What is wrong for every window; the exit code tells it from what one answer or one part may have.
        assert_eq!(probe.contains(&json!(error.kind())), error.exit_code() != 1, "{}", error.kind());
    }
}

/// Step Functions gives a distributed map's windows none of the variables around it, which the engine here would.
#[test]
fn a_window_uses_no_variable_from_outside() {
    let definition = definition();
    let assigned = |states: &Value| -> BTreeSet<String> {
        let states = states.as_object().unwrap().values();
        let catches = states.clone().filter_map(|state| state["Catch"].as_array()).flatten();
        let assigns = states.chain(catches).filter_map(|state| state["Assign"].as_object());
        assigns.flat_map(|assign| assign.keys().cloned()).collect()
    };
    let outside = assigned(&definition["States"]);
    let processor = &definition["States"]["Windows"]["ItemProcessor"];
    let inside = assigned(&processor["States"]);
    assert!(outside.contains("function") && inside.contains("rounds"));
    assert_eq!(outside.intersection(&inside).collect::<Vec<_>>(), Vec::<&String>::new());
    let text = processor.to_string();
    let words = text.split('$').skip(1);
    let used: BTreeSet<&str> =
        words.map(|word| word.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default()).collect();
    for name in &outside {
        assert!(!used.contains(name.as_str()), "${name}");
    }
}
