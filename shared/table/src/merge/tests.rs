//! The laws of merge, history, removal and marks, over a directory and in both formats.
//!
//! The tests share one table, `test/things`, whose rows [`thing`] makes. Each module has the laws of one subject.

mod columns;
mod counts;
mod history;
mod order;
mod overlap;
mod removal;
mod store;
mod upsert;
mod vanished;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use chrono::Utc;
use futures::TryStreamExt;
use lake::{ListedObject, Local, Store};
use manifest::{Manifest, PART_BYTES};
use serde_json::{Value, json};

use super::part::{Part, PartName};
use super::{Merged, Table, key_hash};
use crate::format::Format;
use crate::map::{Mapper, engine_columns};

const FORMATS: [Format; 2] = [Format::Parquet, Format::Json];

/// Two partitions, by the `id`.
const BUCKETS: &str = "[{name: b, from: id, transform: 'bucket[2]'}]";

/// A part of this target size is full as soon as it is written.
const FULL: usize = 1;

/// The manifest of the table `things`, with further columns in `columns`.
fn manifest(disposition: &str, partition: &str, columns: &str) -> Manifest {
    let text = format!(
        "client: {{base_url: 'https://x'}}
resources:
  - name: things
    primary_key: [place, id]
    write_disposition: {disposition}
    endpoint: {{data_selector: data, paginator: single_page}}
    partition: {partition}
    columns: {{place: {{data_type: text}}, id: {{data_type: bigint}}, amount: {{data_type: double}}, at: {{data_type: timestamp}},
              tags: {{path: 'tags[*]', data_type: text, list: true}}{columns}}}"
    );
    Manifest::parse("test.yaml", &text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A record of the table. Its field `more`, which has the version, goes to `_extra`.
fn thing(id: i64, version: i64) -> Value {
    let tags: Vec<String> = (0..id % 3).map(|tag| format!("t{tag}")).collect();
    json!({"place": "p", "id": id, "amount": 0.1 * version as f64, "at": "2026-11-21T10:00:00.123456Z", "tags": tags,
           "more": {"n": version, "text": "a \"quoted\" — line\n"}})
}

fn things(ids: impl IntoIterator<Item = i64>, version: i64) -> Vec<Value> {
    ids.into_iter().map(|id| thing(id, version)).collect()
}

/// The hashes of the keys of these things.
fn hashes(manifest: &Manifest, ids: impl IntoIterator<Item = i64>) -> HashSet<u64> {
    let mapper = Mapper::new(&manifest.resources[0]);
    ids.into_iter().map(|id| key_hash(&mapper.map(thing(id, 1)).remove(0).unwrap().key)).collect()
}

fn table<'t>(store: &'t dyn Store, manifest: &Manifest, format: Format) -> Table<'t> {
    Table::new(store, &manifest.name, &manifest.resources[0], format)
}

/// Merges records into the lake at `root`, with parts of this target size in bytes.
async fn merge(root: &Path, manifest: &Manifest, format: Format, target: usize, records: &[Value]) -> Merged {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format).with_target_bytes(target);
    let mapper = Mapper::new(&manifest.resources[0]);
    let mut buffer = table.buffer();
    let read_at = Utc::now();
    for record in records {
        mapper.map(record.clone()).into_iter().for_each(|row| buffer.push(row.unwrap(), read_at));
    }
    let mut merged = Merged::default();
    table.merge(&mut buffer, &mut merged).await.unwrap();
    merged
}

async fn open_part(table: &Table<'_>, listed: &ListedObject) -> Part {
    let prefix = listed.key.rsplit_once('/').unwrap().0;
    let name = PartName::parse(prefix, &listed.key).unwrap();
    Part::open(&table.context, name, listed).await.unwrap().unwrap()
}

async fn read_part(table: &Table<'_>, listed: &ListedObject) -> Vec<RecordBatch> {
    let part = open_part(table, listed).await;
    part.read_batches(&table.context.row_schema, None).unwrap().try_collect().await.unwrap()
}

/// Every stored row as `id → (version, fingerprint)`, and the number of parts. A key that is stored twice fails the test.
async fn stored(root: &Path, manifest: &Manifest, format: Format) -> (BTreeMap<i64, (i64, i64)>, usize) {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format);
    let mut rows = BTreeMap::new();
    let listed = store.list("test/things/").await.unwrap();
    for listed in &listed {
        for batch in read_part(&table, listed).await {
            let fingerprints =
                batch.column_by_name(engine_columns::FINGERPRINT).unwrap().as_primitive::<Int64Type>().clone();
            for (row, (id, version)) in ids_and_versions(&batch).into_iter().enumerate() {
                let twice = rows.insert(id, (version, fingerprints.value(row)));
                assert_eq!(twice, None, "key {id} is stored twice");
            }
        }
    }
    (rows, listed.len())
}

/// The `id` and the version of each row.
fn ids_and_versions(batch: &RecordBatch) -> Vec<(i64, i64)> {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let extra = batch.column_by_name(engine_columns::EXTRA).unwrap().as_string::<i32>();
    let version = |row: usize| {
        let extra: Value = serde_json::from_str(extra.value(row)).unwrap();
        extra["more"]["n"].as_i64().unwrap()
    };
    (0..batch.num_rows()).map(|row| (ids.value(row), version(row))).collect()
}

/// Every stored row as `id → version`.
async fn stored_versions(root: &Path, manifest: &Manifest, format: Format) -> BTreeMap<i64, i64> {
    let (rows, _) = stored(root, manifest, format).await;
    rows.into_iter().map(|(id, (version, _))| (id, version)).collect()
}

async fn stored_ids(root: &Path, manifest: &Manifest, format: Format) -> Vec<i64> {
    stored(root, manifest, format).await.0.into_keys().collect()
}

/// The row groups of a Parquet file: the number of rows, and the bytes of the second column.
fn row_groups(path: &Path) -> Vec<(i64, bytes::Bytes)> {
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let group = |group: &parquet::file::metadata::RowGroupMetaData| {
        let (start, length) = group.column(1).byte_range();
        (group.num_rows(), bytes.slice(start as usize..(start + length) as usize))
    };
    metadata.row_groups().iter().map(group).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
