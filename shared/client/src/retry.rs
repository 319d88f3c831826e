//! When a request is sent again, and after how long.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use manifest::time::format_seconds;
use rand::RngExt;

/// The requests sent for one page if the run does not say how many, the first included.
pub const DEFAULT_ATTEMPTS: u32 = 5;
/// The wait before the first retry, doubled before each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait that the server did not ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Whether a later attempt may get another status.
pub(crate) fn is_transient(status: u16) -> bool {
    status == 408 || status == 429 || (500..=599).contains(&status)
}

/// Returns the wait before retry number `retry`, from 1 on: exponential, with a random half, so that functions that failed together do not
/// come back together.
pub(crate) fn backoff(retry: u32) -> Duration {
    let whole = FIRST_BACKOFF.saturating_mul(1 << retry.saturating_sub(1).min(10)).min(MAX_BACKOFF);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Returns the wait that a `Retry-After` header asks for: seconds, or an HTTP date. `None` if the header is neither, or a time gone by. The
/// wait may be longer than a run can wait. An earlier retry would only be refused again, so such a wait ends the run.
pub(crate) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    match header.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => (DateTime::parse_from_rfc2822(header).ok()?.to_utc() - now).to_std().ok(),
    }
}

/// Returns the message for a pause that is longer than a run waits.
pub(crate) fn long_pause(failure: &impl std::fmt::Display, pause: Duration, now: DateTime<Utc>) -> String {
    let until = TimeDelta::from_std(pause).ok().and_then(|pause| now.checked_add_signed(pause));
    match until {
        Some(until) => format!("{failure}, and requests a pause until {}", format_seconds(until)),
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
    fn backoffs_grow_and_stay_bounded() {
        for retry in 1..=40 {
            let wait = backoff(retry);
            assert!(wait >= FIRST_BACKOFF / 2 && wait <= MAX_BACKOFF, "{retry}: {wait:?}");
        }
        assert!(backoff(4) > backoff(1));
    }

    #[test]
    fn a_long_pause_names_its_end() {
        let now = manifest::time::parse_instant("2026-11-21T10:00:00Z").unwrap();
        let message = long_pause(&"answered 429: slow down", Duration::from_secs(86_400), now);
        assert_eq!(message, "answered 429: slow down, and requests a pause until 2026-11-22T10:00:00Z");
        let message = long_pause(&"answered 503", Duration::MAX, now);
        assert_eq!(message, format!("answered 503, and requests a pause of {} s", u64::MAX));
    }
}
