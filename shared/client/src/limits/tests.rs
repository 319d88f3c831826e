//! Several limits and several runs at once, over a directory.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::{StreamExt, stream};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use lake::Local;
use manifest::time::{format_instant, parse_instant};

const DAY: RateWindow = RateWindow { requests: 100, period: Duration::from_secs(86_400) };
const HOUR: RateWindow = RateWindow { requests: 60, period: Duration::from_secs(3_600) };

/// A lake with its quota file.
struct Lake {
    folder: TempDir,
    store: Local,
}

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Local::new(folder.path().to_owned());
        Self { folder, store }
    }

    fn limits(&self, windows: &[RateWindow]) -> Limits<'_> {
        Limits::new(windows, Some(Ledger::new(&self.store, "source")))
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("_state/source/_quota.json")
    }

    fn quota(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path()).unwrap()).unwrap()
    }

    fn write(&self, quota: &str) {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        std::fs::write(self.path(), quota).unwrap();
    }
}

fn soon() -> Option<SystemTime> {
    Some(SystemTime::now() + Duration::from_secs(5))
}

/// As many as leave until a limit ends it, and what it says.
async fn all(limits: &Limits<'_>) -> (u32, String) {
    let mut sent = 0;
    loop {
        match limits.admit(soon()).await {
            Ok(_) => sent += 1,
            Err(Stop::Limit(why)) => return (sent, why),
            Err(Stop::Error(error)) => panic!("{error}"),
        }
    }
}

