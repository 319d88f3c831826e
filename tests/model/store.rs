//! A store with one partition in it: what `store::Store` promises, and what a network adds to it.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::partition::Flaw;

/// A row's key.
pub(crate) type Key = char;
/// What tells one version of a row from another.
pub(crate) type Fingerprint = u8;
/// A part's number, as in `part-00000`.
pub(crate) type Number = u8;

/// The fingerprint of a row that has come halfway.
pub(crate) const TORN: Fingerprint = 0;

/// A row, incoming or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
    /// The run that brought it: no two have the same time.
    pub(crate) synced_at: u8,
}

impl Row {
    /// Whether both are the same version of the same row, whichever run brought them.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.key, self.fingerprint) == (other.key, other.fingerprint)
    }
}

/// What a part holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) sealed: bool,
    /// In the order of their keys: nothing asks for another, and so fewer states are different.
    pub(crate) rows: Vec<Row>,
    /// The version that was there before.
    pub(crate) replaces: Option<Version>,
}

impl Content {
    pub(crate) fn get(&self, key: Key) -> Option<Fingerprint> {
        self.rows.iter().find(|row| row.key == key).map(|row| row.fingerprint)
    }
}

/// What tells one version of a part from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Version(u64);

/// Which store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A version is a stamp that grows with every write. It is listed in one step, under its lock. Opening takes the part as
    /// it is then, whatever was listed.
    Directory,
    /// A version is the hash of the content: the same content again is the same version. Opening asks for the version that was
    /// listed. A conflict is looked into: it may be the writer's own write, whose answer was lost.
    S3,
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum When {
    Absent,
    Is(Version),
}

/// A write on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Put {
    pub(crate) number: Number,
    pub(crate) when: When,
    pub(crate) content: Content,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Conflict,
}

/// A part as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListedObject {
    pub(crate) number: Number,
    /// `None` in a directory, where nothing is done with it.
    version: Option<Version>,
}

/// A part as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) number: Number,
    pub(crate) version: Version,
    pub(crate) content: Content,
}

/// The parts of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) parts: BTreeMap<Number, (Version, Content)>,
    /// Sent, and neither answered nor given up: each may arrive at any time, or never.
    pub(crate) under_way: Vec<Put>,
    /// A write took a stored key away.
    pub(crate) lost: bool,
    /// A write took a seal away.
    pub(crate) unsealed: bool,
    /// A write changed a stored row.
    pub(crate) changed: bool,
}

impl Store {
    /// A store in which `parts` lie.
    pub(crate) fn with(kind: Kind, parts: Vec<Content>) -> Self {
        let parts = (0..).zip(parts).map(|(number, content)| (number, (version(kind, None, &content), content)));
        Self { parts: parts.collect(), ..Self::default() }
    }

    pub(crate) fn list(&self, kind: Kind) -> Vec<ListedObject> {
        let listed = self
            .parts
            .iter()
            .map(|(&number, (version, _))| ListedObject { number, version: (kind == Kind::S3).then_some(*version) });
        listed.collect()
    }

    /// A listed part; `None` when the version that was listed is no longer to be had.
    pub(crate) fn open(&self, listed: &ListedObject) -> Option<Part> {
        let (version, content) = self.parts.get(&listed.number)?;
        if listed.version.is_some_and(|listed| listed != *version) {
            return None;
        }
        Some(Part { number: listed.number, version: *version, content: content.clone() })
    }

    pub(crate) fn put(&mut self, kind: Kind, flaw: Option<Flaw>, put: &Put) -> Answer {
        let stored = self.parts.get(&put.number);
        let holds = match (put.when, stored) {
            (When::Absent, stored) => stored.is_none() || flaw == Some(Flaw::NoIfNoneMatch),
            (When::Is(read), Some((version, _))) => read == *version || flaw == Some(Flaw::NoIfMatch),
            (When::Is(_), None) => false,
        };
        if !holds {
            return Answer::Conflict;
        }
        let mut content = put.content.clone();
        if flaw == Some(Flaw::InPlace)
            && let Some(row) = content.rows.last_mut()
        {
            row.fingerprint = TORN;
        }
        if let Some((_, before)) = stored {
            self.unsealed |= before.sealed && !content.sealed;
            self.lost |= before.rows.iter().any(|row| content.get(row.key).is_none());
            self.changed |=
                before.rows.iter().any(|row| content.get(row.key).is_some_and(|now| now != row.fingerprint));
        }
        let version = version(kind, stored.map(|(version, _)| *version), &content);
        self.parts.insert(put.number, (version, content));
        Answer::Done
    }

    /// Whether what lies there is what was sent.
    pub(crate) fn own_write(&self, put: &Put) -> bool {
        self.parts.get(&put.number).is_some_and(|(_, stored)| *stored == put.content)
    }

    /// What is stored under `key`, once for each time that it is.
    pub(crate) fn stored(&self, key: Key) -> impl Iterator<Item = Fingerprint> {
        let rows = self.parts.values().flat_map(|(_, content)| &content.rows);
        rows.filter(move |row| row.key == key).map(|row| row.fingerprint)
    }
}

fn version(kind: Kind, before: Option<Version>, content: &Content) -> Version {
    match kind {
        Kind::Directory => Version(before.map_or(1, |Version(stamp)| stamp + 1)),
        Kind::S3 => {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            Version(hasher.finish())
        }
    }
}
