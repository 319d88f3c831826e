//! What a manifest may say of requests, and what is refused: defaults, placeholders, parents, the document itself.

use std::collections::BTreeSet;

use super::rows::text;
use super::{Request, Response, Stub};
use serde_json::{Value, json};

use super::{Mine, ended, events, stub};

/// Answers every list with two records that have a nested field.
fn lists() -> Stub {
    stub(|request| {
        let at = request.path.rsplit('/').next().unwrap().to_owned();
        let record = |id: u32| json!({"id": id, "of": at, "place": {"code": format!("p{id}")}});
        Response::json(&json!([record(1), record(2)]))
    })
}

/// A manifest of `resources` whose lists come in one page.
fn of(stub: &Stub, resources: &Value) -> Value {
    json!({
        "client": {"base_url": stub.base_url, "headers": {"accept": "client", "x-client": "c"}},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
        "resources": resources,
    })
}

/// The requests of a complete run of `resources`.
fn seen(stub: &Stub, manifest: &Value, resources: &str) -> Vec<Request> {
    Mine::json(manifest).reading(resources).complete();
    stub.take()
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.path.as_str()).collect()
}

#[test]
fn defaults_merge_as_in_dlt() {
    let stub = lists();
    let mut manifest = of(
        &stub,
        &json!([
            "plain",
            {"name": "short", "endpoint": "shorter"},
            {"name": "own", "endpoint": {"params": {"b": "own", "c": 3}, "headers": {"x-own": "o"}, "json": {"q": 1}, "method": "POST"}},
        ]),
    );
    let defaults = &mut manifest["resource_defaults"]["endpoint"];
    defaults["params"] = json!({"a": 1, "b": "default", "none": null});
    defaults["headers"] = json!({"X-Default": "d", "Accept": "default"});
    defaults["json"] = json!({"p": true, "q": 0});
    let seen = seen(&stub, &manifest, "plain,short,own");
    assert_eq!(paths(&seen), ["/plain", "/shorter", "/own"]);
    let params = |request: &Request| {
        request.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    // Params and the body merge by name, headers are replaced; the client's own are beside them.
    assert_eq!(params(&seen[0]), "a=1&b=default");
    assert_eq!(params(&seen[2]), "a=1&b=own&c=3");
    assert_eq!((seen[2].method.as_str(), seen[2].body_json()), ("POST", json!({"p": true, "q": 1})));
    let headers = |request: &Request| {
        ["accept", "x-client", "x-default", "x-own"].map(|name| request.header(name).to_owned()).join(" ")
    };
    assert_eq!(headers(&seen[1]), "default c d ");
    assert_eq!(headers(&seen[2]), "client c  o");
}

#[test]
fn a_path_s_parameter_in_the_defaults_serves_every_resource() {
    // dlt takes it out of the defaults with the first.
    let stub = lists();
    let mut manifest = of(&stub, &json!([{"name": "a", "endpoint": "{org}/a"}, {"name": "b", "endpoint": "{org}/b"}]));
    manifest["resource_defaults"]["endpoint"]["params"] = json!({"org": "o/1", "x": 1});
    let seen = seen(&stub, &manifest, "a,b");
    assert_eq!(paths(&seen), ["/o%2F1/a", "/o%2F1/b"]);
    assert!(seen.iter().all(|request| request.param("x") == "1" && request.param("org").is_empty()), "{seen:?}");
}

#[test]
fn columns_of_the_defaults_are_there_beside_the_own() {
    let stub = lists();
    let mut manifest =
        of(&stub, &json!([{"name": "a", "columns": {"code": {"data_type": "text", "path": "place.code"}}}]));
    manifest["resource_defaults"]["columns"] = json!({"id": {"data_type": "bigint"}, "code": {"data_type": "double"}});
    let mine = Mine::json(&manifest);
    mine.reading("a").complete();
    let mut rows: Vec<_> = mine.rows("a").iter().map(|row| (row["id"].as_i64(), row["code"].clone())).collect();
    rows.sort_by_key(|(id, _)| *id);
    assert_eq!(rows, [(Some(1), json!("p1")), (Some(2), json!("p2"))]);
}

#[test]
fn placeholders_are_filled_wherever_they_may_stand() {
    let stub = lists();
    let child = json!({
        "name": "children",
        "endpoint": {
            "path": "of/{resources.events.place.code}/{settings.region}/list", "method": "POST",
            "params": {"event": "{resources.events.id}", "text": "<{resources.events.id}> {{x}}", "since": "{incremental.start_value}"},
            "headers": {"x-event": "e{resources.events.id}"},
            "json": {"id": "{resources.events.id}", "deep": [{"code": "{resources.events.place.code}"}], "end": {"at": "{incremental.end_value}"}},
            "incremental": {"cursor_path": "id", "initial_value": 7, "on_cursor_value_missing": "include"},
        },
    });
    let mut manifest = of(&stub, &json!(["events", child]));
    manifest["settings"] = json!({"region": {"one_of": ["eu", "us"], "default": "eu"}});
    let mine = Mine::json(&manifest);
    mine.reading("children").env("MINE_REGION", "us").complete();
    let seen = stub.take();
    let first = seen.iter().find(|request| request.path == "/of/p1/us/list").unwrap();
    assert_eq!(first.params.values().collect::<Vec<_>>(), ["1", "7", "<1> {x}"]);
    assert_eq!(first.header("x-event"), "e1");
    // A single placeholder keeps its value's type; what has no value is left out.
    assert_eq!(first.body_json(), json!({"id": 1, "deep": [{"code": "p1"}]}));
    ended(&mine.reading("children").env("MINE_REGION", "asia"), 2, &["MINE_REGION", "`asia` is not one of eu, us"]);

    manifest["resources"][1]["endpoint"].as_object_mut().unwrap().remove("json");
    manifest["resources"][1]["endpoint"]["data"] = json!({"id": "{resources.events.id}", "a b": "c&d"});
    mine.now(&manifest);
    mine.reading("children").complete();
    let seen = stub.take();
    let first = seen.iter().find(|request| request.path == "/of/p1/eu/list").unwrap();
    assert_eq!(
        (first.body.as_str(), first.header("content-type")),
        ("a+b=c%26d&id=1", "application/x-www-form-urlencoded")
    );
}

#[test]
fn a_body_may_be_a_text() {
    let stub = lists();
    let endpoint = json!({"method": "POST", "data": "<q>all</q>", "headers": {"content-type": "text/xml"}});
    let seen = seen(&stub, &of(&stub, &json!([{"name": "a", "endpoint": endpoint}])), "a");
    assert_eq!((seen[0].body.as_str(), seen[0].header("content-type")), ("<q>all</q>", "text/xml"));
}

#[test]
fn a_parent_is_bound_in_each_of_dlt_s_ways() {
    let stub = lists();
    let child = |path: &str, params: &Value| {
        json!([
            "events",
            {"name": "children", "primary_key": ["_events_id", "id"], "include_from_parent": ["id"], "endpoint": {"path": path, "params": params}},
        ])
    };
    let resolve = json!({"type": "resolve", "resource": "events", "field": "id"});
    for (path, params, expected) in [
        ("events/{resources.events.id}/children", json!({}), ["/events/1/children", "/events/2/children"]),
        ("events/{event}/children", json!({"event": resolve}), ["/events/1/children", "/events/2/children"]),
        (
            "at/{code}/children",
            json!({"code": {"type": "resolve", "resource": "events", "field": "place.code"}}),
            ["/at/p1/children", "/at/p2/children"],
        ),
        // A name that says what it is, as in dlt's own examples; that it was taken so is said.
        ("events/{event_id}/children", json!({}), ["/events/1/children", "/events/2/children"]),
    ] {
        let mine = Mine::json(&of(&stub, &child(path, &params)));
        let ended = ended(&mine.reading("children"), 0, &[]);
        assert_eq!(
            ended.errors.contains("is taken for the `id` of `events`"),
            path.contains("event_id"),
            "{}",
            ended.errors
        );
        let seen = stub.take();
        let mut paths = paths(&seen[1..]);
        paths.sort_unstable();
        assert_eq!((seen[0].path.as_str(), paths.as_slice()), ("/events", expected.as_slice()));
        let keys: BTreeSet<_> =
            mine.rows("children").iter().map(|row| (text(row.get("_events_id")), text(row.get("id")))).collect();
        assert_eq!(keys.len(), 4);
    }
}

#[test]
fn grandparents_are_read_and_what_is_not_selected_is_not_stored() {
    let stub = lists();
    let manifest = of(
        &stub,
        &json!([
            {"name": "a", "selected": false},
            {"name": "b", "write_disposition": "skip", "endpoint": "a/{resources.a.id}/b"},
            {"name": "c", "endpoint": "b/{resources.b.place.code}/c", "include_from_parent": ["of"]},
        ]),
    );
    let mine = Mine::json(&manifest);
    let report = mine.reading("all").complete();
    assert_eq!(report["resource"], "c");
    let seen = stub.take();
    assert_eq!(paths(&seen)[..3], ["/a", "/a/1/b", "/a/2/b"]);
    // Both lists of b have the records 1 and 2: each is asked for once.
    assert_eq!((seen.len(), report["records"]["received"].as_u64()), (5, Some(4)));
    assert!(mine.column("c", "_b_of").iter().any(|of| of == "b"));
    assert!(mine.count_objects("mine/a") == 0 && mine.count_objects("mine/b") == 0);
}

#[test]
fn what_is_bound_to_nothing_is_refused() {
    let stub = lists();
    let resolve = |resource: &str| json!({"type": "resolve", "resource": resource, "field": "id"});
    for (endpoint, words) in [
        (json!({"path": "x/{show_id}/y"}), "`{show_id}` is bound to nothing"),
        (json!({"path": "x/{resource.events.id}"}), "is not known here; known: resources.PARENT.FIELD"),
        (json!({"path": "x/{resources.event.id}"}), "no resource `event` is declared. Did you mean `events`?"),
        (json!({"path": "x/{resources.mine.id}"}), "`mine` cannot depend on itself"),
        (json!({"path": "x/{resources.events}"}), "names no field"),
        (
            json!({"path": "x/{a}/{b}", "params": {"a": resolve("events"), "b": resolve("others")}}),
            "a resource has one parent",
        ),
        (json!({"path": "x", "params": {"a": resolve("events")}}), "`resolve` is for a path"),
        (json!({"path": "x/{a}", "params": {"a": null}}), "`{a}` is bound to a parameter without a value"),
        (json!({"path": "x/{a}", "params": {"a": {"type": "resolve", "resource": "events"}}}), "needs `field`"),
        (
            json!({"path": "x", "params": {"since": "{incremental.start_value}"}}),
            "needs `incremental` in this endpoint",
        ),
        (json!({"path": "x", "headers": {"a": "{event_id}"}}), "`{event_id}` is not known here"),
        (
            json!({"path": "x", "params": {"{resources.events.id}": 1}}),
            "a placeholder stands in a value, not in a name",
        ),
        (json!({"path": "x", "json": {"{resources.events.id}": 1}}), "a placeholder stands in a value, not in a name"),
        (json!({"path": "x", "json": {}, "data": "x"}), "not both"),
        (json!({"path": "x", "method": "PUT"}), "`PUT` is not one of GET, POST"),
    ] {
        let manifest = of(&stub, &json!(["events", "others", {"name": "mine", "endpoint": endpoint}]));
        ended(&Mine::json(&manifest).reading("mine"), 2, &[words]);
    }
    let circle =
        json!([{"name": "a", "endpoint": "{resources.b.id}/a"}, {"name": "b", "endpoint": "{resources.a.id}/b"}]);
    ended(&Mine::json(&of(&stub, &circle)).reading("a"), 2, &["depends on itself: a → b → a"]);
    assert!(stub.take().is_empty());
}

#[test]
fn names_that_would_share_a_folder_are_refused() {
    let stub = stub(|_| Response::json(&json!([])));
    for (names, words) in [
        (["things", "Things"], "`Things` and `things` would be one folder where case does not count"),
        (["things", "things_history"], "`things_history` is the folder of the history of `things`"),
        (["THINGS_history", "things"], "`THINGS_history` is the folder of the history of `things`"),
    ] {
        let resource = |name: &str| json!({"name": name, "primary_key": "id", "history": true, "endpoint": "x"});
        let manifest = of(&stub, &json!(names.map(resource)));
        ended(&Mine::json(&manifest).reading(names[0]), 2, &["resources[", "name", words]);
    }
}

#[test]
fn what_only_python_can_express_is_refused_by_name() {
    let stub = lists();
    let place = |name: &str| format!("resources[0].{name}");
    for (name, value, words) in [
        (
            "processing_steps",
            json!([{"filter": "lambda row: row"}]),
            "holds Python functions; take what you need with `columns",
        ),
        ("table_name", json!("lambda row: row['kind']"), "a table is named as its resource"),
        ("merge_key", json!("id"), "rows are told apart by `primary_key` alone"),
        ("schema_contract", json!("freeze"), "kept in `_issues`, an unknown field in `_extra`"),
        ("max_table_nesting", json!(1), "a column of data_type json"),
        ("table_format", json!("delta"), "the request says `format`"),
        ("auth", json!("bearer"), "unknown key"),
    ] {
        let mut manifest = of(&stub, &json!([{"name": "a"}]));
        manifest["resources"][0][name] = value;
        ended(&Mine::json(&manifest).reading("a"), 2, &[&place(name), words]);
    }
    for (incremental, words) in [
        (
            json!({"cursor_path": "at", "convert": "my_function"}),
            "endpoint.incremental.convert: is a Python function; say how instants are written with `format`",
        ),
        (
            json!({"cursor_path": "at", "transform": "my_function"}),
            "endpoint.incremental.transform: is a Python function",
        ),
        (
            json!({"cursor_path": "at", "last_value_func": "my_function"}),
            "endpoint.incremental.last_value_func: `my_function` is not one of max, min",
        ),
        (json!({"cursor_path": "at", "allow_external_schedulers": true}), "there is no Airflow here"),
    ] {
        let mut manifest = of(&stub, &json!([{"name": "a", "endpoint": {}}]));
        manifest["resources"][0]["endpoint"]["incremental"] = incremental;
        ended(&Mine::json(&manifest).reading("a"), 2, &[words]);
    }
    for (name, words) in
        [("session", "is a Python object"), ("data_selector", "unknown key"), ("timeout", "unknown key")]
    {
        let mut manifest = of(&stub, &json!(["a"]));
        manifest["client"][name] = "x".into();
        ended(&Mine::json(&manifest).reading("a"), 2, &[&format!("client.{name}: {words}")]);
    }
    let mut manifest = of(&stub, &json!([{"name": "a", "endpoint": {"response_actions": ["my_function"]}}]));
    ended(
        &Mine::json(&manifest).reading("a"),
        2,
        &["response_actions[0]: must be a mapping, is the text `my_function`"],
    );
    manifest["resources"] = json!([{"name": "a", "endpoint": {"data_selector": "rows[?(@.id > 1)]"}}]);
    ended(&Mine::json(&manifest).reading("a"), 2, &["resources[0].endpoint.data_selector"]);
    assert!(stub.take().is_empty());
}

#[test]
fn a_manifest_is_yaml_or_json_and_named_as_its_file_or_itself() {
    let stub = lists();
    let yaml = "client: {base_url: https://example.org}
resources:
  - name: events   # a comment
    endpoint: {data_selector: $, paginator: single_page}
";
    let by_file = Mine::file("mine.yaml", yaml);
    by_file.reading("events").with(&["--base-url", &stub.base_url]).complete();
    by_file.reading("events").env("MINE_BASE_URL", &stub.base_url).complete();
    let named = Mine::file(
        "another.json",
        &json!({
            "name": "mine", "client": {"base_url": "https://example.org"},
            "resources": [{"name": "events", "endpoint": {"data_selector": "$", "paginator": "single_page"}}],
        })
        .to_string(),
    );
    named.reading("events").with(&["--base-url", &format!("{}/v2/", stub.base_url)]).complete();
    assert_eq!(paths(&stub.take()), ["/events", "/events", "/v2/events"]);
    assert_eq!(named.ids("events"), ["1", "2"]);
    // An address of its own in the path leaves the base address aside.
    let whole = of(&stub, &json!([{"name": "events", "endpoint": format!("{}/whole", stub.base_url)}]));
    Mine::json(&whole).reading("events").with(&["--base-url", "https://example.org"]).complete();
    assert_eq!(paths(&stub.take()), ["/whole"]);
}

#[test]
fn a_single_object_is_one_record() {
    let stub = stub(|request| match request.path.as_str() {
        "/users/me" => Response::json(&json!({"id": 7, "name": "a", "address": {"city": "Cork"}})),
        _ => Response::json(&json!({"total": 0})),
    });
    let mine = Mine::json(&events(&stub, &json!({"path": "users/me"})));
    for new in [1, 0] {
        let report = mine.reading("events").complete();
        assert_eq!(report["records"]["new"], new, "{report}");
        assert_eq!(stub.take().len(), 1);
    }
    let none = Mine::json(&events(&stub, &json!({"path": "users"})));
    ended(&none.reading("events"), 1, &["no list of records is in the answer, it has: total"]);
}
