//! The laws of removal: what a complete extraction did not meet is gone, and nothing else.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::store::{Interposed, trouble};
use super::*;
use lake::Kind;

pub(super) const FORMATS: [Format; 2] = [Format::Parquet, Format::Json];
/// A part of this size is full as soon as it is written.
pub(super) const FULL: usize = 1;

fn hashes(manifest: &Manifest, ids: impl IntoIterator<Item = i64>) -> HashSet<u64> {
    let mapper = Mapper::new(&manifest.resources[0]);
    ids.into_iter().map(|id| key_hash(&mapper.map(thing(id, 1)).remove(0).unwrap().key)).collect()
}

/// Removes from `store` what is not among `ids` and was written before `begin`.
pub(super) async fn retain_in(
    store: &dyn Store,
    manifest: &Manifest,
    format: Format,
    ids: impl IntoIterator<Item = i64>,
    begin: DateTime<Utc>,
) -> (Merged, Result<(), Error>) {
    let table = Table::new(store, &manifest.name, &manifest.resources[0], format);
    let mut merged = Merged::default();
    let outcome = table.retain_only(&hashes(manifest, ids), begin, &mut merged).await;
    (merged, outcome)
}

pub(super) async fn retain(
    root: &Path,
    manifest: &Manifest,
    format: Format,
    ids: impl IntoIterator<Item = i64>,
) -> Merged {
    let (merged, outcome) = retain_in(&Local::new(root.to_owned()), manifest, format, ids, Utc::now()).await;
    outcome.unwrap();
    merged
}

pub(super) fn things(ids: impl IntoIterator<Item = i64>, version: i64) -> Vec<Value> {
    ids.into_iter().map(|id| thing(id, version)).collect()
}

pub(super) async fn ids(root: &Path, manifest: &Manifest, format: Format) -> Vec<i64> {
    stored(root, manifest, format).await.0.into_keys().collect()
}

/// Every part by its key: its bytes, whether it is sealed, and its rows.
async fn parts(root: &Path, manifest: &Manifest, format: Format) -> BTreeMap<String, (Vec<u8>, bool, RecordBatch)> {
    let store = Local::new(root.to_owned());
    let table = Table::new(&store, &manifest.name, &manifest.resources[0], format);
    let mut parts = BTreeMap::new();
    for listed in store.list("test/things/").await.unwrap() {
        let folder = listed.key.rsplit_once('/').unwrap().0;
        let part = Part::open(&table, Name::parse(folder, &listed.key).unwrap(), &listed).await.unwrap().unwrap();
        let batches: Vec<_> = part.batches(&table.schema, None).unwrap().try_collect().await.unwrap();
        let rows = match batches.first() {
            Some(first) => concat_batches(&first.schema(), &batches).unwrap(),
            None => RecordBatch::new_empty(Arc::clone(&table.schema)),
        };
        let bytes = std::fs::read(root.join(&listed.key)).unwrap();
        parts.insert(listed.key, (bytes, part.sealed, rows));
    }
    parts
}

/// The rows that `keep` says, by their id.
fn only(rows: &RecordBatch, keep: impl Fn(i64) -> bool) -> RecordBatch {
    let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
    let kept: BooleanArray = ids.values().iter().map(|id| Some(keep(*id))).collect();
    filter_record_batch(rows, &kept).unwrap()
}

#[tokio::test]
async fn what_was_not_seen_is_gone_and_all_else_is_what_it_was() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 100, 200, 300] {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        merge(root.path(), &manifest, format, PART_BYTES, &things(400..500, 1)).await;
        let before = parts(root.path(), &manifest, format).await;
        assert_eq!((before.len(), before.values().filter(|part| part.1).count()), (10, 8));

        // Of the second and the fifth hundred; 1000 is one that the lake never had.
        let gone = |id: i64| (100..130).contains(&id) || id == 450;
        let seen = (0..500).chain([1000]).filter(|id| !gone(*id));
        let removed = retain(root.path(), &manifest, format, seen.clone()).await;
        let after = parts(root.path(), &manifest, format).await;
        assert!(before.keys().eq(after.keys()));
        let mut written = Merged { removed: 31, ..Merged::default() };
        for (key, (bytes, sealed, rows)) in &before {
            let (new_bytes, new_sealed, new_rows) = &after[key];
            let expected = only(rows, |id| !gone(id));
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

    /// Whatever is merged and removed in whatever order: the lake holds each key once, and those that should be there.
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
            let (rows, _) = block_on(stored(root.path(), &manifest, format));
            let versions: BTreeMap<i64, i64> = rows.into_iter().map(|(id, (version, _))| (id, version)).collect();
            prop_assert_eq!(&versions, &model);
        }
    }
}

#[tokio::test]
async fn a_part_that_lost_every_row_keeps_its_place_and_takes_inserts() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        for (target, places) in [(PART_BYTES, 1), (FULL, 2)] {
            let root = tempfile::tempdir().unwrap();
            merge(root.path(), &manifest, format, target, &things(0..50, 1)).await;
            let removed = retain(root.path(), &manifest, format, []).await;
            assert_eq!((removed.removed, removed.objects), (50, 1));
            let left = parts(root.path(), &manifest, format).await;
            let (bytes, sealed, rows) = left.values().next().unwrap();
            assert_eq!((left.len(), *sealed, rows.num_rows()), (1, target == FULL, 0));
            assert!(!bytes.is_empty());

            // Open, it takes the rows itself; sealed, it is followed by the next.
            for _ in 0..2 {
                merge(root.path(), &manifest, format, PART_BYTES, &things(25..75, 2)).await;
                let (rows, parts) = stored(root.path(), &manifest, format).await;
                assert!(rows.into_iter().map(|(id, (version, _))| (id, version)).eq((25..75).map(|id| (id, 2))));
                assert_eq!(parts, places);
            }
        }
    }
}

