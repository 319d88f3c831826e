//! The laws of removal: the rows that a complete run did not see are removed, and no others.

use std::sync::Arc;

use arrow_array::BooleanArray;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use chrono::{DateTime, Utc};
use lake::{ErrorKind, Memory};
use proptest::prelude::*;

use super::history::{recorded_versions, with_history};
use super::store::{Interposed, refusal};
use super::*;
use crate::error::Error;

/// Removes from `store` the things that are not among `ids`. Returns also how many were left.
pub(super) async fn retain_in(
    store: &dyn Store,
    manifest: &Manifest,
    format: Format,
    ids: impl IntoIterator<Item = i64>,
) -> (Merged, Result<u64, Error>) {
    let table = table(store, manifest, format);
    let mut merged = Merged::default();
    if let Err(error) = table.begin_reading().await {
        return (merged, Err(error));
    }
    let outcome = table.remove_unseen_rows(&hashes(manifest, ids), Utc::now(), &mut merged).await;
    (merged, outcome)
}

async fn retain(root: &Path, manifest: &Manifest, format: Format, ids: impl IntoIterator<Item = i64>) -> Merged {
    let (merged, outcome) = retain_in(&Local::new(root.to_owned()), manifest, format, ids).await;
    assert_eq!(outcome.unwrap(), 0);
    merged
}

/// Every part by its key: its bytes, whether it is sealed, and its rows.
async fn parts(root: &Path, manifest: &Manifest, format: Format) -> BTreeMap<String, (Vec<u8>, bool, RecordBatch)> {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format);
    let mut parts = BTreeMap::new();
    for listed in store.list("test/things/").await.unwrap() {
        let part = open_part(&table, &listed).await;
        let batches = read_part(&table, &listed).await;
        let rows = match batches.first() {
            Some(first) => concat_batches(&first.schema(), &batches).unwrap(),
            None => RecordBatch::new_empty(Arc::clone(&table.context.row_schema)),
        };
        let bytes = std::fs::read(root.join(&listed.key)).unwrap();
        parts.insert(listed.key, (bytes, part.is_sealed, rows));
    }
    parts
}

/// The rows whose `id` is kept.
fn only(rows: &RecordBatch, keep: impl Fn(i64) -> bool) -> RecordBatch {
    let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
    let kept: BooleanArray = ids.values().iter().map(|id| Some(keep(*id))).collect();
    filter_record_batch(rows, &kept).unwrap()
}

