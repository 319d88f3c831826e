//! What must hold at every moment, and at the end.
//!
//! They hold for a reader too, who opens the parts one after another while writers write: a key that lies in one part, is
//! never taken away and comes to no other is met once.

use stateright::Property;

use super::partition::{Partition, State, Step, WriteDisposition, Writer};
use super::store::{Fingerprint, Key, Row};

pub(crate) const ONCE: &str = "a key is stored once at most";
pub(crate) const WHOLE: &str = "a stored row is one that was sent";
pub(crate) const KEPT: &str = "a stored key stays stored";
pub(crate) const LANDED: &str = "a row leaves pending only when its key is stored";
pub(crate) const LEGAL: &str = "a stored row is one that the writers' order allows";
pub(crate) const SEALED: &str = "a sealed part stays sealed";
pub(crate) const FOLLOWED: &str = "a part with a part after it is sealed";
const NUMBERED: &str = "the parts' numbers have no gap";
pub(crate) const APPENDED: &str = "append changes no stored row";
/// The checker proves this where no step leads back to an earlier state; none does, since each conflict is another's write.
const ENDS: &str = "every writer ends";

type Law = Property<Partition>;

/// All laws, and what must happen somewhere for them to say anything.
pub(crate) fn all() -> Vec<Law> {
    vec![
        Law::always(ONCE, |model, state| keys(model).all(|key| state.store.stored(key).count() <= 1)),
        Law::always(WHOLE, |model, state| {
            let mut stored = state.store.parts.values().flat_map(|(_, content)| &content.rows);
            stored.all(|stored| sent(model).any(|sent| sent.is(stored)))
        }),
        Law::always(KEPT, |_, state| !state.store.lost),
        Law::always(LANDED, |model, state| {
            model.batches.iter().zip(&state.writers).all(|(batch, writer)| {
                let mut landed = batch.rows.iter().filter(|row| !writer.pending.iter().any(|left| left.is(row)));
                landed.all(|row| state.store.stored(row.key).next().is_some())
                    && (writer.step != Step::Done || writer.pending.is_empty())
            })
        }),
        Law::always(LEGAL, |model, state| {
            keys(model).all(|key| state.store.stored(key).all(|stored| legal(model, state, key, stored)))
        }),
        Law::always(SEALED, |_, state| !state.store.unsealed),
        Law::always(FOLLOWED, |_, state| state.store.parts.values().rev().skip(1).all(|(_, content)| content.sealed)),
        Law::always(NUMBERED, |_, state| state.store.parts.keys().copied().eq(0..state.store.parts.len() as u8)),
        Law::always(APPENDED, |model, state| model.disposition == WriteDisposition::Merge || !state.store.changed),
        Law::eventually(ENDS, |_, state| state.writers.iter().all(is_done)),
        Law::sometimes("all are done, and a part follows another", |_, state| {
            state.writers.iter().all(is_done) && state.store.parts.len() > 1
        }),
        Law::sometimes("a writer begins when another is done", |_, state| {
            state.writers.iter().any(|writer| writer.after.as_ref().is_some_and(|after| !after.is_empty()))
        }),
    ]
}

fn is_done(writer: &Writer) -> bool {
    writer.step == Step::Done
}

/// Every row there is: what lay there before, and the batches.
fn sent(model: &Partition) -> impl Iterator<Item = &Row> {
    let before = model.before.iter().flat_map(|part| &part.rows);
    before.chain(model.batches.iter().flat_map(|batch| &batch.rows))
}

fn keys(model: &Partition) -> impl Iterator<Item = Key> {
    sent(model).map(|row| row.key)
}

/// Whether some order of the writers that have this key leaves `stored`, one in which whoever was done before another
/// began comes before that other. (`merge`: the last in it has written it; `append`: the first.)
fn legal(model: &Partition, state: &State, key: Key, stored: Fingerprint) -> bool {
    let with_key = || (0..model.batches.len()).filter(|at| model.batches[*at].rows.iter().any(|row| row.key == key));
    let mut by =
        with_key().filter(|at| model.batches[*at].rows.iter().any(|row| (row.key, row.fingerprint) == (key, stored)));
    let done_before =
        |one: usize, other: usize| state.writers[other].after.as_ref().is_some_and(|after| after.contains(&one));
    let before = model.before.iter().find_map(|part| part.get(key));
    match model.disposition {
        WriteDisposition::Merge => {
            let nobody_after = |by| !with_key().any(|other| is_done(&state.writers[other]) && done_before(by, other));
            by.any(nobody_after) || before == Some(stored) && !with_key().any(|at| is_done(&state.writers[at]))
        }
        WriteDisposition::Append => match before {
            Some(before) => before == stored,
            None => by.any(|by| !with_key().any(|other| done_before(other, by))),
        },
    }
}
