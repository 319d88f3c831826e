//! What an answer's headers say about a limit.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

/// The names that a limit, what is left of it and its renewal go by.
const FAMILIES: [[&str; 3]; 4] = [
    // Ticketmaster (developer.ticketmaster.com, "Rate limit"); the reset is in milliseconds since 1970.
    ["rate-limit", "rate-limit-available", "rate-limit-reset"],
    // Xurrent, GitHub and many more; the reset is in seconds since 1970, with some it is seconds from now.
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
    ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"],
    // The IETF's draft-ietf-httpapi-ratelimit-headers up to -07; the reset is in seconds from now.
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
];

/// One limit as the API counts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RateLimitHeaders {
    /// Requests in the window.
    pub(super) limit: Option<u32>,
    /// Requests left, after the one answered.
    pub(super) remaining: u32,
    /// When the window ends.
    pub(super) reset: Option<DateTime<Utc>>,
}

/// Every limit that `headers` tell of. One that does not say how much is left says nothing.
pub(super) fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Vec<RateLimitHeaders> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    let told = FAMILIES.iter().filter_map(|[limit, remaining, reset]| {
        Some(RateLimitHeaders {
            limit: value(limit).and_then(count),
            remaining: value(remaining).and_then(count)?,
            reset: value(reset).and_then(|text| instant(text, now)),
        })
    });
    told.collect()
}

/// A whole number; the draft's list (`100, 100;w=60`) begins with the limit in use.
fn count(text: &str) -> Option<u32> {
    let first = text.split([',', ';']).next()?.trim();
    // Below zero nothing is left all the same.
    first.parse::<i64>().ok().map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// The forms differ by more than a factor of a hundred: 10^9 s is the year 2001, and a window of 30 years; 10^11 s the
/// year 5138, and 10^11 ms 1973.
fn instant(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else {
        let date = DateTime::parse_from_rfc2822(text).map(|date| date.to_utc()).ok();
        return date.or_else(|| manifest::time::parse_instant(text));
    };
    // Milliseconds of the year 9999: beyond it is no date.
    if !(0.0..2.6e14).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    let milliseconds = |number: f64| number.round() as i64;
    if number > 1e11 {
        DateTime::from_timestamp_millis(milliseconds(number))
    } else if number > 1e9 {
        DateTime::from_timestamp_millis(milliseconds(number * 1e3))
    } else {
        now.checked_add_signed(TimeDelta::milliseconds(milliseconds(number * 1e3)))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use manifest::time::{format_instant, parse_instant};

    fn apply_headers(pairs: &[(&str, &str)]) -> Vec<(Option<u32>, u32, Option<String>)> {
        let now = parse_instant("2026-11-21T10:00:00Z").unwrap();
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let told = read(&pairs.collect(), now);
        told.into_iter().map(|told| (told.limit, told.remaining, told.reset.map(format_instant))).collect()
    }

    #[test]
    fn every_family_and_every_form_of_a_reset_is_read() {
        let noon = || Some("2026-11-21T12:00:00Z".to_owned());
        for (pairs, expected) in [
            (
                [("Rate-Limit", "5000"), ("Rate-Limit-Available", "4998"), ("Rate-Limit-Reset", "1795262400000")],
                (Some(5000), 4998, noon()),
            ),
            (
                [("X-RateLimit-Limit", "3600"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1795262400")],
                (Some(3600), 0, noon()),
            ),
            (
                [("X-Rate-Limit-Limit", "60"), ("X-Rate-Limit-Remaining", "-3"), ("X-Rate-Limit-Reset", "7200")],
                (Some(60), 0, noon()),
            ),
            (
                [("RateLimit-Limit", "100, 100;w=60"), ("RateLimit-Remaining", "7"), ("RateLimit-Reset", "7200")],
                (Some(100), 7, noon()),
            ),
            (
                [
                    ("X-RateLimit-Limit", "?"),
                    ("X-RateLimit-Remaining", "7"),
                    ("X-RateLimit-Reset", "Sat, 21 Nov 2026 12:00:00 GMT"),
                ],
                (None, 7, noon()),
            ),
            (
                [
                    ("X-RateLimit-Limit", "9"),
                    ("X-RateLimit-Remaining", "7"),
                    ("X-RateLimit-Reset", "2026-11-21T12:00:00Z"),
                ],
                (Some(9), 7, noon()),
            ),
            (
                [("X-RateLimit-Limit", "9"), ("X-RateLimit-Remaining", "7"), ("X-RateLimit-Reset", "1e300")],
                (Some(9), 7, None),
            ),
        ] {
            assert_eq!(told(&pairs), [expected], "{pairs:?}");
        }
    }

    #[test]
    fn without_a_remaining_count_nothing_is_told() {
        assert_eq!(told(&[("rate-limit", "5000"), ("rate-limit-reset", "1795262400000")]), []);
        assert_eq!(told(&[("x-ratelimit-remaining", "many")]), []);
        let both = told(&[("x-ratelimit-remaining", "3"), ("ratelimit-remaining", "4")]);
        assert_eq!(both, [(None, 3, None), (None, 4, None)]);
    }
}
