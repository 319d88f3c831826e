//! `rate`: how many requests an API allows.

use std::time::Duration;

use crate::keys::client::{RATE, RATE_WINDOW};
use crate::rate::{MAX_PACED_PERIOD, Rate, RateWindow, UNITS};
use crate::yaml::{Fields, Node};

/// The longest period that a limit may have: 366 days. A longer one is taken for a mistake.
const MAX_PERIOD_SECONDS: f64 = 366.0 * 86_400.0;

/// Reads the member `rate`: `{per_second, per_minute, per_hour, per_day}`, or a list of `{requests, seconds}`.
pub(super) fn rate(fields: &Fields<'_>) -> Rate {
    let Some(node) = fields.get("rate") else {
        return Rate::default();
    };
    let mut windows: Vec<RateWindow> = if node.is_list() {
        node.list().unwrap_or_default().iter().filter_map(listed_window).collect()
    } else {
        let fields = node.fields(&RATE);
        let window = |(name, unit_seconds)| window_per_unit(&fields.as_ref()?.get(name)?, unit_seconds);
        UNITS.into_iter().filter_map(window).collect()
    };
    windows.sort_by_key(|window| window.period);
    Rate { windows }
}

fn listed_window(node: &Node<'_>) -> Option<RateWindow> {
    let fields = node.fields(&RATE_WINDOW)?;
    let requests = fields.integer("requests");
    let seconds = fields.required("seconds")?;
    window(&seconds, u32::try_from(requests?).ok()?, seconds.positive()?)
}

/// Reads a number of requests per unit of time. A fraction becomes one request in a longer period: 0.5 per second is 1 in 2 s.
fn window_per_unit(node: &Node<'_>, unit_seconds: f64) -> Option<RateWindow> {
    let number = node.positive()?;
    if number.fract() != 0.0 {
        return window(node, 1, unit_seconds / number);
    }
    if number > f64::from(u32::MAX) {
        node.fault(format!("{number} is out of range: at most {}", u32::MAX));
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, 1 to u32::MAX")]
    window(node, number as u32, unit_seconds)
}

/// The window of `requests` in `seconds`; a period that is 0 or too long is a fault. A counted period has whole seconds.
fn window(node: &Node<'_>, requests: u32, seconds: f64) -> Option<RateWindow> {
    let period =
        Duration::try_from_secs_f64(seconds).ok().filter(|period| !period.is_zero() && seconds <= MAX_PERIOD_SECONDS);
    let Some(mut period) = period else {
        node.fault(format!("gives a period of {seconds} s; a limit's period is at most 366 days"));
        return None;
    };
    if period > MAX_PACED_PERIOD && period.subsec_nanos() > 0 {
        period = Duration::from_secs(period.as_secs() + 1);
    }
    Some(RateWindow { requests, period })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::client::CLIENT;
    use crate::yaml::Document;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let rate = Document::read("a.yaml", text, |root| Some(rate(&root.fields(&CLIENT)?)));
        rate.map(|rate| rate.windows.iter().map(RateWindow::to_string).collect()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn both_forms_give_windows_with_the_shortest_first() {
        for (text, expected) in [
            ("{}", &[][..]),
            ("rate: {per_day: 5000, per_second: 5}", &["5 requests per second", "5000 requests per day"]),
            ("rate: {per_minute: 60, per_hour: 3600}", &["60 requests per minute", "3600 requests per hour"]),
            ("rate: {per_second: 0.5}", &["1 request per 2 s"]),
            ("rate: {per_second: 2.5}", &["1 request per 0.4 s"]),
            ("rate: {per_hour: 1.7}", &["1 request per 2118 s"]),
            (
                "rate: [{requests: 3600, seconds: 3600}, {requests: 20, seconds: 2}]",
                &["20 requests per 2 s", "3600 requests per hour"],
            ),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_rate_that_is_no_limit_is_a_fault_with_its_place() {
        for (text, expected) in [
            ("rate: {per_second: 0}", "a.yaml:1:20 rate.per_second: must be a number greater than 0, is the number 0"),
            ("rate: {per_seconds: 5}", "Did you mean `per_second`?"),
            ("rate: {per_second: 5000000000}", "5000000000 is out of range"),
            ("rate: {per_day: 0.001}", "rate.per_day: gives a period of 86400000 s"),
            ("rate: [{requests: 20}]", "needs `seconds`"),
            ("rate: [{requests: 1.5, seconds: 2}]", "must be a whole number"),
            ("rate: 5", "must be a mapping"),
        ] {
            let faults = read(text).unwrap_err();
            assert!(faults.contains(expected), "{text}: {faults}");
        }
    }
}
