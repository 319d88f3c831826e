//! Chooses the end of a window by the calendar of an earlier run. It is nearly exact where records start as they did then.

use super::counted_range::CountedRange;
use super::forecast::CalendarForecast;
use super::window_splitter::WindowSplitter;

/// Above this error, the calendar is not used until it predicts better. Chance alone makes an error of 1, and a forecast by the week
/// before makes a greater one.
const MAX_ERROR: f64 = 4.0;
/// No window is considered that is expected to have more than this many times the limit.
const MAX_FILL: f64 = 1.6;
/// The window that follows a deep one is assumed to have this share of the limit.
const FILL_AFTER_DEEP: f64 = 0.975;

impl WindowSplitter {
    /// Returns the last second of the next window, which begins at `at`: the one at which the expected number of requests per record is
    /// least. `None` if the calendar does not cover that time, or predicts badly.
    pub(super) fn next_end_by_calendar(&self, at: i64) -> Option<i64> {
        let forecast =
            self.forecast.as_ref().filter(|forecast| forecast.error < MAX_ERROR && forecast.covers(at, at))?;
        let deep = self.deep_ranges.first().filter(|range| range.exact);
        let mut best: Option<(f64, i64)> = None;
        let first = forecast.ends.partition_point(|end| *end < at);
        for end in &forecast.ends[first..] {
            let to = *end.min(&self.last());
            if to > self.max_end {
                break;
            }
            let (mean, variance) = self.expected_by_calendar(forecast, deep, at, to);
            let cost = self.cost(mean, variance);
            if best.is_none_or(|(least, _)| cost <= least) {
                best = Some((cost, to));
            }
            if mean > MAX_FILL * self.limit || to == self.last() {
                break;
            }
        }
        best.map(|(_, to)| to)
    }

    /// Returns the mean and the variance of the number of records from `at` to `to`. `deep` is a range around `at` with a known total.
    fn expected_by_calendar(
        &self,
        forecast: &CalendarForecast,
        deep: Option<&CountedRange>,
        at: i64,
        to: i64,
    ) -> (f64, f64) {
        let error = forecast.error;
        let Some(deep) = deep else {
            let mean = forecast.expected(at, to);
            return (mean, 1.0 + error * mean * (1.0 + mean / forecast.recorded));
        };
        if to >= deep.to {
            let beyond = forecast.expected(deep.to.saturating_add(1), to);
            return (deep.total + beyond, 1.0 + error * beyond);
        }
        let share = forecast.expected(at, to) / forecast.expected(at, deep.to).max(1.0);
        let mean = deep.total * share.min(1.0);
        (mean, 1.0 + error * mean * (1.0 - share).max(0.0))
    }

    /// Returns the expected number of requests per record of a window that has `mean` records, with `variance`.
    fn cost(&self, mean: f64, variance: f64) -> f64 {
        let deviation = variance.sqrt().max(0.5);
        let above = |records: f64| upper_tail((records + 0.5 - mean) / deviation);
        let pages = (self.limit / self.page_size).ceil();
        let mut requests = 1.0;
        let mut page = 1.0;
        while page < pages {
            requests += above(page * self.page_size);
            page += 1.0;
        }
        let z = (self.limit - mean) / deviation;
        let deep = above(self.limit);
        let cut_off = (deviation * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
            - (self.limit - mean) * upper_tail(z))
        .max(0.0);
        let records = mean - cut_off - deep * (1.0 - FILL_AFTER_DEEP) * self.limit;
        (requests + deep) / records.max(1e-3)
    }
}

/// Returns the probability that a normal deviate is above `z`.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z >= 0.0 { tail } else { 1.0 - tail }
}
