//! What is counted is what is stored, also when an error ends the merge.

use super::store::{Interposed, trouble};
use super::*;
use lake::Kind;

/// Writes below these folders are refused at once, all others take a while: they are under way when the merge fails.
async fn merge_refused_in(root: &Path, manifest: &Manifest, records: &[Value], folders: &'static [&str]) -> Merged {
    let store = Interposed::new(root, move |operation, key| {
        let refused = operation == "write" && folders.iter().any(|folder| key.contains(folder));
        let refused = refused.then(|| trouble(Kind::Denied, operation, key));
        async move {
            match refused {
                Some(error) => return Err(error),
                None if operation == "write" => tokio::time::sleep(Duration::from_millis(50)).await,
                None => {}
            }
            Ok(())
        }
    });
    let resource = &manifest.resources[0];
    let table = Table::new(&store, &manifest.name, resource, Format::Parquet);
    let mut buffer = table.buffer();
    let mapper = Mapper::new(resource);
    records.iter().flat_map(|record| mapper.map(record.clone())).for_each(|row| buffer.push(row.unwrap()));
    let mut merged = Merged::default();
    let error = table.merge(&mut buffer, &mut merged).await.unwrap_err();
    assert!(error.to_string().contains("as the test has it"), "{error}");
    merged
}

/// The objects below `folder` and their bytes, as [`Merged`] counts them.
async fn objects(root: &Path, folder: &str) -> (u64, u64) {
    let listed = Local::new(root.to_owned()).list(folder).await.unwrap();
    (listed.len() as u64, listed.iter().map(|listed| listed.size).sum())
}

#[tokio::test]
async fn what_landed_beside_a_partition_that_failed_is_counted() {
    let manifest = manifest("merge", "[{name: b, from: id, transform: 'bucket[6]'}]", "");
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..200).map(|id| thing(id, 1)).collect();
    let merged = merge_refused_in(root.path(), &manifest, &records, &["/b=2/"]).await;
    let (rows, parts) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(parts, 5, "the other partitions were under way, and landed");
    assert_eq!((merged.new, merged.changed, merged.unchanged), (rows.len() as u64, 0, 0));
    assert_eq!((merged.objects, merged.bytes_written), objects(root.path(), "test/").await);

    let rest = merge(root.path(), &manifest, Format::Parquet, PART_BYTES, &records).await;
    assert_eq!((rest.new, rest.unchanged), (200 - merged.new, merged.new));
}

/// A store that refuses everything is not asked for every partition.
#[tokio::test]
async fn no_partition_is_begun_after_one_that_failed() {
    let manifest = manifest("merge", "[{name: b, from: id, transform: identity}]", "");
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..200).map(|id| thing(id, 1)).collect();
    let merged = merge_refused_in(root.path(), &manifest, &records, &["/b=0/", "/b=1/", "/b=10/", "/b=100/"]).await;
    assert!(merged.new <= 2 * MAX_CONCURRENT as u64, "{merged:?}");
    let (rows, _) = stored(root.path(), &manifest, Format::Parquet).await;
    assert_eq!(merged.new, rows.len() as u64);
}

#[tokio::test]
async fn a_history_that_was_written_before_an_error_is_counted() {
    let manifest = with_history();
    let root = tempfile::tempdir().unwrap();
    let records: Vec<Value> = (0..40).map(|id| thing(id, 1)).collect();
    let merged = merge_refused_in(root.path(), &manifest, &records, &["things/b="]).await;
    assert_eq!((merged.new, merged.objects), (0, 1));
    assert_eq!((merged.objects, merged.bytes_written), objects(root.path(), "test/things_history/").await);
}
