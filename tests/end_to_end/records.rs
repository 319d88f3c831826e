//! Reads a stored table as records, to compare them with all records of a sandbox.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::lake::Lake;
use crate::tools::python;

/// A table with its columns' types and its rows, those of the engine's own columns that tell when left out.
#[derive(Debug)]
pub(crate) struct Table {
    /// DuckDB's types by the columns' names.
    pub(crate) types: BTreeMap<String, String>,
    rows: Vec<Value>,
}

impl Table {
    /// Reads `source/resource`; it has no columns where nothing is stored.
    pub(crate) fn read(lake: &Lake, table: &str) -> Self {
        let script = r#"
import duckdb, glob, json, os
files = glob.glob(os.environ['TABLE'] + '/**/*.parquet', recursive=True)
types, rows = {}, []
if files:
    stored = duckdb.read_parquet(files, union_by_name=True)
    types = dict(zip(stored.columns, map(str, stored.types)))
    zoned = 'TIMESTAMP WITH TIME ZONE'
    names = [name for name in types if name not in ('synced_at', 'first_seen_at', '_fingerprint')]
    def plain(name):
        column = '"' + name + '"'
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S')" if types[name] == zoned else column
    selected = stored.project(', '.join(map(plain, names))).fetchall()
    rows = [dict(zip(names, row)) for row in selected]
print(json.dumps({'types': types, 'rows': rows}, default=str))
"#;
        let path = lake.path().join(table).display().to_string();
        let mut read = python(script, &[("TABLE", &path), ("TZ", "UTC")]);
        let rows = serde_json::from_value(read["rows"].take()).unwrap();
        Self { types: serde_json::from_value(read["types"].take()).unwrap(), rows }
    }

    /// The rows number as many as `expected` and have what each of these says: no more, no less, and each once.
    pub(crate) fn assert_holds(&self, expected: impl IntoIterator<Item = Value>) {
        let mut stored: Vec<Map<String, Value>> = self.rows.iter().map(said).collect();
        let mut expected: Vec<Map<String, Value>> = expected.into_iter().map(|record| said(&record)).collect();
        for records in [&mut stored, &mut expected] {
            records.sort_by_cached_key(|record| Value::Object(record.clone()).to_string());
        }
        assert_eq!(stored.len(), expected.len(), "rows");
        for (stored, expected) in stored.iter().zip(&expected) {
            assert_eq!(stored, expected);
        }
    }

    /// The columns have these types, by DuckDB's names.
    pub(crate) fn assert_types(&self, expected: &[(&str, &str)]) {
        for (name, data_type) in expected {
            assert_eq!(self.types.get(*name).map(String::as_str), Some(*data_type), "{name}: {:?}", self.types);
        }
    }
}

/// What a record says: its members without nulls, lists and objects as the text that a column holds, `20` as `20.0`.
fn said(record: &Value) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => Value::from(value.to_string()),
        Value::Number(number) => Value::from(number.as_f64()),
        scalar => scalar.clone(),
    };
    let members = record.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The records of a report that change something, and the objects written: `[new, changed, objects]`.
pub(crate) fn written(report: &Value) -> [u64; 3] {
    let records = &report["records"];
    [&records["new"], &records["changed"], &report["objects"]].map(|count| count.as_u64().unwrap())
}

/// How many of the records of `after` are new, and how many have changed since `before`; `key` tells them apart.
pub(crate) fn moved<K: Ord>(before: &[Value], after: &[Value], key: impl Fn(&Value) -> K) -> [u64; 2] {
    let known: BTreeMap<K, &Value> = before.iter().map(|record| (key(record), record)).collect();
    let mut moved = [0, 0];
    for record in after {
        match known.get(&key(record)) {
            None => moved[0] += 1,
            Some(earlier) if **earlier != *record => moved[1] += 1,
            Some(_) => {}
        }
    }
    moved
}
