//! The conditional write of a part into the lake.

use lake::{Precondition, WriteOutcome};

use super::name::PartName;
use super::stored::Part;
use super::writer::EncodedPart;
use crate::error::Error;
use crate::merge::context::TableContext;
use crate::merge::merged::Merged;

/// A part that is about to be written.
pub(crate) struct PartWrite<'w> {
    pub(crate) name: &'w PartName,
    pub(crate) part: EncodedPart,
    /// The number of stored rows that it updates.
    pub(crate) updated: usize,
}

impl PartWrite<'_> {
    /// Replaces the stored version `old` and adds the write to `merged`. Returns `false` after a write conflict.
    pub(crate) async fn replace(
        self,
        table: &TableContext<'_>,
        old: &Part,
        merged: &mut Merged,
    ) -> Result<bool, Error> {
        self.write(table, Precondition::Is(old.object.version().clone()), merged).await
    }

    /// Creates the part and adds the write to `merged`. Returns `false` after a write conflict.
    pub(crate) async fn create(self, table: &TableContext<'_>, merged: &mut Merged) -> Result<bool, Error> {
        self.write(table, Precondition::Absent, merged).await
    }

    async fn write(
        self,
        table: &TableContext<'_>,
        precondition: Precondition,
        merged: &mut Merged,
    ) -> Result<bool, Error> {
        let EncodedPart { bytes, inserted, is_sealed } = self.part;
        let size = bytes.len();
        if table.store.put(&self.name.key, bytes, precondition).await? == WriteOutcome::Conflict {
            return Ok(false);
        }
        let rows = inserted + self.updated;
        tracing::debug!(key = self.name.key, size_bytes = size, rows, sealed = is_sealed, "wrote a part");
        *merged += Merged {
            new: inserted as u64,
            changed: self.updated as u64,
            objects: 1,
            bytes_written: size as u64,
            ..Merged::default()
        };
        Ok(true)
    }
}
