//! A client's secret that is changed in Secrets Manager while a run reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sandbox::stub::{Response, Stub};
use serde_json::{Value, json};

use super::{Mine, events, records, stub};
use crate::aws::Aws;

fn with_auth(stub: &Stub, auth: &Value) -> Value {
    let mut manifest = events(stub, &json!({"path": "events", "paginator": "single_page"}));
    manifest["client"]["auth"] = auth.clone();
    manifest
}

#[test]
fn the_client_s_secret_is_read_again_when_it_was_changed() {
    let aws = Aws::start();
    aws.keep_secret("mine", r#"{"client_secret": "first-secret"}"#);
    let (valid, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, at) = (Arc::clone(&valid), Arc::clone(&reached));
    let stub = stub(move |request| {
        let secret = if now.load(Ordering::Acquire) == 0 { "first-secret" } else { "second-secret" };
        if request.path == "/token" {
            let right = request.body.contains(secret);
            return match right {
                true => Response::json(&json!({"access_token": format!("of-{secret}"), "expires_in": 3600})),
                false => Response::status(401, r#"{"error": "invalid_client"}"#),
            };
        }
        let page = request.number("offset");
        at.store(page, Ordering::Release);
        while page == 2 && now.load(Ordering::Acquire) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let secret = if now.load(Ordering::Acquire) == 0 { "first-secret" } else { "second-secret" };
        if !request.header("authorization").ends_with(secret) {
            return Response::status(401, r#"{"error": "invalid_token"}"#);
        }
        Response::json(&json!({"events": records(page..page + 1), "total": 4}))
    });
    let auth = json!({
        "type": "oauth2_client_credentials", "access_token_url": format!("{}/token", stub.base_url), "client_id": "me",
    });
    let mut manifest = with_auth(&stub, &auth);
    manifest["resources"][0]["endpoint"] =
        json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 1}});
    let mine = Mine::json(&manifest);
    let child = aws.grant(mine.reading("events").env("SECRET_ID", "mine")).start();
    while reached.load(Ordering::Acquire) < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    aws.rotate_secret("mine", r#"{"client_secret": "second-secret"}"#);
    valid.store(1, Ordering::Release);
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((&report["status"], &report["records"]["new"]), (&json!("complete"), &json!(4)), "{report}\n{errors}");
    assert!(!errors.contains("first-secret") && !errors.contains("second-secret"), "{errors}");
}
