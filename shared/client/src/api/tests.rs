//! Requests, retries, keys and budgets over an API in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use manifest::query::QueryScope;
use manifest::time::Clock;
use manifest::{Body, Method, Query};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::encode::FORM;
use crate::fake::{CapturedLog, FakeStore, Fault, LinkForm, Paging, Setup, Spec};
use crate::paginate::{Page, Reader};

/// Reads the first page of all records.
async fn first_page(setup: &Setup, api: &Api<'_>) -> Result<Option<Page>, Stop> {
    Reader::new(api, setup.resource()).pages(&setup.query(), None).next().await
}

/// Reads the first page, which must fail, and returns the error with the requests that were sent.
async fn failure(setup: &Setup) -> (Stop, Requests) {
    let api = setup.api();
    match first_page(setup, &api).await {
        Err(stop) => (stop, api.requests()),
        Ok(page) => panic!("{page:?}"),
    }
}

fn single_page() -> Value {
    json!({"paginator": "single_page"})
}

/// An API whose first `count` requests fail.
fn failing(fault: &Fault, count: usize) -> Spec {
    Spec { faults: (1..=count).map(|number| (number, fault.clone())).collect(), ..Spec::default() }
}

fn sent(sent: u64, retried: u64, throttled: u64) -> Requests {
    Requests { sent, retried, throttled }
}