#[tokio::test]
async fn unseen_rows_are_removed_and_all_others_stay_the_same() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 100, 200, 300] {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        merge(root.path(), &manifest, format, PART_BYTES, &things(400..500, 1)).await;
        let before = parts(root.path(), &manifest, format).await;
        assert_eq!((before.len(), before.values().filter(|part| part.1).count()), (10, 8));

        // Rows of the second and of the fifth hundred are removed. The lake never had the thing 1000.
        let is_removed = |id: i64| (100..130).contains(&id) || id == 450;
        let seen = (0..500).chain([1000]).filter(|id| !is_removed(*id));
        let removed = retain(root.path(), &manifest, format, seen.clone()).await;
        let after = parts(root.path(), &manifest, format).await;
        assert!(before.keys().eq(after.keys()));
        let mut written = Merged { removed: 31, ..Merged::default() };
        for (key, (bytes, sealed, rows)) in &before {
            let (new_bytes, new_sealed, new_rows) = &after[key];
            let expected = only(rows, |id| !is_removed(id));
            assert_eq!((new_sealed, new_rows.columns()), (sealed, expected.columns()), "{key}");
            assert_eq!(bytes == new_bytes, expected.num_rows() == rows.num_rows(), "{key}");
            if bytes != new_bytes {
                written.objects += 1;
                written.bytes_written += new_bytes.len() as u64;
            }
        }
        assert_eq!((written.objects, removed), (3, written));

        assert_eq!(retain(root.path(), &manifest, format, seen).await, Merged::default());
        assert!(after == parts(root.path(), &manifest, format).await, "nothing is written again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    /// This holds for any merges and removals, in any order.
    #[test]
    fn removals_among_merges_leave_each_key_once(
        steps in prop::collection::vec((any::<bool>(), prop::collection::btree_set(0_i64..30, 0..25)), 1..8),
        targets in prop::collection::vec(prop::sample::select(vec![1, 3000, 1 << 20]), 8),
        json in any::<bool>(),
    ) {
        let format = if json { Format::Json } else { Format::Parquet };
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        let mut model: BTreeMap<i64, i64> = BTreeMap::new();
        for (version, ((removal, step), target)) in (0..).zip(steps.iter().zip(&targets)) {
            let were = model.len();
            if *removal {
                model.retain(|id, _| step.contains(id));
                let removed = block_on(retain(root.path(), &manifest, format, step.iter().copied()));
                prop_assert_eq!(removed.removed, (were - model.len()) as u64);
            } else {
                model.extend(step.iter().map(|id| (*id, version)));
                let merged = block_on(merge(root.path(), &manifest, format, *target, &things(step.iter().copied(), version)));
                prop_assert_eq!(merged.new, (model.len() - were) as u64);
            }
            prop_assert_eq!(&block_on(stored_versions(root.path(), &manifest, format)), &model);
        }
    }
}

#[tokio::test]
async fn a_part_without_rows_keeps_its_number_and_takes_inserts() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        for (target, part_count) in [(PART_BYTES, 1), (FULL, 2)] {
            let root = tempfile::tempdir().unwrap();
            merge(root.path(), &manifest, format, target, &things(0..50, 1)).await;
            let removed = retain(root.path(), &manifest, format, []).await;
            assert_eq!((removed.removed, removed.objects), (50, 1));
            let left = parts(root.path(), &manifest, format).await;
            let (bytes, sealed, rows) = left.values().next().unwrap();
            assert_eq!((left.len(), *sealed, rows.num_rows()), (1, target == FULL, 0));
            assert!(!bytes.is_empty());

            // An open part takes the rows. A sealed one is followed by the next part.
            for _ in 0..2 {
                merge(root.path(), &manifest, format, PART_BYTES, &things(25..75, 2)).await;
                let (rows, parts) = stored(root.path(), &manifest, format).await;
                assert!(rows.into_iter().map(|(id, (version, _))| (id, version)).eq((25..75).map(|id| (id, 2))));
                assert_eq!(parts, part_count);
            }
        }
    }
}

/// Merges records as another run of the table.
async fn merge_beside(store: &dyn Store, manifest: &Manifest, records: Vec<Value>) -> Merged {
    let table = table(store, manifest, Format::Parquet);
    let mut buffer = table.buffer();
    let mapper = Mapper::new(&manifest.resources[0]);
    records.into_iter().for_each(|record| buffer.push(mapper.map(record).remove(0).unwrap(), DateTime::UNIX_EPOCH));
    let mut merged = Merged::default();
    table.merge(&mut buffer, &mut merged).await.unwrap();
    merged
}

/// Another run inserts, updates or confirms a row that this reading has passed over. The clocks say nothing.
#[tokio::test]
async fn a_reading_removes_nothing_after_another_run_has_stored_rows() {
    let manifest = manifest("replace", "[]", "");
    for record in [thing(20, 1), thing(8, 2), thing(8, 1)] {
        let store = Memory::default();
        merge_beside(&store, &manifest, things(0..10, 1)).await;
        let reading = table(&store, &manifest, Format::Parquet);
        let seen = hashes(&manifest, 0..5);
        reading.begin_reading().await.unwrap();
        merge_beside(&store, &manifest, vec![record.clone()]).await;
        let mut removed = Merged::default();
        let left = reading.remove_unseen_rows(&seen, Utc::now(), &mut removed).await.unwrap();
        assert_eq!((removed, left), (Merged::default(), if record["id"] == 20 { 6 } else { 5 }));

        // The next reading is the later one.
        let (removed, outcome) = retain_in(&store, &manifest, Format::Parquet, 0..5).await;
        assert_eq!((removed.removed, outcome.unwrap()), (left, 0));
    }
}

