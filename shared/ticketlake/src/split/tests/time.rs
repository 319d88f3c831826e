//! Splitting by time: windows cover a range, and a run goes on where another one stopped.

use std::cell::RefCell;
use std::collections::HashSet;

use futures::{TryStreamExt, stream};
use manifest::TimeParams;
use manifest::time::TimeRange;

use super::super::params::SplitProof;
use super::super::time::{OpenWindow, WindowSplitter, Windows};
use super::fake::second;
use super::*;

/// What one run read of a range of time.
#[derive(Debug, Default)]
struct Sweep {
    /// The windows that were read to their ends, in the order in which that was.
    finished: Vec<TimeRange>,
    /// The windows that are known to be short, with the reason.
    short: Vec<(TimeRange, String)>,
}

/// Reads what earlier runs left of `base` within `range`, as a run does: two windows at a time, each by its parameters.
async fn sweep(fake: &FakeSource, base: &Query, time: &TimeParams, range: TimeRange) -> Result<Sweep, Stop> {
    let manifest = ticketmaster();
    let (store, id) = (Memory::default(), base.id());
    let stored = StoredValues::new(&store, manifest, Format::Json);
    let earlier = fake.checkpoint.borrow().clone();
    let sweep = RefCell::new(Sweep::default());
    let splitter = ParamSplitter {
        source: fake,
        resource: manifest.resource("events").unwrap(),
        stored: &stored,
        earlier: &earlier,
        limit: fake.limit,
        page_size: fake.page_size,
    };
    for gap in earlier.gaps(id, range) {
        let windows = Windows::new(fake, base, time, WindowSplitter::new(gap, fake.limit, fake.page_size).around(NOW));
        let opened = stream::unfold(&windows, async |windows| Some((Ok(windows.next().await?), windows)));
        let read = async |window| {
            let (query, window, first) = match window {
                OpenWindow::Fits(query, window, first) => {
                    assert!(super::super::FirstAnswer::records_of_query(&first) <= fake.limit);
                    (query, window, first)
                }
                OpenWindow::Moment(query, window, first) => {
                    assert_eq!(window.from, window.to);
                    (query, window, first)
                }
                OpenWindow::Ignored(window) => panic!("{window} is ignored"),
                OpenWindow::Failed(_, stop) => return Err(stop),
            };
            match splitter.read(&query, first).await?.proof {
                SplitProof::Short(reason) => sweep.borrow_mut().short.push((window, reason)),
                _ => {
                    fake.checkpoint.borrow_mut().cover(id, window, &HashSet::new(), None);
                    sweep.borrow_mut().finished.push(window);
                }
            }
            Ok(())
        };
        opened.try_for_each_concurrent(2, read).await?;
    }
    Ok(sweep.into_inner())
}

fn events() -> (Query, TimeParams) {
    let manifest = ticketmaster();
    let events = manifest.resource("events").unwrap();
    (all(events), events.slices.time.clone().unwrap())
}

fn dated(seed: u64) -> Vec<Item> {
    let mut items = world(seed);
    items.retain(|item| item.time.is_some());
    items
}

/// A range that begins or ends among the records, or is open there.
fn range(seed: u64) -> TimeRange {
    let mut dice = Dice(seed + 500);
    let mut end = |from: i64| (!dice.one_in(3)).then(|| from + dice.below(86_400 * 40) as i64);
    let from = end(NOW - 86_400 * 2);
    TimeRange { from, to: end(from.unwrap_or(NOW)) }
}

/// The window that a query asks for.
fn window(query: &Query) -> TimeRange {
    let end = |param| query.params.get(param).map(|text: &String| second(text));
    TimeRange { from: end("startDateTime"), to: end("endDateTime") }
}

/// Whether `windows` follow each other from the begin of `range` to its end.
fn tile(windows: &[TimeRange], range: TimeRange) -> bool {
    let mut windows = windows.to_vec();
    windows.sort_unstable();
    windows.first().is_some_and(|first| first.from == range.from)
        && windows.last().is_some_and(|last| last.to == range.to)
        && windows.windows(2).all(|pair| pair[0].to.is_some_and(|to| pair[1].from == Some(to + 1)))
}

#[tokio::test]
async fn every_record_of_a_range_is_stored_and_nothing_outside_is_asked_for() {
    let (base, time) = events();
    for seed in 0..80 {
        let (fake, range) = (FakeSource::new(dated(seed)), range(seed));
        let sweep = sweep(&fake, &base, &time, range).await.unwrap();
        let short = |at: i64| sweep.short.iter().any(|(window, _)| window.contains(at));
        let lost = fake.lost(|item| item.time.is_some_and(|at| range.contains(at) && !short(at)));
        assert_eq!(lost, Vec::<String>::new(), "seed {seed}: {sweep:?}");
        for asked in fake.asked.borrow().iter().map(window) {
            let begins = range.from.is_none_or(|from| asked.from.is_some_and(|asked| asked >= from));
            let ends = range.to.is_none_or(|to| asked.to.is_some_and(|asked| asked <= to));
            assert!(begins && ends, "seed {seed}: {asked} is not in {range}");
        }
    }
}

