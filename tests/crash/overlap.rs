//! Processes at once on one lake.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sandbox::Server;
use sandbox::function::{self, Function};
use sandbox::see_tickets::{Options, start_blocking};
use serde_json::{Value, json};

use crate::lake;
use crate::place::{Lake, Place};
use crate::sales;

/// Runs `functions` at once to their ends, each of them a complete one, while a reader looks again and again; gives their reports.
fn at_once(lake: &Lake<'_>, functions: &[Function]) -> Vec<Value> {
    function::binary("sales");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                lake::assert_keys_once(&lake.parts());
            }
        });
        let running: Vec<Child> = functions.iter().map(Function::start).collect();
        let reports: Vec<_> = running.into_iter().map(|process| report(process.wait_with_output().unwrap())).collect();
        done.store(true, Ordering::Release);
        reports
    })
}

fn report(output: std::process::Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {errors}"));
    assert_eq!(report["status"], "complete", "{report}\n{errors}");
    report
}

fn sum(reports: &[Value], count: &str) -> u64 {
    reports.iter().map(|report| report["records"][count].as_u64().unwrap()).sum()
}

/// A run that finds everything stored.
fn assert_nothing_new(lake: &Lake<'_>, server: &Server) {
    let report = lake.function(server).with(&["--full"]).complete();
    let counts = (&report["records"]["new"], &report["records"]["changed"], &report["objects"]);
    assert_eq!(counts, (&json!(0), &json!(0), &json!(0)), "{report}");
}

/// Sixteen runs over one window: each sale is new to one of them, and to the others it was there.
fn sixteen_runs_in(place: &Place) {
    let server = start_blocking(sales::few()).unwrap();
    let truth = sales::few().truth();
    let lake = place.lake();
    let functions = vec![lake.function(&server); 16];
    for revision in [0, 1] {
        server.set_revision(revision);
        let before = if revision == 0 { 0 } else { truth.unique_codes(0).count() };
        let reports = at_once(&lake, &functions);
        lake::assert_is(&lake.parts(), &truth, revision, "after sixteen at once");
        assert_eq!(sum(&reports, "new") as usize, truth.unique_codes(revision).count() - before);
        assert_nothing_new(&lake, &server);
    }
}

#[test]
fn sixteen_runs_at_once_in_a_directory_store_each_sale_once() {
    sixteen_runs_in(&Place::Directory);
}

#[test]
fn sixteen_runs_at_once_in_a_bucket_store_each_sale_once() {
    sixteen_runs_in(&Place::good_bucket());
}

/// A backfill of the first days beside the schedule's own runs, which go on from the watermark.
fn a_backfill_beside_a_schedule_in(place: &Place) {
    let options = Options { days: 20, until: "2026-11-20".into(), sales: 400, broken: 0, ..sales::few() };
    let truth = options.truth();
    let newest = truth.sales(0).filter_map(|sale| Some(sale["date"].as_str()?.to_owned())).max().unwrap();
    for _ in 0..4 {
        let server = start_blocking(options.clone()).unwrap();
        let lake = place.lake();
        let schedule = lake.function(&server);
        let backfill = |from, to| lake.function(&server).with(&["--from", from, "--to", to]);
        // The schedule has run before, over the last days alone.
        lake.function(&server).with(&["--from", "2026-11-18"]).complete();
        let first = lake::rows(&lake.parts()).len();
        let reports = at_once(
            &lake,
            &[backfill("2026-11-01", "2026-11-14"), schedule.clone(), backfill("2026-11-10", "2026-11-20"), schedule],
        );
        lake::assert_is(&lake.parts(), &truth, 0, "after a backfill beside a schedule");
        assert_eq!(first + sum(&reports, "new") as usize, truth.unique_codes(0).count());
        assert_nothing_new(&lake, &server);
        let state = lake.function(&server).with(&["--check"]).run().report;
        // A range that is past was read to its end, which lies behind the newest sale.
        let watermark = state["watermark"].as_str().unwrap();
        assert!(watermark == "2026-11-21T00:00:00Z" && *newest <= *watermark, "{state}");
    }
}

#[test]
fn a_backfill_beside_a_schedule_in_a_directory_stores_each_sale_once() {
    a_backfill_beside_a_schedule_in(&Place::Directory);
}

#[test]
fn a_backfill_beside_a_schedule_in_a_bucket_stores_each_sale_once() {
    a_backfill_beside_a_schedule_in(&Place::good_bucket());
}
