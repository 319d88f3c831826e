//! The key: where it is read, what a wrong one does, and that it is written nowhere.

use sandbox::function::Function;
use sandbox::{Fault, Faults, see_tickets, ticketmaster};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::lake::Lake;

#[test]
fn a_wrong_key_ends_with_5_and_leaves_the_watermark() {
    let server = see_tickets::start_blocking(see_tickets::Options::default()).unwrap();
    let lake = Lake::new();
    let function = Function::reading("sales", "see_tickets", lake.path());
    let report = function.clone().against("see_tickets", &server.base_url, "sandbox-key").complete();
    let before = lake.objects();
    let ended = function.clone().against("see_tickets", &server.base_url, "not-the-key-at-all").run();
    assert_eq!(ended.code, Some(5), "{}", ended.errors);
    assert_eq!(ended.report["error"]["kind"], "Auth");
    assert!(ended.errors.contains("SEE_TICKETS_API_KEY") && ended.errors.contains("401"), "{}", ended.errors);
    assert_eq!(ended.report["watermark"], report["watermark"]);
    assert_eq!(lake.objects(), before);
    assert_eq!(server.answered(401), 1, "a key that cannot change is not tried again");

    let missing = function.env("SEE_TICKETS_BASE_URL", &server.base_url).run();
    assert_eq!(missing.code, Some(5), "{}", missing.errors);
    assert!(
        missing.errors.contains("SEE_TICKETS_API_KEY") && missing.errors.contains("SECRET_ID"),
        "{}",
        missing.errors
    );
}

#[test]
fn a_wrong_ticketmaster_key_too() {
    let server = ticketmaster::start_blocking(ticketmaster::Options::default()).unwrap();
    let lake = Lake::new();
    let function = Function::reading("events", "ticketmaster", lake.path());
    let ended = function.against("ticketmaster", &server.base_url, "not-the-key-at-all").run();
    assert_eq!(ended.code, Some(5), "{}", ended.errors);
    assert!(ended.errors.contains("Invalid ApiKey"), "{}", ended.errors);
    assert!(!format!("{}{}", ended.report, ended.errors).contains("not-the-key-at-all"));
    // A reading is registered before its first request.
    assert!(lake.objects().keys().all(|path| path.ends_with("readings.json")));
}

#[test]
fn a_secret_that_cannot_be_read_ends_with_5() {
    let aws = Aws::start();
    aws.keep_secret("other-field", r#"{"token": "x"}"#);
    let server = see_tickets::start_blocking(see_tickets::Options::default()).unwrap();
    let lake = Lake::new();
    for (id, words) in [("nowhere", ["nowhere", "ResourceNotFound"]), ("other-field", ["api_key", "token"])] {
        let function = Function::reading("sales", "see_tickets", lake.path()).env("SECRET_ID", id);
        let ended = aws.grant(function.env("SEE_TICKETS_BASE_URL", &server.base_url)).run();
        assert_eq!(ended.code, Some(5), "{}", ended.errors);
        for word in words {
            assert!(ended.errors.contains(word), "`{word}`: {}", ended.errors);
        }
    }
    assert_eq!(server.count(), 0);
}

/// The key changes during the run: the secret is read again once, and the run continues with the new key.
#[test]
fn a_rotated_key_is_read_again_once() {
    let aws = Aws::start();
    aws.keep_secret("rotating", "sandbox-key");
    let faults = Faults {
        rotate_key_after: Some((3, "second-key".into())),
        at: vec![(3, Fault::Delay(std::time::Duration::from_secs(8)))],
        ..Faults::default()
    };
    let options = see_tickets::Options { sales: 1_000, faults, ..see_tickets::Options::default() };
    let server = see_tickets::start_blocking(options).unwrap();
    let lake = Lake::new();
    let function = Function::reading("sales", "see_tickets", lake.path())
        .env("SECRET_ID", "rotating")
        .env("SEE_TICKETS_BASE_URL", &server.base_url);
    let child = aws.grant(function).start();
    while server.count() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    aws.rotate_secret("rotating", "second-key");
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["status"], "complete", "{report}");
    assert_eq!(report["records"]["new"], 1_000);
    assert_eq!(server.answered(401), 1);
}

/// Ticketmaster's key rides in the URL and is echoed by the quota's error: it must be in no log line, report or object.
#[test]
fn the_key_is_written_nowhere() {
    let key = "S3cr3t+Key/with=signs";
    let faults = Faults {
        at: vec![(2, Fault::Reset), (3, Fault::TruncatedBody), (6, Fault::QuotaViolation)],
        ..Faults::default()
    };
    let options =
        ticketmaster::Options { events: 300, api_key: key.into(), faults, ..ticketmaster::Options::default() };
    let server = ticketmaster::start_blocking(options).unwrap();
    let lake = Lake::new();
    let function = Function::reading("events", "ticketmaster", lake.path()).env("RUST_LOG", "trace");
    let ended = function.clone().against("ticketmaster", &server.base_url, key).run();
    assert_eq!(ended.report["status"], "partial", "{}", ended.errors);
    assert!(ended.errors.contains("Quota"), "the error's own words are told: {}", ended.errors);
    let mut texts = vec![ended.errors, ended.report.to_string()];

    // The quota is gone for good: the run is cut short, and says so.
    let at = (1..100).map(|number| (number, Fault::QuotaViolation)).collect();
    let options =
        ticketmaster::Options { api_key: key.into(), faults: Faults { at, ..Faults::default() }, ..Default::default() };
    let server = ticketmaster::start_blocking(options).unwrap();
    let ended = function.against("ticketmaster", &server.base_url, key).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(3), &json!("partial")), "{}", ended.errors);
    texts.extend([ended.errors, ended.report.to_string()]);

    for (path, _) in lake.objects() {
        texts.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
    }
    for text in texts {
        for form in [key, "S3cr3t%2BKey%2Fwith%3Dsigns", "S3cr3t"] {
            assert!(!text.contains(form), "`{form}` in: {text}");
        }
    }
}
