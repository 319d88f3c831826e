//! The laws of marking: what is missing is marked once, whatever happens in between, and its versions are told apart.

use std::sync::atomic::{AtomicU32, Ordering};

use super::removal::{FORMATS, FULL, things};
use super::store::{Interposed, trouble};
use super::*;
use manifest::Vanished;
use lake::Kind;

fn marking() -> Manifest {
    let mut manifest = with_history();
    manifest.resources[0].vanished = Some(Vanished { column: "gone_at".into(), confirm: None });
    manifest.resources[0].passed_by = vec!["at".into()];
    manifest
}

fn hashes(manifest: &Manifest, ids: impl IntoIterator<Item = i64>) -> HashSet<u64> {
    let mapper = Mapper::new(&manifest.resources[0]);
    ids.into_iter().map(|id| key_hash(&mapper.map(thing(id, 1)).remove(0).unwrap().key)).collect()
}

/// How many rows of the table below `folder` are marked, and how many there are.
async fn marked(root: &Path, manifest: &Manifest, format: Format, history: bool) -> (usize, usize) {
    let store = Local::new(root.to_owned());
    let table = Table::new(&store, &manifest.name, &manifest.resources[0], format);
    let table = if history { &table.history.as_ref().unwrap().table } else { &table };
    let (mut marked, mut rows) = (0, 0);
    for (name, listed) in table.parts().await.unwrap() {
        let part = Part::open(table, name, &listed).await.unwrap().unwrap();
        part.scan(table, &["gone_at"], |_, stored| {
            marked += usize::from(stored.stamps[0].is_some());
            rows += 1;
        })
        .await
        .unwrap();
    }
    (marked, rows)
}

async fn mark(store: &dyn Store, manifest: &Manifest, format: Format, ids: &[i64]) -> (Merged, Result<(), Error>) {
    let table = Table::new(store, &manifest.name, &manifest.resources[0], format);
    let mut merged = Merged::default();
    let now = Utc::now();
    let outcome = table.mark_missing(&hashes(manifest, ids.iter().copied()), now, now, &mut merged).await;
    (merged, outcome)
}

#[tokio::test]
async fn a_mark_that_is_cut_short_anywhere_is_made_once() {
    let manifest = marking();
    let gone: Vec<i64> = (0..60).filter(|id| id % 3 == 0).collect();
    for format in FORMATS {
        for operation in 0.. {
            let root = tempfile::tempdir().unwrap();
            for begin in [0, 20, 40] {
                merge(root.path(), &manifest, format, FULL, &things(begin..begin + 20, 1)).await;
            }
            let count = AtomicU32::new(0);
            let failing = Interposed::new(root.path(), move |name, key| {
                let fails = count.fetch_add(1, Ordering::Relaxed) >= operation;
                let outcome = if fails { Err(trouble(Kind::Other, name, key)) } else { Ok(()) };
                async move { outcome }
            });
            let (first, outcome) = mark(&failing, &manifest, format, &gone).await;
            let (second, done) = mark(&Local::new(root.path().to_owned()), &manifest, format, &gone).await;
            done.unwrap();
            assert_eq!(first.vanished + second.vanished, gone.len() as u64, "cut at {operation}");
            assert_eq!(marked(root.path(), &manifest, format, false).await, (gone.len(), 60));
            assert_eq!(marked(root.path(), &manifest, format, true).await, (gone.len(), 60 + gone.len()));
            if outcome.is_ok() {
                assert!(operation > 10);
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_comes_again_loses_its_mark_and_nothing_else() {
    let manifest = marking();
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
        // Keys, fingerprints and when each was first seen.
        assert_eq!(stored(root.path(), &manifest, format).await.0, before.0);
    }
}

#[tokio::test]
async fn what_is_past_or_was_met_is_not_missing() {
    let manifest = marking();
    let root = tempfile::tempdir().unwrap();
    let store = Local::new(root.path().to_owned());
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &things(0..10, 1)).await;
    let table = Table::new(&store, &manifest.name, &manifest.resources[0], Format::Parquet);
    let seen = hashes(&manifest, 0..8);
    // Every thing is at 2026-11-21T10:00:00Z.
    let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let (before, early, late) = (Utc::now(), at("2026-11-20T00:00:00Z"), at("2026-11-22T00:00:00Z"));
    let count = async |now, window| table.missing(&seen, before, now, window).await.unwrap().0.len();
    assert_eq!(count(early, None).await, 2);
    assert_eq!(count(late, None).await, 0);
    assert_eq!(count(early, Some((early, late))).await, 2);
    assert_eq!(count(early, Some((early, at("2026-11-21T09:00:00Z")))).await, 0);
    assert!(table.missing(&seen, early - chrono::TimeDelta::days(3650), early, None).await.unwrap().0.is_empty());

    let mut merged = Merged::default();
    table.expire(early, before, &mut merged).await.unwrap();
    assert_eq!(merged.removed, 0);
    table.expire(late, before, &mut merged).await.unwrap();
    assert_eq!(merged.removed, 10);
    assert_eq!(marked(root.path(), &manifest, Format::Parquet, false).await, (0, 0));
}
