//! How far a reading that was cut short has come: what the next invocation of the same request need not read again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use manifest::Cursor;
use client::paginate::{Position, Resumption};
use manifest::time::{self, Instant};

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
    /// By the name of a query that is cut by time: the ranges that are whole, in seconds since 1970, both ends inclusive; in order,
    /// and none beside the next. An open end is the least or the greatest number.
    #[serde(default)]
    covered: BTreeMap<String, Vec<(i64, i64)>>,
    /// By a slice's name: how far it was read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    places: BTreeMap<String, Place>,
    /// By the name of a part of a query that is cut by its parameters, which is whole: the hashes of its records' keys. Parts can have
    /// records in common, so that numbers of records could not be added up.
    #[serde(default, with = "packed", skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, Vec<u64>>,
    /// The furthest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// What the keys hash to that were met so far, where they are kept beside (in `<resource>.seen`). None while a run is under way: a
    /// checkpoint that it leaves when it is killed names slices whose keys nobody knows any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// How far a slice was read: everything before a page, which is read again, so that a few records fewer in front of it lose none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the page lies.
    pub position: Position,
    /// Distinct records before it.
    pub before: u64,
    /// Records of the slice, as the API said.
    pub total: Option<u64>,
    /// The furthest cursor before it.
    pub newest: Option<Cursor>,
}

impl Place {
    /// What the reader needs to go on.
    pub fn resumption(&self) -> Resumption {
        Resumption { position: self.position.clone(), before: self.before }
    }
}

impl Checkpoint {
    /// A reading of `request` that begins at `now`.
    pub fn new(request: String, now: Instant) -> Self {
        Self {
            request,
            began: time::format_instant(now),
            slices: BTreeSet::new(),
            covered: BTreeMap::new(),
            places: BTreeMap::new(),
            parts: BTreeMap::new(),
            newest: None,
            seen: None,
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
        self.slices.is_empty() && self.covered.is_empty() && self.places.is_empty() && self.parts.is_empty()
    }

    /// Takes note that the slice called `name` is whole.
    pub fn finish(&mut self, name: &str) {
        self.slices.insert(xxh3_64(name.as_bytes()));
        self.leave(name);
    }

    /// Takes note how far the slice called `name` was read.
    pub fn stand(&mut self, name: &str, place: Place) {
        self.places.insert(name.to_owned(), place);
    }

    /// How far the slice called `name` was read.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    /// Forgets how far the slice called `name` was read: it is read from its beginning.
    pub fn leave(&mut self, name: &str) {
        self.places.remove(name);
    }

    /// Whether the slice called `name` is whole.
    pub fn has(&self, name: &str) -> bool {
        self.slices.contains(&xxh3_64(name.as_bytes()))
    }

    /// Takes note that the query called `name` is whole from `from` to `to`, in seconds since 1970; `None`: an open end.
    pub fn cover(&mut self, name: &str, from: Option<i64>, to: Option<i64>) {
        let (mut from, mut to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
        let ranges = self.covered.entry(name.to_owned()).or_default();
        let begin = ranges.partition_point(|range| range.1.saturating_add(1) < from);
        let end = ranges.partition_point(|range| range.0 <= to.saturating_add(1));
        if begin < end {
            (from, to) = (from.min(ranges[begin].0), to.max(ranges[end - 1].1));
        }
        ranges.splice(begin..end, [(from, to)]);
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

    /// Whether the query called `name` is whole from `from` to `to`.
    pub fn covers(&self, name: &str, from: Option<i64>, to: Option<i64>) -> bool {
        self.has(name) || self.gaps(name, from, to).is_empty()
    }

    /// What is left from `from` to `to` of the query called `name`, in order.
    pub fn gaps(&self, name: &str, from: Option<i64>, to: Option<i64>) -> Vec<(Option<i64>, Option<i64>)> {
        let (mut at, last) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
        let open = |end: i64| (end != i64::MIN && end != i64::MAX).then_some(end);
        let mut gaps = Vec::new();
        for &(begin, end) in self.covered.get(name).into_iter().flatten() {
            if end < at {
                continue;
            }
            if begin > last {
                break;
            }
            if at < begin {
                gaps.push((open(at), open(begin - 1)));
            }
            if end >= last {
                return gaps;
            }
            at = end + 1;
        }
        gaps.push((open(at), open(last)));
        gaps
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

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(ranges: &[(Option<i64>, Option<i64>)]) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(String::new(), Instant::default());
        ranges.iter().for_each(|(from, to)| checkpoint.cover("all", *from, *to));
        checkpoint
    }

    #[test]
    fn what_is_covered_leaves_the_rest() {
        for (ranges, gaps) in [
            (vec![], vec![(None, None)]),
            (vec![(None, Some(9))], vec![(Some(10), None)]),
            (vec![(None, Some(9)), (Some(20), Some(29))], vec![(Some(10), Some(19)), (Some(30), None)]),
            (vec![(Some(20), Some(29)), (None, Some(9)), (Some(10), Some(19))], vec![(Some(30), None)]),
            (vec![(Some(30), None), (Some(5), Some(9))], vec![(None, Some(4)), (Some(10), Some(29))]),
            (vec![(Some(5), Some(9)), (Some(7), Some(12)), (None, Some(5)), (Some(13), None)], vec![]),
            (vec![(None, None)], vec![]),
        ] {
            let checkpoint = covering(&ranges);
            assert_eq!(checkpoint.gaps("all", None, None), gaps, "{ranges:?}");
            assert_eq!(checkpoint.gaps("other", Some(1), Some(2)), [(Some(1), Some(2))]);
        }
    }

    #[test]
    fn a_gap_lies_within_what_is_asked_for() {
        let checkpoint = covering(&[(None, Some(9)), (Some(20), Some(29))]);
        for (asked, gaps) in [
            ((Some(0), Some(9)), vec![]),
            ((Some(5), Some(15)), vec![(Some(10), Some(15))]),
            ((Some(12), Some(40)), vec![(Some(12), Some(19)), (Some(30), Some(40))]),
            ((Some(40), Some(50)), vec![(Some(40), Some(50))]),
        ] {
            assert_eq!(checkpoint.gaps("all", asked.0, asked.1), gaps, "{asked:?}");
        }
    }
}
