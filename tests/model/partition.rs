//! The merge of one partition as `merge::partition` does it, one step of a writer at a time.
//!
//! A step is what no other writer can come between: one request to the store, and what is decided from its answer. The code
//! reads a part of S3 several times (footer, keys, rows to copy); each read asks for the version that was listed, and a
//! later one that fails ends the pass as the conflict of the write after it would: here they are one.

use std::collections::VecDeque;

use stateright::Model;

use super::store::{Answer, Content, Kind, ListedObject, Part, Put, Row, Store, When};

/// What a writer does with a stored row that says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteDisposition {
    Merge,
    Append,
}

/// What one writer merges.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    /// A part with this many rows is full.
    pub(crate) target: usize,
}

/// What is left out of the protocol, to see what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A part is full when it has reached the writer's own target size; nothing is sealed.
    NoSeal,
    /// A part is replaced whatever version it is.
    NoIfMatch,
    /// A part is begun whether or not it is there.
    NoIfNoneMatch,
    /// A part is written where it lies, so that its end may be missing.
    InPlace,
    /// A listing may pass over a part that is replaced meanwhile.
    LooseListing,
    /// A part does not say which version it replaced, so that the same rows again are the same version.
    NoReplaces,
}

/// Writers that merge their batches into one partition, each started at any time.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) kind: Kind,
    pub(crate) disposition: WriteDisposition,
    pub(crate) flaw: Option<Flaw>,
    /// The parts that lie there before.
    pub(crate) before: Vec<Content>,
    pub(crate) batches: Vec<Batch>,
    /// Crashes that may happen, all in all. Whoever crashes is run again with the whole batch.
    pub(crate) crashes: u8,
    /// Writes, all in all, that may stay without an answer.
    pub(crate) delays: u8,
}

/// Where a writer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// At the beginning of a pass.
    List,
    /// Opening and scanning what was listed.
    Open { listed: VecDeque<ListedObject>, parts: Vec<Part> },
    /// Writing; each write only after the one before it is done.
    Put(VecDeque<Put>),
    /// Looking whether the conflict is with the writer itself.
    OwnWrite(VecDeque<Put>),
    /// All rows have landed.
    Done,
}

/// A writer, and what is known of when it ran.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) step: Step,
    /// Rows that have not landed.
    pub(crate) pending: Vec<Row>,
    /// Once it has begun: the writers that were done by then.
    pub(crate) after: Option<Vec<usize>>,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) writers: Vec<Writer>,
    crashes: u8,
    delays: u8,
}

/// What happens next, and to which writer; with a part's number where it is about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List(usize),
    /// Like `List`, but the listing passes over a part.
    ListWithout(usize, u8),
    Open(usize, u8),
    Rewrite(usize, u8),
    Begin(usize, u8),
    OwnWrite(usize, u8),
    /// The write is sent and gets no answer; the client will send it again.
    Delay(usize, u8),
    /// A write arrives, this one of those under way.
    Arrive(usize),
    Crash(usize),
}

impl Writer {
    /// At the beginning of a run, with nothing landed.
    fn new(batch: &Batch, run: u8) -> Self {
        let pending = batch.rows.iter().map(|row| Row { synced_at: run, ..*row }).collect();
        Self { step: Step::List, pending, after: None }
    }

    /// What landed leaves `pending`; on to the next write.
    fn landed(&mut self, mut puts: VecDeque<Put>) {
        if let Some(put) = puts.pop_front() {
            self.pending.retain(|row| !put.content.rows.contains(row));
        }
        self.step = if puts.is_empty() { Step::Done } else { Step::Put(puts) };
    }
}

impl Partition {
    /// What `writer` writes once all parts are scanned: rewrites, then new parts. What is stored already leaves `pending`.
    fn attempt(&self, writer: &mut Writer, target: usize, parts: &[Part]) -> VecDeque<Put> {
        let pending = &mut writer.pending;
        let mut updates: Vec<Vec<Row>> = vec![Vec::new(); parts.len()];
        let mut settled = Vec::new();
        for (part, updates) in parts.iter().zip(&mut updates) {
            for &row in pending.iter() {
                let Some(fingerprint) = part.content.get(row.key) else { continue };
                if fingerprint != row.fingerprint && self.disposition == WriteDisposition::Merge {
                    updates.push(row);
                } else {
                    settled.push(row);
                }
            }
        }
        pending.retain(|row| !settled.contains(row));
        let mut inserts: VecDeque<Row> =
            pending.iter().copied().filter(|row| !updates.iter().flatten().any(|update| update == row)).collect();

        let last = parts.len().checked_sub(1);
        let mut puts = VecDeque::new();
        for (position, (part, updates)) in parts.iter().zip(&updates).enumerate() {
            let full = match self.flaw {
                Some(Flaw::NoSeal) => part.content.rows.len() >= target,
                _ => part.content.sealed,
            };
            let open = Some(position) == last && !full;
            if updates.is_empty() && (!open || inserts.is_empty()) {
                continue;
            }
            let mut content = part.content.clone();
            for row in &mut content.rows {
                *row = updates.iter().find(|update| update.key == row.key).copied().unwrap_or(*row);
            }
            let added = if open { std::mem::take(&mut inserts) } else { VecDeque::new() };
            let left = self.fill(&mut content, added, target);
            inserts.extend(left);
            content.replaces = (self.flaw != Some(Flaw::NoReplaces)).then_some(part.version);
            puts.push_back(Put { number: part.number, when: When::Is(part.version), content });
        }
        let mut number = parts.last().map_or(0, |part| part.number + 1);
        while !inserts.is_empty() {
            let mut content = Content::default();
            inserts = self.fill(&mut content, inserts, target);
            puts.push_back(Put { number, when: When::Absent, content });
            number += 1;
        }
        puts
    }

