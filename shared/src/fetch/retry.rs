//! When to try again, and after how long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;

/// Requests sent for one page, the first included.
pub const ATTEMPTS: u32 = 5;
/// The wait before the first retry; it doubles with each.
const BASE: Duration = Duration::from_millis(500);
/// The longest wait that is not the server's own wish.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is waited for: Xurrent's can be about an hour.
const LONGEST_WISH: Duration = Duration::from_secs(3660);

/// Whether a status may be another one on the next try.
pub fn is_transient(status: u16) -> bool {
    status == 408 || status == 429 || (500..=599).contains(&status)
}

/// The wait before retry number `retry`, from 1: exponential, with a random half, so that functions which failed
/// together do not come back together.
pub fn backoff(retry: u32) -> Duration {
    let whole = BASE.saturating_mul(1 << retry.saturating_sub(1).min(10)).min(LONGEST);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date. `None` when it says neither, or a time gone by.
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    let wish = match header.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => (DateTime::parse_from_rfc2822(header).ok()?.to_utc() - now).to_std().ok()?,
    };
    Some(wish.min(LONGEST_WISH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = crate::time::parse_instant("2026-11-21T10:00:00Z").unwrap();
        for (header, expected) in [
            ("0", Some(0.0)),
            (" 12 ", Some(12.0)),
            ("1.5", Some(1.5)),
            ("86400", Some(3660.0)),
            ("Sat, 21 Nov 2026 10:00:30 GMT", Some(30.0)),
            ("Sat, 21 Nov 2026 09:00:00 GMT", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(header, now).map(|wait| wait.as_secs_f64()), expected, "{header}");
        }
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        for retry in 1..=40 {
            let wait = backoff(retry);
            assert!(wait >= BASE / 2 && wait <= LONGEST, "{retry}: {wait:?}");
        }
        assert!(backoff(4) > backoff(1));
    }
}
