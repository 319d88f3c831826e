//! Splits simulated queries by time, and checks which seconds the windows cover and how many requests they cost.

use proptest::prelude::*;

use super::counted_range::CountedRange;
use super::recent::RecentWindows;
use super::window_splitter::seconds;
use super::{WindowFit, WindowSplitter};
use crate::state::Calendar;
use manifest::time::TimeRange;

const DAY: i64 = 86_400;
const BIN: i64 = 900;
/// A Saturday, as in the sandbox.
const NOW: i64 = 1_795_219_200;

struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn weighted(&mut self, of: &[(i64, u32)]) -> i64 {
        let mut throw = self.unit() * f64::from(of.iter().map(|(_, weight)| weight).sum::<u32>());
        let found = of.iter().find(|(_, weight)| {
            throw -= f64::from(*weight);
            throw < 0.0
        });
        found.unwrap_or(&of[0]).0
    }
}

/// Draws a start as the sandbox does. `steep` is 1, or more for a distribution with more records in its first weeks.
fn start(dice: &mut Dice, steep: f64) -> i64 {
    let mut day = 0;
    for _ in 0..8 {
        let ahead = match dice.unit() {
            throw if throw < 0.70 => 1.0 + 119.0 * dice.unit().powf(1.2 * steep),
            throw if throw < 0.95 => 120.0 + 240.0 * dice.unit().powf(1.5),
            _ => 360.0 + 360.0 * dice.unit(),
        };
        day = NOW + ahead as i64 * DAY;
        let weekday = [0.6, 0.9, 1.0, 0.6, 0.3, 0.35, 0.4][(day / DAY).rem_euclid(7) as usize];
        let month = (day / DAY % 365 * 12 / 365) as usize;
        let season = [0.5, 0.6, 0.8, 0.9, 1.0, 1.0, 0.9, 0.8, 0.9, 1.0, 1.0, 0.8][month.min(11)];
        if dice.unit() < weekday * season {
            break;
        }
    }
    let hours = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22].into_iter();
    let hours: Vec<(i64, u32)> = hours.zip([2, 3, 3, 4, 8, 6, 4, 6, 11, 24, 20, 6, 3]).collect();
    let offsets =
        [(-480, 186), (-300, 312), (-360, 206), (-420, 60), (0, 126), (60, 170), (600, 42), (720, 12)].map(|it| it);
    let minute = dice.weighted(&[(0, 50), (30, 38), (15, 7), (45, 5)]);
    let local = if dice.unit() < 0.035 { day } else { day + dice.weighted(&hours) * 3_600 + minute * 60 };
    local - dice.weighted(&offsets) * 60
}

fn calendar(kind: &str, events: usize, seed: u64) -> Vec<i64> {
    let mut dice = Dice(seed);
    let mut starts: Vec<i64> = (0..events)
        .map(|index| match kind {
            "flat" => NOW + (dice.unit() * (365 * DAY / BIN) as f64) as i64 * BIN,
            "steep" => start(&mut dice, 2.0),
            "festival" if dice.unit() < 0.3 => NOW + 200 * DAY + (dice.unit() * 2_880.0) as i64 * BIN,
            "moment" if index < 1_500 => NOW + 60 * DAY + 19 * 3_600,
            "far" if index < 20 => NOW + ((dice.unit() - 0.5) * 2e11) as i64,
            _ => start(&mut dice, 1.0),
        })
        .collect();
    starts.sort_unstable();
    starts
}

#[derive(Debug, Default)]
struct Outcome {
    requests: usize,
    deep: usize,
    windows: Vec<TimeRange>,
    moments: Vec<TimeRange>,
    /// The records in single seconds that are too deep.
    beyond: usize,
    /// The number of windows longer than a day that are one second shorter than a deep window.
    crept: usize,
    /// The calendar for the next run.
    calendar: Option<Calendar>,
}

type Range = (Option<i64>, Option<i64>);

/// How the simulated API answers.
#[derive(Clone, Copy)]
struct Simulation {
    /// The greatest number of records that it serves for one query.
    limit: usize,
    /// The number of records on a page.
    page: usize,
    /// The seed of the order of the records on a page.
    seed: u64,
}

/// Returns a simulation with Ticketmaster's limit and page size.
fn seeded(seed: u64) -> Simulation {
    Simulation { limit: 1_000, page: 200, seed }
}

fn sweep(starts: &[i64], from: Option<i64>, to: Option<i64>, simulation: Simulation) -> Outcome {
    sweep_again(starts, (from, to), simulation, None)
}

