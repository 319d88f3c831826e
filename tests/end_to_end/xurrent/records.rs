//! Every record with every value.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use sandbox::xurrent::{Resource, start_blocking};
use serde_json::{Value, json};

use super::columns::{assert_stored, assert_values, seed_names, table};
use super::{options, param, reading, rows};
use crate::lake::Lake;

#[test]
fn each_resource_alone_is_as_the_api_has_it() {
    let truth = options().truth();
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    for resource in Resource::ALL {
        let seen = server.count();
        let report = reading(resource.name(), &server, &lake).complete();
        let count = truth.count(resource, 0);
        assert_eq!(rows(&report), [count as u64, 0, 0]);
        assert_eq!((&report["expected"], &report["records"]["rejected"]), (&json!(count), &json!(0)));
        assert_stored(&lake, resource, truth.records(resource, 0));
        let requests = &server.requests()[seen..];
        assert_eq!(requests.len(), count.div_ceil(100), "as few pages as there can be");
        for request in requests {
            assert_eq!(request.path, format!("/v1/{}", resource.name()));
            assert_eq!(param(request, "sort").as_deref(), Some("updated_at"));
            assert_eq!(param(request, "per_page").as_deref(), Some("100"));
            assert_eq!((param(request, "updated_at"), param(request, "page")), (None, None));
        }
        assert!(requests[1..].iter().all(|request| param(request, "search_after").is_some()));
    }
}

#[test]
fn all_at_once_are_too() {
    let truth = options().truth();
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    let report = reading("all", &server, &lake).complete();
    assert_eq!(report["resource"], "organizations,products,projects");
    let each: Vec<(&Value, [u64; 3])> =
        report["resources"].as_array().unwrap().iter().map(|report| (&report["status"], rows(report))).collect();
    let complete = json!("complete");
    let expected = Resource::ALL.map(|resource| (&complete, [truth.count(resource, 0) as u64, 0, 0]));
    assert_eq!(each, expected);
    // Where the rights of the deployed function end.
    let own = ["xurrent", "_state/xurrent", "_rejected/xurrent"].map(|folder| lake.path().join(folder));
    for object in lake.objects().into_keys() {
        assert!(own.iter().any(|folder| object.starts_with(folder)), "{}", object.display());
    }
    for resource in Resource::ALL {
        assert_stored(&lake, resource, truth.records(resource, 0));
    }
}

/// What Fivetran's sample stores by these names, it stores empty where the API does not give the field unasked.
#[test]
fn the_sample_s_columns_come_first_by_its_names_and_none_is_empty() {
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    reading("all", &server, &lake).complete();
    for resource in Resource::ALL {
        let described = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {table})";
        let columns: Vec<(String, String)> = lake
            .query(&table(resource), described)
            .into_iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_owned()))
            .collect();
        let seed = seed_names(resource);
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..seed.len()], seed);
        let own = ["synced_at", "first_seen_at", "_fingerprint", "_extra", "_issues", "id_bucket"];
        assert_eq!(names[names.len() - own.len()..], own);
        for (name, kind) in &columns {
            let expected = match name.as_str() {
                "id_bucket" => continue,
                name if name.ends_with("_at") => "TIMESTAMP WITH TIME ZONE",
                "disabled" => "BOOLEAN",
                name if name == "id" || (seed.contains(&name) && name.ends_with("_id") && name != "source_id") => {
                    "BIGINT"
                }
                _ => continue,
            };
            assert_eq!(kind, expected, "{name}");
        }
        for name in seed {
            let filled = format!("SELECT count({name}) FROM {{table}}");
            assert_ne!(lake.value(&table(resource), &filled), json!(0), "{name} of {} is empty", resource.name());
        }
    }
}

#[test]
fn times_are_written_in_utc() {
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    reading("projects", &server, &lake).with(&["--format", "json"]).complete();
    let parts = lake.objects().into_keys().filter(|path| path.to_string_lossy().ends_with(".jsonl.gz"));
    let mut rows = 0;
    for part in parts {
        let mut text = String::new();
        MultiGzDecoder::new(std::fs::File::open(part).unwrap()).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            for name in ["created_at", "updated_at", "synced_at"] {
                assert!(row[name].as_str().unwrap().ends_with('Z'), "{name}: {row}");
            }
            assert!(row.get("_issues").is_none(), "{row}");
            rows += 1;
        }
    }
    let truth = options().truth();
    assert_eq!(rows, truth.count(Resource::Projects, 0));
    assert_values(&lake, Resource::Projects, truth.records(Resource::Projects, 0));
    let zoned = |record: &Value| !record["created_at"].as_str().unwrap().ends_with('Z');
    assert!(truth.records(Resource::Projects, 0).any(|record| zoned(&record)), "the API tells some by another clock");
}
