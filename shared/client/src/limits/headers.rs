//! The rate-limit headers of a response.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

/// The names of the headers with a limit, its remaining requests and its reset.
const HEADER_FAMILIES: [[&str; 3]; 4] = [
    // Ticketmaster (developer.ticketmaster.com, "Rate limit"); the reset is in milliseconds since 1970.
    ["rate-limit", "rate-limit-available", "rate-limit-reset"],
    // Xurrent, GitHub and many more; the reset is in seconds since 1970, with some APIs in seconds from now.
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
    ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"],
    // The IETF's draft-ietf-httpapi-ratelimit-headers up to -07; the reset is in seconds from now.
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
];
/// A number above this is an instant in seconds since 1970 (2001 and later), not a number of seconds from now (above 30 years).
const MIN_EPOCH_SECONDS: f64 = 1e9;
/// A number above this is an instant in milliseconds since 1970 (1973 and later), not in seconds (after the year 5138).
const MIN_EPOCH_MILLISECONDS: f64 = 1e11;
/// Milliseconds since 1970 at the end of the year 9999: a larger number is no instant.
const MAX_EPOCH_MILLISECONDS: f64 = 2.6e14;

/// One rate limit, as the API counts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RateLimitHeaders {
    /// The requests that the limit allows in a rate window.
    pub(super) limit: Option<u32>,
    /// The requests left after the one that was answered.
    pub(super) remaining: u32,
    /// When the count starts again.
    pub(super) reset: Option<DateTime<Utc>>,
}

/// Reads every rate limit in `headers`. A family without the number of remaining requests says nothing.
pub(super) fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Vec<RateLimitHeaders> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    let families = HEADER_FAMILIES.iter().filter_map(|[limit, remaining, reset]| {
        Some(RateLimitHeaders {
            limit: value(limit).and_then(parse_count),
            remaining: value(remaining).and_then(parse_count)?,
            reset: value(reset).and_then(|text| parse_reset(text, now)),
        })
    });
    families.collect()
}

/// Whether a rate limit in `headers` has no requests left.
pub(crate) fn leaves_no_requests(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    HEADER_FAMILIES.iter().any(|[_, remaining, _]| value(remaining).and_then(parse_count) == Some(0))
}

/// Parses a whole number. The draft's list (`100, 100;w=60`) starts with the limit in use. A number below zero means that nothing is left.
fn parse_count(text: &str) -> Option<u32> {
    let first = text.split([',', ';']).next()?.trim();
    first.parse::<i64>().ok().map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Parses a reset: a date, or a number in one of three units, which differ by a factor of more than a hundred.
fn parse_reset(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else {
        let date = DateTime::parse_from_rfc2822(text).map(|date| date.to_utc()).ok();
        return date.or_else(|| manifest::time::parse_instant(text));
    };
    if !(0.0..MAX_EPOCH_MILLISECONDS).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    let milliseconds = |number: f64| number.round() as i64;
    if number > MIN_EPOCH_MILLISECONDS {
        DateTime::from_timestamp_millis(milliseconds(number))
    } else if number > MIN_EPOCH_SECONDS {
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

    fn read_pairs(pairs: &[(&str, &str)]) -> Vec<(Option<u32>, u32, Option<String>)> {
        let now = parse_instant("2026-11-21T10:00:00Z").unwrap();
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let limits = read(&pairs.collect(), now);
        limits.into_iter().map(|limit| (limit.limit, limit.remaining, limit.reset.map(format_instant))).collect()
    }

    #[test]
    fn every_family_and_every_form_of_a_reset_are_read() {
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
            assert_eq!(read_pairs(&pairs), [expected], "{pairs:?}");
        }
    }

    #[test]
    fn headers_without_a_remaining_count_are_ignored() {
        assert_eq!(read_pairs(&[("rate-limit", "5000"), ("rate-limit-reset", "1795262400000")]), []);
        assert_eq!(read_pairs(&[("x-ratelimit-remaining", "many")]), []);
        let both = read_pairs(&[("x-ratelimit-remaining", "3"), ("ratelimit-remaining", "4")]);
        assert_eq!(both, [(None, 3, None), (None, 4, None)]);
    }
}
