//! The columns of a table whose manifest declares none: they are found in the records, run after run, and none of them changes.

mod property;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::rows::{Row, text, types};
use super::{Mine, Response, Stub, ended, stub};

/// The records of a page.
const PAGE: usize = 100;

/// The columns that are not found in records.
const OWN: [&str; 6] = ["id", "synced_at", "first_seen_at", "_fingerprint", "_replaces", "part"];

/// An API whose records are what they were last set to, and a lake.
struct Feed {
    records: Arc<Mutex<Vec<Value>>>,
    mine: Mine,
    format: &'static str,
    _stub: Stub,
}

impl Feed {
    fn start(format: &'static str, more: &Value) -> Self {
        let records = Arc::new(Mutex::new(Vec::new()));
        let now = Arc::clone(&records);
        let stub = stub(move |request| page(&now.lock().unwrap(), request.number("page")));
        let mine = Mine::json(&manifest(&stub.base_url, more));
        Self { records, mine, format, _stub: stub }
    }

    /// Gives `records` to a run, which must be complete.
    fn run(&self, records: &[Value]) -> Value {
        *self.records.lock().unwrap() = records.to_vec();
        self.mine.reading("things").with(&["--format", self.format]).complete()
    }

    /// What each row has in columns that were found, by its id.
    fn rows(&self) -> BTreeMap<String, String> {
        self.mine.rows("things").iter().map(|row| (text(row.get("id")), found(row))).collect()
    }
}

fn manifest(base_url: &str, more: &Value) -> Value {
    let mut resource = json!({
        "name": "things", "primary_key": "id", "write_disposition": "merge",
        "endpoint": {"data_selector": "things", "paginator": {"type": "page_number", "total_path": null}},
    });
    resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"client": {"base_url": base_url}, "resources": [resource]})
}

fn page(records: &[Value], number: usize) -> Response {
    Response::json(&json!({"things": records.iter().skip(number * PAGE).take(PAGE).collect::<Vec<_>>()}))
}

/// What a row has in columns that were found, as `name=value`.
fn found(row: &Row) -> String {
    let cells = row.iter().filter(|(name, value)| !OWN.contains(&name.as_str()) && !value.is_null());
    cells.map(|(name, value)| format!("{name}={}", text(Some(value)))).collect::<Vec<_>>().join(" ")
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(id, cells)| ((*id).to_owned(), (*cells).to_owned())).collect()
}

/// As many records with a whole number as the columns of a run are found in.
fn sample() -> Vec<Value> {
    (0..200).map(|number| json!({"id": format!("s{number:03}"), "price": number})).collect()
}

