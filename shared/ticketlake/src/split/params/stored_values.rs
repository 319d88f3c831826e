//! Reads the values of parameters from stored tables.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use lake::Store;
use manifest::{Manifest, Query, SplitBy, SplitParam, Values};
use table::Format;
use table::merge::Table;

use crate::error::Error;

/// The tables of one source, from which values are read.
#[derive(Debug)]
pub struct StoredValues<'s> {
    store: &'s dyn Store,
    manifest: &'s Manifest,
    format: Format,
    /// The rows that were read, by resource.
    rows: RefCell<HashMap<String, Rc<Rows>>>,
}

/// The distinct rows of some columns, each with the number of its occurrences.
type Rows = BTreeMap<Vec<Option<String>>, u64>;

impl<'s> StoredValues<'s> {
    /// Creates the tables of `manifest` in `store`, whose parts have `format`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, manifest: &'s Manifest, format: Format) -> Self {
        Self { store, manifest, format, rows: RefCell::default() }
    }

    /// Returns the distinct rows of `columns` of a resource's table. They are read once.
    async fn rows(&self, resource: &str, columns: &[&str]) -> Result<Rc<Rows>, Error> {
        if let Some(rows) = self.rows.borrow().get(resource) {
            return Ok(Rc::clone(rows));
        }
        let rows = match self.manifest.resource(resource) {
            Some(resource) => {
                let table = Table::new(self.store, &self.manifest.name, resource, self.format);
                table.count_distinct_values(columns).await?
            }
            None => Rows::new(),
        };
        let rows = Rc::new(rows);
        self.rows.borrow_mut().insert(resource.to_owned(), Rc::clone(&rows));
        Ok(rows)
    }

    /// Returns the stored values of `split`, each with its number of rows. Only rows that match the other parameters of `query` are counted;
    /// `params` are all parameters that queries are split by.
    pub(super) async fn counts(
        &self,
        query: &Query,
        split: &SplitParam,
        values: &Values,
        params: &[SplitParam],
    ) -> Result<BTreeMap<String, u64>, Error> {
        let Some(from) = &values.from else { return Ok(BTreeMap::new()) };
        let column = |split: &SplitParam| match &split.by {
            SplitBy::Values(Values { from: Some(other), .. }) if other.resource == from.resource => {
                Some((split.param.clone(), other.column.clone()))
            }
            _ => None,
        };
        let columns: Vec<(String, String)> = params.iter().filter_map(column).collect();
        let names: Vec<&str> = columns.iter().map(|(_, column)| column.as_str()).collect();
        let rows = self.rows(&from.resource, &names).await?;
        let matches = |row: &[Option<String>]| {
            columns.iter().zip(row).all(|((param, _), value)| match (query.params.get(param), value) {
                (Some(requested), Some(value)) if *param != split.param && !excludes(values, requested) => {
                    requested.split(',').any(|requested| requested == value)
                }
                _ => true,
            })
        };
        let position = columns.iter().position(|(param, _)| *param == split.param);
        let Some(position) = position else { return Ok(BTreeMap::new()) };
        let mut counts = BTreeMap::new();
        for (row, count) in rows.iter().filter(|(row, _)| matches(row)) {
            if let Some(value) = &row[position] {
                *counts.entry(value.clone()).or_insert(0) += count;
            }
        }
        Ok(counts)
    }
}

/// Returns whether the parameter value `value` excludes records.
pub(super) fn excludes(values: &Values, value: &str) -> bool {
    values.exclude.as_ref().is_some_and(|mark| value.starts_with(mark.as_str()))
}