/// Reads all windows of `starts`, which are in order, with the calendar of an `earlier` run. The starts of a window are added when the
/// first page of the next one has been answered.
fn sweep_again(starts: &[i64], (from, to): Range, simulation: Simulation, earlier: Option<Calendar>) -> Outcome {
    let Simulation { limit, page, seed } = simulation;
    let mut dice = Dice(seed ^ 0x1D);
    let ids: Vec<f64> = starts.iter().map(|_| dice.unit()).collect();
    let mut sweep = WindowSplitter::new(TimeRange { from, to }, limit as u64, page as u64).with_calendar(earlier);
    let mut outcome = Outcome::default();
    let (mut next, mut ended, mut pending) = (from, false, None::<(TimeRange, Vec<i64>)>);
    while let Some(window) = sweep.next_window() {
        assert!(!ended && window.from == next, "{window:?} follows {:?}", outcome.windows.last());
        assert!(window.to.is_none_or(|last| window.from.is_none_or(|first| first <= last)), "{window:?}");
        assert!(to.is_none_or(|end| window.to.is_some_and(|last| last <= end)), "{window:?}");
        let first = window.from.map_or(0, |from| starts.partition_point(|start| *start < from));
        let last = window.to.map_or(starts.len(), |to| starts.partition_point(|start| *start <= to));
        let mut in_window: Vec<usize> = (first..last).collect();
        in_window.sort_unstable_by(|a, b| ids[*a].total_cmp(&ids[*b]));
        let sample: Vec<i64> = in_window.iter().take(page).map(|index| starts[*index]).collect();
        let total = last - first;
        outcome.requests += 1;
        assert!(outcome.requests < 20_000, "it ends: {} of {}, at {window:?}", outcome.windows.len(), starts.len());
        let verdict = sweep.add_first_page(window, total.min(10_000) as u64, &sample);
        if let Some((window, starts)) = pending.take() {
            sweep.add_starts(window, &starts);
        }
        match verdict {
            WindowFit::TooDeep => {
                assert!(total > limit);
                outcome.deep += 1;
                let long = |next: TimeRange| next.to.zip(next.from).is_some_and(|(last, first)| last - first > DAY);
                let shorter =
                    sweep.next_window().filter(|next| next.to == window.to.map(|last| last - 1) && long(*next));
                outcome.crept += usize::from(shorter.is_some());
                continue;
            }
            WindowFit::Moment => {
                assert!(total > limit && window.from.is_some() && window.from == window.to);
                outcome.beyond += total;
                outcome.moments.push(window);
            }
            WindowFit::Fits => {
                assert!(total <= limit, "{window:?} has {total}");
                outcome.requests += total.div_ceil(page).max(1) - 1;
                outcome.windows.push(window);
                pending = Some((window, starts[first..last].to_vec()));
            }
        }
        ended = window.to == to;
        next = window.to.map(|to| to + 1);
    }
    assert!(ended, "to the range's end");
    if let Some((window, starts)) = pending {
        sweep.add_starts(window, &starts);
    }
    outcome.calendar = sweep.calendar();
    outcome
}

/// Returns for each seed the ratio of the requests to the least possible number.
fn ratios(kind: &str, events: usize) -> Vec<f64> {
    let seeds = 1..=3;
    let ratio = |seed| {
        let starts = calendar(kind, events, seed);
        let outcome = sweep(&starts, None, None, seeded(seed));
        // The records of a second that is too deep are read by other splits, which cost requests elsewhere.
        let read = events - outcome.beyond;
        let ratio = outcome.requests as f64 / read.div_ceil(200) as f64;
        let (windows, deep, moments) = (outcome.windows.len(), outcome.deep, outcome.moments.len());
        println!("{kind} {events}, seed {seed}: {ratio:.4}, {windows} windows, {deep} too deep, {moments} moments");
        assert_eq!(outcome.crept, 0, "{kind}, seed {seed}: a deep window is requested again");
        ratio
    };
    seeds.map(ratio).collect()
}

/// The bounds are 0.01 to 0.03 above the measured ratios.
#[test]
fn costs_little_more_than_full_pages() {
    let cases = [("sandbox", 1.14), ("flat", 1.14), ("steep", 1.17), ("moment", 1.15), ("festival", 1.16)];
    for (kind, most) in cases {
        for ratio in ratios(kind, 242_500) {
            assert!(ratio <= most, "{kind}: {ratio}");
        }
    }
}