#[test]
fn a_value_that_a_column_cannot_hold_opens_a_variant() {
    for format in ["parquet", "json"] {
        let feed = Feed::start(format, &json!({}));
        feed.run(&[json!({"id": "a", "price": 1, "open": true})]);
        feed.run(&[json!({"id": "b", "price": 1.5, "open": "n/a"}), json!({"id": "c", "price": "1"})]);
        let third = [
            json!({"id": "a", "price": 1, "open": true}),
            json!({"id": "d", "price": "n/a", "open": {"at": 9}}),
            json!({"id": "e", "price": 2.5, "open": 1}),
        ];
        let report = feed.run(&third);
        assert_eq!((&report["records"]["new"], &report["records"]["unchanged"]), (&json!(2), &json!(1)), "{format}");
        let rows = [
            ("a", "open=true price=1"),
            ("b", "open__v_text=n/a price__v_double=1.5"),
            ("c", "price=1"),
            ("d", r#"open__v_json={"at":9} price__v_text=n/a"#),
            ("e", "open__v_bigint=1 price__v_double=2.5"),
        ];
        assert_eq!(feed.rows(), expected(&rows), "{format}");
        let report = feed.run(&third);
        assert_eq!((&report["records"]["new"], &report["records"]["changed"]), (&json!(0), &json!(0)), "{format}");
        // A row whose value becomes another one has it in the column that holds it, and no more in the other.
        feed.run(&[json!({"id": "e", "price": 3})]);
        assert_eq!(feed.rows()["e"], "price=3", "{format}");
    }
}

#[test]
fn the_first_records_decide_about_the_type_and_later_ones_do_not() {
    for format in ["parquet", "json"] {
        let feed = Feed::start(format, &json!({}));
        let mut records = sample();
        records[150]["price"] = json!(0.5);
        records[151]["wide"] = json!("x");
        records[152]["wide"] = json!([1]);
        records.push(json!({"id": "a", "price": 7, "late": 1, "wide": 5}));
        // It is on the page that the column is found on, so it decides too.
        records.push(json!({"id": "b", "price": "n/a", "late": 1.5}));
        records.extend((0..PAGE).map(|number| json!({"id": format!("t{number:03}")})));
        records.push(json!({"id": "c", "price": "n/a", "late": "x"}));
        feed.run(&records);
        let rows = feed.rows();
        let price = |number: f64| format!("price={number:?}");
        assert_eq!((&rows["s000"], &rows["s150"]), (&price(0.0), &price(0.5)));
        assert_eq!((rows["s151"].as_str(), rows["s152"].as_str()), ("price=151.0 wide=\"x\"", "price=152.0 wide=[1]"));
        assert_eq!(rows["a"], "late=1.0 price=7.0 wide=5");
        assert_eq!(rows["b"], "late=1.5 price__v_text=n/a");
        assert_eq!(rows["c"], "late__v_text=x price__v_text=n/a");
        assert_eq!(rows["t001"], "");
        let report = feed.run(&records);
        assert_eq!((&report["records"]["new"], &report["records"]["changed"]), (&json!(0), &json!(0)), "{format}");
    }
}

#[test]
fn a_field_that_comes_later_is_a_column_from_then_on() {
    for format in ["parquet", "json"] {
        let feed = Feed::start(format, &json!({}));
        let mut records = sample();
        records.push(json!({"id": "z", "price": 1, "late": "in the first run"}));
        feed.run(&records);
        assert_eq!(feed.rows()["z"], "late=in the first run price=1");
        // It lies before and after the others in the order of names, which changes no fingerprint.
        records[0]["a_second"] = json!(2);
        records[0]["z_second"] = json!([2]);
        let report = feed.run(&records);
        assert_eq!((&report["records"]["new"], &report["records"]["changed"]), (&json!(0), &json!(1)), "{format}");
        assert_eq!(feed.rows()["s000"], "a_second=2 price=0 z_second=[2]");
        assert_eq!(feed.rows()["z"], "late=in the first run price=1");
        let report = feed.run(&records);
        assert_eq!(report["records"]["changed"], 0, "{format}");
    }
}

#[test]
fn names_that_differ_in_case_are_one_column() {
    for format in ["parquet", "json"] {
        let feed = Feed::start(format, &json!({}));
        feed.run(&[json!({"id": "a", "Venue": "x"}), json!({"id": "b", "VENUE": "y"})]);
        assert_eq!(feed.rows(), expected(&[("a", "Venue=x"), ("b", "Venue=y")]));
        let records = [
            json!({"id": "b", "VENUE": "y"}),
            json!({"id": "c", "venue": [1]}),
            json!({"id": "d", "VENUE": 1, "Venue": 2}),
        ];
        let report = feed.run(&records);
        assert_eq!(report["records"]["changed"], 0, "{format}");
        let rows =
            [("a", "Venue=x"), ("b", "Venue=y"), ("c", "Venue__v_json=[1]"), ("d", r#"Venue=2 _extra={"VENUE":1}"#)];
        assert_eq!(feed.rows(), expected(&rows), "{format}");
        assert_eq!(feed.run(&records)["records"]["changed"], 0, "{format}");
    }
}

#[test]
fn a_field_with_the_name_of_a_partition_or_an_engine_column_stays_aside() {
    let feed =
        Feed::start("parquet", &json!({"partition": [{"name": "part", "from": "id", "transform": "bucket[2]"}]}));
    for _ in 0..2 {
        feed.run(&[json!({"id": "a", "Part": 1, "SYNCED_AT": 2, "_links": [3], "price__v_double": 4})]);
        let aside = r#"_extra={"Part":1,"SYNCED_AT":2,"_links":[3],"price__v_double":4}"#;
        assert_eq!(feed.rows(), expected(&[("a", aside)]));
    }
}

#[test]
fn a_table_has_a_thousand_columns_at_most() {
    let feed = Feed::start("parquet", &json!({}));
    let field = |number: usize| (format!("f{number:04}"), json!(number));
    let wide: Value = (0..1100).map(field).chain([("id".to_owned(), json!("a"))]).collect();
    for _ in 0..2 {
        feed.run(&[wide.clone(), json!({"id": "b", "f0000": "x"})]);
        let rows = feed.mine.rows("things");
        let a = rows.iter().find(|row| text(row.get("id")) == "a").unwrap();
        let extra: Value = serde_json::from_str(&text(a.get("_extra"))).unwrap();
        let cells = a.keys().filter(|name| name.starts_with('f')).count();
        assert_eq!((cells, cells + extra.as_object().unwrap().len()), (999, 1100));
    }
}

#[test]
fn a_history_has_the_same_columns() {
    for format in ["parquet", "json"] {
        let feed = Feed::start(format, &json!({"history": true}));
        feed.run(&[json!({"id": "a", "price": 1})]);
        feed.run(&[json!({"id": "a", "price": 1.5})]);
        let mut records = sample();
        records.push(json!({"id": "a", "price": 1.5, "late": true}));
        feed.run(&records);
        let versions = feed.mine.rows("things_history");
        let mut of_a: Vec<String> = versions.iter().filter(|row| text(row.get("id")) == "a").map(found).collect();
        of_a.sort();
        assert_eq!(of_a, ["late=true price__v_double=1.5", "price=1", "price__v_double=1.5"], "{format}");
        assert_eq!(feed.rows()["a"], "late=true price__v_double=1.5");
    }
}

#[test]
fn a_table_that_is_filled_from_another_resource_has_columns_too() {
    let feed = Feed::start("parquet", &json!({"harvest": [{"resource": "venues", "path": "venues[*]"}]}));
    let mut manifest =
        manifest("http://unused.test", &json!({"harvest": [{"resource": "venues", "path": "venues[*]"}]}));
    manifest["client"]["base_url"] = feed._stub.base_url.clone().into();
    let venues = json!({
        "name": "venues", "primary_key": "id", "write_disposition": "merge",
        "endpoint": {"data_selector": "things", "paginator": {"type": "page_number", "total_path": null}},
    });
    manifest["resources"].as_array_mut().unwrap().push(venues);
    feed.mine.now(&manifest);
    feed.run(&[json!({"id": "a", "venues": [{"id": "v1", "seats": 10}, {"id": "v2", "seats": "many", "city": "X"}]})]);
    let venues = || -> BTreeMap<String, String> {
        feed.mine.rows("venues").iter().map(|row| (text(row.get("id")), found(row))).collect()
    };
    let stored = expected(&[("v1", "seats=10"), ("v2", "city=X seats__v_text=many")]);
    assert_eq!(venues(), stored);
    // The resource itself finds the same columns, and the same rows.
    *feed.records.lock().unwrap() =
        vec![json!({"id": "v1", "seats": 10}), json!({"id": "v2", "seats": "many", "city": "X"})];
    let report = feed.mine.reading("venues").complete();
    assert_eq!(report["records"]["unchanged"], 2, "{report}");
    assert_eq!(venues(), stored);
}

/// Another run reads other records into the same table while this one waits for its page number `at`.
fn beside(format: &'static str, at: usize, own: Vec<Value>, other: Vec<Value>) -> Mine {
    let lake = lake::Memory::default();
    let others = stub(move |request| page(&other, request.number("page")));
    let (other_manifest, into) = (manifest(&others.base_url, &json!({})), lake.clone());
    let requests = AtomicUsize::new(0);
    let stub = stub(move |request| {
        if requests.fetch_add(1, Ordering::Relaxed) == at {
            let (manifest, into) = (other_manifest.clone(), into.clone());
            let run =
                move || _ = Mine::into_lake(&manifest, &into).reading("things").with(&["--format", format]).complete();
            std::thread::spawn(run).join().unwrap();
        }
        page(&own, request.number("page"))
    });
    let mine = Mine::into_lake(&manifest(&stub.base_url, &json!({})), &lake);
    mine.reading("things").with(&["--format", format]).complete();
    drop((stub, others));
    mine
}

#[test]
fn runs_at_the_same_time_agree_on_the_columns() {
    for format in ["parquet", "json"] {
        // Both are first runs.
        let own = vec![json!({"id": "a", "price": 1, "note": 1, "mine": true})];
        let other = vec![json!({"id": "b", "price": "n/a", "NOTE": [1], "other": 7})];
        let mine = beside(format, 0, own, other);
        let rows: BTreeMap<String, String> =
            mine.rows("things").iter().map(|row| (text(row.get("id")), found(row))).collect();
        let stored = [("a", "NOTE=1 mine=true price=1"), ("b", "NOTE=[1] other=7 price=n/a")];
        assert_eq!(rows, expected(&stored), "{format}");

        // This run has its columns before the other one, and both find the same field later. A page is read ahead.
        let mut own = sample();
        own.extend((0..PAGE).map(|number| json!({"id": format!("t{number:03}")})));
        own.push(json!({"id": "x", "late": 1, "price": 5}));
        own.push(json!({"id": "y", "other": "of this run"}));
        let other = vec![json!({"id": "b", "price": 1.5, "Late": "x", "other": 7, "alone": 1})];
        let mine = beside(format, 3, own, other);
        let rows: BTreeMap<String, String> =
            mine.rows("things").iter().map(|row| (text(row.get("id")), found(row))).collect();
        assert_eq!(rows.len(), 303, "{format}");
        assert_eq!(rows["b"], "Late=x alone=1 other=7 price__v_double=1.5", "{format}");
        assert_eq!(
            (rows["x"].as_str(), rows["y"].as_str()),
            ("Late=1 price=5", "other__v_text=of this run"),
            "{format}"
        );
        if format == "parquet" {
            assert_eq!(types(&mine.lake, "mine/things").len(), 12);
        }
    }
}

/// The columns of a first run whose rows are not stored do not bind the next one.
#[test]
fn columns_without_rows_bind_no_key() {
    let stub = stub(|request| match request.path.as_str() {
        "/parents" => Response::json(&json!([{"id": 1}, {"id": 2}])),
        path => Response::json(&json!([{"id": 1, "of": path, "price": 1}])),
    });
    let with_key = |key: Value| {
        json!({
            "client": {"base_url": stub.base_url},
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
            "resources": ["parents", {
                "name": "things", "primary_key": key, "include_from_parent": ["id"],
                "endpoint": {"path": "parents/{resources.parents.id}/things"},
            }],
        })
    };
    let mine = Mine::json(&with_key(json!("id")));
    ended(&mine.reading("things"), 1, &["include_from_parent"]);
    mine.now(&with_key(json!(["_parents_id", "id"])));
    mine.reading("things").complete();
    assert_eq!(mine.rows("things").len(), 2);
}

#[test]
fn names_that_differ_in_case_are_refused_by_a_check() {
    let stub = stub(|_| Response::json(&json!([])));
    let column = |name: &str| json!({name: {"data_type": "text"}});
    let two = |name: &str, other: &str| json!({"columns": {name: {"data_type": "text"}, other: {"data_type": "text"}}});
    let partition = |name: &str, columns: Value| json!({"columns": columns, "partition": [{"name": name, "from": "id", "transform": "bucket[2]"}]});
    for (more, words) in [
        (two("Venue", "VENUE"), ["`VENUE`", "`Venue`"]),
        (two("été", "ÉTÉ"), ["`ÉTÉ`", "`été`"]),
        (json!({"columns": column("ID")}), ["`id`", "`ID`"]),
        (json!({"columns": column("Synced_At")}), ["`Synced_At`", "`synced_at`"]),
        (partition("Month", column("month")), ["`Month`", "`month`"]),
        (partition("First_Seen_At", column("month")), ["`First_Seen_At`", "`first_seen_at`"]),
        (
            json!({"columns": column("month"), "partition": [
                {"name": "b", "from": "id", "transform": "bucket[2]"}, {"name": "B", "from": "month"},
            ]}),
            ["`b`", "`B`"],
        ),
        (json!({"columns": column("Gone_At"), "vanished": {"column": "gone_at"}}), ["`gone_at`", "`Gone_At`"]),
        (
            json!({"partition": [{"name": "Gone_At", "from": "id"}], "vanished": {"column": "gone_at"}}),
            ["`gone_at`", "`Gone_At`"],
        ),
    ] {
        let mine = Mine::json(&manifest(&stub.base_url, &more));
        ended(&mine.reading("things").with(&["--check"]), 2, &words);
    }
    assert!(stub.take().is_empty());
    // A column that the manifest declares later must have the case of the stored one.
    let feed = Feed::start("parquet", &json!({}));
    feed.run(&[json!({"id": "a", "Venue": "x"})]);
    feed.mine.now(&manifest(&feed._stub.base_url, &json!({"columns": column("venue")})));
    ended(&feed.mine.reading("things").with(&["--check"]), 2, &["things.columns.venue", "`Venue`"]);
    feed.mine.now(&manifest(&feed._stub.base_url, &json!({"columns": column("Venue")})));
    feed.run(&[json!({"id": "b", "Venue": "y"})]);
    assert_eq!(feed.rows(), expected(&[("a", "Venue=x"), ("b", "Venue=y")]));
}
