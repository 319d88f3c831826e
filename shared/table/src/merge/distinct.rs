//! The distinct values of some columns of a table.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef};
use futures::TryStreamExt;

use super::part::{Part, key_text, list_parts};
use super::table::Table;
use crate::error::Error;

impl Table<'_> {
    /// Returns the distinct values of `columns` together, with the number of rows that have them. The columns hold texts, whole numbers or
    /// days. A value is `None` if it is null or the table has no such column. No other columns are read.
    ///
    /// # Errors
    ///
    /// The error of the store, or that of a part that is damaged or has another format.
    pub async fn count_distinct_values(&self, columns: &[&str]) -> Result<BTreeMap<Vec<Option<String>>, u64>, Error> {
        let mut counts = BTreeMap::new();
        for (name, listed) in list_parts(&self.context).await? {
            let Some(part) = Part::open(&self.context, name, &listed).await? else { continue };
            let mut batches = part.read_batches(&self.context.row_schema, Some(columns))?;
            while let Some(batch) = batches.try_next().await? {
                let arrays: Vec<Option<&ArrayRef>> = columns.iter().map(|name| batch.column_by_name(name)).collect();
                for row in 0..batch.num_rows() {
                    let value = |array: &Option<&ArrayRef>| match array {
                        Some(array) if !array.is_null(row) => key_text(array, row),
                        _ => None,
                    };
                    *counts.entry(arrays.iter().map(value).collect()).or_insert(0) += 1;
                }
            }
        }
        Ok(counts)
    }
}
