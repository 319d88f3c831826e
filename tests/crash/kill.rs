//! A function's own process, killed at random moments.

use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::function;
use sandbox::see_tickets::start_blocking;

use crate::lake;
use crate::place::Place;
use crate::sales;

/// Lakes that are killed in, on each kind of store.
const LAKES: u64 = 100;
/// Lakes filled side by side.
const AT_ONCE: usize = 2;

/// Fills a lake by runs of which some are killed within `longest`, the last one is not; tells how many kills left it between
/// what it was and what it was to be.
fn filled_by_killed_runs(place: &Place, longest: Duration, seed: u64) -> u32 {
    let mut dice = StdRng::seed_from_u64(seed);
    let truth = sales::few().truth();
    let server = start_blocking(sales::few()).unwrap();
    let lake = place.lake();
    let function = lake.function(&server);
    let mut revision = 0;
    if dice.random_bool(0.5) {
        function.complete();
        revision = 1;
        server.set_revision(1);
    }
    let (before, whole) = (lake::told_by(&lake.parts()), lake::expected(&truth, revision));
    let mut between = 0;
    for _ in 0..dice.random_range(1..=3) {
        let mut process = function.start();
        thread::sleep(longest.mul_f64(dice.random_range(0.0..1.0)));
        process.kill().unwrap();
        process.wait().unwrap();
        let now = lake::told_by(&lake.parts());
        between += u32::from(now != before && now != whole);
    }
    let report = function.complete();
    lake::assert_is(&lake.parts(), &truth, revision, &format!("seed {seed}: {report}"));
    between
}

fn a_hundred_lakes_in(place: &Place) {
    let server = start_blocking(sales::few()).unwrap();
    function::binary("sales");
    let begin = Instant::now();
    place.lake().function(&server).complete();
    // As two share the processor.
    let longest = begin.elapsed() * 3 / 2;
    let between: u32 = thread::scope(|scope| {
        let fill = |worker| {
            scope.spawn(move || {
                let seeds = (worker..LAKES).step_by(AT_ONCE);
                seeds.map(|seed| filled_by_killed_runs(place, longest, seed)).sum::<u32>()
            })
        };
        let workers: Vec<_> = (0..AT_ONCE as u64).map(fill).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("{between} kills between two writes, within {longest:?}");
    assert!(between > 0, "no process was killed between two writes, within {longest:?}");
}

#[test]
fn a_hundred_lakes_in_directories_survive_sigkill() {
    a_hundred_lakes_in(&Place::Directory);
}

#[test]
fn a_hundred_lakes_in_a_bucket_survive_sigkill() {
    a_hundred_lakes_in(&Place::good_bucket());
}
