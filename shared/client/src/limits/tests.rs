//! Several rate limits and several runs at once, over a quota in memory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use manifest::RateWindow;
use manifest::time::{Clock, format_instant, parse_instant};
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::headers::RateLimitHeaders;
use super::scheduler::MatchingLimit;
use super::*;
use crate::error::{Error, Stop};
use crate::fake::TestClock;

const DAY: RateWindow = RateWindow { requests: 100, period: Duration::from_secs(86_400) };
const HOUR: RateWindow = RateWindow { requests: 60, period: Duration::from_secs(3_600) };

/// A quota that several runs share, and their clock.
struct Runs {
    quota: MemoryQuota,
    clock: TestClock,
}

impl Runs {
    fn new() -> Self {
        Self { quota: MemoryQuota::default(), clock: TestClock::new() }
    }

    fn limiter(&self, limits: &[RateWindow]) -> RateLimiter<'_> {
        RateLimiter::new(limits, Some(&self.quota), &self.clock)
    }

    /// A deadline in a few seconds: a run that needs longer ends.
    fn soon(&self) -> Option<DateTime<Utc>> {
        Some(self.clock.in_seconds(5))
    }

    /// The requests that leave until a limit ends the run, and the limit's message.
    async fn send_all(&self, limiter: &RateLimiter<'_>) -> (u32, String) {
        let mut sent = 0;
        loop {
            // Other runs go on while this one waits for its response.
            tokio::task::yield_now().await;
            match limiter.admit(self.soon()).await {
                Ok(_) => sent += 1,
                Err(Stop::Limit(reason)) => return (sent, reason),
                Err(Stop::Error(error)) => panic!("{error}"),
            }
        }
    }

    async fn send(&self, limiter: &RateLimiter<'_>, count: u32) -> RequestNumber {
        let mut last = None;
        for _ in 0..count {
            last = Some(limiter.admit(self.soon()).await.unwrap());
        }
        last.unwrap()
    }

    /// The quota in its stored form.
    async fn stored(&self) -> Value {
        let stored = std::sync::Mutex::new(Value::Null);
        let read = |quota: &mut Quota| *stored.lock().unwrap() = serde_json::to_value(&*quota).unwrap();
        self.quota.update(&read).await.unwrap();
        stored.into_inner().unwrap()
    }

    /// Replaces the quota by one in its stored form.
    async fn store(&self, windows: &[Value]) {
        let stored: Quota = serde_json::from_value(json!({"windows": windows})).unwrap();
        self.quota.update(&|quota| *quota = stored.clone()).await.unwrap();
    }

    /// A rate limit in its stored form, all of it used, that ends in so many seconds.
    fn used_up(&self, requests: u32, period_seconds: i64, ends_in: f64) -> Value {
        let ends = self.clock.now() + TimeDelta::milliseconds((ends_in * 1000.0) as i64);
        let began = ends - TimeDelta::seconds(period_seconds);
        json!({
            "requests": requests, "period_seconds": period_seconds, "began": format_instant(began),
            "ends": format_instant(ends), "used": requests,
        })
    }

    /// Ticketmaster's headers, with a reset in so many hours.
    fn ticketmaster_headers(&self, limit: u32, left: u32, reset_hours: i64) -> HeaderMap {
        let reset = self.clock.in_seconds(reset_hours * 3600).timestamp_millis();
        headers(&[
            ("rate-limit", &limit.to_string()),
            ("rate-limit-available", &left.to_string()),
            ("rate-limit-reset", &reset.to_string()),
        ])
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_use_all_of_a_limit_and_never_exceed_it() {
    let runs = Runs::new();
    let (first, second) = (runs.limiter(&[HOUR, DAY]), runs.limiter(&[HOUR, DAY]));
    let ((first_sent, reason), (second_sent, _)) = tokio::join!(runs.send_all(&first), runs.send_all(&second));
    assert_eq!(first_sent + second_sent, 60, "{first_sent} and {second_sent}");
    assert!(first_sent >= 10 && second_sent >= 10, "{first_sent} and {second_sent}");
    assert_eq!(reason, "the limit of 60 requests per hour is used up until 2026-11-21T11:00:01Z");
    first.close().await.unwrap();
    second.close().await.unwrap();
    for limiter in [&first, &second] {
        let left = limiter.quota_left();
        assert_eq!(left.iter().map(|left| (left.requests, left.left)).next(), Some((60, 0)));
    }
    let stored = runs.stored().await;
    assert_eq!((&stored["windows"][0]["used"], &stored["windows"][1]["used"]), (&json!(60), &json!(60)));
    assert_eq!(runs.send_all(&runs.limiter(&[HOUR, DAY])).await.0, 0, "a third run sends nothing");
    assert_eq!(runs.stored().await, stored);
}

#[tokio::test(start_paused = true)]
async fn reserved_requests_that_were_not_sent_are_given_back() {
    let runs = Runs::new();
    let limiter = runs.limiter(&[DAY]);
    runs.send(&limiter, 3).await;
    assert_eq!(runs.stored().await["windows"][0]["used"], 10, "a reservation");
    limiter.close().await.unwrap();
    assert_eq!(runs.stored().await["windows"][0]["used"], 3);
    limiter.close().await.unwrap();
    assert_eq!(runs.stored().await["windows"][0]["used"], 3);
    let resets_at = Some("2026-11-22T10:00:00Z".to_owned());
    let left = QuotaLeft { requests: 100, period_seconds: 86_400, left: 97, resets_at };
    assert_eq!(limiter.quota_left(), [left]);
    assert_eq!(runs.send_all(&runs.limiter(&[DAY])).await.0, 97);
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_window_that_is_over_are_not_given_back() {
    let runs = Runs::new();
    let slow = runs.limiter(&[HOUR]);
    runs.send(&slow, 3).await;
    tokio::time::sleep(Duration::from_secs(3_601)).await;
    let next = runs.limiter(&[HOUR]);
    runs.send(&next, 10).await;
    slow.close().await.unwrap();
    assert_eq!(runs.stored().await["windows"][0]["used"], 10, "the ten of the new window");
}

#[tokio::test(start_paused = true)]
async fn the_reservation_of_a_killed_run_counts_as_used() {
    let runs = Runs::new();
    let killed = runs.limiter(&[DAY]);
    runs.send(&killed, 13).await;
    drop(killed);
    assert_eq!(runs.stored().await["windows"][0]["used"], 20, "two reservations");
    assert_eq!(runs.send_all(&runs.limiter(&[DAY])).await.0, 80);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_before_it_leaves_is_not_used() {
    let runs = Runs::new();
    let limiter = runs.limiter(&[RateWindow { requests: 1, period: Duration::from_secs(10) }, DAY]);
    runs.send(&limiter, 1).await;
    let second = tokio::time::timeout(Duration::from_millis(20), limiter.admit(None)).await;
    assert!(second.is_err(), "the second request leaves ten seconds later");
    limiter.close().await.unwrap();
    assert_eq!(runs.stored().await["windows"][0]["used"], 1);
}

/// The API counts 40 requests, the manifest declares 5,000, and responses take their time: five requests are on their way at the end.
#[tokio::test(start_paused = true)]
async fn the_api_s_count_is_met_exactly_with_several_requests_on_their_way() {
    let declared = RateWindow { requests: 5000, period: Duration::from_secs(86_400) };
    // With 1, responses come in order; with 5, they overtake each other.
    for jitter in [1, 5] {
        let runs = Runs::new();
        let limiter = runs.limiter(&[declared]);
        let (sent, refused) = (AtomicU32::new(0), AtomicU32::new(0));
        let request = async |number: u64| {
            let Ok(admitted) = limiter.admit(runs.soon()).await else { return };
            let sent = 1 + sent.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(3 + number * 7 % jitter)).await;
            // A refusal has no rate-limit headers.
            match 40_u32.checked_sub(sent) {
                Some(left) => limiter.apply_headers(admitted, &runs.ticketmaster_headers(40, left, 4)),
                None => _ = refused.fetch_add(1, Ordering::Relaxed),
            }
        };
        stream::iter(0..60).map(request).buffer_unordered(5).collect::<Vec<()>>().await;
        assert_eq!((sent.into_inner(), refused.into_inner()), (40, 0), "jitter {jitter}");
        limiter.close().await.unwrap();
        assert_eq!(limiter.quota_left()[0].left, 0);
        let (sent, reason) = runs.send_all(&runs.limiter(&[declared])).await;
        assert_eq!(sent, 0, "the shared quota knows it: {reason}");
        let until = parse_instant(reason.rsplit(' ').next().unwrap()).unwrap();
        assert_eq!((until - runs.clock.in_seconds(4 * 3600)).num_seconds().abs(), 0, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_others_and_a_new_window_of_the_api_count() {
    let runs = Runs::new();
    let limiter = runs.limiter(&[DAY]);
    let last = runs.send(&limiter, 5).await;
    limiter.apply_headers(last, &runs.ticketmaster_headers(100, 30, 4));
    limiter.apply_headers(last, &runs.ticketmaster_headers(100, 90, 4));
    let (sent, reason) = runs.send_all(&limiter).await;
    assert_eq!(sent, 30, "{reason}");
    assert_eq!(reason, "the limit of 100 requests per day is used up until 2026-11-21T14:00:01Z");
    // The API's day ended before ours would have, and another one started.
    limiter.apply_headers(RequestNumber(35), &runs.ticketmaster_headers(100, 99, 24));
    assert_eq!(runs.send_all(&limiter).await.0, 99);
}

#[tokio::test(start_paused = true)]
async fn a_limit_renews_while_a_run_waits_for_it() {
    let runs = Runs::new();
    runs.store(&[runs.used_up(10, 12, 0.5)]).await;
    let limiter = runs.limiter(&[RateWindow { requests: 10, period: Duration::from_secs(12) }]);
    let start = Instant::now();
    limiter.admit(None).await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 1500, "half a second, and one for the renewal");
    assert_eq!(runs.stored().await["windows"][0]["used"], 5, "half of ten, in a new window");
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_until_its_deadline_or_for_an_hour() {
    for (limit, deadline_seconds, waits) in [
        (HOUR, None, true),
        (HOUR, Some(3_700), true),
        (HOUR, Some(3_500), false),
        (DAY, None, false),
        (DAY, Some(90_000), true),
    ] {
        let runs = Runs::new();
        let limiter = RateLimiter::new(&[limit], None, &runs.clock);
        runs.send(&limiter, limit.requests).await;
        let deadline = deadline_seconds.map(|seconds| runs.clock.in_seconds(seconds));
        let start = Instant::now();
        let next = limiter.admit(deadline).await;
        assert_eq!(next.is_ok(), waits, "{limit} {deadline_seconds:?}: {next:?}");
        let waited = if waits { limit.period + Duration::from_secs(1) } else { Duration::ZERO };
        assert_eq!(start.elapsed(), waited, "{limit} {deadline_seconds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_other_manifests_are_kept_and_windows_that_are_over_start_anew() {
    let runs = Runs::new();
    let stored = [
        runs.used_up(100, 86_400, -5.0),
        runs.used_up(60, 3_600, 1_000.0),
        runs.used_up(70, 3_600, -4_000.0),
        runs.used_up(80, 3_600, 9.0),
    ];
    runs.store(&stored).await;
    let undeclared = RateWindow { requests: 90, period: HOUR.period };
    runs.send(&runs.limiter(&[DAY, undeclared]), 1).await;
    let stored = runs.stored().await;
    let windows = stored["windows"].as_array().unwrap();
    let used: Vec<_> = windows.iter().map(|window| json!([window["requests"], window["used"]])).collect();
    // The day started again. The hours of 60 and 80 may be those of another function's manifest; that of 70 is long over.
    assert_eq!(used, [json!([100, 10]), json!([60, 60]), json!([80, 80]), json!([90, 10])]);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_needs_every_limit_to_have_requests() {
    let runs = Runs::new();
    runs.store(&[runs.used_up(60, 3_600, 1_000.0)]).await;
    assert_eq!(runs.send_all(&runs.limiter(&[HOUR, DAY])).await.0, 0);
    let stored = runs.stored().await;
    assert_eq!(stored["windows"].as_array().unwrap().len(), 1, "nothing is reserved of a day whose hour is used up");
}

/// A quota that another run always changes first: every change is applied to an old quota, and then again to the newest one.
#[derive(Debug, Default)]
struct ContendedQuota(MemoryQuota);

#[async_trait::async_trait(?Send)]
impl SharedQuota for ContendedQuota {
    async fn update(&self, change: &QuotaChange<'_>) -> Result<(), QuotaError> {
        change(&mut Quota::default());
        self.0.update(change).await
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_last_application_of_a_change_counts() {
    let (runs, quota) = (Runs::new(), ContendedQuota::default());
    let limiters = [(); 2].map(|()| RateLimiter::new(&[HOUR], Some(&quota), &runs.clock));
    let (first, second) = tokio::join!(runs.send_all(&limiters[0]), runs.send_all(&limiters[1]));
    assert_eq!(first.0 + second.0, 60);
}

/// A quota that cannot be changed.
#[derive(Debug)]
struct BrokenQuota;

#[async_trait::async_trait(?Send)]
impl SharedQuota for BrokenQuota {
    async fn update(&self, _: &QuotaChange<'_>) -> Result<(), QuotaError> {
        Err("the store is away".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_shared_quota_ends_a_run_that_needs_it() {
    let clock = TestClock::new();
    let limiter = RateLimiter::new(&[DAY], Some(&BrokenQuota), &clock);
    match limiter.admit(None).await {
        Err(Stop::Error(Error::Quota(cause))) => assert_eq!(cause.to_string(), "the store is away"),
        outcome => panic!("{outcome:?}"),
    }
    let unlimited = RateLimiter::new(&[], Some(&BrokenQuota), &clock);
    unlimited.admit(None).await.unwrap();
    unlimited.close().await.unwrap();
    assert_eq!(unlimited.quota_left(), []);
}

#[tokio::test(start_paused = true)]
async fn without_limits_requests_leave_at_once() {
    let runs = Runs::new();
    let limiter = runs.limiter(&[]);
    let start = Instant::now();
    runs.send(&limiter, 1000).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(runs.stored().await, json!({"windows": []}));
}

#[tokio::test(start_paused = true)]
async fn an_undeclared_limit_holds_once_no_request_is_left() {
    let undeclared = |reset: &str, remaining: &str| {
        headers(&[("ratelimit-limit", "7"), ("ratelimit-remaining", remaining), ("ratelimit-reset", reset)])
    };
    let runs = Runs::new();
    let limiter = RateLimiter::new(&[], None, &runs.clock);
    let admitted = limiter.admit(None).await.unwrap();
    limiter.apply_headers(admitted, &undeclared("600", "1"));
    limiter.admit(runs.soon()).await.unwrap();
    limiter.apply_headers(admitted, &undeclared("600", "0"));
    match limiter.admit(runs.soon()).await {
        Err(Stop::Limit(reason)) => assert_eq!(
            reason,
            "out of time: the next request may leave at 2026-11-21T10:10:00Z, and the run ends before"
        ),
        outcome => panic!("{outcome:?}"),
    }
    // A declared second is kept by spacing, whatever is left of the API's own second.
    let limiter = RateLimiter::new(&[RateWindow { requests: 7, period: Duration::from_secs(1) }], None, &runs.clock);
    limiter.apply_headers(runs.send(&limiter, 1).await, &undeclared("1", "0"));
    let start = Instant::now();
    runs.send(&limiter, 1).await;
    assert!(start.elapsed() < Duration::from_millis(150), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn headers_belong_to_the_limit_that_they_name_or_that_can_end_then() {
    let minute = RateWindow { requests: 60, period: Duration::from_secs(60) };
    let second = RateWindow { requests: 5, period: Duration::from_secs(1) };
    let clock = TestClock::new();
    let matching = |limits: &[RateWindow], limit: Option<u32>, reset_seconds: Option<i64>| {
        let reset = reset_seconds.map(|seconds| clock.in_seconds(seconds));
        RateLimiter::new(limits, None, &clock).matching_limit(&RateLimitHeaders { limit, remaining: 1, reset })
    };
    let limits = [second, minute, HOUR, DAY];
    for (limit, reset_seconds, expected) in [
        // The number of requests decides.
        (Some(100), Some(50), MatchingLimit::Counted(2)),
        (Some(60), Some(50), MatchingLimit::Counted(0)),
        // Of two limits with that number, it is the one that can end then.
        (Some(60), Some(1_000), MatchingLimit::Counted(1)),
        (Some(5), Some(1), MatchingLimit::Spaced),
        // The key has another limit than the manifest declares.
        (Some(40), Some(1_000), MatchingLimit::Counted(1)),
        (Some(40), Some(20_000), MatchingLimit::Counted(2)),
        (None, None, MatchingLimit::Counted(2)),
        // It is a short limit that is not declared, or one that ends too late.
        (Some(40), Some(1), MatchingLimit::Undeclared),
        (Some(40), Some(200_000), MatchingLimit::Undeclared),
    ] {
        assert_eq!(matching(&limits, limit, reset_seconds), expected, "{limit:?} {reset_seconds:?}");
    }
    assert_eq!(matching(&[second], Some(40), Some(1_000)), MatchingLimit::Undeclared);
}

proptest! {
    /// Whatever runs do, one after the other or side by side, together they never send more than the limit, and no request is lost but
    /// those that a killed run had reserved.
    #[test]
    fn runs_never_exceed_a_limit_and_lose_only_reservations(
        runs_to_do in prop::collection::vec((1_u32..40, any::<bool>(), any::<bool>()), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let runs = Runs::new();
            let (mut sent, mut killed, mut waiting) = (0, 0, Vec::new());
            for (count, is_killed, closes_later) in runs_to_do {
                let limiter = runs.limiter(&[DAY]);
                for _ in 0..count {
                    sent += u32::from(limiter.admit(runs.soon()).await.is_ok());
                }
                match (is_killed, closes_later) {
                    (true, _) => killed += 1,
                    (false, true) => waiting.push(limiter),
                    (false, false) => limiter.close().await.unwrap(),
                }
            }
            for limiter in waiting {
                limiter.close().await.unwrap();
            }
            prop_assert!(sent <= DAY.requests, "{sent}");
            let used = u32::try_from(runs.stored().await["windows"][0]["used"].as_u64().unwrap()).unwrap();
            prop_assert!((sent..=sent + killed * 10).contains(&used), "{used} used, {sent} sent, {killed} killed");
            let rest = runs.send_all(&runs.limiter(&[DAY])).await.0;
            prop_assert_eq!(used + rest, DAY.requests);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_requests_uses_the_rate_and_never_exceeds_it() {
    let runs = Runs::new();
    let limiter = RateLimiter::new(&[RateWindow { requests: 50, period: Duration::from_secs(1) }], None, &runs.clock);
    let start = Instant::now();
    let mut departures = Vec::new();
    for _ in 0..60 {
        runs.send(&limiter, 1).await;
        departures.push(start.elapsed());
    }
    for window in departures.windows(51) {
        assert!(window[50] - window[0] > Duration::from_secs(1), "{window:?}");
    }
    // Tokio's timer counts whole milliseconds: 20.4 ms become 21 at most.
    assert!(departures[59] <= Duration::from_millis(59 * 21), "{:?}", departures[59]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_also_holds_requests_that_wait_already() {
    let runs = Runs::new();
    let limiter = RateLimiter::new(&[RateWindow { requests: 20, period: Duration::from_secs(1) }], None, &runs.clock);
    let start = Instant::now();
    let requests = async {
        let sent = stream::iter(0..4).map(|_| runs.send(&limiter, 1)).buffer_unordered(4);
        sent.map(|_| start.elapsed()).collect::<Vec<_>>().await
    };
    let pause = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        limiter.pause(Duration::from_millis(300));
    };
    let (departures, ()) = tokio::join!(requests, pause);
    assert_eq!(departures[0], Duration::ZERO);
    assert!(departures[1] >= Duration::from_millis(320), "{departures:?}");
    assert!(departures[3] - departures[1] > Duration::from_millis(95), "not at once: {departures:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_are_on_their_way_as_leave_within_a_second() {
    let clock = TestClock::new();
    for (limits, expected) in [
        (&[][..], 4),
        (&[DAY][..], 4),
        (&[RateWindow { requests: 5, period: Duration::from_secs(1) }, DAY][..], 5),
        (&[RateWindow { requests: 20, period: Duration::from_secs(2) }][..], 8),
        (&[RateWindow { requests: 1, period: Duration::from_secs(2) }][..], 1),
    ] {
        assert_eq!(RateLimiter::new(limits, None, &clock).in_flight(), expected, "{limits:?}");
    }
}
