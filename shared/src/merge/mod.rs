//! From rows to stored parts: the one write primitive.
//!
//! Rows gather in a [`Buffer`] until it is worth a write, then each partition's rows are compared with the keys stored
//! there and what is new or changed is written (`partition`). Nothing here knows which API the rows came from.

mod buffer;
mod jsonl;
mod parquet;
mod part;
mod partition;

use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};

pub use self::buffer::Buffer;
use crate::error::Error;
use crate::manifest::{Resource, WriteDisposition};
use crate::map;
use crate::request::Format;
use crate::store::Store;

/// A part that has reached this size takes no more rows, in bytes as stored.
pub const TARGET_BYTES: usize = 32 << 20;
/// Partitions merged at once: their reads and writes wait for the store side by side.
const AT_ONCE: usize = 8;

/// One resource's table in a lake.
#[derive(Debug)]
pub struct Table<'t> {
    store: &'t dyn Store,
    /// The folder of its partitions, `see_tickets/sales`.
    root: String,
    schema: SchemaRef,
    key: &'t [String],
    disposition: WriteDisposition,
    format: Format,
    target_bytes: usize,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows whose key was not stored.
    pub new: u64,
    /// Rows that replaced a stored version.
    pub changed: u64,
    /// Rows that said what was stored already, or (`append`) whose key was.
    pub unchanged: u64,
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes_written: u64,
}

impl std::ops::AddAssign for Merged {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.objects += other.objects;
        self.bytes_written += other.bytes_written;
    }
}

impl<'t> Table<'t> {
    /// The table of `resource`, a resource of `source`.
    pub fn new(store: &'t dyn Store, source: &str, resource: &'t Resource, format: Format) -> Self {
        Self {
            store,
            root: format!("{source}/{}", resource.name),
            schema: map::schema(resource),
            key: &resource.primary_key,
            disposition: resource.write_disposition,
            format,
            target_bytes: TARGET_BYTES,
        }
    }

    /// The same table with another size of parts, in bytes as stored.
    pub fn with_target_bytes(mut self, target_bytes: usize) -> Self {
        self.target_bytes = target_bytes;
        self
    }

    /// An empty buffer for this table's rows.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(&self.schema)
    }

    /// Merges what `buffer` holds and leaves it empty.
    pub async fn merge(&self, buffer: &mut Buffer) -> Result<Merged, Error> {
        let Some(batch) = buffer.take(chrono::Utc::now())? else {
            return Ok(Merged::default());
        };
        let mut merged = Merged { unchanged: batch.repeated, ..Merged::default() };
        let mut done = stream::iter(&batch.partitions)
            .map(|(folder, rows)| partition::merge(self, folder, &batch, rows))
            .buffer_unordered(AT_ONCE);
        while let Some(one) = done.try_next().await? {
            merged += one;
        }
        Ok(merged)
    }
}

#[cfg(test)]
mod tests;
