//! Every kind of auth, as the server sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, Reading, SECRET, ended, events, records, stub};

/// `me:k3y-of-the-stub` and `:k3y-of-the-stub` in base64.
const BASIC: [&str; 2] = ["Basic bWU6azN5LW9mLXRoZS1zdHVi", "Basic OmszeS1vZi10aGUtc3R1Yg=="];

fn with_auth(stub: &Stub, auth: &Value) -> Value {
    let mut manifest = events(stub, &json!({"path": "events", "paginator": "single_page"}));
    manifest["client"]["auth"] = auth.clone();
    manifest
}

#[test]
fn each_kind_puts_the_key_in_its_place() {
    let stub = stub(|_| Response::json(&json!(records(0..1))));
    let bearer = format!("Bearer {SECRET}");
    let header = |name: &'static str| move |request: &Request| request.header(name).to_owned();
    type Place = Box<dyn Fn(&Request) -> String>;
    let query: fn(&Request) -> String = |request| request.param("apikey").to_owned();
    let authorization = || Box::new(header("authorization")) as Place;
    let cases: [(Value, Place, &str); 11] = [
        (json!("bearer"), authorization(), &bearer),
        (json!({"token": {"$secret": "token"}}), authorization(), &bearer),
        (json!({"type": "bearer", "token": {"$secret": "api_key"}}), authorization(), &bearer),
        (json!("api_key"), authorization(), SECRET),
        (json!({"type": "api_key", "name": "x-key", "location": "header"}), Box::new(header("x-key")), SECRET),
        (json!({"type": "api_key", "name": "apikey", "location": "query"}), Box::new(query), SECRET),
        (json!({"type": "api_key", "name": "apikey", "location": "param"}), Box::new(query), SECRET),
        (json!({"type": "http_basic", "username": "me"}), authorization(), BASIC[0]),
        (json!({"type": "http_basic", "username": "me", "password": {"$secret": "token"}}), authorization(), BASIC[0]),
        (json!({"type": "http_basic", "username": "", "password": {"$secret": "api_key"}}), authorization(), BASIC[1]),
        // The first of several whose secrets there are.
        (
            json!([{"type": "api_key", "name": "x-key", "api_key": {"$secret": "absent"}}, {"token": {"$secret": "token"}}]),
            authorization(),
            &bearer,
        ),
    ];
    for (auth, place, expected) in cases {
        Mine::json(&with_auth(&stub, &auth)).reading("events").complete();
        assert_eq!(place(&stub.take()[0]), expected, "{auth}");
    }
}

#[test]
fn a_key_in_the_query_goes_with_every_page_once() {
    let stub = stub(|request| match request.param("page") {
        "" => Response::json(&json!({"events": records(0..1), "next": format!("/events?page=2&apikey={SECRET}")})),
        "2" => Response::json(&json!({"events": records(1..2), "next": "/events?page=3"})),
        _ => Response::json(&json!({"events": records(2..3)})),
    });
    let auth = json!({"type": "api_key", "name": "apikey", "location": "query"});
    let mut manifest = with_auth(&stub, &auth);
    manifest["resources"][0]["endpoint"]["paginator"] = "json_link".into();
    let report = Mine::json(&manifest).reading("events").env("RUST_LOG", "debug").run();
    assert_eq!(report.report["records"]["new"], 3, "{}", report.errors);
    assert!(!report.errors.contains(SECRET), "{}", report.errors);
    let seen = stub.take();
    assert!(seen.iter().all(|request| request.param("apikey") == SECRET), "{seen:?}");
}

#[test]
fn an_endpoint_s_own_auth_goes_before_the_client_s() {
    let stub = stub(|_| Response::json(&json!(records(0..1))));
    let mut manifest = with_auth(&stub, &json!("bearer"));
    manifest["resources"][0]["endpoint"]["auth"] = json!({"type": "api_key", "name": "x-key"});
    let mut other = manifest["resources"][0].clone();
    other["name"] = "others".into();
    other["endpoint"].as_object_mut().unwrap().remove("auth");
    manifest["resources"].as_array_mut().unwrap().push(other);
    Mine::json(&manifest).reading("events,others").complete();
    let seen = stub.take();
    assert_eq!((seen[0].header("x-key"), seen[0].header("authorization")), (SECRET, ""));
    assert_eq!((seen[1].header("x-key"), seen[1].header("authorization")), ("", format!("Bearer {SECRET}").as_str()));
}

#[test]
fn a_key_written_into_a_manifest_is_refused_and_not_repeated() {
    let stub = stub(|_| Response::json(&json!(records(0..1))));
    for (auth, words) in [
        (json!({"type": "bearer", "token": SECRET}), "client.auth.token: a secret is named, never written"),
        (
            json!({"type": "http_basic", "username": "me", "password": SECRET}),
            "client.auth.password: a secret is named",
        ),
        (json!({"type": "api_key", "location": "cookie"}), "`cookie` is not one of header, query, param"),
        (json!({"type": "oauth2"}), "`oauth2` is not one of bearer, api_key"),
        (json!({"type": "digest"}), "`digest` is not one of bearer, api_key, http_basic, oauth2_client_credentials"),
    ] {
        ended(&Mine::json(&with_auth(&stub, &auth)).reading("events"), 2, &[words]);
    }
    assert!(stub.take().is_empty());
}

