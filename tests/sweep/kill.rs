//! A sweep whose process is killed at random points.

use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::ticketmaster::{Options, start_blocking};

use crate::lake::Lake;
use crate::reading::{ATTRACTIONS, EVENTS, HISTORY, VENUES, alone, assert_same_rows, events, ids};

const COUNT: usize = 30_000;
/// The memory of the function in MB. A seventh of it holds rows until they are merged: about 1,700 events.
const MEMORY: &str = "73";
/// Requests that a kill costs at most: a flush of 10 pages, of which none is full to its end, two windows that were not whole at
/// the flush before, what was on its way, and what finds the windows anew.
const PER_KILL: usize = 40;
/// Lakes that are killed in.
const LAKES: u64 = 3;

#[test]
fn a_killed_sweep_goes_on_after_its_last_flush() {
    let _alone = alone();
    let options = Options { events: COUNT, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options.clone()).unwrap();
    let whole = Lake::new();
    events(&server, &whole, None).complete();
    let needed = server.count();
    for seed in 0..LAKES {
        let mut dice = StdRng::seed_from_u64(seed);
        let server = start_blocking(options.clone()).unwrap();
        let lake = Lake::new();
        let function = events(&server, &lake, None).env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY);
        let kills = dice.random_range(2..=4);
        for _ in 0..kills {
            let until = server.count() + dice.random_range(5..needed / 2);
            let mut process = function.start();
            while server.count() < until && process.try_wait().unwrap().is_none() {
                thread::sleep(Duration::from_millis(5));
            }
            // Also amid the writes that follow a page.
            thread::sleep(Duration::from_millis(dice.random_range(0..400)));
            process.kill().unwrap();
            process.wait().unwrap();
        }
        let report = function.complete();
        let sent = server.count();
        println!("seed {seed}: {sent} requests with {kills} kills, {needed} without; {report}");
        assert!(sent <= needed + kills * PER_KILL, "{sent} requests with {kills} kills, {needed} without");
        assert_eq!(ids(&lake, EVENTS), truth.event_ids(0), "seed {seed}");
        assert_eq!(ids(&lake, HISTORY), truth.event_ids(0), "seed {seed}");
        assert_eq!(ids(&lake, VENUES), truth.harvested_venue_ids(0), "seed {seed}");
        assert_eq!(ids(&lake, ATTRACTIONS), truth.harvested_attraction_ids(0), "seed {seed}");
        assert_same_rows(&lake, &whole);
    }
}
