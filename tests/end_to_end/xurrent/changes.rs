//! Records that change between two runs, during a run, and within a time window.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sandbox::xurrent::{Options, Resource, start_blocking};
use serde_json::{Value, json};

use super::columns::{assert_stored, table};
use super::{options, param, reading, rows};
use crate::lake::Lake;

/// After everything.
const LATER: &str = "2100-01-01T00:00:00Z";

/// From where a run reads again that follows one with this report.
fn lagging(report: &Value) -> String {
    let watermark: DateTime<Utc> = report["watermark"].as_str().unwrap().parse().unwrap();
    (watermark - TimeDelta::seconds(300)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[test]
fn a_later_run_reads_the_lag_alone_and_lands_what_changed() {
    let truth = options().truth();
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    for resource in Resource::ALL {
        server.set_revision(0);
        let first = reading(resource.name(), &server, &lake).complete();
        let since = lagging(&first);
        let newest = truth.records(resource, 0).map(|record| instant(&record["updated_at"])).max().unwrap();
        assert_eq!(instant(&first["watermark"]), newest);

        let windows = |seen: usize| -> Vec<Option<String>> {
            server.requests()[seen..].iter().map(|seen| param(seen, "updated_at")).collect()
        };
        let folder = lake.path().join(table(resource));
        let parts = || lake.objects().into_iter().filter(|(path, _)| path.starts_with(&folder)).collect::<Vec<_>>();
        let (before, seen) = (parts(), server.count());
        assert!(!before.is_empty());
        let second = reading(resource.name(), &server, &lake).complete();
        let lag = truth.updated_within(resource, 0, &since, LATER);
        assert!((1..50).contains(&lag), "{lag}");
        assert_eq!((rows(&second), &second["objects"]), ([0, 0, lag as u64], &json!(0)));
        assert_eq!(windows(seen), [Some(format!(">={since}"))]);
        assert_eq!(parts(), before);

        server.set_revision(1);
        let seen = server.count();
        let third = reading(resource.name(), &server, &lake).complete();
        let (changed, added) =
            (truth.changed_ids(resource, 0, 1).len(), truth.count(resource, 1) - truth.count(resource, 0));
        assert_eq!((changed, added), (5, 3));
        let received = truth.updated_within(resource, 1, &since, LATER) as u64;
        assert_eq!(rows(&third), [3, 5, received - 8]);
        assert_eq!(third["records"]["received"], json!(received), "nothing outside of the window");
        assert_eq!(windows(seen), [Some(format!(">={since}"))]);
        assert_stored(&lake, resource, truth.records(resource, 1));
    }
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Records change and so move to the end of the order while they are read: in the first run, and in the two after it.
#[test]
fn records_that_move_while_they_are_read_are_all_there_once() {
    let options = Options { moving: 0.3, moving_over: 30, products: 500, ..options() };
    let truth = options.truth();
    let moving = truth.moving_ids(Resource::Products).len();
    assert!(moving > 100, "{moving}");
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let function = reading("products", &server, &lake).with(&["--page-size", "25"]);
    let first = function.complete();
    assert_eq!(rows(&first)[0], 500);
    assert!(first["records"]["received"].as_u64().unwrap() > 500, "some were read twice: {first}");
    let second = function.complete();
    assert!(rows(&second)[1] > 0, "some moved behind the first run: {second}");
    while server.count() < 30 {
        function.complete();
    }
    function.complete();
    assert_stored(&lake, Resource::Products, truth.at_request(server.count()).records(Resource::Products, 0));
}

#[test]
fn a_window_is_read_alone() {
    let truth = options().truth();
    let server = start_blocking(options()).unwrap();
    let lake = Lake::new();
    let function = reading("projects", &server, &lake);
    let report = function.clone().with(&["--from", "2025-03-01", "--to", "2025-08-31"]).complete();
    let expected = truth.updated_within(Resource::Projects, 0, "2025-03-01T00:00:00Z", "2025-08-31T23:59:59Z") as u64;
    assert!(expected > 10 && expected < 100, "{expected}");
    assert_eq!(rows(&report), [expected, 0, 0]);
    let outside = "SELECT count(*) FROM {table} WHERE updated_at < '2025-03-01' OR updated_at >= '2025-09-01'";
    assert_eq!(lake.value(&table(Resource::Projects), outside), json!(0));
    let seen = server.requests();
    assert_eq!(param(&seen[0], "updated_at").as_deref(), Some(">=2025-03-01T00:00:00Z"));
    // What lies before it is read when it is asked for, whatever the watermark.
    let rest = function.with(&["--full"]).complete();
    assert_eq!(rows(&rest), [180 - expected, 0, expected]);
    assert_stored(&lake, Resource::Projects, truth.records(Resource::Projects, 0));
}
