//! The trait that every store implements.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreError;

/// The objects of one lake. Keys are relative to it, with `/` between their parts.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Every object whose key begins with `prefix`, in the order of their keys.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// A listed object, to be read in parts that all belong to one version; `None` when it has never been.
    async fn open(&self, listed: &Listed) -> Result<Option<Arc<dyn Object>>, StoreError>;

    /// A whole object and its version; `None` when it is not there.
    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError>;

    /// Writes a whole object, provided that `precondition` holds at that moment; [`WriteOutcome::Conflict`] otherwise.
    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError>;
}

/// One version of an object.
#[async_trait]
pub trait Object: Send + Sync + std::fmt::Debug {
    /// What a [`Precondition::Is`] is compared with.
    fn version(&self) -> &Version;

    /// In bytes.
    fn size(&self) -> u64;

    /// The bytes of `range`. An error of kind [`Kind::Changed`](crate::Kind::Changed) when this version is no longer to be had.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError>;
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// S3: its `ETag`. In a directory: a stamp that grows with every write.
    pub version: Version,
}

/// What tells one version of an object from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// What must hold for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// No such object is there.
    Absent,
    /// The object is this version.
    Is(Version),
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The object is there, as this version.
    Written(Version),
    /// Somebody else wrote first, or is writing now: read again, and decide anew.
    Conflict,
}
