//! The laws of removals while other runs write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use lake::ErrorKind;

use super::removal::retain_in;
use super::store::{Interposed, refusal};
use super::*;

/// Before the first write of the removal, another run updates a row of the part, inserts one, and updates one that the removal did not see.
#[tokio::test]
async fn a_part_that_another_run_wrote_is_revised_again() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        merge(root.path(), &manifest, format, PART_BYTES, &things(0..10, 1)).await;
        let writes = Arc::new(AtomicU32::new(0));
        let (path, other, counted) = (root.path().to_owned(), manifest.clone(), Arc::clone(&writes));
        let store = Interposed::new(root.path(), move |operation, _| {
            let (path, other) = (path.clone(), other.clone());
            let first = operation == "write" && counted.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    let records = things([1, 7, 20], 2);
                    let merge = move || block_on(merge(&path, &other, format, PART_BYTES, &records));
                    tokio::task::spawn_blocking(merge).await.unwrap();
                }
                Ok(())
            }
        });
        let (removed, outcome) = retain_in(&store, &manifest, format, 0..5, Utc::now()).await;
        outcome.unwrap();
        assert_eq!((removed.removed, removed.objects, writes.load(Ordering::Relaxed)), (4, 1, 2));
        let versions: Vec<(i64, i64)> = stored_versions(root.path(), &manifest, format).await.into_iter().collect();
        assert_eq!(versions, [(0, 1), (1, 2), (2, 1), (3, 1), (4, 1), (7, 2), (20, 2)]);
    }
}

/// In a bucket, a version that was replaced can no longer be read.
#[tokio::test]
async fn a_part_that_was_replaced_during_a_read_is_revised_again() {
    let manifest = manifest("merge", "[]", "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &things(0..10, 1)).await;
    let reads = AtomicU32::new(0);
    let store = Interposed::new(root.path(), move |operation, key| {
        let changed = operation == "read" && reads.fetch_add(1, Ordering::Relaxed) < 2;
        let outcome = if changed { Err(refusal(ErrorKind::Changed, operation, key)) } else { Ok(()) };
        async { outcome }
    });
    let (removed, outcome) = retain_in(&store, &manifest, Format::Parquet, 0..5, Utc::now()).await;
    outcome.unwrap();
    assert_eq!(removed.removed, 5);
    assert_eq!(stored_ids(root.path(), &manifest, Format::Parquet).await, [0, 1, 2, 3, 4]);
}

/// Some runs insert and update while two others remove the same rows.
#[tokio::test]
async fn concurrent_merges_and_removals_lose_and_double_no_row() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in (0..600).step_by(100) {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        let begin = Utc::now();
        let store = Local::new(root.path().to_owned());
        let remove = || retain_in(&store, &manifest, format, 0..300, begin);
        let writers = async {
            futures::future::join_all((0..4).map(|writer: i64| {
                let (root, manifest) = (root.path(), &manifest);
                async move {
                    for round in 0..6 {
                        // New rows, a row that stays, and a row that is removed unless it is written later.
                        let begin = 1000 + writer * 100 + round * 10;
                        let records = (begin..begin + 10).chain([writer * 10 + round, 400 + writer * 10 + round]);
                        merge(root, manifest, format, 3000, &things(records, 2)).await;
                    }
                }
            }))
            .await;
        };
        let (_, (one, done), (other, done_too)) = tokio::join!(writers, remove(), remove());
        done.and(done_too).unwrap();
        let (rows, _) = stored(root.path(), &manifest, format).await;
        let written = |id: i64| (id % 100) / 10 < 4 && id % 10 < 6;
        for id in 0..300 {
            assert_eq!(rows[&id].0, if id < 100 && written(id) { 2 } else { 1 }, "{id}");
        }
        let mut updated = (400..500).filter(|id| written(*id));
        assert!(updated.all(|id| rows[&id].0 == 2), "these rows were written during the removal, or after it");
        assert!((0..4).all(|writer| (0..60).all(|id| rows[&(1000 + writer * 100 + id)].0 == 2)));
        assert_eq!(rows.len(), 300 + 24 + 240);
        let removed = one.removed + other.removed;
        assert!((300 - 24..=300).contains(&removed), "{removed}");
    }
}

/// S3 takes a version for the writer's own if it has the bytes that the writer sent.
#[tokio::test]
async fn two_runs_that_remove_the_same_rows_write_different_bytes() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        merge(root.path(), &manifest, format, PART_BYTES, &things(0..10, 1)).await;
        let store = Local::new(root.path().to_owned());
        let table = table(&store, &manifest, format);
        let part = open_part(&table, &store.list("test/things/").await.unwrap()[0]).await;
        let without = async |run: i64| {
            let run = DateTime::from_timestamp_micros(run).unwrap();
            part.encode_removal(&table.context, &(0..10).collect(), run).await.unwrap().bytes
        };
        assert_eq!(without(1).await, without(1).await);
        assert_ne!(without(1).await, without(2).await);
    }
}
