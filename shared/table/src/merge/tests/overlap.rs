//! The laws of removals while other runs write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use lake::ErrorKind;

use super::history::{recorded_versions, with_history};
use super::removal::retain_in;
use super::store::{Interposed, refusal};
use super::*;

/// Before the first write of the removal, another run updates a row of the part, inserts one, and updates and confirms rows that the removal
/// is about to take out.
#[tokio::test]
async fn a_part_that_another_run_wrote_is_revised_again() {
    for format in FORMATS {
        let manifest = manifest("replace", "[]", "");
        let root = tempfile::tempdir().unwrap();
        merge(root.path(), &manifest, format, PART_BYTES, &things(0..10, 1)).await;
        let writes = Arc::new(AtomicU32::new(0));
        let (path, other, counted) = (root.path().to_owned(), manifest.clone(), Arc::clone(&writes));
        let store = Interposed::new(root.path(), move |operation, key| {
            let (path, other) = (path.clone(), other.clone());
            let first = operation == "write" && key.contains("/part-") && counted.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    let records = things([1, 7, 20], 2).into_iter().chain([thing(8, 1)]).collect::<Vec<_>>();
                    let merge = move || block_on(merge(&path, &other, format, PART_BYTES, &records));
                    tokio::task::spawn_blocking(merge).await.unwrap();
                }
                Ok(())
            }
        });
        let (removed, outcome) = retain_in(&store, &manifest, format, 0..5).await;
        assert_eq!(outcome.unwrap(), 0);
        assert_eq!((removed.removed, removed.objects, writes.load(Ordering::Relaxed)), (3, 1, 2));
        let versions: Vec<(i64, i64)> = stored_versions(root.path(), &manifest, format).await.into_iter().collect();
        assert_eq!(versions, [(0, 1), (1, 2), (2, 1), (3, 1), (4, 1), (7, 2), (8, 1), (20, 2)]);
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
        let changed = operation == "read" && key.contains("/part-") && reads.fetch_add(1, Ordering::Relaxed) < 2;
        let outcome = if changed { Err(refusal(ErrorKind::Changed, operation, key)) } else { Ok(()) };
        async { outcome }
    });
    let (removed, outcome) = retain_in(&store, &manifest, Format::Parquet, 0..5).await;
    outcome.unwrap();
    assert_eq!(removed.removed, 5);
    assert_eq!(stored_ids(root.path(), &manifest, Format::Parquet).await, [0, 1, 2, 3, 4]);
}

/// Some runs insert and update while two others remove the same rows.
#[tokio::test]
async fn concurrent_merges_and_removals_lose_and_double_no_row() {
    for format in FORMATS {
        let manifest = manifest("replace", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in (0..600).step_by(100) {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        let store = Local::new(root.path().to_owned());
        let readings = [table(&store, &manifest, format), table(&store, &manifest, format)];
        for reading in &readings {
            reading.begin_reading().await.unwrap();
        }
        let seen = hashes(&manifest, 0..300);
        let remove = async |reading: &Table<'_>| {
            let mut merged = Merged::default();
            let left = reading.remove_unseen_rows(&seen, Utc::now(), &mut merged).await.unwrap();
            (merged.removed, left)
        };
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
        let (_, one, other) = tokio::join!(writers, remove(&readings[0]), remove(&readings[1]));
        let (rows, _) = stored(root.path(), &manifest, format).await;
        let written = |id: i64| (id % 100) / 10 < 4 && id % 10 < 6;
        for id in 0..300 {
            assert_eq!(rows[&id].0, if id < 100 && written(id) { 2 } else { 1 }, "{id}");
        }
        let mut updated = (400..500).filter(|id| written(*id));
        assert!(updated.all(|id| rows[&id].0 == 2), "these rows were written during the removal, or after it");
        assert!((0..4).all(|writer| (0..60).all(|id| rows[&(1000 + writer * 100 + id)].0 == 2)));
        let removed = one.0 + other.0;
        assert!(removed <= 300, "{removed}");
        assert!(removed >= 300 - 24 || one.1 > 0 && other.1 > 0, "{one:?} and {other:?} were removed and left");
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

/// Merges `record`, which was read at the minute `read_at`.
async fn merge_read_at(root: &Path, manifest: &Manifest, record: Value, read_at: i64) -> Merged {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, Format::Parquet);
    let mut buffer = table.buffer();
    let read_at = DateTime::from_timestamp(1_795_000_000 + read_at * 60, 0).unwrap();
    buffer.push(Mapper::new(&manifest.resources[0]).map(record).remove(0).unwrap(), read_at);
    let mut merged = Merged::default();
    table.merge(&mut buffer, &mut merged).await.unwrap();
    merged
}

/// A run reads version 1 and waits. Another run reads and stores version 2. Then the first run stores what it read.
#[tokio::test]
async fn a_version_that_was_read_earlier_replaces_none_that_was_read_later() {
    let mut manifest = with_history();
    manifest.resources[0].vanished = None;
    let root = tempfile::tempdir().unwrap();
    let counts = async |version, read_at| {
        let merged = merge_read_at(root.path(), &manifest, thing(1, version), read_at).await;
        (merged.new, merged.changed, merged.unchanged)
    };
    assert_eq!(counts(0, 0).await, (1, 0, 0));
    assert_eq!(counts(2, 7).await, (0, 1, 0));
    assert_eq!(counts(1, 3).await, (0, 0, 1), "an older version is no change");
    assert_eq!(counts(2, 9).await, (0, 0, 1));
    assert_eq!(counts(3, 9).await, (0, 1, 0), "a later page of the same run");
    assert_eq!(stored_versions(root.path(), &manifest, Format::Parquet).await, BTreeMap::from([(1, 3)]));
    let recorded: Vec<i64> =
        recorded_versions(root.path(), &manifest).await.into_iter().map(|(_, version, _)| version).collect();
    assert_eq!(recorded, [0, 2, 3], "the history has no version that was not stored");
}

/// The clock of the run that read the newer version is five minutes slow.
#[tokio::test]
async fn a_newer_cursor_wins_over_a_later_clock() {
    let mut manifest = manifest("merge", "[]", ", changed: {path: updated_at, data_type: timestamp}");
    let incremental = "
client: {base_url: 'https://x'}
resources:
  - {name: other, endpoint: {paginator: single_page, incremental: {cursor_path: updated_at}}}";
    let other = Manifest::parse("other.yaml", incremental).unwrap_or_else(|faults| panic!("{faults}"));
    manifest.resources[0].endpoint.incremental.clone_from(&other.resources[0].endpoint.incremental);
    let root = tempfile::tempdir().unwrap();
    let version = |version: i64, minute: u32| {
        let mut record = thing(1, version);
        record["updated_at"] = json!(format!("2026-11-18T05:{minute:02}:00Z"));
        record
    };
    for (record, read_at, expected) in [
        (version(1, 10), 10, 1),
        (version(2, 13), 8, 2),
        (version(1, 10), 10, 2),
        (version(2, 13), 13, 2),
        // Half an hour later, the API has an older cursor: it was corrected.
        (version(3, 9), 45, 3),
    ] {
        merge_read_at(root.path(), &manifest, record, read_at).await;
        let stored = stored_versions(root.path(), &manifest, Format::Parquet).await;
        assert_eq!(stored, BTreeMap::from([(1, expected)]), "after minute {read_at}");
    }
}