/// Changes `share` of the records: a third is removed, a third starts up to two months later, and as many are added as were removed.
fn changed(starts: &[i64], kind: &str, share: f64, seed: u64) -> Vec<i64> {
    let mut dice = Dice(seed + 77);
    let third = share / 3.0;
    let later = |start: &i64| match dice.unit() {
        throw if throw < third => None,
        throw if throw < 2.0 * third => Some(start + (1 + (throw * 1e6) as i64 % 60) * DAY),
        _ => Some(*start),
    };
    let mut changed: Vec<i64> = starts.iter().filter_map(later).collect();
    let mut dice = Dice(seed + 78);
    changed.extend(calendar(kind, starts.len(), seed + 500).into_iter().filter(|_| dice.unit() < third));
    changed.sort_unstable();
    changed
}

/// The measured ratios with 242,500 records are 1.01 without changes, 1.02 with 1 % changed, and 1.03 to 1.04 with 5 % changed.
#[test]
fn a_second_run_needs_fewer_requests() {
    for (kind, limits) in [("sandbox", [1.015, 1.025, 1.045]), ("flat", [1.015, 1.02, 1.035])] {
        let starts = calendar(kind, 242_500, 1);
        let first = sweep(&starts, None, None, seeded(1)).calendar.unwrap();
        let text = serde_json::to_string(&first).unwrap();
        assert!(text.len() < 200_000, "{} bytes", text.len());
        let stored: Calendar = serde_json::from_str(&text).unwrap();
        assert_eq!(stored, first);
        for (share, most) in [0.0, 0.01, 0.05].into_iter().zip(limits) {
            let next = changed(&starts, kind, share, 1);
            let outcome = sweep_again(&next, (None, None), seeded(2), Some(stored.clone()));
            let ratio = outcome.requests as f64 / next.len().div_ceil(200) as f64;
            println!("{kind}, {share} changed: {ratio:.4}");
            assert!(ratio <= most, "{kind}, {share} changed: {ratio}");
        }
    }
}

/// The calendars are of another API, of a third of the records, empty, and of one second.
#[test]
fn a_wrong_calendar_costs_requests_and_no_more() {
    let starts = calendar("sandbox", 50_000, 1);
    let without = sweep(&starts, None, None, seeded(1)).requests;
    let shifted: Vec<i64> = calendar("flat", 50_000, 2).iter().map(|start| start - 300 * DAY).collect();
    let third: Vec<i64> = starts.iter().step_by(3).copied().collect();
    for other in [shifted, third, vec![], vec![NOW; 900]] {
        let wrong = sweep(&other, None, None, seeded(3)).calendar;
        let outcome = sweep_again(&starts, (None, None), seeded(1), wrong);
        assert!(outcome.requests < without * 5 / 4, "{} requests, {without} without", outcome.requests);
    }
}

#[test]
fn a_resumed_run_uses_and_keeps_the_calendar_of_the_stopped_run() {
    let starts = calendar("sandbox", 100_000, 1);
    let half = NOW + 60 * DAY;
    let begun = sweep(&starts, None, Some(half - 1), seeded(1)).calendar;
    let (alone, resumed) =
        (sweep(&starts, Some(half), None, seeded(1)), sweep_again(&starts, (Some(half), None), seeded(1), begun));
    assert!(resumed.requests <= alone.requests, "{} and {}", resumed.requests, alone.requests);
    // The calendar covers both halves now.
    let again = sweep_again(&starts, (None, None), seeded(1), resumed.calendar);
    assert!(again.requests <= 520, "{}", again.requests);
    // A run over a narrow range keeps the rest of the calendar.
    let week = (Some(half), Some(half + 7 * DAY));
    let narrow = sweep_again(&starts, week, seeded(1), again.calendar.clone());
    assert_eq!(sweep_again(&starts, (None, None), seeded(1), narrow.calendar).requests / 5, again.requests / 5);
}

#[test]
fn few_records_cost_few_requests() {
    assert_eq!(sweep(&[], None, None, seeded(1)).requests, 1);
    assert_eq!(ratios("sandbox", 700), [1.0; 3]);
    assert!(ratios("sandbox", 20_000).iter().all(|ratio| *ratio <= 1.25));
    assert!(ratios("far", 50_000).iter().all(|ratio| *ratio <= 1.20));
}

#[test]
fn a_second_that_is_too_deep_is_reported() {
    let moment = NOW + 60 * DAY + 19 * 3_600;
    let starts = calendar("moment", 20_000, 1);
    let outcome = sweep(&starts, Some(NOW), None, seeded(1));
    assert_eq!(outcome.moments, [TimeRange { from: Some(moment), to: Some(moment) }]);
    for (from, to) in [(None, None), (Some(moment), Some(moment)), (Some(moment), None), (None, Some(moment))] {
        assert_eq!(sweep(&[moment; 12_000], from, to, seeded(1)).moments.len(), 1);
    }
}

