//! The cases in which dlt sends a key elsewhere, or continues without one, and reports no error.

use sandbox::stub::Response;
use serde_json::{Value, json};

use super::worker::extract;
use super::{Mine, SECRET, ended, events, records, stub};

#[test]
fn a_link_to_another_host_is_not_followed() {
    let other = stub(|_| Response::json(&json!({"events": records(3..6), "next": null})));
    let elsewhere = format!("{}/events?page=2", other.base_url);
    let body = json!({"events": records(0..3), "next": elsewhere});
    for (name, auth) in [
        ("authorization", json!({"type": "bearer", "token": {"$secret": "token"}})),
        ("x-api-key", json!({"type": "api_key", "name": "x-api-key", "api_key": {"$secret": "api_key"}})),
    ] {
        for paginator in [json!({"type": "json_link"}), json!("header_link")] {
            let (body, link) = (body.clone(), format!("<{elsewhere}>; rel=\"next\""));
            let stub = stub(move |_| Response::json(&body).with("link", link.clone()));
            let mut manifest =
                events(&stub, &json!({"path": "events", "data_selector": "events", "paginator": paginator}));
            manifest["client"]["auth"] = auth.clone();
            assert_eq!(extract(&manifest, "events").succeeded().len(), 6);
            let leaked = other.take();
            assert!(leaked[0].header(name).ends_with(SECRET), "dlt gives the key to whom the answer names: {leaked:?}");

            let words = ["leads to", &other.base_url, "the key is not sent there", "`base_url`"];
            ended(&Mine::json(&manifest).reading("events"), 1, &words);
            assert_eq!(other.take().len(), 0, "nothing at all is asked of the other host: {paginator}");
        }
    }
}

#[test]
fn a_redirect_to_another_host_is_not_followed() {
    let other = stub(|_| Response::json(&json!(records(0..3))));
    let elsewhere = other.base_url.clone();
    let stub = stub(move |_| Response::status(302, "").with("location", elsewhere.clone()));
    let mut manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    let auth = json!({"type": "api_key", "name": "x-api-key", "api_key": {"$secret": "api_key"}});
    manifest["client"]["auth"] = auth;
    assert_eq!(extract(&manifest, "events").succeeded().len(), 3);
    assert_eq!(other.take()[0].header("x-api-key"), SECRET, "dlt takes the header along");
    ended(&Mine::json(&manifest).reading("events"), 1, &["answered 302"]);
    assert_eq!(other.take().len(), 0);
}

#[test]
fn an_answer_without_a_token_is_no_token() {
    let stub = stub(|request| match request.path.as_str() {
        "/token" => Response::json(&json!({"token": SECRET, "expires_in": 3600})),
        _ => Response::json(&json!(records(0..3))),
    });
    let mut manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    manifest["client"]["auth"] = json!({
        "type": "oauth2_client_credentials", "access_token_url": format!("{}/token", stub.base_url),
        "client_id": "me", "client_secret": {"$secret": "client_secret"},
    });
    extract(&manifest, "events").succeeded();
    let seen = stub.take();
    assert_eq!(seen[1].header("authorization"), "Bearer None", "dlt makes a token of nothing");

    let words = ["the answer has no `access_token`; it has: expires_in, token", "MINE_CLIENT_SECRET"];
    ended(&Mine::json(&manifest).reading("events"), 5, &words);
    let asked: Vec<String> = stub.take().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/token"], "the API is not asked without one");
}

#[test]
fn a_key_in_the_query_is_in_no_error() {
    let stub = stub(|request| Response::status(400, &format!("bad request: key {}", request.param("key"))));
    let actions = json!([{"status_code": 404, "action": "ignore"}]);
    let mut manifest =
        events(&stub, &json!({"path": "events", "paginator": "single_page", "response_actions": actions}));
    manifest["client"]["auth"] =
        json!({"type": "api_key", "name": "key", "location": "query", "api_key": {"$secret": "api_key"}});
    let error = extract(&manifest, "events").error.unwrap();
    assert!(error.contains(SECRET), "dlt prints the address with the key: {error}");
    // `ended` looks for the key, also where the API itself repeats it.
    ended(&Mine::json(&manifest).reading("events"), 1, &["answered 400: bad request: key ***"]);
    assert_eq!(stub.take().last().map(|request| Value::from(request.param("key"))), Some(json!(SECRET)));
}
