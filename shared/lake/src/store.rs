//! The trait that every store implements.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;

/// The objects of one lake. A key is relative to the lake and has `/` between its parts, as in `see_tickets/sales/part-00000.parquet`.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Returns every object whose key begins with `prefix`, in the byte order of the keys. The prefix need not end at a `/`. A prefix
    /// without objects has an empty list.
    ///
    /// # Errors
    ///
    /// The error of the store, such as [`ErrorKind::Missing`](crate::ErrorKind::Missing) for a bucket that does not exist.
    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError>;

    /// Opens a listed object. All reads of the opened object return bytes of one version: of the listed one, or of the one that is
    /// stored when the object is opened. Returns `None` for a key that the store knows to be unused. A store may send no request here;
    /// then an unused key shows at the first read.
    ///
    /// # Errors
    ///
    /// The error of the store.
    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError>;

    /// Returns all bytes of an object and its version, or `None` if there is no object with this key.
    ///
    /// # Errors
    ///
    /// The error of the store.
    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError>;

    /// Writes a whole object if `precondition` holds at that moment. Otherwise nothing is written, and the result is
    /// [`WriteOutcome::Conflict`].
    ///
    /// A store that identifies a version by its bytes may return [`WriteOutcome::Written`] if the stored object has exactly these bytes
    /// already: it cannot tell them from a write of its own whose response got lost. A writer to whom that matters writes bytes that
    /// differ from those of every other writer.
    ///
    /// # Errors
    ///
    /// The error of the store. The write may have happened all the same, if the response got lost.
    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError>;

    /// Returns how many seconds the clock of the store is ahead of that of this machine, by the last response. `None` if the store has no
    /// clock of its own, or has not said its time.
    fn clock_offset(&self) -> Option<i64> {
        None
    }
}

/// One version of an object.
#[async_trait]
pub trait Object: Send + Sync + std::fmt::Debug {
    /// Returns the version that all reads belong to. A write with [`Precondition::Is`] of it replaces exactly what was read.
    fn version(&self) -> &Version;

    /// Returns the size of the object in bytes.
    fn size(&self) -> u64;

    /// Returns the bytes of `range`, which must not be empty and must lie within the object.
    ///
    /// # Errors
    ///
    /// An error of kind [`ErrorKind::Changed`](crate::ErrorKind::Changed) if the version was replaced and can no longer be read, or the error of
    /// the store.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError>;
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// The key of the object.
    pub key: String,
    /// The size of the object in bytes.
    pub size: u64,
    /// The version of the object when it was listed.
    pub version: Version,
}

/// The identity of an object's content. In S3 it is the `ETag`, a hash of the bytes. In a directory it contains a time stamp that grows
/// with every write. The text has no meaning outside of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// The condition that must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// There is no object with the key.
    Absent,
    /// The stored object has this version.
    Is(Version),
}

/// The result of a write that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The object was written and has this version.
    Written(Version),
    /// The precondition did not hold, or another write to the key is in progress. Nothing was written. The writer reads the object again
    /// and decides again what to write.
    Conflict,
}