/// The other run began before this reading, and stores its rows when the removal has been decided.
#[tokio::test]
async fn a_row_that_is_confirmed_during_a_removal_stays() {
    let manifest = manifest("replace", "[]", "");
    let store = Memory::default();
    merge_beside(&store, &manifest, things(0..10, 1)).await;
    let reading = table(&store, &manifest, Format::Parquet);
    reading.begin_reading().await.unwrap();
    let claimed: Vec<u64> = hashes(&manifest, [7, 8]).into_iter().collect();
    assert!(reading.readings.claim(&claimed).await.unwrap());
    let confirmed = merge_beside(&store, &manifest, things([1, 7], 1)).await;
    assert_eq!((confirmed.changed, confirmed.unchanged, confirmed.objects), (0, 2, 1), "the row 7 is written anew");
    assert!(!reading.readings.claim(&claimed).await.unwrap(), "nothing more is removed");
    reading.readings.end_removal().await.unwrap();
    assert_eq!(merge_beside(&store, &manifest, things([1, 7], 1)).await.objects, 0);
}

/// A run is killed while it removes rows. The next ones go on.
#[tokio::test]
async fn a_reading_that_was_killed_hinders_no_other() {
    let manifest = manifest("replace", "[]", "");
    let store = Memory::default();
    merge_beside(&store, &manifest, things(0..10, 1)).await;
    for _ in 0..3 {
        let killed = table(&store, &manifest, Format::Parquet);
        killed.begin_reading().await.unwrap();
        assert!(killed.readings.claim(&[1, 2, 3]).await.unwrap());
    }
    let (removed, outcome) = retain_in(&store, &manifest, Format::Parquet, 0..5).await;
    assert_eq!((removed.removed, outcome.unwrap()), (5, 0));
}

#[tokio::test]
async fn removals_before_an_error_are_counted_and_the_next_call_removes_the_rest() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 100, 200] {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        let store = Interposed::new(root.path(), |operation, key| {
            let refused = operation == "write" && key.contains("/b=1/part-00001");
            let outcome = if refused { Err(refusal(ErrorKind::Denied, operation, key)) } else { Ok(()) };
            async { outcome }
        });
        let (removed, outcome) = retain_in(&store, &manifest, format, 0..20).await;
        assert!(outcome.unwrap_err().to_string().contains("the test refuses it"));
        let left = stored_ids(root.path(), &manifest, format).await;
        assert!(left.len() > 20 && removed.objects > 0, "{removed:?}");
        assert_eq!(removed.removed, 300 - left.len() as u64);

        let rest = retain(root.path(), &manifest, format, 0..20).await;
        assert_eq!(rest.removed + removed.removed, 280);
        assert!(stored_ids(root.path(), &manifest, format).await.into_iter().eq(0..20));
    }
}

/// Row groups without a removed row are copied, and columns that only the part has stay.
#[tokio::test]
async fn a_removal_copies_the_other_row_groups() {
    let manifest = manifest("merge", "[]", ", note: {data_type: text}");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, 600_000, &things(0..40_000, 1)).await;
    let path = root.path().join("test/things/part-00000.parquet");
    let before = row_groups(&path);
    assert!(before.len() >= 3, "{} row groups", before.len());

    let last = 40_000 - before.last().unwrap().0;
    let after_manifest = super::manifest("merge", "[]", "");
    let removed = retain(root.path(), &after_manifest, Format::Parquet, 1..last).await;
    assert_eq!(removed.removed as i64, 40_001 - last);
    let after = row_groups(&path);
    assert_eq!(after.len(), before.len() - 1, "no row of the last row group is left");
    assert_eq!(after[0].0, before[0].0 - 1);
    assert_eq!(after[1..], before[1..before.len() - 1]);
    let (_, _, rows) = &parts(root.path(), &after_manifest, Format::Parquet).await["test/things/part-00000.parquet"];
    assert!(rows.column_by_name("note").is_some());
}

#[tokio::test]
async fn a_history_keeps_the_versions_of_removed_rows() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &things(0..10, 1)).await;
    let before = recorded_versions(root.path(), &manifest).await;
    let removed = retain(root.path(), &manifest, Format::Parquet, 0..5).await;
    assert_eq!(removed.removed, 5);
    assert_eq!(recorded_versions(root.path(), &manifest).await, before);
}

#[tokio::test]
async fn a_table_of_another_format_is_refused() {
    let manifest = manifest("merge", BUCKETS, "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Json, PART_BYTES, &things(0..10, 1)).await;
    let (removed, outcome) = retain_in(&Local::new(root.path().to_owned()), &manifest, Format::Parquet, []).await;
    assert!(outcome.unwrap_err().to_string().contains("is stored as json"));
    assert_eq!(removed, Merged::default());
    assert_eq!(stored_ids(root.path(), &manifest, Format::Json).await.len(), 10);
}
