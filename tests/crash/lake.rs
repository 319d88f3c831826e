//! A table of sales as its readers find it, read without any of the code that wrote it but the Parquet library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use chrono::DateTime;
use flate2::read::MultiGzDecoder;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::{self, Field};
use parquet::schema::types::Type;
use sandbox::see_tickets::Truth;
use serde_json::{Map, Value, json};

/// The table that these tests fill.
pub(crate) const TABLE: &str = "see_tickets/sales";

/// A stored row by its columns' names, nulls left out.
pub(crate) type Row = Map<String, Value>;

/// Where it keeps what has no place in the table.
pub(crate) const REJECTED: &str = "_rejected/see_tickets/sales";

/// Where every version of its rows is kept.
pub(crate) const HISTORY: &str = "see_tickets/sales_history";

/// The versions that `parts` of a history hold: key, what it says, and when the version it replaced was written. One that is there
/// twice ends the test.
pub(crate) fn versions(parts: &BTreeMap<String, Bytes>) -> BTreeSet<(String, i64, Option<String>)> {
    let mut found = BTreeSet::new();
    for (key, bytes) in parts {
        for row in part(key, bytes, None) {
            let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
            let version = (text("uniqueCode").unwrap(), row["_fingerprint"].as_i64().unwrap(), text("_replaces"));
            assert!(found.insert(version.clone()), "{version:?} is there twice, the second time in {key}");
        }
    }
    found
}

/// Every object below `folder` of the lake at `root`, by its key; none while there is no such folder.
pub(crate) fn objects(root: &Path, folder: &str) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    walk(root, &root.join(folder), &mut found);
    found
}

/// The parts of the lake at `root`.
pub(crate) fn parts(root: &Path) -> BTreeMap<String, Bytes> {
    objects(root, TABLE)
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Bytes>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(key, fs::read(&path).unwrap().into());
        }
    }
}

/// Ends the test if `parts` hold a key twice, or a part that is not whole: reads each part's footer and its keys.
pub(crate) fn assert_keys_once(parts: &BTreeMap<String, Bytes>) {
    let mut found = BTreeSet::new();
    for (key, bytes) in parts {
        for row in part(key, bytes, Some(&["uniqueCode"])) {
            let code = row["uniqueCode"].as_str().unwrap();
            assert!(found.insert(code.to_owned()), "{code} is stored twice, the second time in {key}");
        }
    }
}

/// The rows of `parts` by their `uniqueCode`. A part that cannot be read whole, a key stored twice and a sale outside of its month's
/// folder end the test.
pub(crate) fn rows(parts: &BTreeMap<String, Bytes>) -> BTreeMap<String, Row> {
    let mut found = BTreeMap::new();
    for (key, bytes) in parts {
        for row in part(key, bytes, None) {
            let code = row["uniqueCode"].as_str().unwrap().to_owned();
            let month = &row["date"].as_str().unwrap()[..7];
            assert!(key.contains(&format!("/sale_month={month}/part-")), "{code} of {month} lies in {key}");
            assert!(found.insert(code.clone(), row).is_none(), "{code} is stored twice, the second time in {key}");
        }
    }
    found
}

/// One part's rows, in order; of a Parquet part with `columns`, those alone.
fn part(key: &str, bytes: &Bytes, columns: Option<&[&str]>) -> Vec<Row> {
    if key.ends_with(".parquet") {
        let whole = |row: Result<record::Row, _>| row.unwrap_or_else(|error| panic!("{key} is not whole: {error}"));
        let reader = SerializedFileReader::new(bytes.clone());
        let reader = reader.unwrap_or_else(|error| panic!("{key} is not whole: {error}"));
        let projection = columns.map(|columns| {
            let schema = reader.metadata().file_metadata().schema();
            let fields = schema.get_fields().iter().filter(|field| columns.contains(&field.name()));
            Type::group_type_builder(schema.name()).with_fields(fields.cloned().collect()).build().unwrap()
        });
        reader.get_row_iter(projection).unwrap().map(|stored| row(&whole(stored))).collect()
    } else {
        let mut lines = Vec::new();
        let read = MultiGzDecoder::new(&bytes[..]).read_to_end(&mut lines);
        read.unwrap_or_else(|error| panic!("{key} is not whole: {error}"));
        serde_json::Deserializer::from_slice(&lines).into_iter().map(|row| row.unwrap()).collect()
    }
}