/// An API whose tokens are `t1`, `t2` and so on, of which one that `refuses` is refused. Each page is one record.
struct Granting {
    stub: Stub,
    manifest: Value,
    mine: Mine,
}

impl Granting {
    fn start(
        pages: usize,
        expires: Value,
        wait: Duration,
        refuses: impl Fn(usize, &Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        let granted = Arc::new(AtomicUsize::new(0));
        let stub = stub(move |request| {
            if request.path == "/token" {
                let number = granted.fetch_add(1, Ordering::Relaxed) + 1;
                let mut answer = json!({"access_token": format!("t{number}-of-the-stub"), "token_type": "bearer"});
                if !expires.is_null() {
                    answer["expires_in"] = expires.clone();
                }
                return Response::json(&answer);
            }
            if refuses(granted.load(Ordering::Relaxed), request) {
                return Response::status(401, r#"{"error": "invalid_token"}"#);
            }
            let page = request.number("offset");
            Response::json(&json!({"events": records(page..page + 1), "total": pages})).after(wait)
        });
        let auth = json!({
            "type": "oauth2_client_credentials", "access_token_url": format!("{}/token", stub.base_url),
            "client_id": "me", "client_secret": {"$secret": "client_secret"},
            "access_token_request_data": {"scope": "read all", "audience": "events"},
        });
        let mut manifest = with_auth(&stub, &auth);
        manifest["resources"][0]["endpoint"] =
            json!({"path": "events", "data_selector": "events", "paginator": {"type": "offset", "limit": 1}});
        let mine = Mine::json(&manifest);
        Self { stub, manifest, mine }
    }

    fn reading(&self) -> Reading<'_> {
        self.mine.now(&self.manifest);
        self.mine.reading("events")
    }

    /// `T` for a request for a token, else the number in the token that was sent.
    fn seen(&self) -> String {
        let one = |request: &Request| match request.path.as_str() {
            "/token" => "T".to_owned(),
            _ => request.header("authorization").chars().filter(char::is_ascii_digit).collect(),
        };
        self.stub.requests().iter().map(one).collect()
    }
}

#[test]
fn a_client_s_credentials_buy_a_token_that_is_used_until_it_ends() {
    let api = Granting::start(4, json!(3600), Duration::ZERO, |_, _| false);
    assert_eq!(api.reading().complete()["records"]["new"], 4);
    assert_eq!(api.seen(), "T1111");
    let seen = api.stub.take();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].header("content-type")),
        ("POST", "application/x-www-form-urlencoded")
    );
    let mut form: Vec<&str> = seen[0].body.split('&').collect();
    form.sort_unstable();
    let secret = format!("client_secret={SECRET}");
    assert_eq!(form, ["audience=events", "client_id=me", &secret, "grant_type=client_credentials", "scope=read+all"]);
    assert_eq!(seen[1].header("authorization"), "Bearer t1-of-the-stub");
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    // A second each, as the answer says, or the manifest where the answer says nothing.
    for (expires, default) in [(json!(1), 3600), (Value::Null, 1)] {
        let mut api = Granting::start(3, expires.clone(), Duration::from_millis(500), |_, _| false);
        api.manifest["client"]["auth"]["default_token_expiration"] = default.into();
        assert_eq!(api.reading().complete()["records"]["new"], 3);
        // The API refuses nothing: nobody had to tell that the first had ended.
        let seen = api.seen();
        assert!(seen.starts_with("T1") && seen.contains("T2"), "{expires}: {seen}");
    }
}

#[test]
fn a_refused_token_is_replaced_in_the_middle_of_a_run() {
    let api = Granting::start(4, json!(3600), Duration::ZERO, |granted, request| {
        granted == 1 && request.number("offset") == 2
    });
    assert_eq!(api.reading().complete()["records"]["new"], 4);
    assert_eq!(api.seen(), "T111T22");
}

#[test]
fn a_client_that_is_refused_for_good_ends_with_5() {
    let api = Granting::start(4, json!(3600), Duration::ZERO, |_, _| true);
    ended(&api.reading(), 5, &["401", "invalid_token", "MINE_CLIENT_SECRET"]);
    assert_eq!(api.seen(), "T1T2", "once again, and not for ever");
}

#[test]
fn a_stored_token_is_taken_first_and_replaced_when_it_is_refused() {
    let mut api = Granting::start(2, json!(3600), Duration::ZERO, |granted, _| granted == 0);
    api.manifest["client"]["auth"]["access_token"] = json!({"$secret": "access_token"});
    let function = api.reading().env("MINE_ACCESS_TOKEN", "stored-0");
    assert_eq!(function.complete()["records"]["new"], 2);
    assert_eq!(api.seen(), "0T11");
}
