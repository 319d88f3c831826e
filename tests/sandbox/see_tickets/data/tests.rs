use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::{
    clock,
    see_tickets::{DateFormat, Options},
};

use super::{Sales, Truth};

fn sales(options: &Options) -> Sales {
    Sales::new(options).unwrap()
}

#[test]
fn the_truth_is_the_same_twice_and_no_code_comes_twice() {
    let options = Options { sales: 5_000, broken: 10, ..Options::default() };
    let (first, second) = (options.truth(), options.truth());
    assert!(first.sales(0).eq(second.sales(0)));
    let codes: HashSet<String> = first.unique_codes(0).collect();
    assert_eq!(codes.len(), 5_000 - first.without_code());
    assert_eq!((first.without_code(), first.with_wrong_type()), (5, 5));
    let told: HashSet<String> =
        first.sales(0).filter_map(|sale| Some(sale["uniqueCode"].as_str()?.to_owned())).collect();
    assert_eq!(told, codes);
    let other = Options { seed: 2, ..options }.truth();
    assert!(!first.sales(0).eq(other.sales(0)));
}

#[test]
fn sales_lie_in_their_days_in_order_whatever_their_format() {
    let options = Options { sales: 3_000, date_format: DateFormat::Mixed, ..Options::default() };
    let dates: Vec<i64> =
        options.truth().sales(1).map(|sale| clock::lenient(sale["date"].as_str().unwrap()).unwrap()).collect();
    assert!(dates.is_sorted());
    assert_eq!(clock::day(dates[0]), "2026-08-23");
    assert_eq!(clock::day(*dates.last().unwrap()), "2026-11-20");
}

#[test]
fn a_window_holds_both_of_its_edges() {
    let options = Options { sales: 2_000, ..Options::default() };
    let sales = sales(&options);
    let (low, high) = (sales.date(500), sales.date(700));
    let window = sales.search(None, low, high, 0, usize::MAX, 0);
    let codes: BTreeSet<&str> = window.iter().filter_map(|sale| sale["uniqueCode"].as_str()).collect();
    assert!(codes.contains(&*sales.unique_code(500)) && codes.contains(&*sales.unique_code(700)));
    assert!(!codes.contains(&*sales.unique_code(499)) && !codes.contains(&*sales.unique_code(701)));
}

#[test]
fn the_batches_of_all_events_make_the_whole() {
    let options = Options { sales: 2_000, ..Options::default() };
    let sales = sales(&options);
    let ids: Vec<String> = (0..12).map(|event| sales.event_id(event)).collect();
    let found: usize = ids
        .chunks(5)
        .map(|batch| {
            let batch = batch.iter().cloned().collect();
            sales.search(Some(&batch), i64::MIN, i64::MAX, 0, usize::MAX, 0).len()
        })
        .sum();
    assert_eq!(found, 2_000);
    let unknown = BTreeSet::from(["DF-1".to_owned()]);
    assert_eq!(sales.search(Some(&unknown), i64::MIN, i64::MAX, 0, 10, 0), Vec::<Value>::new());
}

#[test]
fn a_revision_confirms_refunds_and_appends() {
    let options = Options { sales: 20_000, ..Options::default() };
    let truth = Truth::new(sales(&options));
    assert_eq!(truth.count(3), 20_009);
    let changed: HashSet<String> = truth.changed_codes(0, 3).into_iter().collect();
    assert!(!changed.is_empty());
    let mut refunds = 0;
    for (before, after) in truth.sales(0).zip(truth.sales(3)) {
        if changed.contains(after["uniqueCode"].as_str().unwrap()) {
            assert_eq!((&before["isPending"], &after["isPending"]), (&Value::Bool(true), &Value::Bool(false)));
            refunds += usize::from(before["sold"] != after["sold"]);
        } else {
            assert_eq!(before, after);
        }
    }
    assert!(refunds > 0);
    assert!(truth.sales(0).any(|sale| sale["sold"].as_i64().unwrap() < 0));
}