fn row(row: &record::Row) -> Row {
    let value = |field: &Field| {
        Some(match field {
            Field::Str(text) => text.as_str().into(),
            Field::Bool(value) => (*value).into(),
            Field::Long(value) => (*value).into(),
            Field::Double(value) => (*value).into(),
            Field::TimestampMicros(micros) => DateTime::from_timestamp_micros(*micros).unwrap().to_rfc3339().into(),
            Field::Null => return None,
            other => panic!("no sale has {other:?}"),
        })
    };
    row.get_column_iter().filter_map(|(name, field)| Some((name.clone(), value(field)?))).collect()
}

/// What a sale says, in columns of every type and of which the sandbox breaks none.
pub(crate) fn told(sale: &Value) -> Value {
    let mut told = json!({"postCode": sale.pointer("/location/postCode").or(sale.get("postCode"))});
    for name in ["date", "eventId", "eventName", "isPending", "paymentMethod", "affiliate"] {
        told[name] = sale.get(name).cloned().unwrap_or(Value::Null);
    }
    told["grossSales"] = sale["grossSales"].as_f64().into();
    told
}

/// What `parts` say: as [`rows`], and of each row what [`told`] gives.
pub(crate) fn told_by(parts: &BTreeMap<String, Bytes>) -> BTreeMap<String, Value> {
    rows(parts).into_iter().map(|(code, row)| (code, told(&Value::Object(row)))).collect()
}

/// What the lake must say: every sale of a revision by its `uniqueCode`.
pub(crate) fn expected(truth: &Truth, revision: u32) -> BTreeMap<String, Value> {
    let coded = truth.sales(revision).filter(|sale| sale["uniqueCode"].is_string());
    coded.map(|sale| (sale["uniqueCode"].as_str().unwrap().to_owned(), told(&sale))).collect()
}

/// Every record without a `uniqueCode` that was served in the revisions from 0 to `revision`, each once.
pub(crate) fn placeless(truth: &Truth, revision: u32) -> BTreeSet<String> {
    let sales = (0..=revision).flat_map(|revision| truth.sales(revision));
    sales.filter(|sale| !sale["uniqueCode"].is_string()).map(|sale| sale.to_string()).collect()
}

/// The records in `objects`, which were rejected; one kept twice ends the test.
pub(crate) fn rejected(objects: &BTreeMap<String, Bytes>) -> BTreeSet<String> {
    let kept = objects.values().map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap()["record"].to_string());
    let kept: BTreeSet<String> = kept.collect();
    assert_eq!(kept.len(), objects.len(), "a rejected record is kept twice");
    kept
}

/// Ends the test unless `parts` hold exactly the sales of a revision.
pub(crate) fn assert_is(parts: &BTreeMap<String, Bytes>, truth: &Truth, revision: u32, story: &str) {
    let stored = told_by(parts);
    let expected = expected(truth, revision);
    if stored == expected {
        return;
    }
    let lost: Vec<&String> = expected.keys().filter(|code| !stored.contains_key(*code)).collect();
    let strange: Vec<&String> = stored.keys().filter(|code| !expected.contains_key(*code)).collect();
    let differing = expected.iter().find(|(code, told)| stored.get(*code).is_some_and(|stored| stored != *told));
    panic!(
        "{story}: lost {lost:?}, strange {strange:?}, first that differs {differing:?}, stored as {:?}",
        differing.and_then(|(code, _)| stored.get(code))
    );
}