    /// Adds as many of `inserts` as the target size allows, the first in any case, and gives those that are left.
    fn fill(&self, content: &mut Content, mut inserts: VecDeque<Row>, target: usize) -> VecDeque<Row> {
        while let Some(row) = inserts.pop_front() {
            content.rows.push(row);
            if content.rows.len() >= target {
                break;
            }
        }
        content.rows.sort_unstable();
        content.sealed |= self.flaw != Some(Flaw::NoSeal) && content.rows.len() >= target;
        inserts
    }

    /// The writer's next step once everything listed is opened.
    fn scanned(&self, writer: &mut Writer, target: usize, parts: &[Part]) {
        let puts = self.attempt(writer, target, parts);
        writer.step = if puts.is_empty() { Step::Done } else { Step::Put(puts) };
    }
}

impl Model for Partition {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let writers = (1..).zip(&self.batches).map(|(run, batch)| Writer::new(batch, run));
        vec![State {
            store: Store::with(self.kind, self.before.clone()),
            writers: writers.collect(),
            crashes: self.crashes,
            delays: self.delays,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, writer) in state.writers.iter().enumerate() {
            match &writer.step {
                Step::List => {
                    actions.push(Action::List(at));
                    if self.flaw == Some(Flaw::LooseListing) {
                        actions.extend(state.store.parts.keys().map(|&number| Action::ListWithout(at, number)));
                    }
                }
                Step::Open { listed, .. } => {
                    actions.extend(listed.front().map(|listed| Action::Open(at, listed.number)));
                }
                Step::Put(puts) => {
                    if let Some(put) = puts.front() {
                        actions.push(match put.when {
                            When::Is(_) => Action::Rewrite(at, put.number),
                            When::Absent => Action::Begin(at, put.number),
                        });
                        if state.delays > 0 {
                            actions.push(Action::Delay(at, put.number));
                        }
                    }
                }
                Step::OwnWrite(puts) => actions.extend(puts.front().map(|put| Action::OwnWrite(at, put.number))),
                Step::Done => {}
            }
            if state.crashes > 0 && writer.after.is_some() {
                actions.push(Action::Crash(at));
            }
        }
        actions.extend((0..state.store.under_way.len()).map(Action::Arrive));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let State { store, writers, crashes, delays } = &mut state;
        match action {
            Action::List(at) | Action::ListWithout(at, _) => {
                let done = (0..writers.len()).filter(|other| writers[*other].step == Step::Done).collect();
                let writer = &mut writers[at];
                writer.after.get_or_insert(done);
                let mut listed: VecDeque<ListedObject> = store.list(self.kind).into();
                if let Action::ListWithout(_, number) = action {
                    listed.retain(|listed| listed.number != number);
                }
                if listed.is_empty() {
                    self.scanned(writer, self.batches[at].target, &[]);
                } else {
                    writer.step = Step::Open { listed, parts: Vec::new() };
                }
            }
            Action::Open(at, _) => {
                let writer = &mut writers[at];
                let Step::Open { listed, parts } = &mut writer.step else { return None };
                match store.open(&listed.pop_front()?) {
                    Some(part) => {
                        parts.push(part);
                        if listed.is_empty() {
                            let parts = std::mem::take(parts);
                            self.scanned(writer, self.batches[at].target, &parts);
                        }
                    }
                    None => writer.step = Step::List,
                }
            }
            Action::Rewrite(at, _) | Action::Begin(at, _) => {
                let writer = &mut writers[at];
                let Step::Put(puts) = std::mem::replace(&mut writer.step, Step::List) else { return None };
                match (store.put(self.kind, self.flaw, puts.front()?), self.kind) {
                    (Answer::Done, _) => writer.landed(puts),
                    (Answer::Conflict, Kind::S3) => writer.step = Step::OwnWrite(puts),
                    (Answer::Conflict, Kind::Directory) => {}
                }
            }
            Action::OwnWrite(at, _) => {
                let writer = &mut writers[at];
                let Step::OwnWrite(puts) = std::mem::replace(&mut writer.step, Step::List) else { return None };
                if store.own_write(puts.front()?) {
                    writer.landed(puts);
                }
            }
            Action::Delay(at, _) => {
                let Step::Put(puts) = &writers[at].step else { return None };
                store.under_way.push(puts.front()?.clone());
                *delays -= 1;
            }
            Action::Arrive(at) => {
                let put = store.under_way.remove(at);
                store.put(self.kind, self.flaw, &put);
            }
            Action::Crash(at) => {
                *crashes -= 1;
                let run = (self.batches.len() + usize::from(self.crashes - *crashes)) as u8;
                let crashed = std::mem::replace(&mut writers[at], Writer::new(&self.batches[at], run));
                // To run again is to write again. Of two runs with the same rows the last is who writes last, the first who
                // writes first.
                match self.disposition {
                    WriteDisposition::Append => writers[at].after = crashed.after,
                    WriteDisposition::Merge => {
                        let after = writers.iter_mut().filter_map(|writer| writer.after.as_mut());
                        after.for_each(|after| after.retain(|done| *done != at));
                    }
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        super::laws::all()
    }
}
