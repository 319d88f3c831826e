//! A manifest whose columns come, go and change their type over a table that is there already.

use std::path::PathBuf;

use sandbox::function::Function;
use sandbox::see_tickets::{Options, start_blocking};
use serde_json::{Value, json};

use crate::lake::Lake;

const TABLE: &str = "mine/sales";

/// Beside the lake's objects, where no listing looks.
fn path(lake: &Lake) -> PathBuf {
    lake.path().join("_tmp/manifest.yaml")
}

/// A manifest of See Tickets' sales with `columns` beside the key and the day.
fn manifest(lake: &Lake, columns: &str) -> PathBuf {
    let file = path(lake);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!(
        "name: mine
client: {{base_url: 'https://example.org', auth: {{type: bearer, token: {{$secret: api_key}}}}}}
resources:
  - name: sales
    primary_key: uniqueCode
    write_disposition: merge
    endpoint:
      path: reports/sales
      method: POST
      data_selector: data
      paginator: {{type: offset, limit: 100, offset_body_path: offset, limit_body_path: limit, total_path: null}}
    partition: [{{name: sale_month, from: date, transform: month}}]
    columns: {{uniqueCode: {{data_type: text}}, date: {{data_type: text}}, {columns}}}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn reading(lake: &Lake, base_url: &str, columns: &str, format: &str) -> Function {
    let file = manifest(lake, columns);
    Function::reading("resource", "mine", lake.path())
        .with(&["--resource", "sales", "--format", format, "--sources", file.to_str().unwrap()])
        .against("mine", base_url, "sandbox-key")
}

const FIRST: &str = "faceValue: {data_type: double}, sold: {data_type: bigint}, isPending: {data_type: bool}";
const SECOND: &str = "grossSales: {data_type: double}, sold: {data_type: double}, isPending: {data_type: bool}";

#[test]
fn columns_come_go_and_widen_and_nothing_is_lost() {
    for format in ["parquet", "json"] {
        let options = Options { sales: 600, ..Options::default() };
        let truth = options.truth();
        let server = start_blocking(options).unwrap();
        let lake = Lake::new();
        assert_eq!(reading(&lake, &server.base_url, FIRST, format).complete()["records"]["new"], 600);
        // A page of the oldest sales is read with the new manifest: their rows lie in one part with rows that are not read again.
        let partly = reading(&lake, &server.base_url, SECOND, format).with(&["--max-requests", "1"]).run();
        assert_eq!((partly.code, &partly.report["records"]["changed"]), (Some(3), &json!(100)), "{}", partly.errors);

        let sales: Vec<Value> = truth.sales(0).collect();
        let number = |sale: &Value, name: &str| sale[name].as_f64().unwrap_or(0.0);
        let sum = |sales: &[Value], name: &str| sales.iter().map(|sale| number(sale, name)).sum::<f64>();
        let close = |stored: Value, expected: f64| {
            let stored = stored.as_f64().unwrap();
            assert!((stored - expected).abs() < 1e-6, "{stored} is not {expected} ({format})");
        };
        let lake_value = |query: &str| lake.united(TABLE, query);
        assert_eq!(lake_value("SELECT count(DISTINCT uniqueCode) FROM {table}"), 600);
        assert_eq!(lake_value("SELECT count(*) FROM {table}"), 600);
        close(lake_value("SELECT sum(sold) FROM {table}"), sum(&sales, "sold"));
        close(lake_value("SELECT sum(faceValue) FROM {table}"), sum(&sales[100..], "faceValue"));
        close(lake_value("SELECT sum(grossSales) FROM {table}"), sum(&sales[..100], "grossSales"));
        let kept =
            "SELECT sum(CAST(json_extract(_extra, '$.faceValue') AS DOUBLE)) FROM {table} WHERE faceValue IS NULL";
        close(lake_value(kept), sum(&sales[..100], "faceValue"));

        // The rest follows, and then nothing is left to do.
        assert_eq!(reading(&lake, &server.base_url, SECOND, format).complete()["records"]["changed"], 500);
        close(lake_value("SELECT sum(grossSales) FROM {table}"), sum(&sales, "grossSales"));
        let again = reading(&lake, &server.base_url, SECOND, format).complete();
        assert_eq!((&again["records"]["unchanged"], &again["objects"]), (&json!(600), &json!(0)));
    }
}

#[test]
fn what_cannot_be_widened_is_refused_before_anything_is_sent_or_written() {
    let server = start_blocking(Options { sales: 100, ..Options::default() }).unwrap();
    let lake = Lake::new();
    reading(&lake, &server.base_url, FIRST, "parquet").complete();
    let (before, seen) = (lake.objects(), server.count());
    let narrower = "faceValue: {data_type: bigint}, sold: {data_type: bool}, isPending: {data_type: bool}";
    let refused = reading(&lake, &server.base_url, narrower, "parquet").run();
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    for words in ["sales.columns.faceValue", "stored as double", "sales.columns.sold", "another name"] {
        assert!(refused.errors.contains(words), "`{words}`: {}", refused.errors);
    }
    assert_eq!((lake.objects(), server.count()), (before, seen));
}

#[test]
fn another_partition_or_key_over_the_same_table_is_refused() {
    let server = start_blocking(Options { sales: 100, ..Options::default() }).unwrap();
    let lake = Lake::new();
    reading(&lake, &server.base_url, FIRST, "parquet").complete();
    let function = reading(&lake, &server.base_url, FIRST, "parquet");
    let file = path(&lake);
    let text = std::fs::read_to_string(&file).unwrap();
    for (from, to, place) in [
        ("transform: month", "transform: day", "sales.partition"),
        ("primary_key: uniqueCode", "primary_key: [uniqueCode, date]", "sales.primary_key"),
    ] {
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let refused = function.run();
        assert_eq!(refused.code, Some(2), "{}", refused.errors);
        assert!(refused.errors.contains(place), "{}", refused.errors);
    }
}

/// Records that an older manifest had no place for land once a newer one has, and never over a later version.
#[test]
fn rejected_records_are_replayed_through_the_present_manifest() {
    let options = Options { sales: 300, broken: 30, ..Options::default() };
    let keyless = options.truth().without_code();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    // By a key that most sales lack, nothing has a place.
    let function = reading(&lake, &server.base_url, FIRST, "parquet");
    let file = path(&lake);
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, right.replace("from: date", "from: uniqueCode")).unwrap();
    let first = function.incomplete();
    assert_eq!((&first["records"]["rejected"], &first["records"]["new"]), (&json!(300), &json!(0)));

    std::fs::write(&file, &right).unwrap();
    let seen = server.count();
    let replay = function.clone().with(&["--replay-rejected"]);
    let before = lake.objects();
    assert!(replay.clone().with(&["--check"]).complete()["plan"].is_object());
    assert_eq!(lake.objects(), before, "a check writes nothing");
    let report = replay.complete();
    assert_eq!(report["records"]["new"], json!(300 - keyless), "{report}");
    assert_eq!(report["records"]["rejected"], json!(keyless));
    let again = replay.complete();
    assert_eq!(
        (&again["records"]["new"], &again["records"]["changed"], &again["objects"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(server.count(), seen, "a replay reads no API");

    // Pending sales are confirmed; the replay of their first versions leaves the confirmed ones.
    server.set_revision(1);
    let changed = function.incomplete()["records"]["changed"].as_u64().unwrap();
    assert!(changed > 0);
    let last = replay.complete();
    assert_eq!((&last["records"]["changed"], &last["objects"]), (&json!(0), &json!(0)));
    assert_eq!(function.incomplete()["records"]["changed"], 0);
    let refused = replay.with(&["--full"]).run();
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
}
