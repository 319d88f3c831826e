//! The laws of the merge, over a directory, in both formats.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures::TryStreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::part::{Name, Part};
use super::*;
use crate::manifest::Manifest;
use crate::map::{Mapper, own};
use crate::store::Local;

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

const BUCKETS: &str = "[{name: b, from: id, transform: 'bucket[2]'}]";

fn thing(id: i64, version: i64) -> Value {
    let tags: Vec<String> = (0..id % 3).map(|tag| format!("t{tag}")).collect();
    json!({"place": "p", "id": id, "amount": 0.1 * version as f64, "at": "2026-11-21T10:00:00.123456Z", "tags": tags,
           "more": {"n": version, "text": "a \"quoted\" — line\n"}})
}

async fn merge(root: &Path, manifest: &Manifest, format: Format, target: usize, records: &[Value]) -> Merged {
    let store = Local::new(root.to_owned());
    let resource = &manifest.resources[0];
    let table = Table::new(&store, &manifest.name, resource, format).with_target_bytes(target);
    let mapper = Mapper::new(resource);
    let mut buffer = table.buffer();
    for record in records {
        mapper.map(record.clone()).into_iter().for_each(|row| buffer.push(row.unwrap()));
    }
    table.merge(&mut buffer).await.unwrap()
}

/// Every stored row as `id → (version, fingerprint)`, and the number of parts; a key stored twice fails.
async fn stored(root: &Path, manifest: &Manifest, format: Format) -> (BTreeMap<i64, (i64, i64)>, usize) {
    let store = Local::new(root.to_owned());
    let table = Table::new(&store, &manifest.name, &manifest.resources[0], format);
    let mut rows = BTreeMap::new();
    let listed = store.list("test/things/").await.unwrap();
    for listed in &listed {
        let folder = listed.key.rsplit_once('/').unwrap().0;
        let name = Name::parse(folder, &listed.key).unwrap();
        let part = Part::open(&table, name, listed).await.unwrap().unwrap();
        let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
        for batch in batches {
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
            let fingerprints = batch.column_by_name(own::FINGERPRINT).unwrap().as_primitive::<Int64Type>().clone();
            let extra = batch.column_by_name(own::EXTRA).unwrap().as_string::<i32>().clone();
            for row in 0..batch.num_rows() {
                let extra: Value = serde_json::from_str(extra.value(row)).unwrap();
                let version = extra["more"]["n"].as_i64().unwrap();
                let twice = rows.insert(ids.value(row), (version, fingerprints.value(row)));
                assert_eq!(twice, None, "key {} is stored twice", ids.value(row));
            }
        }
    }
    (rows, listed.len())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the batches, their order, the size of parts and the format: the lake holds each key once, with its last
    /// version, and the counts say what happened.
    #[test]
    fn a_merge_is_an_upsert(
        batches in prop::collection::vec(prop::collection::vec((0_i64..60, 0_i64..3), 0..40), 1..6),
        targets in prop::collection::vec(prop::sample::select(vec![1, 3000, 6000, 1 << 20]), 6),
        json in any::<bool>(),
        append in any::<bool>(),
    ) {
        let format = if json { Format::Json } else { Format::Parquet };
        let manifest = manifest(if append { "append" } else { "merge" }, BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        let mut model: BTreeMap<i64, i64> = BTreeMap::new();
        for (batch, target) in batches.iter().zip(&targets) {
            let records: Vec<Value> = batch.iter().map(|(id, version)| thing(*id, *version)).collect();
            let merged = block_on(merge(root.path(), &manifest, format, *target, &records));
            let last: BTreeMap<i64, i64> = batch.iter().copied().collect();
            let new = last.keys().filter(|id| !model.contains_key(id)).count();
            let changed = last.iter().filter(|(id, version)| model.get(id).is_some_and(|was| was != *version)).count();
            for (id, version) in last {
                if append { model.entry(id).or_insert(version); } else { model.insert(id, version); }
            }
            prop_assert_eq!(merged.new, new as u64);
            prop_assert_eq!(merged.changed, if append { 0 } else { changed as u64 });
            prop_assert_eq!(merged.new + merged.changed + merged.unchanged, batch.len() as u64);
            let (rows, _) = block_on(stored(root.path(), &manifest, format));
            let versions: BTreeMap<i64, i64> = rows.into_iter().map(|(id, (version, _))| (id, version)).collect();
            prop_assert_eq!(&versions, &model);
        }
    }
}

#[tokio::test]
async fn a_second_merge_of_the_same_writes_nothing() {
    for format in [Format::Parquet, Format::Json] {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        let records: Vec<Value> = (0..500).map(|id| thing(id, 1)).collect();
        let first = merge(root.path(), &manifest, format, TARGET_BYTES, &records).await;
        assert_eq!((first.new, first.objects), (500, 2));
        let second = merge(root.path(), &manifest, format, TARGET_BYTES, &records).await;
        assert_eq!(second, Merged { unchanged: 500, ..Merged::default() });
    }
}

#[tokio::test]
async fn a_full_part_is_followed_by_the_next() {
    for format in [Format::Parquet, Format::Json] {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 5000, 10_000] {
            let records: Vec<Value> = (begin..begin + 5000).map(|id| thing(id, 1)).collect();
            merge(root.path(), &manifest, format, 1000, &records).await;
        }
        let (rows, parts) = stored(root.path(), &manifest, format).await;
        assert_eq!(rows.len(), 15_000);
        // 4,096 rows, the least that is written at once, fill a part of this size.
        assert!((4..=6).contains(&parts), "{parts}");
    }
}

