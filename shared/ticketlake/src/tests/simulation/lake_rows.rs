//! The rows in the lake of a scenario.

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use lake::Memory;
use serde::Deserialize;
use serde_json::Value;

use crate::tests::rows::rows;

/// What identifies a row: its id, and its version if the table has no key.
pub(super) type RowKey = (u32, Option<u32>);

/// The versions of each row, as often as it is stored.
pub(super) type Rows = BTreeMap<RowKey, Vec<u32>>;

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    version: Value,
}

/// The rows of `table`. Numbers may be stored as texts, if the manifest has no columns.
pub(super) fn stored_rows(lake: &Memory, table: &str, has_key: bool) -> Rows {
    let folder = format!("sim/{table}/");
    let mut stored = Rows::new();
    let mut add = |id: &Value, version: &Value| {
        if id.is_null() {
            return;
        }
        let (id, version) = (number(id), number(version));
        stored.entry((id, (!has_key).then_some(version))).or_default().push(version);
    };
    let mut has_parquet = false;
    for (key, bytes) in lake.objects().iter().filter(|(key, _)| key.starts_with(&folder)) {
        if key.ends_with(".parquet") {
            has_parquet = true;
            continue;
        }
        for line in text(bytes).lines() {
            let row: Row = serde_json::from_str(line).unwrap();
            add(&row.id, &row.version);
        }
    }
    if has_parquet {
        for row in rows(lake, folder.trim_end_matches('/')) {
            add(row.get("id").unwrap_or(&Value::Null), row.get("version").unwrap_or(&Value::Null));
        }
    }
    stored
}

fn text(part: &Bytes) -> String {
    let mut text = String::new();
    GzDecoder::new(part.as_ref()).read_to_string(&mut text).unwrap();
    text
}

fn number(value: &Value) -> u32 {
    match value {
        Value::String(text) => text.parse().unwrap_or(0),
        value => value.as_u64().unwrap_or(0) as u32,
    }
}
