//! What is stored in some columns of a table: names with their ids, values to ask for.

use std::collections::BTreeMap;

use arrow_array::Array;
use futures::TryStreamExt;

use super::name::list_parts;
use super::part::{Part, key_part};
use super::table::Table;
use crate::error::Error;

impl Table<'_> {
    /// The distinct rows of the texts and whole numbers in `columns`, with how often each is there; `None`: null, or no such column. Reads
    /// these columns alone.
    pub async fn distinct(&self, columns: &[&str]) -> Result<BTreeMap<Vec<Option<String>>, u64>, Error> {
        let mut rows = BTreeMap::new();
        for (name, listed) in list_parts(&self.parts).await? {
            let Some(part) = Part::open(&self.parts, name, &listed).await? else { continue };
            let mut batches = part.batches(&self.parts.schema, Some(columns))?;
            while let Some(batch) = batches.try_next().await? {
                let arrays: Vec<_> = columns.iter().map(|name| batch.column_by_name(name)).collect();
                for row in 0..batch.num_rows() {
                    let value = |array: &Option<&arrow_array::ArrayRef>| {
                        array.filter(|array| !array.is_null(row)).and_then(|array| key_part(array, row))
                    };
                    *rows.entry(arrays.iter().map(value).collect()).or_insert(0) += 1;
                }
            }
        }
        Ok(rows)
    }
}
