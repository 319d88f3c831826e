//! The laws of vanished rows: a row that the API no longer has is marked once, and the history gets one version of the mark.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use lake::ErrorKind;
use manifest::Vanished;
use manifest::time::TimeRange;

use super::history::with_history;
use super::store::{Interposed, refusal};
use super::*;
use crate::error::Error;
use crate::merge::part::list_parts;

/// The manifest of a table with a history and a column for vanished rows, whose rows are past at `at`.
fn with_vanished_column() -> Manifest {
    let mut manifest = with_history();
    manifest.resources[0].vanished = Some(Vanished { column: "gone_at".into(), confirm: None });
    manifest.resources[0].passed_by = vec!["at".into()];
    manifest
}

/// The number of marked rows, and of all rows, in the table or in its history.
async fn marked(root: &Path, manifest: &Manifest, format: Format, history: bool) -> (usize, usize) {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format);
    let context = if history { &table.history.as_ref().unwrap().context } else { &table.context };
    let (mut marked, mut rows) = (0, 0);
    for (name, listed) in list_parts(context).await.unwrap() {
        let part = Part::open(context, name, &listed).await.unwrap().unwrap();
        part.scan(context, &["gone_at"], |_, stored| {
            marked += usize::from(stored.times[0].is_some());
            rows += 1;
        })
        .await
        .unwrap();
    }
    (marked, rows)
}

/// Marks the things with these ids as vanished now.
async fn mark(store: &dyn Store, manifest: &Manifest, format: Format, ids: &[i64]) -> (Merged, Result<u64, Error>) {
    let table = table(store, manifest, format);
    let mut merged = Merged::default();
    let outcome = async {
        table.begin_reading().await?;
        // Every thing is past at 2026-11-21T10:00:00Z.
        let early = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let unseen = table.find_unseen_rows(&HashSet::new(), early, TimeRange::ALL).await?;
        table.mark_vanished(&unseen, &hashes(manifest, ids.iter().copied()), Utc::now(), &mut merged).await
    };
    let outcome = outcome.await;
    (merged, outcome)
}

#[tokio::test]
async fn a_mark_that_fails_at_any_operation_is_made_once() {
    let manifest = with_vanished_column();
    let vanished: Vec<i64> = (0..60).filter(|id| id % 3 == 0).collect();
    for format in FORMATS {
        for operation in 0.. {
            let root = tempfile::tempdir().unwrap();
            for begin in [0, 20, 40] {
                merge(root.path(), &manifest, format, FULL, &things(begin..begin + 20, 1)).await;
            }
            let count = AtomicU32::new(0);
            let failing = Interposed::new(root.path(), move |name, key| {
                let fails = count.fetch_add(1, Ordering::Relaxed) >= operation;
                let outcome = if fails { Err(refusal(ErrorKind::Other, name, key)) } else { Ok(()) };
                async move { outcome }
            });
            let (first, outcome) = mark(&failing, &manifest, format, &vanished).await;
            let (second, done) = mark(&Local::new(root.path().to_owned()), &manifest, format, &vanished).await;
            assert_eq!(done.unwrap(), 0);
            assert_eq!(first.vanished + second.vanished, vanished.len() as u64, "it failed at operation {operation}");
            assert_eq!(marked(root.path(), &manifest, format, false).await, (vanished.len(), 60));
            assert_eq!(marked(root.path(), &manifest, format, true).await, (vanished.len(), 60 + vanished.len()));
            if outcome.is_ok() {
                assert!(operation > 10);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_returns_loses_its_mark_and_nothing_else() {
    let manifest = with_vanished_column();
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let store = Local::new(root.path().to_owned());
        merge(root.path(), &manifest, format, PART_BYTES, &things(0..40, 1)).await;
        let before = stored(root.path(), &manifest, format).await;
        assert_eq!(mark(&store, &manifest, format, &[1, 2, 3]).await.0.vanished, 3);
        assert_eq!(mark(&store, &manifest, format, &[1, 2, 3]).await.0, Merged::default());
        let back = merge(root.path(), &manifest, format, PART_BYTES, &things(0..3, 1)).await;
        assert_eq!((back.changed, back.unchanged), (2, 1));
        assert_eq!(marked(root.path(), &manifest, format, false).await, (1, 40));
        // The keys and the fingerprints are the same.
        assert_eq!(stored(root.path(), &manifest, format).await.0, before.0);
    }
}

#[tokio::test]
async fn a_row_that_is_past_or_was_seen_is_not_missing() {
    let manifest = with_vanished_column();
    let root = tempfile::tempdir().unwrap();
    let store = Local::new(root.path().to_owned());
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &things(0..10, 1)).await;
    let table = table(&store, &manifest, Format::Parquet);
    let seen = hashes(&manifest, 0..8);
    // Every thing is past at 2026-11-21T10:00:00Z.
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let (now, early, late) = (Utc::now(), at("2026-11-20T00:00:00Z"), at("2026-11-22T00:00:00Z"));
    let count = async |now, window| table.find_unseen_rows(&seen, now, window).await.unwrap().keys.len();
    assert_eq!(count(early, TimeRange::ALL).await, 2);
    assert_eq!(count(late, TimeRange::ALL).await, 0);
    assert_eq!(count(early, TimeRange::between(early, late)).await, 2);
    assert_eq!(count(early, TimeRange::between(early, at("2026-11-21T09:00:00Z"))).await, 0);

    let mut merged = Merged::default();
    table.remove_expired_rows(early, now, &mut merged).await.unwrap();
    assert_eq!(merged.removed, 0);
    table.remove_expired_rows(late, now, &mut merged).await.unwrap();
    assert_eq!(merged.removed, 10);
    assert_eq!(marked(root.path(), &manifest, Format::Parquet, false).await, (0, 0));
}
