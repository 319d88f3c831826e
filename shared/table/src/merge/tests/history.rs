//! The laws of the history: every version is kept once.

use chrono::{TimeDelta, Utc};
use lake::{ErrorKind, Precondition, StoreError};

use super::*;
use crate::error::Error;
use crate::merge::partition::PartitionMerge;
use crate::merge::versions::RecordVersions;

/// The manifest of a table with two partitions and a history.
pub(super) fn with_history() -> Manifest {
    let mut manifest = manifest("merge", BUCKETS, "");
    manifest.resources[0].history = true;
    manifest
}

/// Every version in the history as `(id, version, day of the partition)`.
pub(super) async fn recorded_versions(root: &Path, manifest: &Manifest) -> Vec<(i64, i64, String)> {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, Format::Parquet);
    let mut versions = Vec::new();
    for listed in store.list("test/things_history/").await.unwrap() {
        let prefix = listed.key.rsplit_once('/').unwrap().0;
        let day = prefix.rsplit_once('=').unwrap().1;
        for batch in read_part(&table, &listed).await {
            versions.extend(ids_and_versions(&batch).into_iter().map(|(id, version)| (id, version, day.to_owned())));
        }
    }
    versions.sort();
    versions
}

#[tokio::test]
async fn every_version_is_kept_once_and_one_that_returns_once_more() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    for version in [1, 2, 2, 1] {
        let records: Vec<Value> = (0..40).map(|id| thing(id, if id < 10 { version } else { 1 })).collect();
        merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &records).await;
    }
    let versions: Vec<(i64, i64)> =
        recorded_versions(root.path(), &manifest).await.into_iter().map(|(id, version, _)| (id, version)).collect();
    let mut expected: Vec<(i64, i64)> = (0..40).map(|id| (id, 1)).collect();
    expected.extend((0..10).flat_map(|id| [(id, 1), (id, 2)]));
    expected.sort_unstable();
    assert_eq!(versions, expected);
}

/// Yesterday a run recorded a version and was killed before the table had it. Today's run reads the same change.
#[tokio::test]
async fn a_version_is_kept_once_after_a_crash_between_the_two_writes() {
    let manifest = with_history();
    let resource = &manifest.resources[0];
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 1), thing(2, 1)]).await;
    let store = Local::new(root.path().to_owned());
    let yesterday = Utc::now() - TimeDelta::days(1);
    {
        let table = table(&store, &manifest, Format::Parquet);
        let mut buffer = table.buffer();
        let mapper = Mapper::new(resource);
        [thing(1, 2), thing(3, 1)]
            .into_iter()
            .for_each(|record| buffer.push(mapper.map(record).remove(0).unwrap(), Utc::now()));
        let batch = buffer.take_batch(yesterday).unwrap().unwrap();
        let mut versions = Vec::new();
        for (partition, rows) in &batch.partitions {
            versions.extend(PartitionMerge::new(&table.context, partition, &batch).new_versions(rows).await.unwrap());
        }
        table.history.as_ref().unwrap().record(&batch, &versions, &mut Merged::default()).await.unwrap();
    }
    let merged =
        merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &[thing(1, 2), thing(2, 2), thing(3, 1)]).await;
    assert_eq!((merged.new, merged.changed), (1, 2));
    let (day, today) = (yesterday.date_naive().to_string(), Utc::now().date_naive().to_string());
    let expected = [(1, 1, &today), (1, 2, &day), (2, 1, &today), (2, 2, &today), (3, 1, &day)]
        .map(|(id, version, day)| (id, version, day.clone()));
    assert_eq!(recorded_versions(root.path(), &manifest).await, expected);
}

