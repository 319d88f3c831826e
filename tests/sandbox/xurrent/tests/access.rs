use std::time::Duration;

use super::{HEADERS, get};
use crate::{
    Fault, Faults, Server,
    client::{Received, send},
    xurrent::{Options, start_blocking, token_url, tokens_issued},
};

const FORM: &str = "client_id=sandbox-client&client_secret=sandbox-secret&grant_type=client_credentials";

fn token(server: &Server, form: &str) -> Received {
    send("POST", &token_url(server), &["Content-Type: application/x-www-form-urlencoded"], form).unwrap()
}

fn access_token(server: &Server) -> String {
    token(server, FORM).json()["access_token"].as_str().unwrap().to_owned()
}

fn status_with(server: &Server, token: &str) -> u16 {
    let headers = [&format!("Authorization: Bearer {token}"), "X-Xurrent-Account: wdc"];
    send("GET", &format!("{}/organizations", server.base_url), &headers, "").unwrap().status
}

#[test]
fn a_token_and_the_right_account_are_required() {
    let server = start_blocking(Options::default()).unwrap();
    let url = format!("{}/products", server.base_url);
    let answer = |headers: &[&str]| {
        let received = send("GET", &url, headers, "").unwrap();
        (received.status, received.status == 200 || received.json()["message"].is_string())
    };
    assert_eq!(answer(&HEADERS), (200, true));
    assert_eq!(answer(&[]), (401, true));
    assert_eq!(answer(&["Authorization: Bearer other", HEADERS[1]]), (401, true));
    assert_eq!(answer(&["Authorization: sandbox-key", HEADERS[1]]), (401, true));
    assert_eq!(answer(&HEADERS[..1]), (403, true));
    assert_eq!(answer(&[HEADERS[0], "X-Xurrent-Account: other"]), (404, true));
    assert_eq!(answer(&[HEADERS[0], "x-xurrent-account: wdc"]), (200, true));
    let any = start_blocking(Options { account: None, ..Options::default() }).unwrap();
    assert_eq!(send("GET", &format!("{}/products", any.base_url), &HEADERS[..1], "").unwrap().status, 200);
}

#[test]
fn nothing_else_is_there() {
    let server = start_blocking(Options::default()).unwrap();
    assert_eq!(get(&server, "/people").status, 404);
    assert_eq!(get(&server, "/organizations/44").status, 404);
    let post = send("POST", &format!("{}/organizations", server.base_url), &HEADERS, "").unwrap();
    assert_eq!(post.status, 405);
    assert_eq!(send("GET", &token_url(&server), &[], "").unwrap().status, 405);
}

#[test]
fn a_client_is_given_a_token_that_opens_the_collections() {
    let server = start_blocking(Options::default()).unwrap();
    let granted = token(&server, FORM);
    assert_eq!(granted.status, 200);
    assert_eq!(granted.json()["token_type"], "Bearer");
    assert_eq!(granted.json()["expires_in"], 3_600);
    let first = granted.json()["access_token"].as_str().unwrap().to_owned();
    let second = access_token(&server);
    assert_ne!(first, second);
    assert_eq!((status_with(&server, &first), status_with(&server, &second)), (200, 200));
    assert_eq!(tokens_issued(&server), 2);
}

#[test]
fn a_wrong_client_is_refused_in_the_words_of_the_standard() {
    let server = start_blocking(Options::default()).unwrap();
    for (form, error) in [
        ("", "invalid_request"),
        ("client_id=sandbox-client&grant_type=client_credentials", "invalid_request"),
        ("client_id=sandbox-client&client_secret=sandbox-secret&grant_type=password", "unsupported_grant_type"),
        ("client_id=sandbox-client&client_secret=other&grant_type=client_credentials", "invalid_client"),
        ("client_id=other&client_secret=sandbox-secret&grant_type=client_credentials", "invalid_client"),
    ] {
        let refused = token(&server, form);
        assert_eq!((refused.status, refused.json()["error"].as_str().unwrap()), (400, error), "{form}");
        assert!(refused.json()["error_description"].is_string());
    }
    let json = send("POST", &token_url(&server), &["Content-Type: application/json"], FORM).unwrap();
    assert_eq!(json.status, 400);
    assert_eq!(tokens_issued(&server), 0);
}

#[test]
fn a_token_ends_with_its_lifetime() {
    let server = start_blocking(Options { token_lifetime: Duration::from_secs(2), ..Options::default() }).unwrap();
    assert_eq!(token(&server, FORM).json()["expires_in"], 2);
    let token = access_token(&server);
    assert_eq!(status_with(&server, &token), 200);
    std::thread::sleep(Duration::from_millis(2_050));
    assert_eq!(status_with(&server, &token), 401);
    assert_eq!(status_with(&server, &access_token(&server)), 200);
    assert_eq!(status_with(&server, "sandbox-key"), 200);
}

#[test]
fn revoked_tokens_are_refused_and_new_ones_are_not() {
    let server = start_blocking(Options { revoke_tokens_after: Some(3), ..Options::default() }).unwrap();
    let token = access_token(&server);
    assert_eq!([1, 2, 3].map(|_| status_with(&server, &token)), [200, 200, 401]);
    let other = access_token(&server);
    assert_eq!((status_with(&server, &other), status_with(&server, &token)), (200, 401));
    assert_eq!(status_with(&server, "sandbox-key"), 200);
}

#[test]
fn an_answer_may_lack_the_token_or_its_lifetime() {
    let server = start_blocking(Options { omit_access_token: true, ..Options::default() }).unwrap();
    let granted = token(&server, FORM);
    assert_eq!((granted.status, granted.text()), (200, r#"{"token_type":"Bearer"}"#));
    let server = start_blocking(Options { omit_expires_in: true, ..Options::default() }).unwrap();
    assert!(token(&server, FORM).json().get("expires_in").is_none());
    assert_eq!(status_with(&server, &access_token(&server)), 200);
}

#[test]
fn the_personal_token_rotates_and_faults_befall_both_servers() {
    let faults = Faults {
        at: vec![(1, Fault::Status503), (3, Fault::MissingEnvelope)],
        rotate_key_after: Some((4, "second-key".into())),
        ..Faults::default()
    };
    let server = start_blocking(Options { faults, ..Options::default() }).unwrap();
    assert_eq!(token(&server, FORM).status, 503);
    assert_eq!(token(&server, FORM).status, 200);
    assert_eq!(get(&server, "/projects").text(), "{}");
    assert_eq!(get(&server, "/projects").status, 200);
    assert_eq!(get(&server, "/projects").status, 401);
    assert_eq!(status_with(&server, "second-key"), 200);
}
