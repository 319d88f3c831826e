//! The rate limits of up to ten seconds, kept by even spacing: as fast as the strictest of them allows, never faster.

use std::time::Duration;

use manifest::RateWindow;
use tokio::time::Instant;

/// Every interval is longer by this factor: two requests that leave evenly can arrive closer together, and the server counts arrivals.
const SPACING_MARGIN: f64 = 1.02;

/// Spaces departures evenly. Any second of an evenly spaced stream has at most as many requests as the limit allows, where a token bucket
/// would let a whole second's requests leave on both sides of a second's edge. Apigee's spike arrest, which Ticketmaster has, understands
/// 5 requests per second as one every 200 ms.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// The earliest next departure, by the interval.
    next: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Pace {
    /// Creates the pace that keeps all of `limits` that are not counted; without one, requests are not spaced.
    pub(super) fn new(limits: &[RateWindow]) -> Self {
        let spaced = limits.iter().filter(|limit| !limit.is_counted());
        let intervals = spaced.map(|limit| limit.period.mul_f64(SPACING_MARGIN / f64::from(limit.requests.max(1))));
        Self { interval: intervals.max().unwrap_or_default(), next: None, paused_until: None }
    }

    /// Takes the next departure.
    ///
    /// # Errors
    ///
    /// The next departure, if that is after `latest`. It is not taken then.
    pub(super) fn take_departure(&mut self, now: Instant, latest: Option<Instant>) -> Result<Instant, Instant> {
        let departure = [self.next, self.paused_until].into_iter().flatten().fold(now, Instant::max);
        if latest.is_some_and(|latest| departure > latest) {
            return Err(departure);
        }
        self.next = Some(departure + self.interval);
        Ok(departure)
    }

    /// Lets no request leave before `until`, as the server requested.
    pub(super) fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Whether a departure that was taken earlier may be used. After a pause that was requested meanwhile it may not, since all requests
    /// that wait would leave at once.
    pub(super) fn allows(&self, departure: Instant) -> bool {
        self.paused_until.is_none_or(|until| departure >= until)
    }

    /// The time between two departures; zero without a limit.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests: u32, seconds: u64) -> RateWindow {
        RateWindow { requests, period: Duration::from_secs(seconds) }
    }

    /// Departures, in seconds from the first, of requests that are asked for as early as `asked` says.
    fn departures(limits: &[RateWindow], count: usize, asked: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut pace = Pace::new(limits);
        let begin = Instant::now();
        let at = |number| pace.take_departure(begin + Duration::from_secs_f64(asked(number)), None).unwrap() - begin;
        (0..count).map(at).map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn three_hundred_requests_use_the_rate_and_no_second_exceeds_it() {
        let departures = departures(&[limit(5, 1), limit(5000, 86_400)], 300, |_| 0.0);
        let rate = 299.0 / departures[299];
        assert!((4.85..=5.0).contains(&rate), "{rate}");
        for six in departures.windows(6) {
            assert!(six[5] - six[0] > 1.0, "{six:?}");
        }
    }

    #[test]
    fn the_strictest_limit_decides() {
        for (limits, interval) in [
            (&[limit(20, 2)][..], 0.102),
            (&[limit(10, 1), limit(20, 10)][..], 0.51),
            (&[limit(1, 1), limit(100, 10)][..], 1.02),
            (&[limit(60, 60)][..], 0.0),
            (&[][..], 0.0),
        ] {
            assert!((Pace::new(limits).interval().as_secs_f64() - interval).abs() < 1e-9, "{limits:?}");
        }
    }

    #[test]
    fn a_late_request_is_not_followed_by_a_burst() {
        let departures = departures(&[limit(5, 1)], 20, |number| if number < 10 { 0.0 } else { 10.0 });
        assert!(departures[10] >= 10.0);
        assert!(departures.windows(2).all(|two| two[1] - two[0] > 0.203), "{departures:?}");
    }

    #[test]
    fn after_a_pause_requests_leave_evenly() {
        let mut pace = Pace::new(&[limit(5, 1)]);
        let begin = Instant::now();
        let first = pace.take_departure(begin, None).unwrap();
        let second = pace.take_departure(begin, None).unwrap();
        let pause = begin + Duration::from_secs(3);
        pace.pause(pause);
        pace.pause(begin + Duration::from_secs(1));
        assert!(!pace.allows(first) && !pace.allows(second));
        assert_eq!(pace.take_departure(begin, Some(begin + Duration::from_secs(2))), Err(pause));
        let again = pace.take_departure(begin, None).unwrap();
        assert_eq!(again, pause);
        assert!(pace.allows(again));
        assert!(pace.take_departure(begin, None).unwrap() - again > Duration::from_millis(203));
    }
}
