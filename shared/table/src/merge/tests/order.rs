//! The order of the rows in a part.

use chrono::{DateTime, TimeDelta};

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
