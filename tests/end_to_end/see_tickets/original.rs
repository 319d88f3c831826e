//! What the functions that this project began from lose or give away, each shown to be gone. That they read the first page alone is
//! what `a_hundred_thousand_sales_arrive_once_under_a_page_cap` is about.

use std::collections::BTreeSet;
use std::fs;

use sandbox::function;
use sandbox::see_tickets::{Options, start_blocking};
use sandbox::{Fault, Faults};
use serde_json::{Value, json};

use super::{EVENTS, SALES, codes, sales};
use crate::lake::Lake;

/// They load all stored keys before each run, so that it costs the more the more there is. Here a run needs the months that it
/// writes to: the others can be gone to ruin.
#[test]
fn a_run_reads_nothing_of_the_months_that_it_does_not_write_to() {
    let options = Options { sales: 3_000, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    sales(&server, &lake).complete();
    let old = |month: &str| month < "sale_month=2026-11";
    let mut ruined = 0;
    for entry in fs::read_dir(lake.path().join(SALES)).unwrap().map(Result::unwrap) {
        if old(entry.file_name().to_str().unwrap()) {
            fs::write(entry.path().join("part-00000.parquet"), "ruined").unwrap();
            ruined += 1;
        }
    }
    assert_eq!(ruined, 3);
    server.set_revision(1);
    let report = sales(&server, &lake).complete();
    assert!(report["records"]["changed"].as_u64().unwrap() > 0, "{report}");
}

/// They look whether a key is there and then insert it: two of them at once insert it twice.
#[test]
fn two_runs_at_once_store_each_sale_once() {
    let options = Options { sales: 2_000, days: 10, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let both = [0, 1].map(|_| sales(&server, &lake).start());
    for run in both {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
}

/// They print every answer, personal data included, to the log.
#[test]
fn no_sale_s_data_is_in_the_log_or_in_the_report() {
    let faults = [(EVENTS + 1, Fault::HtmlBody), (EVENTS + 3, Fault::TruncatedBody)];
    let faults = Faults { at: faults.into(), ..Faults::default() };
    let options = Options { sales: 500, broken: 20, faults, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let ended = sales(&server, &lake).env("RUST_LOG", "trace").run();
    assert_eq!(ended.code, Some(4), "{}", ended.errors);
    assert!(ended.errors.contains("a record cannot become a row"), "what is broken is told: {}", ended.errors);
    let told = format!("{}{}", ended.errors, ended.report);
    for sale in truth.sales(0) {
        for personal in [&sale["uniqueCode"], &sale["location"]["postCode"]].into_iter().filter_map(Value::as_str) {
            assert!(!told.contains(personal), "{personal}");
        }
    }
}

/// They answer 500 with a text when an insert fails, and what failed is never tried again.
#[test]
fn what_could_not_be_stored_is_an_error_and_arrives_with_the_next_run() {
    let options = Options { sales: 1_000, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    // A file where a month's folder has to be: that month cannot be written.
    let month = lake.path().join(SALES).join("sale_month=2026-10");
    fs::create_dir_all(month.parent().unwrap()).unwrap();
    fs::write(&month, "").unwrap();
    let ended = sales(&server, &lake).run();
    assert_eq!((ended.code, &ended.report["status"]), (Some(1), &json!("failed")), "{}", ended.errors);
    assert_eq!((&ended.report["error"]["kind"], &ended.report["watermark"]), (&json!("Store"), &Value::Null));
    fs::remove_file(&month).unwrap();
    sales(&server, &lake).complete();
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
}

/// One of them empties its table and loads it anew: a failure in between leaves it empty.
#[test]
fn a_reading_that_replaces_the_table_and_fails_leaves_it_as_it_was() {
    let options = Options { sales: 1_000, ..Options::default() };
    let truth: BTreeSet<String> = options.truth().unique_codes(0).collect();
    let lake = Lake::new();
    let file = lake.path().join("_tmp/see_tickets.yaml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = fs::read_to_string(function::root().join("shared/manifest/sources/see_tickets.yaml")).unwrap();
    fs::write(&file, text.replace("write_disposition: merge", "write_disposition: replace")).unwrap();
    let replacing = ["--full", "--attempts", "1", "--sources", file.to_str().unwrap()];
    sales(&start_blocking(options.clone()).unwrap(), &lake).with(&replacing).complete();
    // A reading is registered before its first request.
    let objects = || {
        let mut objects = lake.objects();
        objects.retain(|path, _| !path.ends_with("readings.json"));
        objects
    };
    let before = objects();

    let at = (EVENTS + 4..60).map(|number| (number, Fault::Status500)).collect();
    let failing = start_blocking(Options { faults: Faults { at, ..Faults::default() }, ..options.clone() }).unwrap();
    let ended = sales(&failing, &lake).with(&replacing).run();
    assert_eq!((ended.code, &ended.report["records"]["received"]), (Some(1), &json!(298)), "{}", ended.errors);
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
    assert_eq!(objects(), before);

    // Read to its end, it does replace: another seed's sales are all others.
    let other = Options { seed: 2, ..options };
    let truth: BTreeSet<String> = other.truth().unique_codes(0).collect();
    let report = sales(&start_blocking(other).unwrap(), &lake).with(&replacing).complete();
    assert_eq!(report["records"]["removed"], 1_000);
    assert_eq!(codes(lake.query(SALES, "SELECT uniqueCode FROM {table}")), truth);
}