/// The faults after which a request is sent again.
fn transient_faults() -> Vec<Fault> {
    let mut faults: Vec<Fault> = [408, 429, 500, 502, 503, 504, 599].map(|status| Fault::Status(status, "down")).into();
    faults.extend([Fault::Lost, Fault::CutShort, Fault::Body("<html>"), Fault::Body(r#"{"events": [1"#)]);
    faults
}

#[tokio::test(start_paused = true)]
async fn a_transient_fault_is_retried() {
    for fault in transient_faults() {
        let setup = Setup::new(failing(&fault, 2), &single_page());
        let api = setup.api();
        let start = Instant::now();
        let page = first_page(&setup, &api).await.unwrap().unwrap();
        assert_eq!(page.records.len(), 7);
        let throttled = if matches!(fault, Fault::Status(429, _)) { 2 } else { 0 };
        assert_eq!(api.requests(), sent(3, 2, throttled), "{fault:?}");
        let (least, most) = (Duration::from_millis(750), Duration::from_millis(1_503));
        assert!((least..most).contains(&start.elapsed()), "{fault:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_decides_the_error() {
    for fault in transient_faults() {
        let setup = Setup::new(failing(&fault, 9), &single_page());
        let (stop, requests) = failure(&setup).await;
        assert_eq!((requests.sent, requests.retried), (5, 4), "{fault:?}");
        let message = stop.to_string();
        match (&fault, stop) {
            (Fault::Status(429, _), Stop::Limit(_)) => assert_eq!(
                message,
                "mine still answers 429 after 5 attempts: down. Wait for the quota to renew, or ask for a larger one"
            ),
            (Fault::Status(status, _), Stop::Error(Error::Api { retryable: true, .. })) => {
                assert_eq!(message, format!("mine GET events: answered {status}: down, after 5 attempts"));
            }
            (Fault::Lost, Stop::Error(Error::Api { retryable: true, .. })) => {
                assert!(message.starts_with("mine GET events: could not be read: connection reset"), "{message}");
            }
            (Fault::CutShort, Stop::Error(Error::Api { retryable: true, .. })) => {
                assert!(message.starts_with("mine GET events: could not be read: unexpected end"), "{message}");
            }
            (Fault::Body(_), Stop::Error(Error::Decode { .. })) => {
                let expected = "mine GET events: gave an unreadable answer: status 200, no JSON: ";
                assert!(message.starts_with(expected), "{message}");
            }
            (fault, stop) => panic!("{fault:?}: {stop:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_statuses_are_not_retried() {
    for status in [302, 400, 404, 405, 410, 422] {
        let setup = Setup::new(failing(&Fault::Status(status, "no\n  such  thing"), 1), &single_page());
        let (stop, requests) = failure(&setup).await;
        assert!(matches!(stop, Stop::Error(Error::Api { retryable: false, .. })), "{stop:?}");
        assert_eq!(stop.to_string(), format!("mine GET events: answered {status}: no such thing"));
        assert_eq!(requests, sent(1, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_says_how_many_attempts_there_are() {
    for attempts in [1, 2, 7] {
        let mut setup = Setup::new(failing(&Fault::Status(503, "down"), 9), &single_page());
        setup.budget.attempts = attempts;
        let (_, requests) = failure(&setup).await;
        assert_eq!(requests.sent, u64::from(attempts));
    }
}

#[tokio::test(start_paused = true)]
async fn response_actions_decide_before_the_status() {
    let actions = json!({"paginator": "single_page", "response_actions": [
        {"status_code": 404, "content": "not yet", "action": "retry"},
        {"status_code": 503, "action": "fail"},
        {"status_code": 401, "action": "fail"},
        {"content": "maintenance", "action": "retry"},
        {"status_code": 410, "action": "ignore"},
    ]});
    for (fault, expected_sent, message) in [
        (Fault::Status(404, "not yet"), 5, "answered 404: not yet, after 5 attempts"),
        (Fault::Status(404, "never"), 1, "answered 404: never"),
        (Fault::Status(503, "down"), 1, "answered 503: down"),
        (Fault::Status(401, "no"), 1, "answered 401: no"),
        (Fault::Body("maintenance"), 5, "answered 200: maintenance, after 5 attempts"),
    ] {
        let setup = Setup::new(failing(&fault, 9), &actions);
        let (stop, requests) = failure(&setup).await;
        assert_eq!(stop.to_string(), format!("mine GET events: {message}"));
        assert_eq!(requests.sent, expected_sent, "{fault:?}");
    }
    let setup = Setup::new(failing(&Fault::Status(410, "gone"), 1), &actions);
    let api = setup.api();
    assert!(first_page(&setup, &api).await.unwrap().is_none());
    assert_eq!(api.requests(), sent(1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_api_asks_for_is_kept() {
    for (fault, seconds) in [
        (Fault::RetryAfter(503, "20"), 20.0),
        (Fault::RetryAfter(429, "20"), 20.0),
        (Fault::RetryAfter(429, "0"), 0.0),
        (Fault::RetryAfter(503, "Sat, 21 Nov 2026 10:00:30 GMT"), 30.0),
    ] {
        let setup = Setup::new(failing(&fault, 1), &single_page());
        let api = setup.api();
        let start = Instant::now();
        first_page(&setup, &api).await.unwrap().unwrap();
        let waited = start.elapsed().as_secs_f64();
        assert!((seconds..seconds + 0.003).contains(&waited), "{fault:?}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_ends_the_run() {
    for (fault, deadline_seconds, message) in [
        (
            Fault::RetryAfter(429, "86400"),
            None,
            "answered 429: slow down, and requests a pause until 2026-11-22T10:00:00Z",
        ),
        (
            Fault::RetryAfter(503, "86400"),
            None,
            "answered 503: slow down, and requests a pause until 2026-11-22T10:00:00Z",
        ),
        (
            Fault::RetryAfter(503, "60"),
            Some(50),
            "out of time: answered 503: slow down, and the next try would come after the deadline",
        ),
    ] {
        let mut setup = Setup::new(failing(&fault, 9), &single_page());
        setup.budget.deadline = deadline_seconds.map(|seconds| setup.clock.in_seconds(seconds));
        let start = Instant::now();
        let (stop, requests) = failure(&setup).await;
        assert!(matches!(stop, Stop::Limit(_)));
        assert_eq!(stop.to_string(), message);
        assert_eq!((requests.sent, start.elapsed()), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_out_of_requests_sends_no_retry() {
    let mut setup = Setup::new(failing(&Fault::Status(503, "down"), 9), &single_page());
    setup.budget.max_requests = Some(2);
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Limit(reason) if reason == "max_requests of 2 is used up"), "{stop:?}");
    assert_eq!(requests, sent(2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn several_requests_at_once_do_not_exceed_the_budget() {
    // With a rate limit, several requests wait to leave at a time.
    for client in [json!({}), json!({"rate": {"per_second": 5}})] {
        let spec = Spec { delay: |_| Duration::from_millis(5), ..Spec::default() };
        let mut setup = Setup::with_client(spec, &single_page(), &client);
        setup.budget.max_requests = Some(3);
        let api = setup.api();
        let reads = (0..10).map(|_| first_page(&setup, &api));
        let results = futures::future::join_all(reads).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
        assert_eq!(setup.fake.requests().len(), 3);
        assert_eq!(api.requests(), sent(3, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_out_of_time_sends_nothing() {
    let mut setup = Setup::new(Spec::default(), &single_page());
    setup.budget.deadline = Some(setup.clock.now());
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Limit(reason) if reason == "out of time"), "{stop:?}");
    assert_eq!(requests, sent(0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_as_long_as_the_run() {
    for (deadline_seconds, expected) in [(None, 60), (Some(600), 60), (Some(30), 30), (Some(2), 5)] {
        let mut setup = Setup::new(Spec::default(), &single_page());
        setup.budget.deadline = deadline_seconds.map(|seconds| setup.clock.in_seconds(seconds));
        first_page(&setup, &setup.api()).await.unwrap().unwrap();
        assert_eq!(setup.fake.requests()[0].timeout, Duration::from_secs(expected), "{deadline_seconds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_can_be_sent_without_a_client() {
    let (stop, _) = failure(&Setup::new(failing(&Fault::Setup, 1), &single_page())).await;
    assert!(matches!(&stop, Stop::Error(Error::Setup(reason)) if reason == "no TLS"), "{stop:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_built_is_not_sent() {
    let client = json!({"auth": {"type": "bearer", "token": {"$secret": "token"}}});
    let mut setup = Setup::with_client(Spec::default(), &single_page(), &client);
    setup.set_variables(&[("MINE_TOKEN", "line one\nline two")]);
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(stop, Stop::Error(Error::Api { retryable: false, .. })), "{stop:?}");
    assert_eq!(
        stop.to_string(),
        "mine GET events: could not be sent: the value of the header `authorization` has a character that a header cannot hold"
    );
    assert_eq!(requests, sent(0, 0, 0));
}

/// A query with these parts, the first row of each test below.
fn query(path: &str, params: &[(&str, &str)], headers: &[(&str, &str)], body: Option<Body>) -> Arc<Query> {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut query = Query::new(QueryScope::default(), "all");
    (query.path, query.params, query.headers, query.body) = (path.into(), pairs(params), pairs(headers), body);
    Arc::new(query)
}

#[tokio::test(start_paused = true)]
async fn requests_are_sent_as_the_query_and_the_manifest_write_them() {
    let client = json!({"headers": {"Accept": "application/json", "X-Tenant": "a"}});
    let events = "https://api.example/v1/events";
    let form = Body::Form([("b".into(), "x y".into()), ("a".into(), "1&2".into())].into());
    let xml = "application/xml";
    for (query, url, content_type, tenant, body) in [
        (
            query("events", &[("q", "a b+c/ü~*"), ("empty", "")], &[("x-tenant", "b")], None),
            "https://api.example/v1/events?empty=&q=a+b%2Bc%2F%C3%BC%7E*",
            None,
            "b",
            "",
        ),
        (query("events?a=%20+", &[("b", "1")], &[], None), "https://api.example/v1/events?a=%20+&b=1", None, "a", ""),
        (query("https://other.example/x", &[], &[], None), "https://other.example/x", None, "a", ""),
        (
            query("events", &[], &[], Some(Body::Json(json!({"b": [1], "a": "x"})))),
            events,
            Some("application/json"),
            "a",
            r#"{"a":"x","b":[1]}"#,
        ),
        (query("events", &[], &[], Some(form.clone())), events, Some(FORM), "a", "a=1%262&b=x+y"),
        (query("events", &[], &[], Some(Body::Text("<q/>".into()))), events, None, "a", "<q/>"),
        (query("events", &[], &[("Content-Type", xml)], Some(form)), events, Some(xml), "a", "a=1%262&b=x+y"),
    ] {
        let setup = Setup::with_client(Spec::default(), &single_page(), &client);
        let api = setup.api();
        Reader::new(&api, setup.resource()).pages(&query, None).next().await.unwrap().unwrap();
        let request = setup.fake.requests().remove(0);
        assert_eq!((request.url.as_str(), request.body.as_str()), (url, body));
        let values = |name: &str| request.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values("accept"), ["application/json"]);
        assert_eq!(values("x-tenant"), [tenant]);
        assert_eq!(values("content-type"), content_type.into_iter().collect::<Vec<_>>(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_without_a_body_has_none() {
    let setup = Setup::new(Spec::default(), &json!({"paginator": "single_page", "method": "POST"}));
    first_page(&setup, &setup.api()).await.unwrap().unwrap();
    let request = setup.fake.requests().remove(0);
    assert_eq!((request.method, request.body.as_str()), (Method::Post, ""));
    assert!(!request.headers.contains_key("content-type"), "{:?}", request.headers);
}

/// What an authentication method needs in a manifest, and the environment with its secrets.
fn auth(method: Value) -> Value {
    json!({"auth": method})
}

fn with_auth(spec: Spec, method: Value, variables: &[(&str, &str)]) -> Setup {
    let mut setup = Setup::with_client(spec, &single_page(), &auth(method));
    setup.set_variables(variables);
    setup
}

fn client_credentials() -> Value {
    json!({"type": "oauth2_client_credentials", "access_token_url": "https://login.example/token",
           "client_id": {"$secret": "client_id"}, "client_secret": {"$secret": "client_secret"},
           "access_token_request_data": {"scope": "read all"}})
}

const CLIENT: [(&str, &str); 2] = [("MINE_CLIENT_ID", "id-of-mine"), ("MINE_CLIENT_SECRET", "s3cr+t of mine")];

#[tokio::test(start_paused = true)]
async fn a_key_is_sent_in_its_place() {
    let api_key = |location: &str, name: &str| json!({"type": "api_key", "api_key": "api_key", "name": name, "location": location});
    for (method, url, header, value) in [
        (json!({"type": "bearer", "token": "api_key"}), "", "authorization", "Bearer k+y/1"),
        (api_key("header", "X-Api-Key"), "", "x-api-key", "k+y/1"),
        (api_key("query", "apikey"), "?apikey=k%2By%2F1", "", ""),
        (
            json!({"type": "http_basic", "username": "me", "password": "api_key"}),
            "",
            "authorization",
            "Basic bWU6ayt5LzE=",
        ),
    ] {
        let method = with_secret(method);
        let setup = with_auth(Spec::default(), method, &[("MINE_API_KEY", "k+y/1")]);
        first_page(&setup, &setup.api()).await.unwrap().unwrap();
        let request = setup.fake.requests().remove(0);
        assert_eq!(request.url.as_str(), format!("https://api.example/v1/events{url}"));
        if !header.is_empty() {
            assert_eq!(request.headers[header], value);
            assert!(request.headers[header].is_sensitive());
        }
    }
}

/// Names the secret `api_key` where the method's fields say so.
fn with_secret(mut method: Value) -> Value {
    for (name, field) in method.as_object_mut().unwrap() {
        if field == "api_key" && name != "type" {
            *field = json!({"$secret": "api_key"});
        }
    }
    method
}

fn bearer() -> Value {
    json!({"type": "bearer", "token": {"$secret": "token"}})
}

fn accepting(keys: &[&str]) -> Spec {
    Spec { accepted_keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Spec::default() }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_read_again_once() {
    for status in [401, 403] {
        let store = Arc::new(FakeStore::new("old-key-of-mine"));
        let mut setup = Setup::with_client(accepting(&["new-key-of-mine"]), &single_page(), &auth(bearer()));
        setup.set_store(Arc::clone(&store) as Arc<dyn crate::secret::SecretStore>);
        setup.fake.change(|spec| spec.faults = BTreeMap::from([(1, Fault::Status(status, "no"))]));
        let api = setup.api();
        // The key is cached, and changes in the store.
        setup.secrets.get("mine", "token", None).await.unwrap();
        store.set(Ok("new-key-of-mine"));
        first_page(&setup, &api).await.unwrap().unwrap();
        assert_eq!(api.requests(), sent(2, 0, 0), "a renewed key is no retry");
        first_page(&setup, &api).await.unwrap().unwrap();
        assert_eq!(api.requests(), sent(3, 0, 0), "the new key is kept");
        // The new key is refused later, and the store has no other one.
        setup.fake.change(|spec| spec.accepted_keys = vec!["another-key-of-mine".into()]);
        let before = api.requests().sent;
        match first_page(&setup, &api).await {
            Err(Stop::Error(Error::Unauthorized { status: 401, origin, .. })) => {
                assert_eq!(origin, "Secrets Manager mine");
            }
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(api.requests().sent - before, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_is_refused_too_is_an_error() {
    let store = Arc::new(FakeStore::new("first-key-of-mine"));
    let mut setup = Setup::with_client(accepting(&["none of these"]), &single_page(), &auth(bearer()));
    setup.set_store(Arc::clone(&store) as Arc<dyn crate::secret::SecretStore>);
    setup.secrets.get("mine", "token", None).await.unwrap();
    store.set(Ok("second-key-of-mine"));
    let (stop, requests) = failure(&setup).await;
    let Stop::Error(Error::Unauthorized { status, source_name, .. }) = &stop else { panic!("{stop:?}") };
    assert_eq!((*status, source_name.as_str()), (401, "mine"));
    assert_eq!(requests, sent(2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_from_the_environment_is_refused_at_once() {
    let setup = with_auth(failing(&Fault::Status(403, "forbidden"), 9), bearer(), &[("MINE_TOKEN", "key-of-mine")]);
    let (stop, requests) = failure(&setup).await;
    assert_eq!(stop.to_string(), "mine refused the key with status 403: forbidden. Check the secret: MINE_TOKEN");
    assert_eq!(requests, sent(1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_wants_a_key_which_the_manifest_does_not_name_is_an_error() {
    let setup = Setup::new(failing(&Fault::Status(401, "who?"), 9), &single_page());
    let (stop, requests) = failure(&setup).await;
    assert_eq!(
        stop.to_string(),
        "mine refused the key with status 401: who?. Check the secret: the manifest names none; give it `client.auth`"
    );
    assert_eq!(requests, sent(1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn several_requests_with_a_refused_key_renew_it_once() {
    let spec = Spec { delay: |_| Duration::from_millis(5), ..accepting(&["token-2"]) };
    let setup = with_auth(spec, client_credentials(), &CLIENT);
    let api = setup.api();
    let reads = futures::future::join_all((0..4).map(|_| first_page(&setup, &api))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
    let tokens = setup.fake.requests().iter().filter(|request| request.is_for_token()).count();
    assert_eq!((tokens, api.requests()), (2, sent(10, 0, 0)), "two tokens, four refused requests, four good ones");
}

/// One path is forbidden to a token that others accept: that is no word on the token.
#[tokio::test(start_paused = true)]
async fn a_forbidden_path_is_an_error_of_its_own_if_other_paths_accept_the_key() {
    let delay = |_| Duration::from_millis(5);
    let spec = Spec { forbidden_path: Some("/v1/secret"), delay, ..Spec::default() };
    let setup = with_auth(spec, client_credentials(), &CLIENT);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let forbidden = async { reader.pages(&query("secret", &[], &[], None), None).next().await };
    let allowed = async {
        for _ in 0..50 {
            first_page(&setup, &api).await.unwrap().unwrap();
        }
    };
    let (forbidden, ()) = tokio::join!(forbidden, allowed);
    assert!(matches!(forbidden, Err(Stop::Error(Error::Api { retryable: false, .. }))), "{forbidden:?}");
    let requests = setup.fake.requests();
    let refused = requests.iter().filter(|request| request.url.path() == "/v1/secret").count();
    assert!(refused <= 5, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_an_error_before_any_request() {
    let (stop, requests) = failure(&with_auth(Spec::default(), bearer(), &[])).await;
    assert_eq!(
        stop.to_string(),
        "the secret `token` of MINE_TOKEN could not be read: the variable is not set; set it, or SECRET_ID to the key's name in Secrets Manager"
    );
    assert_eq!(requests, sent(0, 0, 0));
    let both = json!([bearer(), client_credentials()]);
    let (stop, _) = failure(&with_auth(Spec::default(), both.clone(), &[])).await;
    assert_eq!(
        stop.to_string(),
        "the secret `token` of the environment could not be read: set MINE_TOKEN, or MINE_CLIENT_ID and MINE_CLIENT_SECRET; or SECRET_ID to the key's name in Secrets Manager"
    );
    // The second method has its secrets.
    let setup = with_auth(Spec::default(), both, &CLIENT);
    first_page(&setup, &setup.api()).await.unwrap().unwrap();
    assert!(setup.fake.requests()[0].is_for_token());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_an_error() {
    let store = FakeStore::new("");
    store.set(Err("access denied; allow secretsmanager:GetSecretValue"));
    let mut setup = Setup::with_client(Spec::default(), &single_page(), &auth(bearer()));
    setup.set_store(Arc::new(store));
    let (stop, _) = failure(&setup).await;
    assert_eq!(
        stop.to_string(),
        "the secret `token` of Secrets Manager mine could not be read: access denied; allow secretsmanager:GetSecretValue"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_can_have_a_key_of_its_own() {
    let own = json!({"type": "api_key", "name": "x-own", "api_key": {"$secret": "own"}});
    let endpoint = json!({"paginator": "single_page", "auth": own});
    let mut setup = Setup::with_client(Spec::default(), &endpoint, &auth(bearer()));
    setup.set_variables(&[("MINE_OWN", "own-key")]);
    first_page(&setup, &setup.api()).await.unwrap().unwrap();
    let request = setup.fake.requests().remove(0);
    assert_eq!(request.headers["x-own"], "own-key");
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_requested_once_and_again_before_it_expires() {
    let setup = with_auth(accepting(&["token-"]), client_credentials(), &CLIENT);
    setup.fake.change(|spec| spec.token_lifetime = Some(100));
    let api = setup.api();
    for _ in 0..3 {
        first_page(&setup, &api).await.unwrap().unwrap();
    }
    let request = &setup.fake.requests()[0];
    assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://login.example/token"));
    assert_eq!(request.headers["content-type"], FORM);
    assert_eq!(
        request.body,
        "grant_type=client_credentials&client_id=id-of-mine&client_secret=s3cr%2Bt+of+mine&scope=read+all"
    );
    assert_eq!(setup.fake.requests()[1].headers["authorization"], "Bearer token-1-of-the-api");
    assert_eq!(api.requests(), sent(4, 0, 0));
    tokio::time::sleep(Duration::from_secs(89)).await;
    first_page(&setup, &api).await.unwrap().unwrap();
    assert_eq!(api.requests().sent, 5, "the token lives for another eleven seconds");
    tokio::time::sleep(Duration::from_secs(1)).await;
    first_page(&setup, &api).await.unwrap().unwrap();
    assert_eq!(setup.fake.requests()[6].headers["authorization"], "Bearer token-2-of-the-api");
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_lives_as_the_manifest_says() {
    let mut method = client_credentials();
    method["default_token_expiration"] = 50.into();
    let setup = with_auth(Spec { token_lifetime: None, ..Spec::default() }, method, &CLIENT);
    let api = setup.api();
    for (seconds, expected_sent) in [(0, 2), (44, 3), (2, 5)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        first_page(&setup, &api).await.unwrap().unwrap();
        assert_eq!(api.requests().sent, expected_sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_token_is_used_first() {
    let mut method = client_credentials();
    method["access_token"] = json!({"$secret": "access_token"});
    let variables = [CLIENT[0], CLIENT[1], ("MINE_ACCESS_TOKEN", "stored-token")];
    let setup = with_auth(accepting(&["token-1"]), method, &variables);
    let api = setup.api();
    first_page(&setup, &api).await.unwrap().unwrap();
    let requests = setup.fake.requests();
    assert_eq!(requests[0].headers["authorization"], "Bearer stored-token");
    assert!(requests[1].is_for_token(), "the stored token is refused");
    assert_eq!(requests[2].headers["authorization"], "Bearer token-1-of-the-api");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_and_then_its_secrets_are_read_again() {
    let store = Arc::new(FakeStore::new(r#"{"client_id": "id", "client_secret": "old"}"#));
    let mut setup = Setup::with_client(accepting(&["token-3"]), &single_page(), &auth(client_credentials()));
    setup.set_store(Arc::clone(&store) as Arc<dyn crate::secret::SecretStore>);
    for name in ["client_id", "client_secret"] {
        setup.secrets.get("mine", name, None).await.unwrap();
    }
    store.set(Ok(r#"{"client_id": "id", "client_secret": "new"}"#));
    let api = setup.api();
    first_page(&setup, &api).await.unwrap().unwrap();
    let requests = setup.fake.requests();
    let secrets: Vec<bool> =
        requests.iter().filter(|request| request.is_for_token()).map(|request| request.body.contains("=new")).collect();
    assert_eq!(secrets, [false, false, true]);
    assert_eq!(api.requests(), sent(6, 0, 0));
    // A fourth token would be no other one.
    let setup = with_auth(accepting(&["token-4"]), client_credentials(), &CLIENT);
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Error(Error::Unauthorized { status: 401, .. })), "{stop:?}");
    assert_eq!(requests, sent(4, 0, 0), "two tokens, two refused requests");
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_refuses_cached_secrets_gets_them_read_again() {
    let store = Arc::new(FakeStore::new(r#"{"client_id": "id", "client_secret": "old"}"#));
    let mut setup = Setup::with_client(Spec::default(), &single_page(), &auth(client_credentials()));
    setup.set_store(Arc::clone(&store) as Arc<dyn crate::secret::SecretStore>);
    for name in ["client_id", "client_secret"] {
        setup.secrets.get("mine", name, None).await.unwrap();
    }
    store.set(Ok(r#"{"client_id": "id", "client_secret": "new"}"#));
    setup.fake.change(|spec| spec.token_faults = BTreeMap::from([(1, Fault::Status(401, "no"))]));
    let api = setup.api();
    first_page(&setup, &api).await.unwrap().unwrap();
    assert_eq!(api.requests(), sent(3, 0, 0));
}

fn failing_tokens(fault: &Fault) -> Setup {
    let token_faults = (1..=20).map(|number| (number, fault.clone())).collect();
    with_auth(Spec { token_faults, ..Spec::default() }, client_credentials(), &CLIENT)
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_is_asked_as_often_as_an_api_and_no_more() {
    for (fault, message) in [
        (Fault::Status(503, "down"), "answered 503: down, after 5 attempts"),
        (Fault::Status(408, "slow"), "answered 408: slow, after 5 attempts"),
        (Fault::Lost, "could not be read: connection reset"),
        (Fault::CutShort, "could not be read: unexpected end of file"),
    ] {
        let (stop, requests) = failure(&failing_tokens(&fault)).await;
        let Stop::Error(Error::Api { retryable: true, request, detail, .. }) = &stop else { panic!("{stop:?}") };
        assert_eq!(request, "POST for an access token");
        assert!(detail.starts_with(message), "{detail}");
        assert_eq!(requests, sent(5, 4, 0), "{fault:?}");
    }
    let (stop, requests) = failure(&failing_tokens(&Fault::Status(429, "slow down"))).await;
    let Stop::Limit(reason) = stop else { panic!("{stop:?}") };
    assert!(reason.starts_with("mine still answers 429 after 5 attempts: slow down. Wait"), "{reason}");
    assert_eq!(requests, sent(5, 4, 5));
}

#[tokio::test(start_paused = true)]
async fn requests_for_tokens_are_within_the_budget_and_the_deadline() {
    let mut setup = failing_tokens(&Fault::Status(503, "down"));
    setup.budget.max_requests = Some(1);
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Limit(reason) if reason == "max_requests of 1 is used up"), "{stop:?}");
    assert_eq!(requests, sent(1, 0, 0));

    let mut setup = with_auth(Spec::default(), client_credentials(), &CLIENT);
    setup.budget.max_requests = Some(1);
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Limit(reason) if reason == "max_requests of 1 is used up"), "{stop:?}");
    assert_eq!((requests, setup.fake.requests().len()), (sent(1, 0, 0), 1), "the token took the only request");

    let mut setup = failing_tokens(&Fault::RetryAfter(503, "60"));
    setup.budget.deadline = Some(setup.clock.in_seconds(90));
    let (stop, requests) = failure(&setup).await;
    let Stop::Limit(reason) = stop else { panic!("{stop:?}") };
    assert_eq!(reason, "out of time: answered 503: slow down, and the next try would come after the deadline");
    assert_eq!(requests, sent(2, 1, 0));

    let mut setup = failing_tokens(&Fault::Status(503, "down"));
    setup.budget.deadline = Some(setup.clock.now());
    let (stop, requests) = failure(&setup).await;
    assert!(matches!(&stop, Stop::Limit(reason) if reason == "out of time"), "{stop:?}");
    assert_eq!(requests, sent(0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_refuses_is_an_error() {
    for (fault, message) in [
        (
            Fault::Status(400, "invalid_client"),
            "mine refused the key with status 400: no access token: invalid_client. Check the secret: MINE_CLIENT_ID and MINE_CLIENT_SECRET",
        ),
        (
            Fault::Body(r#"{"token": "x-of-the-api", "expires_in": 5}"#),
            "mine refused the key with status 200: the answer has no `access_token`; it has: expires_in, token. Check the secret: MINE_CLIENT_ID and MINE_CLIENT_SECRET",
        ),
        (
            Fault::Body("<html>"),
            "mine refused the key with status 200: the answer has no `access_token`; it has: no JSON object. Check the secret: MINE_CLIENT_ID and MINE_CLIENT_SECRET",
        ),
    ] {
        let (stop, requests) = failure(&failing_tokens(&fault)).await;
        assert_eq!(stop.to_string(), message);
        assert_eq!(requests, sent(1, 0, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_for_tokens_count_in_the_api_s_rate_limit_but_have_headers_of_their_own() {
    let used_up = || {
        vec![
            ("ratelimit-limit", "5".to_owned()),
            ("ratelimit-remaining", "0".into()),
            ("ratelimit-reset", "900".into()),
        ]
    };
    let client = json!({"auth": client_credentials(), "rate": {"per_hour": 100}});
    let mut setup = Setup::with_client(Spec { token_headers: used_up(), ..Spec::default() }, &single_page(), &client);
    setup.set_variables(&CLIENT);
    let api = setup.api();
    let start = Instant::now();
    first_page(&setup, &api).await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    api.close().await.unwrap();
    assert_eq!(api.quota_left()[0].left, 98);
    // The same headers of the API itself hold the next request until they renew.
    setup.fake.change(|spec| spec.headers = used_up());
    first_page(&setup, &api).await.unwrap().unwrap();
    first_page(&setup, &api).await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(901));
}

#[tokio::test(start_paused = true)]
async fn the_headers_of_a_body_that_was_cut_short_count() {
    let headers = [("ratelimit-limit", "100"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "900")];
    let headers = headers.map(|(name, value)| (name, value.to_owned())).into();
    let client = json!({"rate": {"per_hour": 100}});
    let mut setup = Setup::with_client(Spec { headers, ..failing(&Fault::CutShort, 1) }, &single_page(), &client);
    setup.budget.deadline = Some(setup.clock.in_seconds(600));
    let (stop, requests) = failure(&setup).await;
    let Stop::Limit(reason) = stop else { panic!("{stop:?}") };
    assert_eq!(
        reason,
        "the limit of 100 requests per hour is used up until 2026-11-21T10:15:01Z, by the API's own count"
    );
    assert_eq!(requests.sent, 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_gives_back_what_it_did_not_use_of_the_quota() {
    let client = json!({"rate": {"per_second": 5, "per_day": 5000}});
    let setup = Setup::with_client(Spec::default(), &single_page(), &client);
    let api = setup.api();
    assert_eq!((api.in_flight(), api.quota_left()), (5, vec![]));
    first_page(&setup, &api).await.unwrap().unwrap();
    api.close().await.unwrap();
    assert_eq!(api.quota_left()[0].left, 4999);
    let next = setup.api();
    first_page(&setup, &next).await.unwrap().unwrap();
    assert_eq!(next.quota_left()[0].left, 4998);
}

/// A text without the secret in any encoding: as it is, after percent-decoding, and after reading JSON's escapes.
fn assert_hides(text: &str, secrets: &[&str], context: &dyn std::fmt::Debug) {
    let percent_decoded = percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let json_decoded = text.replace("\\\"", "\"").replace("\\/", "/");
    let debug_decoded = json_decoded.replace("\\\"", "\"");
    for text in [text, &percent_decoded, &percent_decode_str(text).decode_utf8_lossy(), &json_decoded, &debug_decoded] {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text} of {context:?}");
            // Not even most of it.
            assert!(!text.contains(&secret[..secret.len() * 2 / 3]), "a part of {secret} in {text} of {context:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_any_error_or_log() {
    const SECRET: &str = "p+q/\"r\"=&s.t-u_v~w";
    let query_key =
        |key: &str| json!({"type": "api_key", "api_key": {"$secret": key}, "name": "apikey", "location": "query"});
    let header_key = json!({"type": "api_key", "api_key": {"$secret": "token"}, "name": "x-api-key"});
    let basic = json!({"type": "http_basic", "username": {"$secret": "client_id"}, "password": {"$secret": "token"}});
    let variables = [
        ("MINE_TOKEN", SECRET),
        ("MINE_CLIENT_ID", "id of+mine/2"),
        ("MINE_CLIENT_SECRET", SECRET),
        ("MINE_SHORT", "k#3"),
    ];
    let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("id of+mine/2:{SECRET}"));
    let secrets = [SECRET, "id of+mine/2", &pair, "token-1-of-the-api"];
    let faults = [
        Fault::Echo(200),
        Fault::Echo(400),
        Fault::Echo(401),
        Fault::Echo(429),
        Fault::Echo(500),
        Fault::Lost,
        Fault::CutShort,
    ];
    for method in [query_key("token"), query_key("short"), header_key, bearer(), basic, client_credentials()] {
        for fault in &faults {
            let every = |fault: &Fault| (1..=9).map(|number| (number, fault.clone())).collect();
            let mut specs = vec![Spec { faults: every(fault), ..Spec::default() }];
            if method["type"] == "oauth2_client_credentials" {
                specs.push(Spec { token_faults: every(fault), ..Spec::default() });
            }
            for spec in specs {
                let log = CapturedLog::start();
                let setup = with_auth(spec, method.clone(), &variables);
                let api = setup.api();
                let Err(stop) = first_page(&setup, &api).await else { panic!("{fault:?}") };
                let context = (&method, fault);
                for text in [stop.to_string(), format!("{stop:?}"), log.text(), format!("{api:?}")] {
                    assert_hides(&text, &secrets, &context);
                    assert!(!text.contains("k#3") && !text.contains("k%233"), "{text} of {context:?}");
                }
            }
        }
    }
}

/// A short secret stays in records, but not in a message about a response that repeats it.
#[tokio::test(start_paused = true)]
async fn a_short_secret_is_not_in_a_message_about_a_response() {
    let body = r#"{"events": [], "total": "not k3y"}"#;
    let endpoint = json!({"paginator": {"type": "offset", "limit": 3, "total_path": "total"}});
    let mut setup = Setup::with_client(failing(&Fault::Body(body), 9), &endpoint, &auth(bearer()));
    setup.set_variables(&[("MINE_TOKEN", "k3y")]);
    let (stop, _) = failure(&setup).await;
    let expected =
        "gave an unreadable answer: status 200, `total` is \"not ***\", not a whole number, after 5 attempts";
    assert_eq!(stop.to_string(), format!("mine GET events: {expected}"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_records_repeat_is_removed_from_them() {
    let body =
        r#"{"events": [{"id": 1, "url": "https://api.example/x?apikey=key%2Bof%2Bmine", "name": "key+of+mine"}]}"#;
    let method = json!({"type": "api_key", "api_key": {"$secret": "token"}, "name": "apikey", "location": "query"});
    let setup = with_auth(failing(&Fault::Body(body), 1), method, &[("MINE_TOKEN", "key+of+mine")]);
    let page = first_page(&setup, &setup.api()).await.unwrap().unwrap();
    let expected = json!({"id": 1, "url": "https://api.example/x?apikey=***", "name": "***"});
    assert_eq!(page.records[0].value().as_ref(), &expected);
}

/// The links to the next page repeat the key: it is sent once, and no page's request shows it.
#[tokio::test(start_paused = true)]
async fn a_key_that_a_link_repeats_is_sent_once() {
    for key in ["key+of/mine.2", "k3y"] {
        for (paging, paginator) in [
            (Paging::JsonLink(LinkForm::Repeating), json!("json_link")),
            (Paging::HeaderLink(LinkForm::Repeating), json!("header_link")),
        ] {
            let spec = Spec { paging, ..accepting(&[key]) };
            let method =
                json!({"type": "api_key", "api_key": {"$secret": "token"}, "name": "apikey", "location": "query"});
            let endpoint = json!({"paginator": paginator});
            let mut setup = Setup::with_client(spec, &endpoint, &auth(method));
            setup.set_variables(&[("MINE_TOKEN", key)]);
            let api = setup.api();
            let reader = Reader::new(&api, setup.resource());
            let mut pages = reader.pages(&query("events", &[("q", "a b")], &[], None), None);
            let mut described = Vec::new();
            while let Some(page) = pages.next().await.unwrap() {
                described.push(page.request);
            }
            let expected = [
                "GET events?q=a b",
                "GET https://api.example/v1/events?q=a+b&after=after-3",
                "GET https://api.example/v1/events?q=a+b&after=after-6",
            ];
            assert_eq!(described, expected, "{key}");
            for request in setup.fake.requests() {
                let keys: Vec<String> = request
                    .url
                    .query_pairs()
                    .filter(|(name, _)| name == "apikey")
                    .map(|(_, value)| value.into_owned())
                    .collect();
                assert_eq!(keys, [key]);
            }
        }
    }
}

/// A link with a parameter that stands twice is followed as it is, but for the key.
#[tokio::test(start_paused = true)]
async fn a_link_with_a_repeated_parameter_has_the_key_once() {
    let body = r#"{"events": [{"id": 0}], "next": "/v1/events?f=1&f=2&apikey=old&after=after-6"}"#;
    let spec = Spec { paging: Paging::JsonLink(LinkForm::Path), ..failing(&Fault::Body(body), 1) };
    let method = json!({"type": "api_key", "api_key": {"$secret": "token"}, "name": "apikey", "location": "query"});
    let mut setup = Setup::with_client(spec, &json!({"paginator": "json_link"}), &auth(method));
    setup.set_variables(&[("MINE_TOKEN", "key of mine")]);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut pages = reader.pages(&setup.query(), None);
    while pages.next().await.unwrap().is_some() {}
    assert_eq!(
        setup.fake.requests()[1].url.as_str(),
        "https://api.example/v1/events?f=1&f=2&after=after-6&apikey=key+of+mine"
    );
}