/// Events without a date are split by the time when they were announced, which no record has.
#[test]
fn records_without_a_start_are_expected_around_now() {
    for (days, count) in [(300, 3_800), (90, 3_800), (2_000, 3_800), (300, 12_000), (300, 900), (1, 1_900)] {
        let mut dice = Dice(1);
        let mut starts: Vec<i64> = (0..count).map(|_| NOW - (dice.unit() * (days * DAY) as f64) as i64).collect();
        starts.sort_unstable();
        let (mut sweep, mut requests, mut covered) =
            (WindowSplitter::new(TimeRange::ALL, 1_000, 200).around(NOW), 0, 0);
        while let Some(window) = sweep.next_window() {
            let until =
                |end: Option<i64>| end.map_or(starts.len(), |end| starts.partition_point(|start| *start <= end));
            let total = until(window.to) - window.from.map_or(0, |from| until(Some(from - 1)));
            requests += 1;
            if sweep.add_first_page(window, total.min(10_000) as u64, &[]) == WindowFit::Fits {
                requests += total.div_ceil(200).max(1) - 1;
                covered += total;
            }
        }
        assert_eq!(covered, starts.len());
        let least = starts.len().div_ceil(200);
        println!("{count} in {days} days: {requests} requests, {least} at least");
        assert!(requests <= least * 3 / 2 + 8, "{count} in {days} days: {requests} requests, {least} at least");
    }
}

#[test]
fn a_split_without_any_starts_ends() {
    let mut sweep = WindowSplitter::new(TimeRange::ALL, 1_000, 200);
    let mut asked = 0;
    while let Some(window) = sweep.next_window() {
        asked += 1;
        let total =
            if window.from.is_none_or(|from| from <= NOW) && window.to.is_none_or(|to| to >= NOW) { 2_000 } else { 0 };
        sweep.add_first_page(window, total, &[]);
    }
    assert!(asked < 200, "{asked}");
}

#[test]
fn a_range_that_ends_before_it_begins_has_no_window() {
    assert_eq!(WindowSplitter::new(TimeRange { from: Some(1), to: Some(0) }, 1_000, 200).next_window(), None);
}

/// Returns a range with records at `starts`, all of which are known.
fn counted_range(from: i64, to: i64, starts: Vec<i64>) -> CountedRange {
    CountedRange { from, to, total: starts.len() as f64, exact: true, starts }
}

#[test]
fn a_sample_represents_all_records() {
    let sampled = CountedRange { from: 100, to: 199, total: 1_000.0, exact: true, starts: vec![110, 120, 120, 190] };
    assert_eq!(sampled.records(0, 300), 1_000.0);
    assert_eq!(sampled.records(111, 120), 500.0);
    assert_eq!(sampled.records(121, 150), 0.0);
    assert_eq!(sampled.records(200, 100), 0.0);
    // Without any starts, the records are spread evenly.
    assert_eq!(CountedRange { starts: vec![], ..sampled }.records(150, 400), 500.0);
}

/// Each day has a record at every full hour from 10 to 19 o'clock, on Saturdays twice as many.
fn day(day: i64, times: usize) -> CountedRange {
    let saturday = day.rem_euclid(7) == 5;
    let hour = |hour: i64| std::iter::repeat_n(day * DAY + hour * 3_600, if saturday { 2 * times } else { times });
    counted_range(day * DAY, day * DAY + DAY - 1, (10..20).flat_map(hour).collect())
}

#[test]
fn a_week_is_expected_to_be_like_the_week_before() {
    let mut recent = RecentWindows::new(10.0);
    assert!(recent.repetition().is_none());
    recent.add(day(0, 1));
    assert!(recent.repetition().is_none(), "there is nothing to compare the first day with");
    recent.add(day(1, 3));
    let like_yesterday = recent.repetition().unwrap();
    assert_eq!(like_yesterday.records(2 * DAY, 3 * DAY - 1), 30.0);
    assert_eq!(like_yesterday.records(2 * DAY, 2 * DAY + 10 * 3_600), 3.0);
    for index in 2..9 {
        recent.add(day(index, 1));
    }
    // Since the last day, number 8, is like day 1, but has a third of its records.
    let pattern = recent.repetition().unwrap();
    let expected: Vec<f64> = (9..17).map(|day| pattern.records(day * DAY, (day + 1) * DAY - 1).round()).collect();
    assert_eq!(expected, [3.0, 3.0, 3.0, 7.0, 3.0, 3.0, 10.0, 3.0]);
    assert!(pattern.records(9 * DAY, 9_000 * DAY) > 8_991.0 * 3.0, "weeks are repeated without an end");
}

