//! The records received of a query: their keys, and the values by which subqueries contain them.

use std::collections::HashMap;

use serde_json::Value;
use table::map::join_key;
use table::merge::key_hash;
use xxhash_rust::xxh3::xxh3_64;

use client::Record;
use manifest::template::param_text;
use manifest::{Cells, Column, Resource, SplitBy, SplitParam};

/// The distinct records by the hashes of their keys.
#[derive(Debug, Default)]
pub(super) struct ReceivedRecords(HashMap<u64, SplitValues>);

/// The values of a record by which subqueries contain it. They are empty for a record that an earlier run received.
#[derive(Debug, Default)]
struct SplitValues {
    /// The hash of the value of each parameter, by the number of the parameter.
    values: Box<[Option<u64>]>,
    /// The location of the record.
    point: Option<GeoPoint>,
}

/// A latitude and a longitude, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GeoPoint {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

impl GeoPoint {
    /// Returns the location of `record`. `None` if it has none, or an impossible one.
    pub(super) fn of_record(cells: &Cells, record: &Value) -> Option<Self> {
        let degrees = |value: &Value| param_text(value).parse::<f64>().ok();
        let (latitude, longitude) = (degrees(cells.latitude.first(record)?)?, degrees(cells.longitude.first(record)?)?);
        (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some(Self { latitude, longitude })
    }
}

impl ReceivedRecords {
    /// Returns the number of records.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Adds records of `resource`. Returns the hashes of their keys in the same order.
    pub(super) fn add(&mut self, resource: &Resource, records: &[Record]) -> Vec<u64> {
        let column = |key: &String| resource.columns.iter().find(|column| column.name == *key);
        let columns: Vec<&Column> = resource.primary_key.iter().filter_map(column).collect();
        let add = |record: &Record| {
            let record = &*record.value();
            let parts: Vec<String> =
                columns.iter().filter_map(|column| column.path.first(record)).map(param_text).collect();
            // A record without a key is identified by its text.
            let text = if parts.is_empty() { record.to_string() } else { join_key(parts) };
            let key = key_hash(&text);
            self.0.insert(key, SplitValues::new(&resource.slices.then, record));
            key
        };
        records.iter().map(add).collect()
    }

    /// Adds records by the hashes of their keys.
    pub(super) fn add_keys(&mut self, keys: &[u64]) {
        for key in keys {
            self.0.entry(*key).or_default();
        }
    }

    /// Adds the records of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the hashes of the keys.
    pub(super) fn keys(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    /// Returns the number of records with one of `values` of the parameter number `param`.
    pub(super) fn count_with(&self, param: usize, values: &[String]) -> u64 {
        let hashes: Vec<u64> = values.iter().map(|value| xxh3_64(value.as_bytes())).collect();
        let has = |record: &&SplitValues| {
            record.values.get(param).copied().flatten().is_some_and(|value| hashes.contains(&value))
        };
        self.0.values().filter(has).count() as u64
    }

    /// Returns the locations of the records.
    pub(super) fn points(&self) -> impl Iterator<Item = GeoPoint> {
        self.0.values().filter_map(|record| record.point)
    }
}

impl SplitValues {
    fn new(params: &[SplitParam], record: &Value) -> Self {
        let value = |split: &SplitParam| match &split.by {
            SplitBy::Values(values) => Some(xxh3_64(param_text(values.path.as_ref()?.first(record)?).as_bytes())),
            SplitBy::Cells(_) => None,
        };
        let point = params.iter().find_map(|split| match &split.by {
            SplitBy::Cells(cells) => GeoPoint::of_record(cells, record),
            SplitBy::Values(_) => None,
        });
        Self { values: params.iter().map(value).collect(), point }
    }
}