/// What another run wrote since this one began, it saw there: also when it is an older row's new version.
#[tokio::test]
async fn what_was_written_since_the_run_began_stays() {
    for format in FORMATS {
        let manifest = manifest("merge", "[]", "");
        let root = tempfile::tempdir().unwrap();
        merge(root.path(), &manifest, format, PART_BYTES, &things(0..10, 1)).await;
        let begin = Utc::now();
        let store = Local::new(root.path().to_owned());
        let table = Table::new(&store, "test", &manifest.resources[0], format);
        let mut buffer = table.buffer();
        let mapper = Mapper::new(&manifest.resources[0]);
        for record in things([8, 9], 2).into_iter().chain(things([20], 1)) {
            buffer.push(mapper.map(record).remove(0).unwrap());
        }
        // To the microsecond: that is what a part keeps of it.
        let batch = buffer.take(begin).unwrap().unwrap();
        partition::merge(&table, "", &batch, &[0, 1, 2], None, &mut Merged::default()).await.unwrap();

        let mut removed = Merged::default();
        table.retain_only(&hashes(&manifest, 0..5), begin, &mut removed).await.unwrap();
        assert_eq!(removed.removed, 3);
        assert_eq!(ids(root.path(), &manifest, format).await, [0, 1, 2, 3, 4, 8, 9, 20]);
        let later = begin + chrono::TimeDelta::microseconds(1);
        table.retain_only(&hashes(&manifest, 0..5), later, &mut removed).await.unwrap();
        assert_eq!(removed.removed, 6);
        assert_eq!(ids(root.path(), &manifest, format).await, [0, 1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn what_was_removed_before_an_error_is_counted_and_the_next_removal_takes_the_rest() {
    for format in FORMATS {
        let manifest = manifest("merge", BUCKETS, "");
        let root = tempfile::tempdir().unwrap();
        for begin in [0, 100, 200] {
            merge(root.path(), &manifest, format, FULL, &things(begin..begin + 100, 1)).await;
        }
        let store = Interposed::new(root.path(), |operation, key| {
            let refused = operation == "write" && key.contains("/b=1/part-00001");
            let outcome = if refused { Err(trouble(Kind::Denied, operation, key)) } else { Ok(()) };
            async { outcome }
        });
        let (removed, outcome) = retain_in(&store, &manifest, format, 0..20, Utc::now()).await;
        assert!(outcome.unwrap_err().to_string().contains("as the test has it"));
        let left = ids(root.path(), &manifest, format).await;
        assert!(left.len() > 20 && removed.objects > 0, "{removed:?}");
        assert_eq!(removed.removed, 300 - left.len() as u64);

        let rest = retain(root.path(), &manifest, format, 0..20).await;
        assert_eq!(rest.removed + removed.removed, 280);
        assert!(ids(root.path(), &manifest, format).await.into_iter().eq(0..20));
    }
}

/// Row groups without such a row are copied; columns that only the part has stay.
#[tokio::test]
async fn a_removal_copies_what_it_does_not_touch() {
    let manifest = manifest("merge", "[]", ", note: {data_type: text}");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, 600_000, &things(0..40_000, 1)).await;
    let path = root.path().join("test/things/part-00000.parquet");
    let chunks = || {
        let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
        let metadata = ::parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let group = |group: &::parquet::file::metadata::RowGroupMetaData| {
            let (start, length) = group.column(1).byte_range();
            (group.num_rows(), bytes.slice(start as usize..(start + length) as usize))
        };
        metadata.row_groups().iter().map(group).collect::<Vec<_>>()
    };
    let before = chunks();
    assert!(before.len() >= 3, "{} row groups", before.len());

    let last = 40_000 - before.last().unwrap().0;
    let after_manifest = super::manifest("merge", "[]", "");
    let removed = retain(root.path(), &after_manifest, Format::Parquet, 1..last).await;
    assert_eq!(removed.removed as i64, 40_001 - last);
    let after = chunks();
    assert_eq!(after.len(), before.len() - 1, "the last row group lost every row");
    assert_eq!(after[0].0, before[0].0 - 1);
    assert_eq!(after[1..], before[1..before.len() - 1]);
    let (_, _, rows) = &parts(root.path(), &after_manifest, Format::Parquet).await["test/things/part-00000.parquet"];
    assert!(rows.column_by_name("note").is_some());
}

#[tokio::test]
async fn a_history_keeps_the_versions_of_what_is_gone() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &things(0..10, 1)).await;
    let before = history(root.path(), &manifest).await;
    let removed = retain(root.path(), &manifest, Format::Parquet, 0..5).await;
    assert_eq!(removed.removed, 5);
    assert_eq!(history(root.path(), &manifest).await, before);
}

#[tokio::test]
async fn a_table_of_another_format_is_refused() {
    let manifest = manifest("merge", BUCKETS, "");
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Json, PART_BYTES, &things(0..10, 1)).await;
    let (removed, outcome) =
        retain_in(&Local::new(root.path().to_owned()), &manifest, Format::Parquet, [], Utc::now()).await;
    assert!(outcome.unwrap_err().to_string().contains("is stored as json"));
    assert_eq!(removed, Merged::default());
    assert_eq!(ids(root.path(), &manifest, Format::Json).await.len(), 10);
}