#[tokio::test]
async fn finished_windows_tile_the_range() {
    let (base, time) = events();
    let mut tiled = 0;
    for seed in 0..80 {
        let (fake, range) = (FakeSource::new(dated(seed)), range(seed));
        let mut sweep = sweep(&fake, &base, &time, range).await.unwrap();
        assert_eq!(fake.checkpoint.borrow().gaps(base.id(), range).is_empty(), sweep.short.is_empty(), "seed {seed}");
        tiled += usize::from(sweep.finished.len() > 2);
        sweep.finished.extend(sweep.short.iter().map(|(window, _)| *window));
        assert!(tile(&sweep.finished, range), "seed {seed}: {range} {sweep:?}");
    }
    assert!(tiled > 40, "{tiled}");
}

#[tokio::test]
async fn a_second_that_is_too_deep_is_split_by_params_or_reported() {
    let (base, time) = events();
    for (countries, lost) in [(&["IE", "GB", "DE", "FR"][..], 0), (&["IE"], 24)] {
        let mut items: Vec<Item> = (0..36).map(Item::new).collect();
        for (number, item) in items.iter_mut().enumerate() {
            // Three lie around the crowded second.
            item.time = Some(NOW + 5 + if number % 12 == 0 { number as i64 / 12 - 1 } else { 0 });
            item.country = Some(countries[number % countries.len()].to_owned());
        }
        let fake = FakeSource::new(items);
        let sweep = sweep(&fake, &base, &time, TimeRange::ALL).await.unwrap();
        assert_eq!(fake.lost(|_| true).len(), lost, "{sweep:?}");
        let crowded = TimeRange { from: Some(NOW + 5), to: Some(NOW + 5) };
        let gaps = fake.checkpoint.borrow().gaps(base.id(), TimeRange::ALL);
        assert_eq!(gaps, if lost == 0 { vec![] } else { vec![crowded] });
        let short: Vec<_> = sweep.short.iter().map(|(window, _)| *window).collect();
        assert_eq!(short, gaps);
        assert!(sweep.short.iter().all(|(_, reason)| reason.contains("of 34 records")), "{sweep:?}");
    }
}

#[tokio::test]
async fn records_without_a_time_are_read_by_the_undated_queries() {
    let manifest = ticketmaster();
    let (base, time) = events();
    for seed in (0..).filter(|seed| world(*seed).len() > 80).take(3) {
        let mut items = world(seed);
        let mut dice = Dice(seed);
        items.iter_mut().filter(|_| dice.one_in(2)).for_each(|item| item.time = None);
        let fake = FakeSource::new(items);
        sweep(&fake, &base, &time, TimeRange::ALL).await.unwrap();
        // The first query has no window, and may show some.
        let undated = manifest.resource("events").unwrap().slices.undated.clone();
        assert_eq!(undated.len(), 2);
        for undated in undated {
            let mut query = base.clone();
            query.params.extend(undated.params);
            let swept = sweep(&fake, &query, &undated.time.unwrap(), TimeRange::ALL).await.unwrap();
            assert!(swept.short.is_empty(), "{swept:?}");
            assert!(tile(&swept.finished, TimeRange::ALL));
        }
        assert!(fake.items.borrow().iter().filter(|item| item.time.is_none()).count() > 10, "seed {seed}");
        assert_eq!(fake.lost(|item| item.time.is_none()), Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_run_that_stopped_at_any_request_is_gone_on_with_and_reads_what_is_left() {
    let (base, time) = events();
    let range = TimeRange { from: Some(NOW - 7), to: None };
    let whole = FakeSource::new(dated(12));
    assert!(sweep(&whole, &base, &time, range).await.unwrap().short.is_empty());
    assert!(whole.requests.get() > 20);
    for fails_at in 1..=whole.requests.get() {
        let fake = FakeSource { fails_at: Some(fails_at), ..FakeSource::new(dated(12)) };
        let stopped = sweep(&fake, &base, &time, range).await;
        assert!(matches!(&stopped, Err(Stop::Error(error)) if error.to_string().contains("down")), "{stopped:?}");
        let covered = fake.checkpoint.borrow().clone();
        let is_covered = |at: i64| covered.covers(base.id(), TimeRange { from: Some(at), to: Some(at) });
        assert_eq!(fake.lost(|item| item.time.is_some_and(is_covered)), Vec::<String>::new(), "{fails_at}");
        let again = fake.again();
        let rest = sweep(&again, &base, &time, range).await.unwrap();
        assert!(rest.short.is_empty() && covered_to_the_end(&again, &base, range), "{fails_at}");
        assert_eq!(again.ids(), whole.ids(), "{fails_at}");
        for asked in again.asked.borrow().iter().map(window) {
            let read_before =
                again.items.borrow().iter().filter_map(|item| item.time).any(|at| asked.contains(at) && is_covered(at));
            assert!(!read_before, "{fails_at}: {asked} was read before");
        }
    }
}

fn covered_to_the_end(fake: &FakeSource, base: &Query, range: TimeRange) -> bool {
    fake.checkpoint.borrow().covers(base.id(), range)
}