async fn some(limits: &Limits<'_>, count: u32) -> Admitted {
    let mut last = None;
    for _ in 0..count {
        last = Some(limits.admit(soon()).await.unwrap());
    }
    last.unwrap()
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    let pairs =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

/// Ticketmaster's headers, with a reset in four hours.
fn ticketmaster(limit: u32, left: u32) -> HeaderMap {
    let reset = (Utc::now() + chrono::TimeDelta::hours(4)).timestamp_millis();
    headers(&[
        ("rate-limit", limit.to_string()),
        ("rate-limit-available", left.to_string()),
        ("rate-limit-reset", reset.to_string()),
    ])
}

#[tokio::test]
async fn two_runs_at_once_use_all_of_a_window_and_not_one_more() {
    let lake = Lake::new();
    let (one, other) = (lake.limits(&[HOUR, DAY]), lake.limits(&[HOUR, DAY]));
    let ((one_sent, why), (other_sent, _)) = futures::join!(all(&one), all(&other));
    assert_eq!(one_sent + other_sent, 60, "{one_sent} and {other_sent}");
    assert!(one_sent >= 10 && other_sent >= 10, "{one_sent} and {other_sent}");
    assert!(why.starts_with("the limit of 60 requests per hour is used up until 20"), "{why}");
    one.close().await.unwrap();
    other.close().await.unwrap();
    for limits in [&one, &other] {
        let left = limits.left();
        assert_eq!(left.iter().map(|left| (left.requests, left.left)).next(), Some((60, 0)));
    }
    let quota = lake.quota();
    assert_eq!((&quota["windows"][0]["used"], &quota["windows"][1]["used"]), (&json!(60), &json!(60)));
    assert_eq!(all(&lake.limits(&[HOUR, DAY])).await.0, 0, "a third sends nothing");
    assert_eq!(lake.quota(), quota);
}

#[tokio::test]
async fn what_was_not_sent_is_given_back() {
    let lake = Lake::new();
    let limits = lake.limits(&[DAY]);
    some(&limits, 3).await;
    assert_eq!(lake.quota()["windows"][0]["used"], 10, "a chunk");
    limits.close().await.unwrap();
    assert_eq!(lake.quota()["windows"][0]["used"], 3);
    limits.close().await.unwrap();
    let left = limits.left().remove(0);
    assert_eq!((left.requests, left.period_seconds, left.left), (100, 86_400, 97));
    let resets_at = parse_instant(&left.resets_at.unwrap()).unwrap();
    assert!((resets_at - Utc::now() - chrono::TimeDelta::days(1)).num_seconds().abs() < 60, "{resets_at}");
    assert_eq!(all(&lake.limits(&[DAY])).await.0, 97);
}

#[tokio::test]
async fn a_killed_run_loses_at_most_a_chunk() {
    let lake = Lake::new();
    let killed = lake.limits(&[DAY]);
    some(&killed, 13).await;
    drop(killed);
    let sent = all(&lake.limits(&[DAY])).await.0;
    assert!((77..=87).contains(&sent), "{sent}");
}

#[tokio::test]
async fn a_request_that_was_dropped_before_it_left_is_not_used() {
    let lake = Lake::new();
    let limits = lake.limits(&[RateWindow { requests: 1, period: Duration::from_secs(10) }, DAY]);
    some(&limits, 1).await;
    let late = tokio::time::timeout(Duration::from_millis(20), limits.admit(None)).await;
    assert!(late.is_err(), "the second leaves ten seconds later");
    limits.close().await.unwrap();
    assert_eq!(lake.quota()["windows"][0]["used"], 1);
}

/// The server's own count is 40, the manifest's 5,000, and answers take their time: five are on their way when it ends.
#[tokio::test]
async fn the_api_s_count_is_met_exactly_with_several_on_their_way() {
    let declared = RateWindow { requests: 5000, period: Duration::from_secs(86_400) };
    // In order, and overtaking each other.
    for jitter in [1, 5] {
        let lake = Lake::new();
        let limits = lake.limits(&[declared]);
        let (sent, refused) = (AtomicU32::new(0), AtomicU32::new(0));
        let request = async |number: u64| {
            let Ok(admitted) = limits.admit(soon()).await else { return };
            let sent = 1 + sent.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(3 + number * 7 % jitter)).await;
            // Refusals tell nothing.
            match 40_u32.checked_sub(sent) {
                Some(left) => limits.apply_headers(admitted, &ticketmaster(40, left)),
                None => _ = refused.fetch_add(1, Ordering::Relaxed),
            }
        };
        stream::iter(0..60).map(request).buffer_unordered(5).collect::<Vec<()>>().await;
        assert_eq!((sent.into_inner(), refused.into_inner()), (40, 0), "jitter {jitter}");
        limits.close().await.unwrap();
        assert_eq!(limits.left()[0].left, 0);
        let (sent, why) = all(&lake.limits(&[declared])).await;
        assert_eq!(sent, 0, "the ledger knows it: {why}");
        let reset = Utc::now() + chrono::TimeDelta::hours(4);
        let until = parse_instant(why.rsplit(' ').next().unwrap()).unwrap();
        assert!((until - reset).num_seconds().abs() < 60, "{why}");
    }
}

#[tokio::test]
async fn use_by_others_counts_and_their_renewal_too() {
    let lake = Lake::new();
    let limits = lake.limits(&[DAY]);
    let last = some(&limits, 5).await;
    limits.apply_headers(last, &ticketmaster(100, 30));
    limits.apply_headers(last, &ticketmaster(100, 90));
    let (sent, why) = all(&limits).await;
    assert_eq!(sent, 30, "{why}");
    // The day of the API ended, before ours would have, and began anew.
    let reset = (Utc::now() + chrono::TimeDelta::hours(24)).timestamp_millis().to_string();
    let anew = [("rate-limit", "100"), ("rate-limit-available", "99"), ("rate-limit-reset", &reset)];
    limits.apply_headers(Admitted(35), &headers(&anew.map(|(name, value)| (name, value.to_owned()))));
    assert_eq!(all(&limits).await.0, 99);
}

