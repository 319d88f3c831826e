//! Times as seconds since 1970 in UTC, the one form that the generators and filters calculate in.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};

/// Seconds in a day.
pub(crate) const DAY: i64 = 86_400;

/// `2026-11-20T19:00:00Z`.
pub(crate) fn utc(seconds: i64) -> String {
    naive(seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-20T14:00:00-05:00`, the same instant on a clock that many hours ahead of UTC.
pub(crate) fn with_offset(seconds: i64, hours: i32) -> String {
    let zone = FixedOffset::east_opt(hours * 3_600).unwrap_or(FixedOffset::east_opt(0).expect("UTC"));
    naive(seconds).and_utc().with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Milliseconds since 1970 of a time with its zone; without one it is no instant.
pub(crate) fn instant_ms(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// `2026-11-20T19:00:00`.
pub(crate) fn without_zone(seconds: i64) -> String {
    naive(seconds).format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2026-11-20 19:00:00`.
pub(crate) fn spaced(seconds: i64) -> String {
    naive(seconds).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-11-20`.
pub(crate) fn day(seconds: i64) -> String {
    naive(seconds).format("%Y-%m-%d").to_string()
}

/// `19:00:00`.
pub(crate) fn time(seconds: i64) -> String {
    naive(seconds).format("%H:%M:%S").to_string()
}

/// `Fri, 20 Nov 2026 19:00:00 GMT`, the date of HTTP headers.
pub(crate) fn http_date(seconds: i64) -> String {
    naive(seconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The one format that the Discovery API takes: no milliseconds, no offset, a `Z`.
pub(crate) fn strict_utc(text: &str) -> Option<i64> {
    if text.len() != 20 {
        return None;
    }
    let local = text.strip_suffix('Z')?;
    strict_local(local)
}

/// [`strict_utc`] without its `Z`.
pub(crate) fn strict_local(text: &str) -> Option<i64> {
    if text.len() != 19 {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    Some(time.and_utc().timestamp())
}

/// Any of the forms that a sale's date is seen in; no zone means UTC, no time means midnight.
pub(crate) fn lenient(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp());
        }
    }
    midnight(text)
}

/// Midnight UTC of a `YYYY-MM-DD`.
pub(crate) fn midnight(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp())
}

/// Now, by the machine's clock.
pub(crate) fn wall() -> i64 {
    chrono::Utc::now().timestamp()
}

fn naive(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}

#[cfg(test)]
mod tests {
    use super::{instant_ms, lenient, strict_utc, utc, with_offset};

    #[test]
    fn the_strict_format_refuses_milliseconds_and_a_missing_zone() {
        assert_eq!(strict_utc("2026-11-21T00:00:00Z").map(utc).as_deref(), Some("2026-11-21T00:00:00Z"));
        for text in ["2026-11-21T00:00:00.000Z", "2026-11-21T00:00:00", "2026-11-21T00:00:00+00:00", "2026-11-21"] {
            assert_eq!(strict_utc(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_changes_the_text_and_not_the_instant() {
        let evening = strict_utc("2026-11-20T19:00:00Z").unwrap();
        assert_eq!(with_offset(evening, -5), "2026-11-20T14:00:00-05:00");
        assert_eq!(instant_ms("2026-11-20T14:00:00.250-05:00"), Some(evening * 1_000 + 250));
        assert_eq!(instant_ms("2026-11-20T14:00:00"), None);
    }

    #[test]
    fn a_sale_date_is_read_in_every_form() {
        for text in ["2026-11-20T19:00:00Z", "2026-11-20T20:00:00+01:00", "2026-11-20T19:00:00", "2026-11-20 19:00:00"]
        {
            assert_eq!(lenient(text).map(utc).as_deref(), Some("2026-11-20T19:00:00Z"), "{text}");
        }
    }
}
