//! The keys: a personal token, or an application's id and secret; sent to the API alone, and written nowhere.

use std::time::Duration;

use sandbox::xurrent::{Options, start_blocking, token, token_url, tokens_issued};
use sandbox::{Fault, Faults};
use serde_json::{Value, json};

use super::{as_application, keyless, options, reading, rows};
use crate::aws::Aws;
use crate::lake::Lake;

const SECRET: &str = "sandbox-secret";

#[test]
fn a_personal_token_is_enough() {
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    assert_eq!(rows(&reading("organizations", &server, &lake).complete()), [120, 0, 0]);
    assert_eq!((server.count(), tokens_issued(&server)), (2, 0));

    let ended = reading("organizations", &server, &lake).env("XURRENT_OAUTH_TOKEN", "not-the-token").run();
    assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(5), &json!("Auth")), "{}", ended.errors);
    assert!(ended.errors.contains("XURRENT_OAUTH_TOKEN") && ended.errors.contains("invalid or expired"));
    assert!(!format!("{}{}", ended.errors, ended.report).contains("not-the-token"));
    assert_eq!(server.answered(401), 1);
}

#[test]
fn without_a_key_every_way_to_give_one_is_named() {
    let server = start_blocking(options()).unwrap();
    let ended = keyless("organizations", &server, &Lake::new()).run();
    assert_eq!(ended.code, Some(5), "{}", ended.errors);
    for name in ["XURRENT_OAUTH_TOKEN", "XURRENT_CLIENT_ID", "XURRENT_CLIENT_SECRET", "SECRET_ID"] {
        assert!(ended.errors.contains(name), "`{name}`: {}", ended.errors);
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn an_application_asks_for_one_token_for_many_requests() {
    // Whether the answer says how long it lives or not.
    for omit_expires_in in [false, true] {
        let server = start_blocking(Options { omit_expires_in, ..options() }).unwrap();
        let lake = Lake::new();
        let report = as_application("products", &server, &lake).with(&["--page-size", "20"]).complete();
        assert_eq!(rows(&report), [300, 0, 0]);
        assert_eq!((server.count(), tokens_issued(&server), server.answered(401)), (1 + 15, 1, 0));
    }
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let server = start_blocking(Options { token_lifetime: Duration::from_secs(2), ..options() }).unwrap();
    let lake = Lake::new();
    // 50 pages at 10 a second, with tokens that are used for nine tenths of two seconds.
    let report = as_application("products", &server, &lake).with(&["--page-size", "6"]).complete();
    assert_eq!(rows(&report), [300, 0, 0]);
    assert_eq!(server.answered(401), 0);
    let tokens = tokens_issued(&server);
    assert!((3..=6).contains(&tokens), "{tokens}");
}

#[test]
fn a_token_that_is_revoked_is_replaced() {
    let server = start_blocking(Options { revoke_tokens_after: Some(5), ..options() }).unwrap();
    let lake = Lake::new();
    let report = as_application("products", &server, &lake).with(&["--page-size", "30"]).complete();
    assert_eq!(rows(&report), [300, 0, 0]);
    assert_eq!((server.answered(401), tokens_issued(&server)), (1, 2));
}

#[test]
fn an_answer_without_a_token_and_a_wrong_secret_end_with_5() {
    let server = start_blocking(Options { omit_access_token: true, ..options() }).unwrap();
    let lake = Lake::new();
    let ended = as_application("all", &server, &lake).run();
    assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(5), &json!("Auth")), "{}", ended.errors);
    for words in ["has no `access_token`", "token_type", "XURRENT_CLIENT_ID"] {
        assert!(ended.errors.contains(words), "`{words}`: {}", ended.errors);
    }

    let server = start_blocking(options()).unwrap();
    let ended = as_application("projects", &server, &lake).env("XURRENT_CLIENT_SECRET", "not-the-secret").run();
    assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(5), &json!("Auth")), "{}", ended.errors);
    for words in ["invalid_client", "XURRENT_CLIENT_ID", "XURRENT_CLIENT_SECRET"] {
        assert!(ended.errors.contains(words), "`{words}`: {}", ended.errors);
    }
    assert!(!format!("{}{}", ended.errors, ended.report).contains("not-the-secret"));
    assert!(server.requests().iter().all(|seen| seen.path == "/token"));
    assert!(lake.objects().is_empty());
}

