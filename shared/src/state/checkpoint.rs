//! How far a reading that was cut short has come: what the next invocation of the same request need not read again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::time::{self, Instant};

/// A reading that began longer ago than this is begun anew: what it has is too old to be called one state of the API.
const OLDEST: TimeDelta = TimeDelta::days(7);

/// A reading that goes on over several invocations. Everything it names is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What was asked for: [`crate::request::Request::signature`].
    pub request: String,
    /// When the first of its invocations began, RFC 3339.
    pub began: String,
    /// Hashes of the names of slices that are whole.
    #[serde(default)]
    slices: BTreeSet<u64>,
    /// By the name of a query that is cut by time: everything before this second since 1970 is whole.
    #[serde(default)]
    frontiers: BTreeMap<String, i64>,
    /// By the name of a part of a query that is cut by its parameters, which is whole: the hashes of its records' keys. Parts can have
    /// records in common, so that numbers of records could not be added up.
    #[serde(default, with = "packed", skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, Vec<u64>>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

impl Checkpoint {
    /// A reading of `request` that begins at `now`.
    pub fn new(request: String, now: Instant) -> Self {
        Self {
            request,
            began: time::format_instant(now),
            slices: BTreeSet::new(),
            frontiers: BTreeMap::new(),
            parts: BTreeMap::new(),
            newest: None,
        }
    }

    /// Whether it can go on for `request` at `now`.
    pub fn goes_on(&self, request: &str, now: Instant) -> bool {
        self.request == request && self.begin().is_some_and(|began| began <= now && now - began <= OLDEST)
    }

    /// When it began.
    pub fn begin(&self) -> Option<Instant> {
        time::parse_instant(&self.began)
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty() && self.frontiers.is_empty() && self.parts.is_empty()
    }

    /// Takes note that the slice called `name` is whole.
    pub fn finish(&mut self, name: &str) {
        self.slices.insert(xxh3_64(name.as_bytes()));
    }

    /// Whether the slice called `name` is whole.
    pub fn has(&self, name: &str) -> bool {
        self.slices.contains(&xxh3_64(name.as_bytes()))
    }

    /// Takes note that the query called `name` is whole up to the second `to`; `None`: to its end.
    pub fn reach(&mut self, name: &str, to: Option<i64>) {
        let next = to.map_or(i64::MAX, |to| to.saturating_add(1));
        let frontier = self.frontiers.entry(name.to_owned()).or_insert(next);
        *frontier = next.max(*frontier);
    }

    /// Where the query called `name` goes on, in seconds since 1970; `i64::MAX`: it is whole.
    pub fn frontier(&self, name: &str) -> Option<i64> {
        self.frontiers.get(name).copied()
    }

    /// Takes note that the part called `name` is whole, with its records' `keys`.
    pub fn finish_part(&mut self, name: &str, keys: Vec<u64>) {
        self.parts.insert(name.to_owned(), keys);
    }

    /// The names and keys of the parts that are whole and whose name begins with `prefix`; what follows it is one word.
    pub fn parts<'c>(&'c self, prefix: &'c str) -> impl Iterator<Item = (&'c str, &'c [u64])> {
        let from = self.parts.range(prefix.to_owned()..);
        let named = from.map_while(move |(name, keys)| Some((name.strip_prefix(prefix)?, keys.as_slice())));
        named.filter(|(word, _)| !word.contains(' '))
    }
}

/// Numbers as the Base64 of their bytes: a third of their decimal digits.
mod packed {
    use std::collections::BTreeMap;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    type Parts = BTreeMap<String, Vec<u64>>;

    pub(super) fn serialize<S: Serializer>(parts: &Parts, serializer: S) -> Result<S::Ok, S::Error> {
        let pack =
            |keys: &Vec<u64>| STANDARD.encode(keys.iter().flat_map(|key| key.to_le_bytes()).collect::<Vec<u8>>());
        let packed: BTreeMap<&String, String> = parts.iter().map(|(name, keys)| (name, pack(keys))).collect();
        packed.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Parts, D::Error> {
        let packed = BTreeMap::<String, String>::deserialize(deserializer)?;
        let unpack = |(name, text): (String, String)| {
            let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
            let (keys, rest) = bytes.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(D::Error::custom("the keys of a part are cut off"));
            }
            Ok((name, keys.iter().map(|key| u64::from_le_bytes(*key)).collect()))
        };
        packed.into_iter().map(unpack).collect()
    }
}
