//! When to try again, and after how long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;

/// The requests sent for one page where the request does not say how many, the first included.
pub const DEFAULT_ATTEMPTS: u32 = 5;
/// The wait before the first retry; it doubles with each.
const BASE: Duration = Duration::from_millis(500);
/// The longest wait that is not the server's own wish.
const LONGEST: Duration = Duration::from_secs(30);

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

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date. `None` when it says neither, or a time gone by. It
/// may be longer than a run waits: to come back earlier would only be refused again, so such a wish ends the run.
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    match header.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => (DateTime::parse_from_rfc2822(header).ok()?.to_utc() - now).to_std().ok(),
    }
}

/// The message for a pause that is longer than [`LONGEST_WAIT`](crate::limits::LONGEST_WAIT).
pub(crate) fn long_pause(failure: &impl std::fmt::Display, pause: Duration, now: DateTime<Utc>) -> String {
    let until = chrono::TimeDelta::from_std(pause).ok().and_then(|pause| now.checked_add_signed(pause));
    match until {
        Some(until) => format!("{failure}, and requests a pause until {}", manifest::time::format_seconds(until)),
        None => format!("{failure}, and requests a pause of {} s", pause.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = manifest::time::parse_instant("2026-11-21T10:00:00Z").unwrap();
        for (header, expected) in [
            ("0", Some(0.0)),
            (" 12 ", Some(12.0)),
            ("1.5", Some(1.5)),
            ("86400", Some(86400.0)),
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
