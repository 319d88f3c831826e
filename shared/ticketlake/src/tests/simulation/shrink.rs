//! Makes a scenario that breaks a law smaller, as long as it breaks the same law.

use super::scenario::{Disposition, Order, Partition, Run, Scenario, Step};

/// The most scenarios that are tried.
const MAX_TRIES: u32 = 4_000;

/// Returns the smallest scenario found for which `still_fails` holds.
pub(super) fn shrink(scenario: &Scenario, still_fails: &dyn Fn(&Scenario) -> bool) -> Scenario {
    let mut smallest = scenario.clone();
    let mut tries = 0;
    loop {
        let smaller = smaller_ones(&smallest).into_iter().find(|candidate| {
            tries += 1;
            tries < MAX_TRIES && still_fails(candidate)
        });
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

/// Scenarios that are a little smaller, those first that are much smaller.
fn smaller_ones(scenario: &Scenario) -> Vec<Scenario> {
    let mut smaller = Vec::new();
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        smaller.push(candidate);
    };
    for step in 0..scenario.steps.len() {
        add(&|candidate| drop(candidate.steps.remove(step)));
    }
    let count = scenario.records.len();
    for (from, to) in [(0, count / 2), (count / 2, count), (0, count / 4), (count - count / 4, count)] {
        if from < to {
            add(&|candidate| drop(candidate.records.drain(from..to)));
        }
    }
    for (step, one) in scenario.steps.iter().enumerate() {
        match one {
            Step::Overlap(first, second) => {
                add(&|candidate| candidate.steps[step] = Step::Run(first.clone()));
                add(&|candidate| candidate.steps[step] = Step::Run(second.clone()));
                for run in smaller_runs(first) {
                    add(&|candidate| candidate.steps[step] = Step::Overlap(run.clone(), second.clone()));
                }
                for run in smaller_runs(second) {
                    add(&|candidate| candidate.steps[step] = Step::Overlap(first.clone(), run.clone()));
                }
            }
            Step::Run(run) => {
                for run in smaller_runs(run) {
                    add(&|candidate| candidate.steps[step] = Step::Run(run.clone()));
                }
            }
            Step::Change(_) | Step::Correct(_) | Step::Wait(_) => {}
        }
    }
    for record in 0..count {
        add(&|candidate| {
            candidate.records.remove(record);
        });
    }
    simpler_settings(scenario, &mut add);
    smaller
}

/// Takes a change that makes a scenario smaller.
type AddChange<'a> = dyn FnMut(&dyn Fn(&mut Scenario)) + 'a;

/// Simpler settings of the API and the table.
fn simpler_settings(scenario: &Scenario, add: &mut AddChange<'_>) {
    let (api, table) = (&scenario.api, &scenario.table);
    if api.order != Order::ById {
        add(&|candidate| candidate.api.order = Order::ById);
    }
    if api.hint.is_some() {
        add(&|candidate| candidate.api.hint = None);
    }
    if api.changes.is_some() {
        add(&|candidate| candidate.api.changes = None);
    }
    if scenario.owners.is_some() {
        add(&|candidate| candidate.owners = None);
    }
    if table.has_history {
        add(&|candidate| candidate.table.has_history = false);
    }
    if table.is_parquet {
        add(&|candidate| candidate.table.is_parquet = false);
    }
    if !table.has_columns {
        add(&|candidate| candidate.table.has_columns = true);
    }
    if table.partition != Partition::None {
        add(&|candidate| candidate.table.partition = Partition::None);
    }
    if table.disposition != Disposition::Merge {
        add(&|candidate| {
            candidate.table.disposition = Disposition::Merge;
            candidate.table.has_key = true;
        });
    }
}

fn smaller_runs(run: &Run) -> Vec<Run> {
    let mut smaller = Vec::new();
    for fault in 0..run.faults.len() {
        let mut fewer = run.clone();
        fewer.faults.remove(fault);
        smaller.push(fewer);
    }
    let simpler = [
        run.max_requests.is_some().then(|| Run { max_requests: None, ..run.clone() }),
        run.kill.is_some().then(|| Run { kill: None, ..run.clone() }),
        run.store_fault.is_some().then(|| Run { store_fault: None, ..run.clone() }),
        run.days.is_some().then(|| Run { days: None, ..run.clone() }),
        run.full.then(|| Run { full: false, ..run.clone() }),
        (run.ahead != 0).then(|| Run { ahead: 0, ..run.clone() }),
    ];
    smaller.extend(simpler.into_iter().flatten());
    smaller
}
