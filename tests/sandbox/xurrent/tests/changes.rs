use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ids, read_all};
use crate::{
    clock,
    xurrent::{Options, Resource, start_blocking},
};

fn updated(record: &Value) -> i64 {
    clock::instant_ms(record["updated_at"].as_str().unwrap()).unwrap()
}

#[test]
fn a_revision_changes_a_few_records_and_adds_a_few_a_day_later() {
    let options = Options::default();
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    server.set_revision(2);
    for resource in Resource::ALL {
        assert_eq!(truth.count(resource, 2), truth.count(resource, 0) + 6);
        let changed = truth.changed_ids(resource, 1, 2);
        assert_eq!((truth.changed_ids(resource, 0, 1).len(), changed.len()), (5, 5));
        let path = format!("/{}?per_page=100&sort=updated_at&updated_at=%3E", resource.name());
        let (since, _) = read_all(&server, &format!("{path}2026-11-22T12:00:00Z"));
        assert_eq!(since.len(), 8);
        let (new, old): (BTreeSet<u64>, BTreeSet<u64>) = ids(&since).into_iter().partition(|id| !changed.contains(id));
        assert_eq!((new.len(), old), (3, changed));
        assert!(read_all(&server, &format!("{path}2026-11-23T12:00:00Z")).0.is_empty());
        // What changed is more than the time.
        let by_id = |revision| -> BTreeMap<u64, Value> {
            truth.records(resource, revision).map(|record| (record["id"].as_u64().unwrap(), record)).collect()
        };
        let (before, after) = (by_id(0), by_id(2));
        for (id, record) in &before {
            let same = *record == after[id];
            assert_eq!(same, !truth.changed_ids(resource, 0, 2).contains(id));
        }
        let content = |record: &Value| {
            let mut record = record.clone();
            record["updated_at"] = Value::Null;
            record
        };
        assert!(before.iter().any(|(id, record)| content(record) != content(&after[id])), "{}", resource.name());
    }
}

#[test]
fn records_move_to_the_end_while_they_are_read() {
    let options = Options { moving: 0.2, moving_over: 4, ..Options::default() };
    let truth = options.truth();
    let moving = truth.moving_ids(Resource::Products);
    assert!((30..100).contains(&moving.len()), "{}", moving.len());
    let server = start_blocking(options.clone()).unwrap();
    let (read, pages) = read_all(&server, "/products?per_page=30&sort=updated_at");
    assert!(pages > 10, "{pages}");
    let seen = ids(&read);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 300);
    let twice: BTreeSet<u64> =
        seen.iter().filter(|id| seen.iter().filter(|other| other == id).count() > 1).copied().collect();
    assert!(!twice.is_empty() && twice.is_subset(&moving));
    assert!(read.is_sorted_by_key(updated));
    // The last word on each is what is there afterwards.
    let last: BTreeMap<u64, i64> =
        read.iter().map(|record| (record["id"].as_u64().unwrap(), updated(record))).collect();
    let settled = options.truth().at_request(server.count());
    let expected =
        settled.records(Resource::Products, 0).map(|record| (record["id"].as_u64().unwrap(), updated(&record)));
    assert_eq!(last, expected.collect());
    let until = |truth: &crate::xurrent::Truth| {
        truth.updated_within(Resource::Products, 0, "2000-01-01T00:00:00Z", "2026-11-20T12:00:00Z")
    };
    assert_eq!((until(&truth), until(&settled)), (300, 300 - moving.len()));
}

#[test]
fn the_data_follows_from_the_seed() {
    let all = |seed, revision| -> Vec<Value> {
        let truth = Options { seed, ..Options::default() }.truth();
        Resource::ALL.iter().flat_map(|resource| truth.records(*resource, revision).collect::<Vec<_>>()).collect()
    };
    assert_eq!(all(1, 3), all(1, 3));
    assert_ne!(all(1, 0), all(2, 0));
    let error = start_blocking(Options { now: "yesterday".into(), ..Options::default() }).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