#[tokio::test]
async fn writers_at_once_lose_and_double_nothing() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    let writers = (0..8).map(|writer: i64| {
        let (root, manifest) = (root.path().to_owned(), manifest.clone());
        let format = Format::Parquet;
        async move {
            let mut merged = Merged::default();
            for round in 0..5 {
                // Half of each batch is every writer's, half its own.
                let shared = round * 20..round * 20 + 20;
                let own = (1000 + writer * 100 + round * 10)..(1000 + writer * 100 + round * 10 + 10);
                let records: Vec<Value> = shared.chain(own).map(|id| thing(id, 1)).collect();
                merged += merge(&root, &manifest, format, if writer % 2 == 0 { 2000 } else { 1 << 20 }, &records).await;
            }
            merged
        }
    });
    let mut total = Merged::default();
    for writer in futures::future::join_all(writers).await {
        total += writer;
    }
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(rows.len(), 100 + 400);
    assert_eq!((total.new, total.changed, total.unchanged), (500, 0, 8 * 5 * 30 - 500));
}

#[tokio::test]
async fn a_column_that_the_manifest_drops_stays_in_its_part() {
    let before = manifest("merge", "[]", ", note: {data_type: text}");
    let root = tempfile::tempdir().unwrap();
    let mut noted = thing(1, 1);
    noted["note"] = json!("kept");
    merge(root.path(), &before, Format::Parquet, TARGET_BYTES, &[noted]).await;
    let after = manifest("merge", "[]", ", colour: {data_type: text}");
    merge(root.path(), &after, Format::Parquet, TARGET_BYTES, &[thing(2, 1)]).await;

    let store = Local::new(root.path().to_owned());
    let table = Table::new(&store, "test", &after.resources[0], Format::Parquet);
    let listed = store.list("test/things/").await.unwrap();
    let part =
        Part::open(&table, Name::parse("test/things", &listed[0].key).unwrap(), &listed[0]).await.unwrap().unwrap();
    let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
    let notes: Vec<Option<String>> = batches[0]
        .column_by_name("note")
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(|note| note.map(str::to_owned))
        .collect();
    assert_eq!(notes, [Some("kept".into()), None]);
    assert!(batches[0].column_by_name("colour").is_some());
}

#[tokio::test]
async fn an_update_keeps_when_the_key_was_first_seen() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, TARGET_BYTES, &[thing(1, 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    merge(root.path(), &manifest, Format::Parquet, TARGET_BYTES, &[thing(1, 2), thing(2, 1)]).await;
    let store = Local::new(root.path().to_owned());
    let table = Table::new(&store, "test", &manifest.resources[0], Format::Parquet);
    let listed = store.list("test/things/").await.unwrap();
    let part =
        Part::open(&table, Name::parse("test/things", &listed[0].key).unwrap(), &listed[0]).await.unwrap().unwrap();
    let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
    let column = |name: &str| {
        let column = batches[0].column_by_name(name).unwrap();
        column.as_primitive::<arrow_array::types::TimestampMicrosecondType>().values().to_vec()
    };
    let (first_seen, synced) = (column(own::FIRST_SEEN_AT), column(own::SYNCED_AT));
    assert!(first_seen[0] < synced[0], "updated: seen first, synced later");
    assert_eq!(synced[0], synced[1]);
    assert_eq!(first_seen[1], synced[1], "new: both at once");
}