#[tokio::test]
async fn a_document_of_open_runs_with_another_version_is_refused() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    let store = Local::new(root.path().to_owned());
    let key = "_state/test/things/history.json";
    store.put(key, r#"{"version": 2, "open": {}}"#.into(), Precondition::Absent).await.unwrap();
    let table = table(&store, &manifest, Format::Parquet);
    let mut buffer = table.buffer();
    buffer.push(Mapper::new(&manifest.resources[0]).map(thing(1, 1)).remove(0).unwrap(), Utc::now());
    let mut merged = Merged::default();
    let error = table.merge(&mut buffer, &mut merged).await.unwrap_err();
    assert!(matches!(&error, Error::Store(StoreError { kind: ErrorKind::Unreadable, .. })), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(key) && message.contains("its version is 2"), "{message}");
    assert_eq!(merged, Merged::default());
    assert_eq!(store.list("test/").await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_run_is_removed_from_the_open_runs() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    let store = Local::new(root.path().to_owned());
    let open_runs = async || {
        let (bytes, _) = store.get("_state/test/things/history.json").await.unwrap().unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        document["open"].as_object().unwrap().len()
    };
    // A run that was killed three days ago, and one of today that is still active.
    let (old, today) = (Utc::now() - TimeDelta::days(3), Utc::now());
    let document = json!({"version": 1, "open": {"killed": old.date_naive(), "active": today.date_naive()}});
    let key = "_state/test/things/history.json";
    store.put(key, document.to_string().into(), Precondition::Absent).await.unwrap();
    for (covered_since, left) in [(None, 2), (Some(today), 1)] {
        let table = table(&store, &manifest, Format::Parquet);
        table.close(covered_since).await.unwrap();
        assert_eq!(open_runs().await, 2, "a run that recorded nothing changes nothing");
        let mut buffer = table.buffer();
        let id = i64::from(covered_since.is_some());
        buffer.push(Mapper::new(&manifest.resources[0]).map(thing(id, 1)).remove(0).unwrap(), Utc::now());
        table.merge(&mut buffer, &mut Merged::default()).await.unwrap();
        assert_eq!(open_runs().await, 3);
        table.close(covered_since).await.unwrap();
        assert_eq!(open_runs().await, left);
    }
}

/// Every value of the column `copy` in the parts below `prefix`, or `None` if a part does not have the column.
async fn copies(root: &Path, manifest: &Manifest, format: Format, prefix: &str) -> Option<Vec<Option<String>>> {
    let store = Local::new(root.to_owned());
    let table = table(&store, manifest, format);
    let mut copies = Vec::new();
    for listed in store.list(prefix).await.unwrap() {
        for batch in read_part(&table, &listed).await {
            copies.extend(batch.column_by_name("copy")?.as_string::<i32>().iter().map(|copy| copy.map(str::to_owned)));
        }
    }
    copies.sort();
    Some(copies)
}

fn with_copy(id: i64, version: i64, copy: &str) -> Value {
    let mut record = thing(id, version);
    record["copy"] = json!(copy);
    record
}

#[tokio::test]
async fn a_column_of_the_history_alone_is_kept_with_each_version_there() {
    let before = {
        let mut manifest = manifest("merge", "[]", ", copy: {data_type: json, volatile: true}");
        manifest.resources[0].history = true;
        manifest
    };
    let mut after = before.clone();
    after.resources[0]
        .columns
        .iter_mut()
        .filter(|column| column.name == "copy")
        .for_each(|column| column.history_only = true);
    let some = |copy: &str| Some(format!("\"{copy}\""));
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        for (version, copy) in [(1, "a"), (2, "b"), (2, "c")] {
            merge(root.path(), &after, format, PART_BYTES, &[with_copy(1, version, copy)]).await;
        }
        assert_eq!(stored_versions(root.path(), &after, format).await, BTreeMap::from([(1, 2)]));
        assert_eq!(
            copies(root.path(), &after, format, "test/things/")
                .await
                .filter(|copies| copies.iter().any(Option::is_some)),
            None
        );
        // The column is volatile, so that a change of it alone is no version.
        let history = "test/things_history/";
        if format == Format::Parquet {
            assert_eq!(copies(root.path(), &after, format, history).await, Some(vec![some("a"), some("b")]));
        }
    }
    // What a table has from before stays.
    let root = tempfile::tempdir().unwrap();
    merge(root.path(), &before, Format::Parquet, PART_BYTES, &[with_copy(1, 1, "a")]).await;
    merge(root.path(), &after, Format::Parquet, PART_BYTES, &[with_copy(2, 1, "b")]).await;
    let copies = copies(root.path(), &after, Format::Parquet, "test/things/").await.unwrap();
    assert!(copies.contains(&some("a")), "{copies:?}");
}
