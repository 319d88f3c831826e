//! `refresh` and `vanished`: how a resource is kept up to date if the API has no filter for changed records.

use std::collections::BTreeMap;

use crate::split::TimeParams;

/// When a run without a range reads all of a resource, and what it reads in the meantime.
#[derive(Clone, Debug, PartialEq)]
pub struct Refresh {
    /// The number of days after which the whole resource is read again.
    pub full_every_days: u64,
    /// The query for records that were announced since the previous run.
    pub announced: Option<Announced>,
    /// The time windows that begin now and are read whole more often, the shortest first.
    pub near: Vec<Near>,
}

/// A query for the records that the API has shown since an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// The query parameters that bound the instant.
    pub time: TimeParams,
    /// The number of seconds before the previous run at which the query begins.
    pub lag: u64,
}

/// A time window that begins now. It bounds the time that the resource's queries are split by (`slices.time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// The length of the time window in days.
    pub ahead_days: u64,
    /// The number of days after which the time window is read again.
    pub every_days: u64,
}

/// How a row is marked whose record the API no longer has. The row stays, and a column says since when the record is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// The name of the column: a timestamp that is null while the API has the record.
    pub column: String,
    /// How records that a run did not receive are requested by their key. If it is `None`, only a complete read finds what is
    /// missing.
    pub confirm: Option<Confirm>,
}

/// A query for certain records by their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The query parameter that takes the keys, with commas.
    pub param: String,
    /// The greatest number of keys in one query.
    pub most: usize,
    /// The query parameters that make the API show records of every kind, by name.
    pub params: BTreeMap<String, String>,
}
