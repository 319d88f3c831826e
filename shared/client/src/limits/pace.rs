//! The limits of up to ten seconds: as fast as the strictest of them allows, never faster.

use std::time::Duration;

use tokio::time::Instant;

use manifest::RateWindow;

/// Added to every interval: two requests that leave evenly can arrive closer together, and the server counts arrivals.
const MARGIN: f64 = 1.02;

/// Gives departures one at a time, evenly spaced: any second of an evenly spaced stream holds what the rate allows, where a
/// bucket of tokens would let a whole second's worth go at once on both sides of a second's edge. Apigee's spike arrest,
/// which Ticketmaster has, takes 5 a second for one every 200 ms.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
    held: Option<Instant>,
}

impl Pace {
    /// The pace that keeps every short one of `windows`; without one there is none to keep.
    pub(super) fn new(windows: &[RateWindow]) -> Self {
        let short = windows.iter().filter(|window| !window.is_long());
        let intervals = short.map(|window| window.period.mul_f64(MARGIN / f64::from(window.requests.max(1))));
        Self { interval: intervals.max().unwrap_or_default(), next: None, held: None }
    }

    /// When the next request may leave. As an error when that is after `latest`: then the place stays free.
    pub(super) fn departure(&mut self, now: Instant, latest: Option<Instant>) -> Result<Instant, Instant> {
        let at = [self.next, self.held].into_iter().flatten().fold(now, Instant::max);
        if latest.is_some_and(|latest| at > latest) {
            return Err(at);
        }
        self.next = Some(at + self.interval);
        Ok(at)
    }

    /// Lets nothing leave before `until`: the server said so.
    pub(super) fn pause(&mut self, until: Instant) {
        self.held = self.held.max(Some(until));
    }

    /// Whether a departure given earlier still stands; after a pause that came meanwhile all would leave at once.
    pub(super) fn stands(&self, departure: Instant) -> bool {
        self.held.is_none_or(|held| departure >= held)
    }

    /// The time between two departures; zero without a limit.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: u32, seconds: u64) -> RateWindow {
        RateWindow { requests, period: Duration::from_secs(seconds) }
    }

    /// Departures, in seconds from the first, of requests that are asked for as early as `asked` says.
    fn departures(windows: &[RateWindow], count: usize, asked: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut pace = Pace::new(windows);
        let begin = Instant::now();
        let at = |number| pace.departure(begin + Duration::from_secs_f64(asked(number)), None).unwrap() - begin;
        (0..count).map(at).map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn three_hundred_pages_use_the_rate_and_no_second_holds_more() {
        let departures = departures(&[window(5, 1), window(5000, 86_400)], 300, |_| 0.0);
        let rate = 299.0 / departures[299];
        assert!((4.85..=5.0).contains(&rate), "{rate}");
        for six in departures.windows(6) {
            assert!(six[5] - six[0] > 1.0, "{six:?}");
        }
    }

    #[test]
    fn the_strictest_window_wins() {
        for (windows, interval) in [
            (&[window(20, 2)][..], 0.102),
            (&[window(10, 1), window(20, 10)][..], 0.51),
            (&[window(1, 1), window(100, 10)][..], 1.02),
            (&[window(60, 60)][..], 0.0),
            (&[][..], 0.0),
        ] {
            assert!((Pace::new(windows).interval().as_secs_f64() - interval).abs() < 1e-9, "{windows:?}");
        }
    }

    #[test]
    fn what_came_late_is_not_made_up_for_in_a_burst() {
        let departures = departures(&[window(5, 1)], 20, |number| if number < 10 { 0.0 } else { 10.0 });
        assert!(departures[10] >= 10.0);
        assert!(departures.windows(2).all(|two| two[1] - two[0] > 0.203), "{departures:?}");
    }

    #[test]
    fn after_a_pause_they_leave_evenly_again() {
        let mut pace = Pace::new(&[window(5, 1)]);
        let begin = Instant::now();
        let first = pace.departure(begin, None).unwrap();
        let second = pace.departure(begin, None).unwrap();
        let pause = begin + Duration::from_secs(3);
        pace.pause(pause);
        pace.pause(begin + Duration::from_secs(1));
        assert!(!pace.stands(first) && !pace.stands(second));
        assert_eq!(pace.departure(begin, Some(begin + Duration::from_secs(2))), Err(pause));
        let again = pace.departure(begin, None).unwrap();
        assert_eq!(again, pause);
        assert!(pace.stands(again));
        assert!(pace.departure(begin, None).unwrap() - again > Duration::from_millis(203));
    }
}
