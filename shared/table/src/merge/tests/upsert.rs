//! The laws of the merge: each key is stored once, with its last version, and the counts say what happened.

use std::time::Duration;

use arrow_array::types::TimestampMicrosecondType;
use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::merge::partition::PartitionMerge;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// This holds for any batches, in any order, with parts of any size and in either format.
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
            prop_assert_eq!(&block_on(stored_versions(root.path(), &manifest, format)), &model);
        }
    }
}

#[tokio::test]
async fn a_second_merge_of_the_same_records_writes_nothing() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        let records = things(0..500, 1);
        let first = merge(root.path(), &manifest, format, PART_BYTES, &records).await;
        assert_eq!((first.new, first.objects), (500, 2));
        let second = merge(root.path(), &manifest, format, PART_BYTES, &records).await;
        assert_eq!(second, Merged { unchanged: 500, ..Merged::default() });
    }
}

#[tokio::test]
async fn a_full_part_is_followed_by_the_next() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 5000, 10_000] {
            merge(root.path(), &manifest, format, 1000, &things(begin..begin + 5000, 1)).await;
        }
        let (rows, parts) = stored(root.path(), &manifest, format).await;
        assert_eq!(rows.len(), 15_000);
        // 4,096 rows are written before the size is compared with the target, and they fill a part of this size.
        assert!((4..=6).contains(&parts), "{parts}");
    }
}

/// Row groups without an update are copied, and the rows stay the same, in the same order.
#[tokio::test]
async fn an_update_copies_the_other_row_groups() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    let target = 600_000;
    let records: Vec<Value> = (0..40_000).map(|id| thing(id, id % 7)).collect();
    merge(root.path(), &manifest, Format::Parquet, target, &records).await;
    let path = root.path().join("test/things/part-00000.parquet");
    let before = row_groups(&path);
    assert!(before.len() >= 3, "{} row groups", before.len());

    let merged = merge(root.path(), &manifest, Format::Parquet, target, &[thing(1, 100), thing(50_000, 1)]).await;
    assert_eq!((merged.new, merged.changed), (1, 1));
    let after = row_groups(&path);
    // The new row joins the last row group, or begins another one if that is large.
    assert!((before.len()..=before.len() + 1).contains(&after.len()), "{} row groups", after.len());
    assert_eq!(after[1..before.len() - 1], before[1..before.len() - 1]);
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(rows.len(), 40_001);
    assert_eq!(rows[&1].0, 100);
    assert!((2..40_000).all(|id| rows[&id].0 == id % 7));
}

#[tokio::test]
async fn concurrent_merges_lose_and_double_no_row() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    let writers = (0..8).map(|writer: i64| {
        let (root, manifest) = (root.path().to_owned(), manifest.clone());
        let target = if writer % 2 == 0 { 2000 } else { 1 << 20 };
        async move {
            let mut merged = Merged::default();
            for round in 0..5 {
                // A part of each batch is merged by every writer, and the rest by this one alone.
                let shared = round * 20..round * 20 + 20;
                let own = (1000 + writer * 100 + round * 10)..(1000 + writer * 100 + round * 10 + 10);
                merged += merge(&root, &manifest, Format::Parquet, target, &things(shared.chain(own), 1)).await;
            }
            merged
        }
    });
    let mut total = Merged::default();
    for merged in futures::future::join_all(writers).await {
        total += merged;
    }
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(rows.len(), 100 + 400);
    assert_eq!((total.new, total.changed, total.unchanged), (500, 0, 8 * 5 * 30 - 500));
}

/// S3 identifies a version by its bytes. A writer whose response got lost writes the same batch again, and then a version that was read
/// before must not match.
#[tokio::test]
async fn the_same_rows_written_again_are_another_version() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        let store = Local::new(root.path().to_owned());
        let table = table(&store, &manifest, format);
        let batches = [1, 2].map(|version| {
            let mut buffer = table.buffer();
            let rows = Mapper::new(&manifest.resources[0]).map(thing(1, version));
            rows.into_iter().for_each(|row| buffer.push(row.unwrap(), Utc::now()));
            buffer.take_batch(DateTime::UNIX_EPOCH).unwrap().unwrap()
        });
        let mut seen = Vec::new();
        for batch in batches.iter().cycle().take(6) {
            let mut merged = Merged::default();
            PartitionMerge::new(&table.context, "", batch).run(&[0], &mut merged).await.unwrap();
            assert_eq!(merged.new + merged.changed, 1);
            let listed = store.list("test/things/").await.unwrap();
            let (bytes, _) = store.get(&listed[0].key).await.unwrap().unwrap();
            assert!(!seen.contains(&bytes), "{format:?}: version {} equals an earlier one", seen.len());
            seen.push(bytes);
        }
    }
}

#[tokio::test]
async fn an_update_keeps_the_time_when_the_key_was_first_seen() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 1)]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 2), thing(2, 1)]).await;
    let store = Local::new(root.path().to_owned());
    let table = table(&store, &manifest, Format::Parquet);
    let batches = read_part(&table, &store.list("test/things/").await.unwrap()[0]).await;
    let column = |name: &str| {
        let column = batches[0].column_by_name(name).unwrap();
        column.as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    let (first_seen, synced) = (column(engine_columns::FIRST_SEEN_AT), column(engine_columns::SYNCED_AT));
    assert!(first_seen[0] < synced[0], "the updated row was first seen before it was written");
    assert_eq!(synced[0], synced[1]);
    assert_eq!(first_seen[1], synced[1], "the inserted row was first seen when it was written");
}
