//! The clock of the API, by the header `Date` of its responses.

use chrono::{DateTime, TimeDelta};
use manifest::time::Instant;
use reqwest::header::{AGE, DATE, HeaderMap};

/// Is told what the clock of the API says.
pub trait DateListener: Send + Sync + std::fmt::Debug {
    /// Is called for each response that has the time of the API, when the response is there. `date` has whole seconds, and lies between the
    /// sending of the request at `sent_at`, by the clock of the machine, and now.
    fn observe(&self, date: Instant, sent_at: Instant);
}

/// Returns the time at which a response was sent. A cache gives the `Date` of the stored response, and its `Age` in seconds.
pub(crate) fn response_date(headers: &HeaderMap) -> Option<Instant> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?.trim()).ok()?.to_utc();
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u32>().ok()).unwrap_or_default();
    date.checked_add_signed(TimeDelta::seconds(age.into()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn date(headers: &[(reqwest::header::HeaderName, &'static str)]) -> Option<String> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect::<HeaderMap>();
        response_date(&headers).map(|date| date.to_rfc3339())
    }

    #[test]
    fn the_date_of_a_response_includes_its_age() {
        let day = "Sat, 28 Nov 2026 10:00:00 GMT";
        assert_eq!(date(&[(DATE, day)]).as_deref(), Some("2026-11-28T10:00:00+00:00"));
        assert_eq!(date(&[(DATE, day), (AGE, "90")]).as_deref(), Some("2026-11-28T10:01:30+00:00"));
        assert_eq!(date(&[(DATE, "soon")]), None);
        assert_eq!(date(&[(AGE, "90")]), None);
    }
}
