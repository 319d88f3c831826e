//! The laws of the merge, over a directory, in both formats.

mod counts;
mod missing;
mod overlap;
mod removal;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use futures::TryStreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::name::Name;
use super::part::Part;
use super::*;
use crate::Format;
use crate::error::Error;
use crate::merge::concurrent::MAX_CONCURRENT;
use manifest::{Manifest, PART_BYTES};
use crate::map::{Mapper, own};
use lake::Local;

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
    let mut merged = Merged::default();
    table.merge(&mut buffer, &mut merged).await.unwrap();
    merged
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
        let first = merge(root.path(), &manifest, format, PART_BYTES, &records).await;
        assert_eq!((first.new, first.objects), (500, 2));
        let second = merge(root.path(), &manifest, format, PART_BYTES, &records).await;
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

/// Row groups that no update touches are copied; the rows come out the same, in the same order.
#[tokio::test]
async fn a_rewrite_copies_what_it_does_not_touch() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    let target = 600_000;
    let records: Vec<Value> = (0..40_000).map(|id| thing(id, id % 7)).collect();
    merge(root.path(), &manifest, Format::Parquet, target, &records).await;
    let path = root.path().join("test/things/part-00000.parquet");
    let chunks = |path: &Path| {
        let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
        let metadata = ::parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let ranges = metadata.row_groups().iter().map(|group| group.column(1).byte_range());
        ranges.map(|(start, length)| bytes.slice(start as usize..(start + length) as usize)).collect::<Vec<_>>()
    };
    let before = chunks(&path);
    assert!(before.len() >= 3, "{} row groups", before.len());

    let merged = merge(root.path(), &manifest, Format::Parquet, target, &[thing(1, 100), thing(50_000, 1)]).await;
    assert_eq!((merged.new, merged.changed), (1, 1));
    let after = chunks(&path);
    // The new row joins the last row group, or begins one where that is large.
    assert!((before.len()..=before.len() + 1).contains(&after.len()), "{} row groups", after.len());
    assert_eq!(after[1..before.len() - 1], before[1..before.len() - 1]);
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(rows.len(), 40_001);
    assert_eq!(rows[&1].0, 100);
    assert!((2..40_000).all(|id| rows[&id].0 == id % 7));
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

/// S3 knows a version by its bytes. A writer whose answer was lost writes the same batch over again, and then what was read before must
/// not match.
#[tokio::test]
async fn the_same_rows_again_are_another_version() {
    for format in [Format::Parquet, Format::Json] {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        let store = Local::new(root.path().to_owned());
        let resource = &manifest.resources[0];
        let table = Table::new(&store, &manifest.name, resource, format);
        let batches = [1, 2].map(|version| {
            let mut buffer = table.buffer();
            Mapper::new(resource).map(thing(1, version)).into_iter().for_each(|row| buffer.push(row.unwrap()));
            buffer.take(chrono::DateTime::UNIX_EPOCH).unwrap().unwrap()
        });
        let mut seen = Vec::new();
        for batch in batches.iter().cycle().take(6) {
            let mut merged = Merged::default();
            partition::merge(&table, "", batch, &[0], None, &mut merged).await.unwrap();
            assert_eq!(merged.new + merged.changed, 1);
            let listed = store.list("test/things/").await.unwrap();
            let (bytes, _) = store.get(&listed[0].key).await.unwrap().unwrap();
            assert!(!seen.contains(&bytes), "{format:?}: version {} is an earlier one again", seen.len());
            seen.push(bytes);
        }
    }
}

#[tokio::test]
async fn a_column_that_the_manifest_drops_stays_in_its_part() {
    let before = manifest("merge", "[]", ", note: {data_type: text}");
    let root = tempfile::tempdir().unwrap();
    let mut noted = thing(1, 1);
    noted["note"] = json!("kept");
    merge(root.path(), &before, Format::Parquet, PART_BYTES, &[noted]).await;
    let after = manifest("merge", "[]", ", colour: {data_type: text}");
    merge(root.path(), &after, Format::Parquet, PART_BYTES, &[thing(2, 1)]).await;

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

/// Every stored version of the history as `(id, version, date folder)`.
async fn history(root: &Path, manifest: &Manifest) -> Vec<(i64, i64, String)> {
    let store = Local::new(root.to_owned());
    let table = Table::new(&store, &manifest.name, &manifest.resources[0], Format::Parquet);
    let mut versions = Vec::new();
    for listed in store.list("test/things_history/").await.unwrap() {
        let folder = listed.key.rsplit_once('/').unwrap().0;
        let part = Part::open(&table, Name::parse(folder, &listed.key).unwrap(), &listed).await.unwrap().unwrap();
        let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
        for batch in batches {
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
            let extra = batch.column_by_name(own::EXTRA).unwrap().as_string::<i32>().clone();
            for row in 0..batch.num_rows() {
                let extra: Value = serde_json::from_str(extra.value(row)).unwrap();
                let day = folder.rsplit_once('=').unwrap().1.to_owned();
                versions.push((ids.value(row), extra["more"]["n"].as_i64().unwrap(), day));
            }
        }
    }
    versions.sort();
    versions
}

fn with_history() -> Manifest {
    let mut manifest = manifest("merge", BUCKETS, "");
    manifest.resources[0].history = true;
    manifest
}

#[tokio::test]
async fn every_version_is_kept_once_also_one_that_returns() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    for version in [1, 2, 2, 1] {
        let records: Vec<Value> = (0..40).map(|id| thing(id, if id < 10 { version } else { 1 })).collect();
        merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &records).await;
    }
    let versions: Vec<(i64, i64)> =
        history(root.path(), &manifest).await.into_iter().map(|(id, n, _)| (id, n)).collect();
    let mut expected: Vec<(i64, i64)> = (0..40).map(|id| (id, 1)).collect();
    expected.extend((0..10).flat_map(|id| [(id, 1), (id, 2)]));
    expected.sort_unstable();
    assert_eq!(versions, expected);
}

