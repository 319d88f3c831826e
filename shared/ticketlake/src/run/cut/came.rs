//! The records that came of a query: their keys, and what tells in which of its parts they are.

use std::collections::HashMap;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use client::Record;
use manifest::template::plain;
use manifest::{By, Cells, Column, Cut, Resource};

/// Distinct records.
#[derive(Debug, Default)]
pub(super) struct Came(HashMap<u64, Facts>);

/// What tells in which part a record is; nothing of one that an earlier invocation read.
#[derive(Debug, Default)]
struct Facts {
    /// By the number of the cut: the value's hash.
    values: Box<[Option<u64>]>,
    place: Option<Place>,
}

/// A latitude and a longitude, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

impl Place {
    /// Where `record` lies.
    pub(super) fn of(cells: &Cells, record: &Value) -> Option<Self> {
        let degrees = |value: &Value| plain(value).parse::<f64>().ok();
        let (latitude, longitude) = (degrees(cells.latitude.first(record)?)?, degrees(cells.longitude.first(record)?)?);
        (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some(Self { latitude, longitude })
    }
}

impl Came {
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Adds records of `resource`; gives the keys, in their order.
    pub(super) fn add(&mut self, resource: &Resource, records: &[Record]) -> Vec<u64> {
        let column = |key: &String| resource.columns.iter().find(|column| column.name == *key);
        let columns: Vec<&Column> = resource.primary_key.iter().filter_map(column).collect();
        let add = |record: &Record| {
            let record = &*record.value();
            let parts: Vec<String> = columns.iter().filter_map(|column| column.path.first(record)).map(plain).collect();
            // What no key tells apart is told apart by all of it.
            let text = if parts.is_empty() { record.to_string() } else { parts.join("\u{1f}") };
            let key = xxh3_64(text.as_bytes());
            self.0.insert(key, Facts::of(&resource.slices.then, record));
            key
        };
        records.iter().map(add).collect()
    }

    /// Adds records of which only the keys are known.
    pub(super) fn add_keys(&mut self, keys: &[u64]) {
        for key in keys {
            self.0.entry(*key).or_default();
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn keys(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    /// How many have one of `values` by cut number `cut`.
    pub(super) fn having(&self, cut: usize, values: &[String]) -> u64 {
        let hashes: Vec<u64> = values.iter().map(|value| xxh3_64(value.as_bytes())).collect();
        let has =
            |facts: &&Facts| facts.values.get(cut).copied().flatten().is_some_and(|value| hashes.contains(&value));
        self.0.values().filter(has).count() as u64
    }

    /// Where they lie.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.0.values().filter_map(|facts| facts.place)
    }
}

impl Facts {
    fn of(cuts: &[Cut], record: &Value) -> Self {
        let value = |cut: &Cut| match &cut.by {
            By::Values(values) => Some(xxh3_64(plain(values.path.as_ref()?.first(record)?).as_bytes())),
            By::Cells(_) => None,
        };
        let place = cuts.iter().find_map(|cut| match &cut.by {
            By::Cells(cells) => Place::of(cells, record),
            By::Values(_) => None,
        });
        Self { values: cuts.iter().map(value).collect(), place }
    }
}