#[test]
fn a_secret_holds_a_token_or_an_application() {
    let aws = Aws::start();
    aws.keep_secret("token", r#"{"oauth_token": "sandbox-key"}"#);
    aws.keep_secret("application", r#"{"client_id": "sandbox-client", "client_secret": "sandbox-secret"}"#);
    aws.keep_secret("neither", r#"{"client_id": "sandbox-client"}"#);
    aws.keep_secret("plain", "sandbox-key");
    for (name, tokens) in [("token", 0), ("application", 1), ("plain", 0)] {
        let server = start_blocking(options()).unwrap();
        let lake = Lake::new();
        let function =
            keyless("projects", &server, &lake).env("SECRET_ID", name).env("XURRENT_TOKEN_URL", &token_url(&server));
        assert_eq!(rows(&aws.grant(function).complete()), [180, 0, 0]);
        assert_eq!((tokens_issued(&server), server.answered(401)), (tokens, 0));
    }
    let server = start_blocking(options()).unwrap();
    let ended = aws.grant(keyless("projects", &server, &Lake::new()).env("SECRET_ID", "neither")).run();
    assert_eq!((ended.code, server.count()), (Some(5), 0), "{}", ended.errors);
    for word in ["neither", "oauth_token", "client_secret"] {
        assert!(ended.errors.contains(word), "`{word}`: {}", ended.errors);
    }
    assert!(!ended.errors.contains("sandbox-client"), "{}", ended.errors);
}

/// Retries, a renewal and an end without success: the id, the secret and the tokens are in no log line, report or object.
#[test]
fn secret_and_tokens_are_written_nowhere() {
    // The fifth request is refused; the sixth asks for another token.
    let at = vec![(3, Fault::Status500), (6, Fault::Reset), (8, Fault::TruncatedBody)];
    let faults = Faults { at, ..Faults::default() };
    let options = Options { faults, revoke_tokens_after: Some(4), ..options() };
    let server = start_blocking(options.clone()).unwrap();
    let lake = Lake::new();
    let ended = as_application("products", &server, &lake).with(&["--page-size", "50"]).env("RUST_LOG", "trace").run();
    assert_eq!(ended.report["status"], "complete", "{}", ended.errors);
    assert!(ended.errors.contains("the key was refused and is replaced by a new one"), "{}", ended.errors);
    let requests = server.requests();
    let granted = requests.iter().filter(|seen| seen.path == "/token" && seen.status == Some(200));
    let given: Vec<String> = granted.map(|seen| token(&options, seen.number)).collect();
    assert_eq!(given.len(), 2);
    let mut texts = vec![ended.errors, ended.report.to_string()];

    // The account is another one: the API refuses what the token asks for.
    let ended = as_application("products", &server, &lake).env("XURRENT_ACCOUNT", "other").run();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    texts.extend([ended.errors, ended.report.to_string()]);
    let objects = lake.objects().into_keys().chain([lake.path().join("_state/xurrent/_quota.json")]);
    texts.extend(objects.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()));
    for text in texts {
        for secret in given.iter().map(String::as_str).chain([SECRET]) {
            assert!(!text.contains(secret), "`{secret}` in: {text}");
        }
    }
}

/// A link to another host is not followed: the key goes to the API alone.
#[test]
fn the_key_goes_nowhere_else() {
    let elsewhere = start_blocking(options()).unwrap();
    let host = elsewhere.base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let server = start_blocking(Options { link_host: Some(host.clone()), ..options() }).unwrap();
    let lake = Lake::new();
    let ended = reading("products", &server, &lake).run();
    assert_eq!((ended.code, &ended.report["error"]["kind"]), (Some(1), &json!("Decode")), "{}", ended.errors);
    for words in ["link leads to", &host, "the key is not sent there"] {
        assert!(ended.errors.contains(words), "`{words}`: {}", ended.errors);
    }
    assert_eq!((elsewhere.count(), server.count()), (0, 1));
    assert_eq!((&ended.report["records"]["new"], &ended.report["watermark"]), (&json!(100), &Value::Null));
}
