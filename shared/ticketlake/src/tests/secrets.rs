//! The key, however the API repeats it: it is in no log line, error, report or object.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::api::Response;
use super::{Mine, stub};

/// How an API repeats a text.
const ENCODERS: [fn(&str) -> String; 7] = [
    str::to_owned,
    |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
    |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
    |text| text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect(),
    |text| text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
    |text| STANDARD.encode(text),
    |text| URL_SAFE_NO_PAD.encode(text),
];

/// The ways to send a key, each with what the API sees of it.
fn methods() -> [Value; 4] {
    let key = json!({"$secret": "api_key"});
    [
        json!({"type": "api_key", "name": "apikey", "location": "query", "api_key": key}),
        json!({"type": "api_key", "name": "x-key", "api_key": key}),
        json!({"type": "bearer", "token": key}),
        json!({"type": "http_basic", "username": "user", "password": key}),
    ]
}

/// Reads from an API that repeats its key in records, links, headers and errors. Returns all that is written anywhere.
fn written(method: &Value, key: &str, encode: fn(&str) -> String) -> String {
    let repeated = encode(key);
    let stub = stub(move |request| {
        // What a client sends as the header `Authorization` is repeated as well.
        let header = request.header("authorization");
        let token = header.split(' ').next_back().unwrap_or_default();
        let echo = format!("{repeated} and {} by {header}", encode(token));
        if request.number("page") == 1 {
            return Response::status(400, &echo);
        }
        let link = format!("/things?page=1&apikey={repeated}");
        let records = json!([{"id": 1, "self": echo}, {"id": null, "self": echo}, {echo.as_str(): 3, "id": 4}]);
        let bad = json!({"data": records, "next": link}).to_string().replacen("\"id\":null", "\"id\":\"\\ud83d\"", 1);
        Response::status(200, &bad)
    });
    let mine = Mine::json(&json!({
        "settings": {"second_key": {}},
        "client": {"base_url": stub.base_url, "auth": method, "headers": {"X-Second": "{settings.second_key}"}},
        "resources": [{
            "name": "things", "primary_key": "id",
            "endpoint": {"path": "things", "data_selector": "data", "paginator": {"type": "json_link", "next_url_path": "next"}},
        }],
    }));
    let reading = mine.reading("things").with(&["--attempts", "1"]);
    let ended = reading.env("MINE_API_KEY", key).env("MINE_SECOND_KEY", &format!("2nd-{key}")).run();
    assert_eq!(stub.requests().len(), 2, "{}", ended.report);
    let objects = mine.lake.objects();
    assert!(objects.iter().any(|(key, _)| key.starts_with("_rejected/")), "{}", ended.report);
    let mut texts = vec![ended.report.to_string(), ended.errors, json!(mine.rows("things")).to_string()];
    texts.extend(objects.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()));
    texts.join("\n")
}

#[test]
fn the_key_is_written_nowhere_however_it_is_repeated() {
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let keys = "[a-zA-Z0-9+/=_.~:;,!?@#$%&*<>-]{12,40}";
    let result = runner.run(&(keys, 0..4_usize, 0..7_usize), |(key, method, encoder)| {
        let text = written(&methods()[method], &key, ENCODERS[encoder]);
        let json = Value::from(key.as_str()).to_string();
        let basic = STANDARD.encode(format!("user:{key}"));
        let forms = [key.clone(), ENCODERS[encoder](&key), json[1..json.len() - 1].to_owned(), basic];
        for form in forms {
            prop_assert!(!text.contains(&form), "{} in {}", form, text);
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
