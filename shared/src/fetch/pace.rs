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

    #[tokio::test]
    async fn a_stream_uses_the_rate_and_never_exceeds_it() {
        let rate = 50.0;
        let pacer = Pacer::new(Some(rate));
        let begin = Instant::now();
        let mut departures = Vec::new();
        for _ in 0..60 {
            pacer.admit().await;
            departures.push(begin.elapsed());
        }
        // Fifty-one departures span fifty intervals, which is more than a second whatever the timer's delays.
        for window in departures.windows(51) {
            assert!(window[50] - window[0] > Duration::from_millis(990), "{window:?}");
        }
        assert!(departures[59] < Duration::from_secs_f64(59.0 / rate * 1.6), "{:?}", departures[59]);
    }

    #[tokio::test]
    async fn without_a_rate_only_the_server_s_wish_waits() {
        let begin = Instant::now();
        let pacer = Pacer::new(None);
        pacer.admit().await;
        assert!(begin.elapsed() < Duration::from_millis(50));
        pacer.hold(Duration::from_millis(100));
        pacer.admit().await;
        assert!(begin.elapsed() >= Duration::from_millis(100));
    }
}
