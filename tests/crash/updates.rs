//! What a changed sale becomes, wherever it lies; and what the lake's own times say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::lake::Local;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use manifest::{Manifest, WriteDisposition, built_in};
use sandbox::see_tickets::{Options, Truth};
use serde_json::{Value, json};
use table::Format;
use table::map::Mapper;
use table::merge::{Merged, Table};
use ticketlake::options::Draft;

use crate::lake::{self, Row};
use crate::sales::{self, Sales};

const FORMATS: [Format; 2] = [Format::Parquet, Format::Json];

/// One day of which half of the sales are pending.
fn a_day() -> Options {
    Options { sales: 300, days: 1, pending_days: 1, added_per_revision: 20, ..Options::default() }
}

fn see_tickets(disposition: WriteDisposition) -> Manifest {
    let mut manifest = built_in::find("see_tickets").unwrap().unwrap();
    for resource in &mut manifest.resources {
        resource.write_disposition = disposition;
    }
    manifest
}

async fn merge(root: &Path, manifest: &Manifest, format: Format, target: usize, sales: &[Value]) -> Merged {
    let store = Local::new(root.to_owned());
    let resource = manifest.resource("sales").unwrap();
    let table = Table::new(&store, &manifest.name, resource, format).with_target_bytes(target);
    let mapper = Mapper::new(resource);
    let mut buffer = table.buffer();
    sales.iter().flat_map(|sale| mapper.map(sale.clone())).for_each(|row| buffer.push(row.unwrap(), Utc::now()));
    let mut merged = Merged::default();
    table.merge(&mut buffer, &mut merged).await.unwrap();
    merged
}

/// Stores `sales` in parts of a hundred.
async fn store_in_parts(root: &Path, manifest: &Manifest, format: Format, sales: &[Value]) -> BTreeMap<String, Bytes> {
    for sales in sales.chunks(100) {
        merge(root, manifest, format, 1, sales).await;
    }
    let parts = lake::parts(root);
    assert_eq!(parts.len(), sales.len() / 100);
    parts
}

fn sales_of(truth: &Truth, revision: u32) -> Vec<Value> {
    truth.sales(revision).collect()
}

/// Which of the first sales of a day are confirmed by the next revision.
fn confirmed(before: &[Value], after: &[Value]) -> Vec<usize> {
    let pending = |sale: &Value| sale["isPending"] == json!(true);
    (0..before.len()).filter(|index| pending(&before[*index]) && !pending(&after[*index])).collect()
}

#[tokio::test]
async fn a_confirmed_sale_replaces_the_pending_one_in_the_part_where_that_lies() {
    let truth = a_day().truth();
    let (before, after) = (sales_of(&truth, 0), sales_of(&truth, 1));
    for format in FORMATS {
        // In the first part of three, in the middle one, in the last.
        for (position, range) in [0..100, 100..200, 200..300].into_iter().enumerate() {
            let root = tempfile::tempdir().unwrap();
            let manifest = see_tickets(WriteDisposition::Merge);
            let stored = store_in_parts(root.path(), &manifest, format, &before).await;
            let chosen: Vec<usize> =
                confirmed(&before, &after).into_iter().filter(|index| range.contains(index)).collect();
            let changes: Vec<Value> = chosen.iter().map(|index| after[*index].clone()).collect();
            assert!(changes.len() > 3);

            let merged = merge(root.path(), &manifest, format, 1, &changes).await;
            assert_eq!((merged.new, merged.changed, merged.objects), (0, changes.len() as u64, 1));
            let now = lake::parts(root.path());
            for (other, (key, bytes)) in stored.iter().enumerate() {
                assert_eq!(now[key] == *bytes, other != position, "{key} after a change in part {position}");
            }
            let (then, rows) = (lake::rows(&stored), lake::rows(&now));
            for (index, sale) in before.iter().enumerate() {
                let code = sale["uniqueCode"].as_str().unwrap();
                let (row, old) = (&rows[code], &then[code]);
                assert_eq!(row["first_seen_at"], old["first_seen_at"], "{code}");
                if chosen.contains(&index) {
                    assert_eq!(lake::told(&Value::Object(row.clone())), lake::told(&after[index]));
                    assert!(instant(row, "synced_at") > instant(row, "first_seen_at"), "{code}: {row:?}");
                } else {
                    assert_eq!(row, old);
                }
            }
        }
    }
}

#[tokio::test]
async fn one_merge_updates_several_parts_and_inserts_behind_them() {
    let truth = a_day().truth();
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let manifest = see_tickets(WriteDisposition::Merge);
        store_in_parts(root.path(), &manifest, format, &sales_of(&truth, 0)).await;
        let merged = merge(root.path(), &manifest, format, 1, &sales_of(&truth, 1)).await;
        let changed = truth.changed_codes(0, 1).len() as u64;
        assert_eq!(merged.new, 20);
        assert_eq!((merged.changed, merged.unchanged, merged.objects), (changed, 300 - changed, 4));
        lake::assert_is(&lake::parts(root.path()), &truth, 1, format.name());
    }
}

#[tokio::test]
async fn append_leaves_the_first_version_of_a_sale() {
    let truth = a_day().truth();
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let manifest = see_tickets(WriteDisposition::Append);
        let stored = store_in_parts(root.path(), &manifest, format, &sales_of(&truth, 0)).await;
        let merged = merge(root.path(), &manifest, format, 1, &sales_of(&truth, 1)).await;
        assert_eq!((merged.new, merged.changed, merged.unchanged, merged.objects), (20, 0, 300, 1));
        let now = lake::parts(root.path());
        assert!(stored.iter().all(|(key, bytes)| now[key] == *bytes), "no stored part is touched");
        assert_eq!(lake::rows(&now).len(), 320);
    }
}

fn instant(row: &Row, column: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(row[column].as_str().unwrap()).unwrap().to_utc()
}

#[tokio::test]
async fn times_tell_when_a_sale_was_first_stored_and_when_this_version_was() {
    let sales = Sales::start(sales::few()).await;
    let root = tempfile::tempdir().unwrap();
    let mut runs: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    // The last one finds nothing new, and must leave every time as it is.
    for revision in [0, 1, 2, 2] {
        sales.server.set_revision(revision);
        tokio::time::sleep(Duration::from_millis(2)).await;
        let begin = Utc::now();
        let request = sales.request(&Draft::default());
        let (report, error) = sales.run(Arc::new(Local::new(root.path().to_owned())), &request).await;
        assert!(error.is_none(), "{report:?}");
        runs.push((begin, Utc::now()));
    }
    let run_of = |row: &Row, column: &str| {
        let instant = instant(row, column);
        runs.iter().position(|(begin, end)| (*begin..=*end).contains(&instant)).unwrap()
    };
    let codes = |revision| sales.truth.unique_codes(revision).collect::<BTreeSet<String>>();
    let seen = [codes(0), codes(1), codes(2)];
    let changed = [sales.truth.changed_codes(0, 1), sales.truth.changed_codes(1, 2)];
    let mut told = BTreeSet::new();
    for (code, row) in lake::rows(&lake::parts(root.path())) {
        let first = seen.iter().position(|codes| codes.contains(&code)).unwrap();
        let last = (1..=2).rev().find(|revision| changed[revision - 1].contains(&code)).unwrap_or(first);
        assert_eq!((run_of(&row, "first_seen_at"), run_of(&row, "synced_at")), (first, last), "{code}");
        told.insert((first, last));
    }
    assert!(told.is_superset(&[(0, 0), (0, 1), (0, 2), (1, 1), (2, 2)].into()), "{told:?}");
}
