//! The law: what must hold after every run.

use std::collections::BTreeMap;

use super::api::{SANDBOX_IDS, kind_name};
use super::lake_rows::{RowKey, Rows};
use super::ledger::Ledger;
use super::scenario::{Disposition, Flaw, Missing, Partition, Record, Run, Scenario};
use super::world::BEGIN;

const DAY_MS: i64 = 86_400_000;

/// A law that was broken.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    /// The name of the law.
    pub(super) law: &'static str,
    /// What happened.
    pub(super) detail: String,
}

impl Broken {
    pub(super) fn new(law: &'static str, detail: String) -> Self {
        Self { law, detail }
    }
}

/// What a run that ended is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'j> {
    pub(super) scenario: &'j Scenario,
    pub(super) ledger: &'j Ledger,
    /// The rows before and after the run.
    pub(super) before: &'j Rows,
    pub(super) after: &'j Rows,
    /// The moment when the run began.
    pub(super) began: usize,
    /// Whether the run read the sandbox.
    pub(super) is_sandbox: bool,
    /// Whether the manifest has a filter that leaves most records out.
    pub(super) is_filtered: bool,
}

impl Judged<'_> {
    /// What holds after every run, complete or not. `keeps_rows` says whether the run may remove no row of a record that the API has.
    pub(super) fn always(&self, keeps_rows: bool) -> Result<(), Broken> {
        self.stored_once()?;
        self.nothing_older()?;
        if keeps_rows { self.nothing_removed() } else { Ok(()) }
    }

    fn stored_once(&self) -> Result<(), Broken> {
        // The partition of one of two records with one key is that of its own kind.
        let is_doubled = |(key, versions): &(&RowKey, &Vec<u32>)| {
            versions.len() > 1 && !(self.scenario.table.partition == Partition::Kind && self.is_twin(**key))
        };
        match self.after.iter().find(is_doubled) {
            Some((key, versions)) => Err(Broken::new("once", format!("{key:?} is stored with versions {versions:?}"))),
            None => Ok(()),
        }
    }

    /// A version never replaces a newer one.
    fn nothing_older(&self) -> Result<(), Broken> {
        for (key, versions) in self.after {
            if let (Some(before), Some(after)) = (self.before.get(key).and_then(|all| all.first()), versions.first())
                && after < before
                && !self.is_twin(*key)
            {
                return Err(Broken::new("newest", format!("{key:?} went from version {before} to {after}")));
            }
        }
        Ok(())
    }

    /// What the API gave to runs that are complete is stored, in the newest version that any of them got.
    pub(super) fn nothing_given_lost(&self, given: &BTreeMap<u32, u32>) -> Result<(), Broken> {
        if !self.scenario.table.has_key || self.scenario.table.disposition == Disposition::Append {
            return Ok(());
        }
        for (id, version) in given {
            let key = (*id, None);
            if let Some(stored) = self.after.get(&key).and_then(|versions| versions.first())
                && stored < version
                && !self.is_twin(key)
            {
                return Err(Broken::new("given", format!("version {version} of {key:?} came, and {stored} is stored")));
            }
        }
        Ok(())
    }

    /// No row goes whose record the API had all the time.
    fn nothing_removed(&self) -> Result<(), Broken> {
        if self.is_sandbox || self.is_filtered {
            return Ok(());
        }
        for record in self.ledger.present_since(self.began) {
            let key = self.key(&record);
            if self.before.contains_key(&key) && !self.after.contains_key(&key) {
                return Err(Broken::new("removed", format!("{key:?} is gone from the lake, and the API has it")));
            }
        }
        Ok(())
    }

    /// What holds after a run that says `complete`: every record that the API had since the moment `since` is stored, in the version of that
    /// moment or a newer one.
    pub(super) fn complete(&self, since: usize, run: &Run) -> Result<(), Broken> {
        for record in self.ledger.present_since(since) {
            // A record that changed meanwhile may have left the range, and without a key it is another one.
            let must_be_unchanged = run.days.is_some() || !self.scenario.table.has_key;
            let has_changed = must_be_unchanged && self.ledger.has_changed(record.id, since);
            if has_changed || self.is_excused(&record, run) {
                continue;
            }
            let mut key = self.key(&record);
            if self.is_sandbox {
                key.0 += SANDBOX_IDS;
            }
            let Some(stored) = self.after.get(&key).and_then(|versions| versions.first()) else {
                return Err(Broken::new("lost", format!("{record:?} is not in the lake")));
            };
            if *stored < record.version && self.scenario.table.disposition != Disposition::Append {
                return Err(Broken::new("stale", format!("version {stored} is stored of {record:?}")));
            }
        }
        Ok(())
    }

    /// Whether a run with this request need not have the record.
    fn is_excused(&self, record: &Record, run: &Run) -> bool {
        let (first, last) = run.days.map_or((None, None), |(first, last)| (Some(first), Some(last)));
        let midnight = BEGIN.div_euclid(DAY_MS) * DAY_MS;
        let is_before = first.is_some_and(|days| record.updated < midnight - i64::from(days) * DAY_MS);
        let is_after = last.is_some_and(|days| record.updated >= midnight - (i64::from(days) - 1) * DAY_MS);
        let is_excluded = record.flaw == Some(Flaw::NoCursor)
            && self.scenario.api.changes.is_some_and(|changes| changes.missing == Missing::Exclude);
        is_before
            || is_after
            || is_excluded
            || self.ledger.is_spoiled(record.id)
            || (self.is_filtered && kind_name(record.kind) != "a")
            || (self.is_sandbox && !record.id.is_multiple_of(2))
    }

    /// What holds if two records have one key, and a run says `complete`.
    pub(super) fn no_conflict(&self, live: &[Record]) -> Result<(), Broken> {
        let twins = live.iter().filter(|record| record.flaw == Some(Flaw::Twin));
        let seen: BTreeMap<u32, i64> = twins.map(|record| (record.id, record.updated)).collect();
        // With a cursor, the one that changed later is another version of the record.
        let is_version = |record: &Record, other: i64| self.scenario.api.changes.is_some() && record.updated != other;
        let has_twin = |record: &Record| seen.get(&record.id).is_some_and(|updated| !is_version(record, *updated));
        let both = live.iter().find(|record| record.flaw.is_none() && has_twin(record));
        match both.filter(|_| self.scenario.table.has_key) {
            Some(record) => Err(Broken::new("conflict", format!("{record:?} and another record have one key"))),
            None => Ok(()),
        }
    }

    fn is_twin(&self, key: RowKey) -> bool {
        self.scenario.records.iter().any(|record| record.flaw == Some(Flaw::Twin) && record.id == key.0 % SANDBOX_IDS)
    }

    fn key(&self, record: &Record) -> RowKey {
        (record.id, (!self.scenario.table.has_key).then_some(record.version))
    }
}
