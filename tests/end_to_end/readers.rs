//! The lake's tables in pyarrow, DuckDB and Polars (`readers.py`): all see the same rows, in the manifest's types, in either
//! format, in a directory and on S3.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::lake::Local;
use chrono::{DateTime, Utc};
use manifest::{Manifest, Resource, Transform, built_in};
use sandbox::function::Function;
use sandbox::{see_tickets, ticketmaster};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use table::Format;
use table::map::Mapper;
use table::merge::{Merged, Table};

use crate::aws::Aws;
use crate::lake::Lake;
use crate::tools::python;

const KEY: &str = "sandbox-key";

type Row = Map<String, Value>;

/// A table as a user knows it: its columns and folders, by the manifest's names for their types.
#[derive(Debug)]
struct Declared {
    key: String,
    columns: BTreeMap<String, String>,
    partition: BTreeMap<String, String>,
}

impl Declared {
    /// What the resources say together: the same one as it grew, where the last type of a column is the widest.
    fn by(resources: &[&Resource]) -> Self {
        let own = [
            ("synced_at", "timestamp"),
            ("first_seen_at", "timestamp"),
            ("_fingerprint", "bigint"),
            ("_extra", "text"),
            ("_issues", "text"),
        ];
        let mut columns: BTreeMap<String, String> =
            own.into_iter().map(|(name, data_type)| (name.into(), data_type.into())).collect();
        let marks = resources.iter().filter_map(|resource| resource.vanished.as_ref());
        columns.extend(marks.map(|vanished| (vanished.column.clone(), "timestamp".into())));
        let all = resources.iter().flat_map(|resource| &resource.columns);
        for column in all.filter(|column| !column.history_only) {
            let data_type = if column.data_type.name() == "json" { "text" } else { column.data_type.name() };
            let data_type = if column.list { format!("{data_type} list") } else { data_type.into() };
            columns.insert(column.name.clone(), data_type);
        }
        let folders = resources[0].partition.iter().map(|field| {
            let data_type = match field.transform {
                Transform::Bucket(_) => "bigint",
                Transform::Day => "date",
                _ => "text",
            };
            (field.name.clone(), data_type.to_owned())
        });
        Self { key: resources[0].primary_key[0].clone(), columns, partition: folders.collect() }
    }
}

#[derive(Debug, Deserialize)]
struct Seen {
    types: BTreeMap<String, String>,
    rows: Vec<Row>,
}

/// A table's rows by their key.
type Rows = BTreeMap<String, Row>;

/// The rows at each of `places` (with its format), which every reader must see once, alike, and in the declared types.
fn read(places: &[(String, &str)], declared: &Declared, grown: bool, aws: &Aws) -> Vec<Rows> {
    let pairs = |types: &BTreeMap<String, String>| types.iter().map(|pair| json!(pair)).collect::<Value>();
    let (columns, partition) = (pairs(&declared.columns), pairs(&declared.partition));
    let tables = places.iter().map(|(place, format)| {
        json!({"place": place, "format": format, "columns": columns, "partition": partition, "grown": grown})
    });
    let mut environment = aws.environment();
    environment.push(("TABLES", tables.collect::<Value>().to_string()));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let seen: Vec<BTreeMap<String, Seen>> =
        serde_json::from_value(python(include_str!("readers.py"), &environment)).unwrap();
    assert_eq!(seen.len(), places.len());
    seen.into_iter().zip(places).map(|(seen, (place, format))| alike(seen, declared, place, format)).collect()
}

fn alike(seen: BTreeMap<String, Seen>, declared: &Declared, place: &str, format: &str) -> Rows {
    let types: BTreeMap<_, _> = declared.columns.clone().into_iter().chain(declared.partition.clone()).collect();
    let mut all: Vec<(String, Rows)> = Vec::new();
    for (reader, Seen { types: found, rows }) in seen {
        assert_eq!(found, types, "{reader} of {format} in {place}");
        let count = rows.len();
        let rows: Rows = rows.into_iter().map(|row| (row[&declared.key].as_str().unwrap().to_owned(), row)).collect();
        assert_eq!(rows.len(), count, "{reader} sees a key twice in {place}");
        all.push((reader, rows));
    }
    let (first, rows) = all.pop().unwrap();
    assert_eq!(all.len(), 2);
    for (reader, others) in &all {
        assert!(rows.keys().eq(others.keys()), "{reader} and {first} see other keys of {format} in {place}");
        for (row, other) in rows.values().zip(others.values()) {
            assert_eq!(row, other, "{first} and {reader} of {format} in {place}");
        }
    }
    rows
}

