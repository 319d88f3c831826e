//! Holds a source's rate: as fast as it allows, never faster.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Added to every interval: two requests that leave evenly can arrive closer together, and the server counts arrivals.
const MARGIN: f64 = 1.02;

/// Lets requests go one at a time, evenly spaced: any second of an evenly spaced stream holds what the rate allows, where a
/// bucket of tokens would let a whole second's worth go at once on both sides of a second's edge.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    /// A pacer for so many requests a second; `None`: no limit.
    pub fn new(per_second: Option<f64>) -> Self {
        let interval = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(MARGIN / rate));
        Self { interval, next: Mutex::new(None) }
    }

    /// Waits until the next request may leave.
    pub async fn admit(&self) {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
    }

    /// Lets nothing leave for `pause`: the server said so.
    pub fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_holds_more_than_the_rate() {
        let pacer = Pacer::new(Some(5.0));
        let begin = Instant::now();
        let mut departures = Vec::new();
        for _ in 0..300 {
            pacer.admit().await;
            departures.push(begin.elapsed());
        }
        for window in departures.windows(6) {
            assert!(window[5] - window[0] > Duration::from_secs(1), "{window:?}");
        }
        assert!(departures[299] < Duration::from_secs_f64(299.0 / 5.0 / 0.97), "{:?}", departures[299]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let begin = Instant::now();
        Pacer::new(None).admit().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
