//! A manifest that lies on S3.

use sandbox::stub::Response;
use serde_json::json;

use super::{Mine, ended, events, records, stub};
use crate::aws::Aws;

#[test]
fn a_manifest_can_lie_on_s3() {
    let stub = stub(|_| Response::json(&json!(records(0..3))));
    let manifest = events(&stub, &json!({"path": "events", "paginator": "single_page"}));
    let mine = Mine::json(&manifest);
    let aws = Aws::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("manifests")).unwrap();
    std::fs::copy(&mine.file, folder.path().join("manifests/other.json")).unwrap();
    aws.upload(folder.path());
    let function =
        sandbox::function::Function::reading("resource", "other", mine.lake.path()).with(&["--resource", "events"]);
    let of = |key: &str| aws.grant(function.clone().with(&["--sources", &format!("s3://lake/{key}")]));
    assert_eq!(of("manifests/other.json").complete()["records"]["new"], 3);
    let by_variable = aws.grant(function.clone().env("SOURCES", "s3://lake/manifests/other.json"));
    assert_eq!(by_variable.complete()["records"]["unchanged"], 3);
    ended(&of("manifests/missing.json"), 2, &["s3://lake/manifests/missing.json does not exist"]);
}