#[tokio::test]
async fn a_window_renews_while_a_run_waits_for_it() {
    let lake = Lake::new();
    let ends = Utc::now() + chrono::TimeDelta::milliseconds(500);
    let began = format_instant(ends - chrono::TimeDelta::seconds(12));
    let full = json!({"requests": 10, "period_seconds": 12, "began": began, "ends": format_instant(ends), "used": 10});
    lake.write(&json!({"windows": [full]}).to_string());
    let limits = lake.limits(&[RateWindow { requests: 10, period: Duration::from_secs(12) }]);
    let begin = Instant::now();
    limits.admit(None).await.unwrap();
    assert!((1_490..4_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    assert_eq!(lake.quota()["windows"][0]["used"], 5, "half of ten, begun anew");
}

#[tokio::test]
async fn a_run_waits_as_long_as_it_may_and_no_longer() {
    for (window, until, waits) in [
        (HOUR, None, true),
        (HOUR, Some(3_700), true),
        (HOUR, Some(3_500), false),
        (DAY, None, false),
        (DAY, Some(90_000), true),
    ] {
        let limits = Limits::new(&[window], None);
        some(&limits, window.requests).await;
        let until = until.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
        let next = tokio::time::timeout(Duration::from_millis(50), limits.admit(until)).await;
        assert_eq!(next.is_err(), waits, "{window} {until:?}: {next:?}");
    }
}

#[tokio::test]
async fn the_file_keeps_what_it_does_not_know_and_begins_anew_what_is_over() {
    let lake = Lake::new();
    let record = |requests: u32, seconds: i64, ends: i64| {
        let ends = Utc::now() + chrono::TimeDelta::seconds(ends);
        let began = ends - chrono::TimeDelta::seconds(seconds);
        json!({"requests": requests, "period_seconds": seconds, "began": format_instant(began), "ends": format_instant(ends),
               "used": requests, "note": requests})
    };
    let windows = [record(100, 86_400, -5), record(60, 3_600, 1_000), record(70, 3_600, -4_000), record(80, 3_600, 9)];
    lake.write(&json!({"later": {"version": 2}, "windows": windows}).to_string());
    let other = RateWindow { requests: 90, period: HOUR.period };
    some(&lake.limits(&[DAY, other]), 1).await;
    let quota = lake.quota();
    assert_eq!(quota["later"]["version"], 2);
    let seen: Vec<_> =
        quota["windows"].as_array().unwrap().iter().map(|w| json!([w["requests"], w["used"], w["note"]])).collect();
    let expected = [json!([100, 10, 100]), json!([60, 60, 60]), json!([80, 80, 80]), json!([90, 10, null])];
    assert_eq!(
        seen, expected,
        "begun anew; kept, the manifest of another function may have it; and one with other numbers"
    );
}

#[tokio::test]
async fn a_file_that_is_no_quota_is_an_error_and_stays() {
    let lake = Lake::new();
    lake.write("{\"windows\": 5}");
    match lake.limits(&[DAY]).admit(None).await {
        Err(Stop::Error(Error::Part { key, detail })) => {
            assert_eq!(key, "_state/source/_quota.json");
            assert!(detail.starts_with("not a quota"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(lake.quota(), json!({"windows": 5}));
    // Without a long window it is not looked at.
    lake.limits(&[]).admit(None).await.unwrap();
}

#[tokio::test]
async fn a_limit_that_is_not_declared_holds_when_nothing_is_left() {
    let reset = |seconds: &str, left: &str| {
        let told = [("ratelimit-limit", "7"), ("ratelimit-remaining", left), ("ratelimit-reset", seconds)];
        headers(&told.map(|(name, value)| (name, value.to_owned())))
    };
    let limits = Limits::new(&[], None);
    let admitted = limits.admit(None).await.unwrap();
    limits.apply_headers(admitted, &reset("600", "1"));
    limits.admit(soon()).await.unwrap();
    limits.apply_headers(admitted, &reset("600", "0"));
    match limits.admit(soon()).await {
        Err(Stop::Limit(why)) => assert!(why.starts_with("out of time: the next request may leave at"), "{why}"),
        other => panic!("{other:?}"),
    }
    // A declared second is kept by the spacing, whatever is left of the API's own second.
    let limits = Limits::new(&[RateWindow { requests: 7, period: Duration::from_secs(1) }], None);
    limits.apply_headers(some(&limits, 1).await, &reset("1", "0"));
    let begin = Instant::now();
    some(&limits, 1).await;
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
}

#[test]
fn what_is_told_finds_its_window() {
    let minute = RateWindow { requests: 60, period: Duration::from_secs(60) };
    let second = RateWindow { requests: 5, period: Duration::from_secs(1) };
    let now = Utc::now();
    let owner = |windows: &[RateWindow], limit: Option<u32>, seconds: Option<i64>| {
        let reset = seconds.map(|seconds| now + chrono::TimeDelta::seconds(seconds));
        let limits = Limits::new(windows, None);
        let owner = lock(&limits.state).owner(&RateLimitHeaders { limit, remaining: 1, reset }, now);
        match owner {
            Owner::Count(place) => i32::try_from(place).unwrap(),
            Owner::Pace => -1,
            Owner::Nobody => -2,
        }
    };
    let windows = [second, minute, HOUR, DAY];
    assert_eq!(owner(&windows, Some(100), Some(50)), 2, "the limit decides");
    assert_eq!(owner(&windows, Some(60), Some(50)), 0);
    assert_eq!(owner(&windows, Some(60), Some(1_000)), 1, "of two with that limit, the one that can end then");
    assert_eq!(owner(&windows, Some(5), Some(1)), -1);
    assert_eq!(owner(&windows, Some(40), Some(1_000)), 1, "another quota than declared");
    assert_eq!(owner(&windows, Some(40), Some(20_000)), 2);
    assert_eq!(owner(&windows, None, None), 2);
    assert_eq!(owner(&windows, Some(40), Some(1)), -2, "a short one that is not declared");
    assert_eq!(owner(&windows, Some(40), Some(200_000)), -2);
    assert_eq!(owner(&[second], Some(40), Some(1_000)), -2);
}

#[tokio::test]
async fn a_stream_uses_the_rate_and_never_exceeds_it() {
    let rate = 50;
    let limits = Limits::new(&[RateWindow { requests: rate, period: Duration::from_secs(1) }], None);
    let begin = Instant::now();
    let mut departures = Vec::new();
    for _ in 0..60 {
        some(&limits, 1).await;
        departures.push(begin.elapsed());
    }
    // Fifty-one departures span fifty intervals, which is more than a second whatever the timer's delays.
    for window in departures.windows(51) {
        assert!(window[50] - window[0] > Duration::from_millis(990), "{window:?}");
    }
    assert!(departures[59] < Duration::from_secs_f64(59.0 / f64::from(rate) * 1.6), "{:?}", departures[59]);
}

#[tokio::test]
async fn a_pause_also_holds_those_that_wait_already() {
    let limits = Limits::new(&[RateWindow { requests: 20, period: Duration::from_secs(1) }], None);
    let begin = Instant::now();
    let waiting = async {
        stream::iter(0..4)
            .map(|_| some(&limits, 1))
            .buffer_unordered(4)
            .map(|_| begin.elapsed())
            .collect::<Vec<_>>()
            .await
    };
    let pause = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        limits.pause(Duration::from_millis(300));
    };
    let (left, ()) = futures::join!(waiting, pause);
    assert!(left[0] < Duration::from_millis(20), "{left:?}");
    assert!(left[1] >= Duration::from_millis(320), "{left:?}");
    assert!(left[3] - left[1] > Duration::from_millis(95), "not at once: {left:?}");
}

#[test]
fn as_many_are_on_their_way_as_leave_within_a_second() {
    for (windows, expected) in [
        (&[][..], 4),
        (&[DAY][..], 4),
        (&[RateWindow { requests: 5, period: Duration::from_secs(1) }, DAY][..], 5),
        (&[RateWindow { requests: 20, period: Duration::from_secs(2) }][..], 8),
        (&[RateWindow { requests: 1, period: Duration::from_secs(2) }][..], 1),
    ] {
        assert_eq!(Limits::new(windows, None).in_flight(), expected, "{windows:?}");
    }
}