#[test]
fn the_starts_of_all_records_replace_the_sample() {
    let mut recent = RecentWindows::new(10.0);
    recent.add(day(0, 1));
    recent.add(CountedRange { starts: vec![DAY], ..day(1, 1) });
    recent.add(day(2, 1));
    // Day 3 is expected to be like day 1, of which only a record at midnight is known.
    let at_midnight = |recent: &RecentWindows| recent.repetition().unwrap().records(3 * DAY, 3 * DAY + 3_599);
    assert_eq!(at_midnight(&recent), 10.0);
    recent.set_starts(DAY, &day(1, 1).starts);
    assert_eq!(at_midnight(&recent), 0.0);
}

#[test]
fn a_deep_window_is_split_at_a_quantile_of_its_sample() {
    let mut sweep = WindowSplitter::new(TimeRange { from: Some(0), to: Some(9_999) }, 1_000, 200);
    let whole = TimeRange { from: Some(0), to: Some(9_999) };
    assert_eq!(sweep.next_window(), Some(whole));
    let sample: Vec<i64> = (0..200).map(|index| index * index / 4).collect();
    assert_eq!(sweep.add_first_page(whole, 2_000, &sample), WindowFit::TooDeep);
    // 780 of 2,000 records are 78 of the sample.
    let next = TimeRange { from: Some(0), to: Some(sample[78] - 1) };
    assert_eq!(sweep.next_window(), Some(next));
    assert_eq!(sweep.add_first_page(next, 900, &sample[..78]), WindowFit::Fits);
    // 780 of the other 1,100 records are 86 of the other 122.
    assert_eq!(sweep.next_window(), Some(TimeRange { from: next.to.map(|to| to + 1), to: Some(sample[78 + 86] - 1) }));
}

/// The next window begins after the skipped one, and the split ends.
#[test]
fn windows_that_cannot_be_read_are_skipped() {
    let starts = calendar("moment", 20_000, 1);
    let (mut sweep, mut dice, mut next, mut skipped) =
        (WindowSplitter::new(TimeRange::ALL, 1_000, 200), Dice(3), None, 0);
    while let Some(window) = sweep.next_window() {
        assert_eq!(window.from, next);
        next = window.to.map(|to| to + 1);
        if window.to.is_some() && dice.unit() < 0.2 {
            skipped += 1;
            sweep.skip(window);
            continue;
        }
        let (from, to) = seconds(window);
        let inside: Vec<i64> = starts.iter().copied().filter(|start| (from..=to).contains(start)).collect();
        let sample: Vec<i64> = inside.iter().copied().step_by(inside.len() / 200 + 1).collect();
        match sweep.add_first_page(window, inside.len().min(10_000) as u64, &sample) {
            WindowFit::TooDeep => next = window.from,
            WindowFit::Moment => assert_eq!(window.from, window.to),
            WindowFit::Fits => sweep.add_starts(window, &inside),
        }
    }
    assert_eq!(next, None, "to the end");
    assert!((1..60).contains(&skipped), "{skipped} windows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The assertions are in `sweep_again`.
    #[test]
    fn every_second_is_covered_once(
        clusters in prop::collection::vec((-4_000_000_000_i64..9_000_000_000, 0_i64..200_000_000, 0_usize..900), 0..8),
        moment in (-1_000_i64..1_000, 0_usize..300),
        from in prop::option::of(-5_000_000_000_i64..5_000_000_000),
        length in prop::option::of(0_i64..9_000_000_000),
        limit in 20_usize..300,
        page in 1_usize..200,
        seed: u64,
    ) {
        let mut dice = Dice(seed);
        let mut starts = vec![moment.0; moment.1];
        for (at, width, count) in clusters {
            starts.extend((0..count).map(|_| at + (dice.unit() * width as f64) as i64));
        }
        starts.sort_unstable();
        let simulation = Simulation { limit, page, seed };
        let to = length.map(|length| from.unwrap_or(0) + length);
        let first = sweep(&starts, from, to, simulation);
        // With the calendar of the same records, and with one of other records over all time.
        sweep_again(&starts, (from, to), simulation, first.calendar.clone());
        let other: Vec<i64> = starts.iter().map(|start| start / 2 + 1_000_000).collect();
        let other = sweep_again(&other, (None, None), simulation, first.calendar);
        sweep_again(&starts, (from, to), simulation, other.calendar);
    }
}
