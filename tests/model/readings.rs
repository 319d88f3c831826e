//! The readings of one table as `merge::readings` keeps them, and one row that the API can have or not.
//!
//! A reading asks the API for the row, then it stores what it received or removes what it did not receive. A step is one request to the
//! API or one operation on the store. Any reading may be killed after any step.

use std::collections::BTreeSet;

use stateright::{Model, Property};

pub(crate) const KEPT: &str =
    "a row that was received stays, unless a reading that asked for it later did not receive it";

/// What is left out of the protocol, to see what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A run that stores rows does not take other readings out of the document.
    NoDisturbance,
    /// A run that stores rows does not look for a removal that is in progress.
    NoConfirmation,
    /// A removal does not write into the document, before it begins, that the reading is still in it.
    NoClaim,
    /// A removal takes out the row whatever happened to it since the claim.
    NoVersion,
    /// A reading adds itself to the document after its request.
    LateBegin,
}

/// Readings of a table, with an API whose row comes and goes.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    pub(crate) count: usize,
    /// How often the row can appear in the API or disappear from it.
    pub(crate) changes: u8,
    pub(crate) crashes: u8,
    pub(crate) flaw: Option<Flaw>,
}

/// Where a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Begin,
    Request,
    /// A row was received. The other readings are taken out of the document.
    Disturb,
    /// The stored row is read. `confirms`: another reading is removing it.
    Compare {
        confirms: bool,
    },
    /// The row is written if the part is still of this version.
    Write {
        version: u8,
        confirms: bool,
    },
    /// No row was received. The stored one is found.
    Find,
    /// The row of this version is to be removed.
    Claim {
        row: u8,
    },
    /// The part is read for the removal.
    Open {
        row: u8,
    },
    /// The row is removed if the part is still of this version.
    Remove {
        row: u8,
        version: u8,
    },
    EndRemoval,
    Done,
}

/// One reading.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reading {
    step: Step,
    /// The readings that had asked for the row when this one received it.
    asked_before: Option<BTreeSet<usize>>,
    /// Whether the row that was received is stored.
    is_stored: bool,
    /// Whether it was killed.
    is_dead: bool,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    api_has_row: bool,
    changes: u8,
    crashes: u8,
    readings: Vec<Reading>,
    /// The readings that have asked for the row.
    asked: BTreeSet<usize>,
    /// The document.
    undisturbed: BTreeSet<usize>,
    removals: BTreeSet<usize>,
    /// The part: the version of its row, and its own. Both grow with every write.
    row: Option<u8>,
    part: u8,
    /// A row was removed that a reading had stored which the removing one does not outdate.
    lost: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Change,
    Step(usize),
    Crash(usize),
}

impl Model for Readings {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = if self.flaw == Some(Flaw::LateBegin) { Step::Request } else { Step::Begin };
        let reading = Reading { step: first, asked_before: None, is_stored: false, is_dead: false };
        let state = |api_has_row: bool| State {
            api_has_row,
            changes: 0,
            crashes: 0,
            readings: vec![reading.clone(); self.count],
            asked: BTreeSet::new(),
            undisturbed: BTreeSet::new(),
            removals: BTreeSet::new(),
            row: Some(0),
            part: 0,
            lost: false,
        };
        vec![state(true), state(false)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.changes < self.changes {
            actions.push(Action::Change);
        }
        for (at, reading) in state.readings.iter().enumerate() {
            if reading.step != Step::Done && !reading.is_dead {
                actions.push(Action::Step(at));
                if state.crashes < self.crashes {
                    actions.push(Action::Crash(at));
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Change => {
                state.api_has_row = !state.api_has_row;
                state.changes += 1;
            }
            Action::Crash(at) => {
                state.readings[at].is_dead = true;
                state.crashes += 1;
            }
            Action::Step(at) => state.readings[at].step = self.step(&mut state, at),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, state: &State| !state.lost),
            Property::sometimes("a row is removed", |_, state: &State| state.row.is_none()),
            Property::sometimes("a removal meets a row that was confirmed", |_, state: &State| {
                let mut steps = state.readings.iter().map(|reading| reading.step);
                steps.any(|step| matches!(step, Step::Remove { row, .. } if state.row.is_some_and(|now| now > row)))
            }),
            Property::sometimes("a reading removes nothing, since another has stored rows", |_, state: &State| {
                let mut readings = state.readings.iter().enumerate();
                readings
                    .any(|(at, reading)| matches!(reading.step, Step::Claim { .. }) && !state.undisturbed.contains(&at))
            }),
        ]
    }
}

impl Readings {
    /// Takes the next step of the reading `at`, and returns the one after it.
    fn step(&self, state: &mut State, at: usize) -> Step {
        match state.readings[at].step {
            Step::Begin => {
                state.undisturbed.insert(at);
                if self.flaw == Some(Flaw::LateBegin) {
                    return if state.readings[at].asked_before.is_some() { Step::Disturb } else { Step::Find };
                }
                Step::Request
            }
            Step::Request => {
                if state.api_has_row {
                    state.readings[at].asked_before = Some(state.asked.clone());
                }
                state.asked.insert(at);
                match (self.flaw, state.api_has_row) {
                    (Some(Flaw::LateBegin), _) => Step::Begin,
                    (_, true) => Step::Disturb,
                    (_, false) => Step::Find,
                }
            }
            Step::Disturb => {
                if self.flaw != Some(Flaw::NoDisturbance) {
                    state.undisturbed.retain(|reading| *reading == at);
                }
                let confirms = state.removals.iter().any(|reading| *reading != at);
                Step::Compare { confirms: confirms && self.flaw != Some(Flaw::NoConfirmation) }
            }
            Step::Compare { confirms } => {
                if state.row.is_some() && !confirms {
                    state.readings[at].is_stored = true;
                    return Step::Done;
                }
                Step::Write { version: state.part, confirms }
            }
            Step::Write { version, confirms } => {
                if version != state.part {
                    return Step::Compare { confirms };
                }
                state.part += 1;
                state.row = Some(state.part);
                state.readings[at].is_stored = true;
                Step::Done
            }
            Step::Find => state.row.map_or(Step::Done, |row| Step::Claim { row }),
            Step::Claim { row } => {
                let may_remove = self.flaw == Some(Flaw::NoClaim) || state.undisturbed.contains(&at);
                if !may_remove {
                    return Step::Done;
                }
                if self.flaw != Some(Flaw::NoClaim) {
                    state.removals.insert(at);
                }
                Step::Open { row }
            }
            Step::Open { row } => match state.row {
                Some(now) if now == row || self.flaw == Some(Flaw::NoVersion) => {
                    Step::Remove { row, version: state.part }
                }
                _ => Step::EndRemoval,
            },
            Step::Remove { row, version } => {
                if version != state.part {
                    return Step::Open { row };
                }
                state.part += 1;
                state.row = None;
                // A reading that received the row before this one asked for it is outdated.
                state.lost |= state.readings.iter().any(|reading| {
                    reading.is_stored && reading.asked_before.as_ref().is_some_and(|asked| asked.contains(&at))
                });
                for reading in &mut state.readings {
                    reading.is_stored = false;
                }
                Step::EndRemoval
            }
            Step::EndRemoval => {
                state.removals.remove(&at);
                Step::Done
            }
            Step::Done => Step::Done,
        }
    }
}
