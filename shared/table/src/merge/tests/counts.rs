//! The laws of counts: what is counted is what is stored, also if an error ends the merge.

use std::time::Duration;

use lake::ErrorKind;

use super::history::with_history;
use super::store::{Interposed, refusal};
use super::*;
use crate::merge::concurrent::MAX_CONCURRENT;

/// Merges records while writes to keys that contain one of `refused` fail immediately. All other writes take some time, so that they are
/// in progress when the merge fails.
async fn merge_with_refusals(root: &Path, manifest: &Manifest, records: &[Value], refused: &'static [&str]) -> Merged {
    let store = Interposed::new(root, move |operation, key| {
        let is_refused = operation == "write" && refused.iter().any(|text| key.contains(text));
        let refusal = is_refused.then(|| refusal(ErrorKind::Denied, operation, key));
        async move {
            match refusal {
                Some(error) => return Err(error),
                None if operation == "write" => tokio::time::sleep(Duration::from_millis(50)).await,
                None => {}
            }
            Ok(())
        }
    });
    let table = table(&store, manifest, Format::Parquet);
    let mut buffer = table.buffer();
    let mapper = Mapper::new(&manifest.resources[0]);
    records.iter().flat_map(|record| mapper.map(record.clone())).for_each(|row| buffer.push(row.unwrap(), Utc::now()));
    let mut merged = Merged::default();
    let error = table.merge(&mut buffer, &mut merged).await.unwrap_err();
    assert!(error.to_string().contains("the test refuses it"), "{error}");
    merged
}

/// The objects with this prefix and their bytes, as [`Merged`] counts them.
async fn objects(root: &Path, prefix: &str) -> (u64, u64) {
    let listed = Local::new(root.to_owned()).list(prefix).await.unwrap();
    (listed.len() as u64, listed.iter().map(|listed| listed.size).sum())
}

#[tokio::test]
async fn writes_in_progress_when_a_partition_fails_are_counted() {
    let manifest = manifest("merge", "[{name: b, from: id, transform: 'bucket[6]'}]", "");
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..200).map(|id| thing(id, 1)).collect();
    let merged = merge_with_refusals(root.path(), &manifest, &records, &["/b=2/"]).await;
    let (rows, parts) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(parts, 5, "the writes of the other partitions were in progress");
    assert_eq!((merged.new, merged.changed, merged.unchanged), (rows.len() as u64, 0, 0));
    assert_eq!((merged.objects, merged.bytes_written), objects(root.path(), "test/").await);

    let rest = merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &records).await;
    assert_eq!((rest.new, rest.unchanged), (200 - merged.new, merged.new));
}

/// If the store refuses every write, it gets no request for most of the partitions.
#[tokio::test]
async fn no_partition_is_started_after_one_that_failed() {
    let manifest = manifest("merge", "[{name: b, from: id, transform: identity}]", "");
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..200).map(|id| thing(id, 1)).collect();
    let merged = merge_with_refusals(root.path(), &manifest, &records, &["/b=0/", "/b=1/", "/b=10/", "/b=100/"]).await;
    assert!(merged.new <= 2 * MAX_CONCURRENT as u64, "{merged:?}");
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(merged.new, rows.len() as u64);
}

#[tokio::test]
async fn versions_that_were_recorded_before_an_error_are_counted() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..40).map(|id| thing(id, 1)).collect();
    let merged = merge_with_refusals(root.path(), &manifest, &records, &["things/b="]).await;
    assert_eq!((merged.new, merged.objects), (0, 1));
    assert_eq!((merged.objects, merged.bytes_written), objects(root.path(), "test/things_history/").await);
}
