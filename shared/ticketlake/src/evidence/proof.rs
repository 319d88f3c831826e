//! How many queries and records of a run are proven.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::verdict::{Unproven, Verdict};

/// The complete queries of a run: those that a total proves, and the others with the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The queries that are proven.
    pub proven: QueryRecords,
    /// The queries that were read to their ends without a proof.
    pub unproven: QueryRecords,
    /// The queries without a proof by the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, QueryRecords>,
}

/// A number of queries and of their distinct records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueryRecords {
    /// The number of queries.
    pub queries: u64,
    /// The number of their distinct records.
    pub records: u64,
}

/// A query that is complete, as a checkpoint holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenQuery {
    /// The number of distinct records.
    pub records: u64,
    /// The reason why the query is not proven. `None` if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
}

impl ProvenQuery {
    /// Returns the query with `records` records and this verdict. `None` if it is not complete.
    pub fn new(verdict: &Verdict, records: u64) -> Option<Self> {
        match verdict {
            Verdict::Proven => Some(Self { records, unproven: None }),
            Verdict::Unproven(reason) => Some(Self { records, unproven: Some(*reason) }),
            _ => None,
        }
    }
}

impl Proof {
    /// Adds a complete query.
    pub fn add(&mut self, query: ProvenQuery) {
        let Some(reason) = query.unproven else {
            self.proven.add(query.records);
            return;
        };
        self.unproven.add(query.records);
        self.reasons.entry(reason.to_string()).or_default().add(query.records);
    }

    /// Returns whether a query is unproven for this reason.
    pub fn has(&self, reason: Unproven) -> bool {
        self.reasons.contains_key(&reason.to_string())
    }

    /// Returns whether every query is proven.
    pub fn is_proven(&self) -> bool {
        self.unproven.queries == 0
    }
}

impl QueryRecords {
    fn add(&mut self, records: u64) {
        self.queries += 1;
        self.records += records;
    }
}

impl std::ops::AddAssign for QueryRecords {
    fn add_assign(&mut self, other: Self) {
        self.queries += other.queries;
        self.records += other.records;
    }
}

impl std::ops::AddAssign<&Self> for Proof {
    fn add_assign(&mut self, other: &Self) {
        self.proven += other.proven;
        self.unproven += other.unproven;
        for (reason, records) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += *records;
        }
    }
}
