//! What is stored in two columns of a table: a lookup of names.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use super::Table;
use super::name::Name;
use super::part::{Part, key_part};
use crate::error::Error;

impl Table<'_> {
    /// The distinct pairs of texts in the columns `one` and `other`, of every row that has both. Reads these columns alone.
    pub async fn pairs(&self, one: &str, other: &str) -> Result<BTreeSet<(String, String)>, Error> {
        let mut pairs = BTreeSet::new();
        for listed in self.store.list(&format!("{}/", self.root)).await? {
            let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
            let Some(name) = Name::of(self, folder, &listed.key)? else { continue };
            let Some(part) = Part::open(self, name, &listed).await? else { continue };
            let mut batches = part.batches(&self.schema, Some(&[one, other]))?;
            while let Some(batch) = batches.try_next().await? {
                let (Some(one), Some(other)) = (batch.column_by_name(one), batch.column_by_name(other)) else {
                    continue;
                };
                let row = |row| Some((key_part(one, row)?, key_part(other, row)?));
                pairs.extend((0..batch.num_rows()).filter_map(row));
            }
        }
        Ok(pairs)
    }
}
