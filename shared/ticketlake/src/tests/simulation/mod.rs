//! A simulation of the whole engine, in the spirit of `FoundationDB` and `TigerBeetle`.
//!
//! A [`scenario`] is a small API, a table and a script of runs with faults, kills, overlaps and corrections, all of which follow from a
//! seed ([`generate`]). [`play`] runs the engine through it in memory, and holds each run to the [`law`]. A scenario that breaks a law is
//! made smaller ([`shrink`]) and printed.
//!
//! | variable | meaning |
//! |---|---|
//! | `SIMULATION_SCENARIOS` | the number of scenarios; a small number by default |
//! | `SIMULATION_BASE` | the seed that the seeds of all scenarios follow from |
//! | `SIMULATION_SEED` | the seed of the one scenario that is played, as a failure prints it |
//! | `SIMULATION_SURVEY` | all scenarios are played, and so many failures of each law are described |

mod api;
mod dice;
mod generate;
mod lake_rows;
mod law;
mod ledger;
mod manifest;
mod play;
mod scenario;
mod seat;
mod shrink;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;

use dice::Dice;
use generate::generate;
use law::Broken;
use play::{Tally, play};
use shrink::shrink;

/// The scenarios that every test run plays.
const DEFAULT_SCENARIOS: u64 = 1_000;

/// The threads that play them.
const THREADS: u32 = 2;

#[test]
fn the_law_holds_in_every_scenario() {
    if let Some(seed) = variable("SIMULATION_SEED") {
        let scenario = generate(seed);
        if let Err(broken) = play(&runtime(), &scenario) {
            panic!("{}", describe(seed, &broken));
        }
        return;
    }
    let scenarios = variable("SIMULATION_SCENARIOS").unwrap_or(DEFAULT_SCENARIOS);
    let base = variable("SIMULATION_BASE").unwrap_or(0);
    let survey = variable("SIMULATION_SURVEY");
    let begin = Instant::now();
    let (tally, failures) = play_all(base, scenarios, survey.is_some());
    let Tally { runs, complete, requests } = tally;
    println!(
        "{scenarios} scenarios in {:.1} s: {runs} runs, {complete} of them complete, {requests} requests",
        begin.elapsed().as_secs_f64()
    );
    let mut by_law: BTreeMap<&str, Vec<(u64, Broken)>> = BTreeMap::new();
    for (seed, broken) in failures {
        by_law.entry(broken.law).or_default().push((seed, broken));
    }
    if let Some(named) = survey {
        for (law, failures) in &by_law {
            println!("\n{law}: {} scenarios", failures.len());
            failures.iter().take(named as usize).for_each(|(seed, broken)| println!("{}", describe(*seed, broken)));
        }
        assert!(by_law.is_empty(), "laws are broken");
    }
    if let Some((seed, broken)) = by_law.into_values().flatten().next() {
        let before = (0..scenarios).take_while(|number| seed_of(base, *number) != seed).count();
        panic!("{}\nIt is scenario {} of {scenarios}.", describe(seed, &broken), before + 1);
    }
}

/// Plays the scenarios, in several threads. Returns the seeds that broke a law: the first one, or all.
fn play_all(base: u64, scenarios: u64, all: bool) -> (Tally, Vec<(u64, Broken)>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let found = Mutex::new((Tally::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let runtime = runtime();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= scenarios || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let seed = seed_of(base, number);
                    let played = play(&runtime, &generate(seed));
                    let mut found = found.lock().unwrap();
                    match played {
                        Ok(tally) => {
                            found.0.runs += tally.runs;
                            found.0.complete += tally.complete;
                            found.0.requests += tally.requests;
                        }
                        Err(broken) => {
                            found.1.push((seed, broken));
                            stop.store(!all, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// The seed of the scenario with this number, from 0 on.
fn seed_of(base: u64, number: u64) -> u64 {
    Dice::new(base.wrapping_add(number)).next()
}

/// A runtime whose time stands still: a wait ends at once.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// The smallest scenario that breaks the same law, and how to play this one again.
fn describe(seed: u64, broken: &Broken) -> String {
    let runtime = runtime();
    let fails = |scenario: &scenario::Scenario| play(&runtime, scenario).is_err_and(|other| other.law == broken.law);
    let scenario = generate(seed);
    let smallest = shrink(&scenario, &fails);
    let broken = play(&runtime, &smallest).err().unwrap_or_else(|| broken.clone());
    format!(
        "a law is broken: {}\n{}\nThe smallest scenario found:\n{smallest}The manifest:\n{}\nTo play it again: \
         SIMULATION_SEED={seed} cargo test --workspace --lib the_law_holds",
        broken.law,
        broken.detail,
        manifest::manifest(&smallest, &[])
    )
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