/// A run wrote a version into the history and was killed before the table had it, yesterday: today's run meets the same change.
#[tokio::test]
async fn a_version_is_kept_once_also_after_a_crash_between_the_two_writes() {
    let manifest = with_history();
    let resource = &manifest.resources[0];
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 1), thing(2, 1)]).await;
    let store = Local::new(root.path().to_owned());
    let yesterday = Utc::now() - chrono::TimeDelta::days(1);
    {
        let table = Table::new(&store, &manifest.name, resource, Format::Parquet);
        let mut buffer = table.buffer();
        let mapper = Mapper::new(resource);
        [thing(1, 2), thing(3, 1)].into_iter().for_each(|record| buffer.push(mapper.map(record).remove(0).unwrap()));
        let batch = buffer.take(yesterday).unwrap().unwrap();
        let mut versions = Vec::new();
        for (folder, rows) in &batch.partitions {
            versions.extend(partition::new_versions(&table, folder, &batch, rows).await.unwrap());
        }
        table.history.as_ref().unwrap().record(&batch, &versions, &mut Merged::default()).await.unwrap();
    }
    let merged =
        merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 2), thing(2, 2), thing(3, 1)]).await;
    assert_eq!((merged.new, merged.changed), (1, 2));
    let (day, today) = (yesterday.date_naive().to_string(), Utc::now().date_naive().to_string());
    let expected = [(1, 1, &today), (1, 2, &day), (2, 1, &today), (2, 2, &today), (3, 1, &day)]
        .map(|(id, n, day)| (id, n, day.clone()));
    assert_eq!(history(root.path(), &manifest).await, expected);
}

#[tokio::test]
async fn a_decimal_keeps_every_digit_in_both_formats() {
    let manifest = manifest(
        "merge",
        "[]",
        ", price: {data_type: decimal}, prices: {path: 'prices[*]', data_type: decimal, list: true}",
    );
    let price = "12345678901234567890123456789.123456789";
    let digits = 12_345_678_901_234_567_890_123_456_789_123_456_789_i128;
    for format in [Format::Parquet, Format::Json] {
        let root = tempfile::tempdir().unwrap();
        let mut priced = thing(1, 1);
        (priced["price"], priced["prices"]) = (json!(price), json!([price, null, "0.1"]));
        merge(root.path(), &manifest, format, PART_BYTES, &[priced]).await;
        // Read and written again with the row beside it.
        merge(root.path(), &manifest, format, PART_BYTES, &[thing(2, 1)]).await;

        let store = Local::new(root.path().to_owned());
        let table = Table::new(&store, "test", &manifest.resources[0], format);
        let listed = store.list("test/things/").await.unwrap();
        let name = Name::parse("test/things", &listed[0].key).unwrap();
        let part = Part::open(&table, name, &listed[0]).await.unwrap().unwrap();
        let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
        let column = |name: &str| batches[0].column_by_name(name).unwrap();
        let numbers = |column: &dyn Array| column.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
        assert_eq!(numbers(column("price")), [Some(digits), None], "{format:?}");
        assert_eq!(numbers(&column("prices").as_list::<i32>().value(0)), [Some(digits), Some(100_000_000)]);
        if format == Format::Json {
            let bytes = std::fs::read(root.path().join(&listed[0].key)).unwrap();
            let line: Value = serde_json::Deserializer::from_reader(flate2::read::GzDecoder::new(&bytes[..]))
                .into_iter()
                .next()
                .unwrap()
                .unwrap();
            assert_eq!(line["price"], price, "text: a number is read as a double");
        }
    }
}

/// A run with the older manifest, still under way when another widened the column: it must not narrow what that one wrote.
#[tokio::test]
async fn a_column_that_was_widened_meanwhile_is_not_narrowed() {
    let root = tempfile::tempdir().unwrap();
    let (older, newer) = (", n: {data_type: bigint}", ", n: {data_type: double}");
    let record = |id: i64, n: Value| {
        let mut record = thing(id, 1);
        record["n"] = n;
        record
    };
    let (older, newer) = (manifest("merge", "[]", older), manifest("merge", "[]", newer));
    merge(root.path(), &older, Format::Parquet, PART_BYTES, &[record(1, json!(1))]).await;
    merge(root.path(), &newer, Format::Parquet, PART_BYTES, &[record(2, json!(1.5))]).await;
    let store = Local::new(root.path().to_owned());
    let table = Table::new(&store, "test", &older.resources[0], Format::Parquet);
    let mut buffer = table.buffer();
    buffer.push(Mapper::new(&older.resources[0]).map(record(3, json!(3))).remove(0).unwrap());
    let error = table.merge(&mut buffer, &mut Merged::default()).await.unwrap_err();
    assert!(error.to_string().contains("columns.n"), "{error}");
    // The newer manifest's run goes on, and both values are what they were.
    let merged =
        merge(root.path(), &newer, Format::Parquet, PART_BYTES, &[record(1, json!(1)), record(2, json!(1.5))]).await;
    assert_eq!(merged.new, 0);
    assert_eq!(stored(root.path(), &newer, Format::Parquet).await.0.len(), 2);
}

#[tokio::test]
async fn an_update_keeps_when_the_key_was_first_seen() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 2), thing(2, 1)]).await;
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
