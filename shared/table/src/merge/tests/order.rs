//! The order of the rows in a part.

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;

use super::*;

const MONTHS: &str = "[{name: month, from: at, transform: month}]";

/// A thing of one of three days of a month, by its `id`.
fn dated(id: i64) -> Value {
    let mut record = thing(id, 1);
    record["at"] = json!(format!("2026-11-0{}T00:00:00Z", id % 3 + 1));
    record
}

/// The day and the `id` of each row of every part, in the order in which they are stored.
async fn days_and_ids(root: &Path, manifest: &Manifest, format: Format) -> Vec<Vec<(i64, i64)>> {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format);
    let first = DateTime::parse_from_rfc3339("2026-11-01T00:00:00Z").unwrap().timestamp_micros();
    let mut parts = Vec::new();
    for listed in store.list("test/things/").await.unwrap() {
        let mut rows = Vec::new();
        for batch in read_part(&table, &listed).await {
            let times = batch.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
            let day = |time: i64| TimeDelta::microseconds(time - first).num_days();
            let ids = ids_and_versions(&batch).into_iter().map(|(id, _)| id);
            rows.extend(times.values().iter().map(|time| day(*time)).zip(ids));
        }
        parts.push(rows);
    }
    parts
}

#[tokio::test]
async fn rows_are_sorted_by_the_time_of_their_partition_then_by_their_key() {
    let manifest = manifest("merge", MONTHS, "");
    let root = tempfile::tempdir().unwrap();
    for ids in [[5, 1, 9], [4, 8, 2], [7, 3, 6]] {
        let merged = merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &ids.map(dated)).await;
        assert_eq!(merged.new, 3);
    }
    let parts = days_and_ids(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(parts, [[(0, 3), (0, 6), (0, 9), (1, 1), (1, 4), (1, 7), (2, 2), (2, 5), (2, 8)]]);
}

#[tokio::test]
async fn stored_rows_stay_in_a_part_that_gets_full_and_inserts_go_into_the_next_one() {
    let manifest = manifest("merge", MONTHS, "");
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let even: Vec<Value> = (0..50).map(|id| dated(2 * id)).collect();
        let odd: Vec<Value> = (0..50).map(|id| dated(2 * id + 1)).collect();
        merge(root.path(), &manifest, format, PART_BYTES, &even).await;
        let merged = merge(root.path(), &manifest, format, FULL, &odd).await;
        assert_eq!((merged.new, merged.changed), (50, 0));
        let parts = days_and_ids(root.path(), &manifest, format).await;
        let mut ids: Vec<i64> = parts.iter().flatten().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
        assert!(parts[0].len() >= 50, "{format:?}: {parts:?}");
    }
}

/// A thing with a text of this length in `_extra`, which compresses well or not at all.
fn sized(id: i64, length: usize, compresses: bool) -> Value {
    let mut state = id as u64 + 1;
    let random = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (state >> 58) as u8)
    });
    let text: String = if compresses { "x".repeat(length) } else { random.take(length).collect() };
    let mut record = dated(id);
    record["more"]["text"] = text.into();
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The size of a part falls when a row group ends, since only then it is compressed. What did not fit must not be taken for what did.
    #[test]
    fn rows_among_stored_ones_are_written_once_when_the_part_gets_full(
        stored_rows in prop::collection::vec(20_000_usize..80_000, 5..40),
        new_rows in prop::collection::vec((0_usize..6000, any::<bool>()), 200..600),
        target in 200_000_usize..800_000,
    ) {
        let manifest = manifest("merge", MONTHS, "");
        let root = tempfile::tempdir().unwrap();
        let spread = new_rows.len() / stored_rows.len() + 1;
        let is_stored = |id: &i64| (*id as usize).is_multiple_of(spread) && *id as usize / spread < stored_rows.len();
        let stored_ids = (0..stored_rows.len()).map(|row| (row * spread) as i64);
        let new_ids = (0..).filter(|id| !is_stored(id));
        let old: Vec<Value> = stored_ids.zip(&stored_rows).map(|(id, length)| sized(id, *length, true)).collect();
        let new: Vec<Value> =
            new_ids.zip(&new_rows).map(|(id, (length, compresses))| sized(id, *length, *compresses)).collect();
        for records in [&old, &new] {
            let merged = block_on(merge(root.path(), &manifest, Format::Parquet, target, records));
            prop_assert_eq!(merged.new, records.len() as u64);
        }
        let mut expected: Vec<i64> = old.iter().chain(&new).map(|record| record["id"].as_i64().unwrap()).collect();
        expected.sort_unstable();
        prop_assert_eq!(block_on(stored_ids_of(root.path(), &manifest)), expected);
    }
}

/// The `id` of every stored row, sorted. One that is stored twice is there twice.
async fn stored_ids_of(root: &Path, manifest: &Manifest) -> Vec<i64> {
    let rows = days_and_ids(root, manifest, Format::Parquet).await;
    let mut ids: Vec<i64> = rows.into_iter().flatten().map(|(_, id)| id).collect();
    ids.sort_unstable();
    ids
}
