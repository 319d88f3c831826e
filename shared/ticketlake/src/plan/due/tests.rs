use chrono::DateTime;

use crate::options::Draft;

use super::*;
use manifest::{Manifest, Near};

fn policy() -> Refresh {
    let text = "client: {base_url: 'https://x'}
resources:
  - name: things
    slices: {time: {start_param: from, end_param: to}}
    refresh:
      full_every_days: 7
      announced: {range_param: since, lag: 3600}
      near: [{ahead_days: 60, every_days: 3}, {ahead_days: 14, every_days: 1}]";
    let manifest = Manifest::parse("test.yaml", text).unwrap_or_else(|faults| panic!("{faults}"));
    manifest.resources[0].refresh.clone().unwrap()
}

fn at(text: &str) -> Instant {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Returns the marks of a full read on the first day of a month.
fn marks(policy: &Refresh) -> RefreshMarks {
    let mut marks = RefreshMarks::default();
    marks.reach_full(policy, at("2026-12-01T03:00:00Z"));
    marks
}

#[test]
fn windows_are_ordered_by_length() {
    let near = [Near { ahead_days: 14, every_days: 1 }, Near { ahead_days: 60, every_days: 3 }];
    assert_eq!(policy().near, near);
}

#[test]
fn the_longest_due_window_and_the_announced_records_are_read() {
    let policy = policy();
    let mut marks = marks(&policy);
    let due = |marks: &RefreshMarks, now: &str| DueRefresh::changes(&policy, marks, at(now)).changes.unwrap();
    let since = |text: &str| Some(at(text));
    // The schedule of the next day begins ten seconds early.
    let first = due(&marks, "2026-12-02T02:59:50Z");
    assert_eq!(first.announced, since("2026-12-01T02:00:00Z"));
    assert_eq!(first.near, Some(TimeRange::between(at("2026-12-02T02:59:50Z"), at("2026-12-16T02:59:50Z"))));
    marks.reach_near(&policy, 14, at("2026-12-02T02:59:50Z"));
    marks.reach_announced(at("2026-12-02T02:59:50Z"));
    let soon = due(&marks, "2026-12-02T15:00:00Z");
    assert_eq!((soon.announced, soon.near), (since("2026-12-02T01:59:50Z"), None));
    let third = due(&marks, "2026-12-04T03:00:00Z");
    assert_eq!(third.near, Some(TimeRange::between(at("2026-12-04T03:00:00Z"), at("2027-02-02T03:00:00Z"))));
    // A shorter window lies within the one that was read.
    marks.reach_near(&policy, 60, at("2026-12-04T03:00:00Z"));
    assert_eq!(due(&marks, "2026-12-04T15:00:00Z").near, None);
    // A run that began earlier and ends later does not move a mark back.
    marks.reach_near(&policy, 60, at("2026-12-03T03:00:00Z"));
    assert_eq!(marks.near(14), Some(at("2026-12-04T03:00:00Z")));
}

#[test]
fn everything_is_due_after_some_days_and_after_an_interrupted_full_read() {
    let policy = policy();
    let marks = marks(&policy);
    let draft = Draft::new([("source", "x"), ("lake", "x")]);
    let asked = Request::check(&draft, Some("things"), &manifest::Settings::default()).unwrap();
    let why = |marks: &RefreshMarks, began: Option<&str>, now: &str| {
        full_reason(&policy, &asked, marks, began.map(at), at(now))
    };
    assert_eq!(why(&marks, None, "2026-12-07T12:00:00Z"), None);
    assert!(why(&marks, None, "2026-12-08T02:59:50Z").is_some());
    assert!(why(&RefreshMarks::default(), None, "2026-12-02T03:00:00Z").is_some());
    assert!(why(&marks, Some("2026-12-02T03:00:00Z"), "2026-12-03T03:00:00Z").unwrap().contains("is resumed"));
    let full = Request { full: true, ..asked.clone() };
    assert!(full_reason(&policy, &full, &marks, None, at("2026-12-02T03:00:00Z")).is_some());
}