/// Lands what `function` reads in both formats, in a directory and on S3, and hands what is read of each to `check`.
fn everywhere(function: &Function, table: &str, folders: &[&str], check: impl Fn(&Rows)) {
    let (source, resource) = table.split_once('/').unwrap();
    let manifest = built_in::find(source).unwrap().unwrap();
    let declared = Declared::by(&[manifest.resource(resource).unwrap()]);
    let aws = Aws::start();
    let lake = Lake::new();
    let mut places = Vec::new();
    let begin = Utc::now();
    for format in ["parquet", "json"] {
        let function = aws.grant(function.clone().env("SOURCE", source).env("FORMAT", format));
        let local = lake.path().join(format);
        for root in [local.display().to_string(), format!("s3://lake/{format}/deep")] {
            let ended = function.clone().env("LAKE", &root).run();
            // With broken records among them, a run is incomplete.
            assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.errors);
            places.push((format!("{root}/{table}"), format));
        }
        for folder in folders {
            assert!(local.join(folder).exists(), "there is no {folder} to get in the way");
        }
    }
    let end = Utc::now();
    for rows in read(&places, &declared, false, &aws) {
        check(&rows);
        for row in rows.values() {
            let synced: DateTime<Utc> = row["synced_at"].as_str().unwrap().parse().unwrap();
            assert!((begin..end).contains(&synced), "{synced}");
            assert_eq!(row["first_seen_at"], row["synced_at"]);
        }
    }
}

/// Whether a value read is the record's: numbers by what they say, not by how they are written.
fn same(read: &Value, record: Option<&Value>) -> bool {
    match record {
        Some(Value::Number(number)) => read.as_f64() == number.as_f64(),
        Some(value) => read == value,
        None => read.is_null(),
    }
}

#[test]
fn pyarrow_duckdb_and_polars_read_the_same_sales() {
    let options = see_tickets::Options { sales: 400, days: 5, broken: 20, ..see_tickets::Options::default() };
    let truth = options.truth();
    let keys: BTreeSet<String> = truth.unique_codes(0).collect();
    let records: BTreeMap<String, Value> = truth
        .sales(0)
        .filter_map(|record| Some((record["uniqueCode"].as_str()?.to_owned(), record)))
        .filter(|(code, _)| keys.contains(code))
        .collect();
    let server = see_tickets::start_blocking(options).unwrap();
    let function = Function::new("sales").against("see_tickets", &server.base_url, KEY);
    everywhere(&function, "see_tickets/sales", &["_state", "_tmp", "_rejected"], |rows| {
        assert!(rows.keys().eq(&keys));
        assert_eq!(rows.values().filter(|row| !row["_issues"].is_null()).count(), truth.with_wrong_type());
        assert!(rows.values().any(|row| row["region1"] == "Île-de-France"));
        assert!(rows.values().any(|row| row["deviceModel"].is_null()));
        for (code, row) in rows {
            let record = &records[code];
            let issues: Value = row["_issues"].as_str().map_or(json!({}), |text| serde_json::from_str(text).unwrap());
            for (column, path) in [
                ("date", "/date"),
                ("eventName", "/eventName"),
                ("sold", "/sold"),
                ("grossSales", "/grossSales"),
                ("faceValue", "/faceValue"),
                ("isPending", "/isPending"),
                ("region1", "/location/region1"),
                ("postCode", "/location/postCode"),
                ("deviceModel", "/deviceModel"),
            ] {
                let read = issues.get(column).unwrap_or(&row[column]);
                assert!(same(read, record.pointer(path)), "{column}: {read} of {record}");
            }
            assert_eq!(row["sale_month"].as_str(), record["date"].as_str().map(|date| &date[..7]));
        }
    });
}

#[test]
fn pyarrow_duckdb_and_polars_read_the_same_events() {
    let options = ticketmaster::Options { events: 300, images: 1, ..ticketmaster::Options::default() };
    let truth = options.truth().unwrap();
    let keys = truth.event_ids(0);
    let server = ticketmaster::start_blocking(options).unwrap();
    let function = Function::new("events").against("ticketmaster", &server.base_url, KEY);
    everywhere(&function, "ticketmaster/events", &["_state", "_tmp"], |rows| {
        assert!(rows.keys().eq(&keys));
        assert!(rows.values().any(|row| row["place_city"] == "Montréal"));
        assert!(rows.values().any(|row| row["start_date_time"].is_null()));
        for (id, row) in rows {
            let record = truth.event(id, 0).unwrap();
            for (column, path) in [
                ("name", "/name"),
                ("start_local_date", "/dates/start/localDate"),
                ("start_local_time", "/dates/start/localTime"),
                ("venue_city", "/_embedded/venues/0/city/name"),
                ("place_city", "/place/city/name"),
                ("min_price", "/priceRanges/0/min"),
                ("test", "/test"),
                ("accessibility_ticket_limit", "/accessibility/ticketLimit"),
            ] {
                assert!(same(&row[column], record.pointer(path)), "{column}: {} of {record}", row[column]);
            }
            let start = record.pointer("/dates/start/dateTime").and_then(Value::as_str);
            let start = start.map(|start| start.replace('Z', ".000000+00:00"));
            assert_eq!(row["start_date_time"].as_str(), start.as_deref());
            let attractions = record.pointer("/_embedded/attractions").and_then(Value::as_array);
            let ids = attractions.map(|list| list.iter().map(|attraction| attraction["id"].clone()).collect::<Value>());
            assert_eq!(row["attraction_ids"], ids.unwrap_or_default());
            let images: Option<Value> = row["images"].as_str().map(|text| serde_json::from_str(text).unwrap());
            assert_eq!(images.as_ref(), record.get("images"));
            assert!((0..16).contains(&row["id_bucket"].as_i64().unwrap()));
        }
    });
}

