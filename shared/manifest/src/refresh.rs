//! `refresh`: how a resource is kept up to date whose API has no filter for what was changed.

use std::collections::BTreeMap;

use crate::TimeParams;

/// When a run that names no range reads all of a resource, and what it reads between.
#[derive(Clone, Debug, PartialEq)]
pub struct Refresh {
    /// Days after which all of it is read again.
    pub full_every_days: u64,
    /// Reads what was announced since the last run.
    pub announced: Option<Announced>,
    /// Windows that begin now and are read whole more often, in the order of their length.
    pub near: Vec<Near>,
}

/// A query for the records that the API shows since some instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// The parameters of that instant.
    pub time: TimeParams,
    /// Seconds before the last run that are read again.
    pub lag: u64,
}

/// A window of the time that the resource is sliced by (`slices.time`), from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its length in days.
    pub ahead_days: u64,
    /// Days after which it is read again.
    pub every_days: u64,
}

/// What becomes of a stored record that the API has no more: it stays, and a column says since when it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// The column: a timestamp, null while the record is there.
    pub column: String,
    /// How a record is asked for that was not met. Without it, only a reading of everything tells that one is missing.
    pub confirm: Option<Confirm>,
}

/// A query for certain records by their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The parameter that takes keys, with commas.
    pub param: String,
    /// The most that it takes.
    pub most: usize,
    /// What makes the query show records of every kind.
    pub params: BTreeMap<String, String>,
}