fn gigs(columns: &str) -> Manifest {
    let text = format!(
        "client: {{base_url: 'https://x'}}
resources:
  - name: gigs
    primary_key: id
    endpoint: {{data_selector: data, paginator: single_page}}
    partition: [{{name: place, from: city, transform: identity}}]
    columns: {{id: {{data_type: text}}, city: {{data_type: text}}, at: {{data_type: timestamp}}, price: {{data_type: decimal}}{columns}}}"
    );
    Manifest::parse("box_office.yaml", &text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Every merge begins new parts: a part of one byte is full.
async fn merge(lake: &Path, manifest: &Manifest, format: Format, records: &[Value]) {
    let store = Local::new(lake.to_owned());
    let resource = &manifest.resources[0];
    let table = Table::new(&store, &manifest.name, resource, format).with_target_bytes(1);
    let mut buffer = table.buffer();
    for record in records {
        Mapper::new(resource).map(record.clone()).into_iter().for_each(|row| buffer.push(row.unwrap(), Utc::now()));
    }
    table.merge(&mut buffer, &mut Merged::default()).await.unwrap();
}

#[tokio::test]
async fn parts_of_a_table_that_has_grown_are_read_by_their_columns_names() {
    let before = gigs(", note: {data_type: text}, seats: {data_type: bigint}");
    let after = gigs(
        ", seats: {data_type: double}, day: {data_type: date}, sold: {data_type: bigint}, tags: {path: 'tags[*]', data_type: text, list: true}",
    );
    let declared = Declared::by(&[&before.resources[0], &after.resources[0]]);
    let old = [
        json!({"id": "a", "city": "Zürich/Oerlikon = 8050 %", "at": "2026-11-21T10:00:00.123456+02:00", "price": "12.340000001", "note": "été", "seats": 8}),
        json!({"id": "b", "city": "007", "at": "1969-12-31T23:59:59.999999Z", "price": -0.5}),
    ];
    let new = [
        json!({"id": "c", "city": "Zürich/Oerlikon = 8050 %", "at": null, "seats": 0.5, "day": "2026-11-22", "sold": 9_007_199_254_740_993_i64, "tags": ["日本", ""]}),
        json!({"id": "d", "city": "Kraków", "price": "12345678901234567890123456789.123456789", "tags": []}),
    ];
    let aws = Aws::start();
    let lake = Lake::new();
    let mut places = Vec::new();
    for format in [Format::Parquet, Format::Json] {
        let local = lake.path().join(format.name());
        merge(&local, &before, format, &old).await;
        merge(&local, &after, format, &new).await;
        for root in [local.display().to_string(), format!("s3://lake/{}", format.name())] {
            places.push((format!("{root}/box_office/gigs"), format.name()));
        }
    }
    assert_eq!(lake.objects().len(), 2 * 4, "one folder of three has two parts");
    aws.upload(lake.path());

    for rows in read(&places, &declared, true, &aws) {
        let values = |name: &str| rows.values().map(|row| row[name].clone()).collect::<Value>();
        assert!(rows.keys().eq(["a", "b", "c", "d"]));
        for (row, record) in rows.values().zip(old.iter().chain(&new)) {
            assert_eq!((&row["city"], &row["place"]), (&record["city"], &record["city"]));
        }
        let at = json!(["2026-11-21T08:00:00.123456+00:00", "1969-12-31T23:59:59.999999+00:00", null, null]);
        assert_eq!(values("at"), at);
        let price = json!(["12.340000001", "-0.500000000", null, "12345678901234567890123456789.123456789"]);
        assert_eq!(values("price"), price);
        assert_eq!(values("seats"), json!([8.0, null, 0.5, null]));
        assert_eq!(values("note"), json!(["été", null, null, null]));
        assert_eq!(values("day"), json!([null, null, "2026-11-22", null]));
        assert_eq!(values("sold"), json!([null, null, 9_007_199_254_740_993_i64, null]));
        assert_eq!(values("tags"), json!([null, null, ["日本", ""], null]));
    }
}
