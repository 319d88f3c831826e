//! Where a lake's objects lie: a directory or S3, behind one seam.
//!
//! Two promises carry everything above: an object is replaced whole, in one step, and only while it is what the writer read
//! ([`When`]). A reader sees the object before or after, never between. Nothing is ever deleted.

mod local;
mod s3;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use local::Local;
pub use s3::S3;

use crate::aws::Aws;
use crate::request::Location;

/// The objects of one lake. Keys are relative to it, with `/` between their parts.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Every object whose key begins with `prefix`, in the order of their keys.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// A listed object, to be read in parts that all belong to one version; `None` when it has never been.
    async fn open(&self, listed: &Listed) -> Result<Option<Arc<dyn Object>>, StoreError>;

    /// A whole object and its version; `None` when it is not there.
    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError>;

    /// Writes a whole object, provided that `when` holds at that moment; [`Put::Conflict`] otherwise.
    async fn put(&self, key: &str, bytes: Bytes, when: When) -> Result<Put, StoreError>;
}

/// One version of an object.
#[async_trait]
pub trait Object: Send + Sync + std::fmt::Debug {
    /// What a [`When::Is`] is compared with.
    fn version(&self) -> &Version;

    /// In bytes.
    fn size(&self) -> u64;

    /// The bytes of `range`. An error of kind [`Kind::Changed`] when this version is no longer to be had.
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
pub enum When {
    /// No such object is there.
    Absent,
    /// The object is this version.
    Is(Version),
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there, as this version.
    Done(Version),
    /// Somebody else wrote first, or is writing now: read again, and decide anew.
    Conflict,
}

/// What kind of trouble a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The version being read was replaced: read again.
    Changed,
    /// There is no such bucket or directory.
    Missing,
    /// The rights do not suffice.
    Denied,
    /// Anything else: the disk, the network, the service.
    Other,
}

/// A store's trouble with one object.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {place}: {detail}{}", self.advice())]
pub struct StoreError {
    /// What kind.
    pub kind: Kind,
    /// `list`, `read` or `write`.
    pub operation: &'static str,
    /// The object or folder, with the lake before it.
    pub place: String,
    /// The whole chain of causes.
    pub detail: String,
}

impl StoreError {
    /// Whether the same operation may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self.kind, Kind::Changed | Kind::Other)
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            Kind::Denied if self.place.starts_with("s3://") => {
                ". The function needs s3:ListBucket on the bucket and s3:GetObject and s3:PutObject on the prefix"
            }
            Kind::Missing if self.place.starts_with("s3://") => ". Check the bucket's name and region in LAKE",
            _ => "",
        }
    }
}

/// Waits after a [`Put::Conflict`]: longer each time, at random, so that racing writers come apart.
pub(crate) async fn wait_after_conflict(lost: u32) {
    use rand::RngExt;
    let longest = Duration::from_millis(20).saturating_mul(1 << lost.min(6));
    let wait = longest.mul_f64(rand::rng().random_range(0.1..=1.0));
    tokio::time::sleep(wait).await;
}

/// The store at `location`.
pub async fn open(location: &Location, aws: &Aws) -> Arc<dyn Store> {
    match location {
        Location::Directory(path) => Arc::new(Local::new(path.clone())),
        Location::S3 { bucket, prefix } => Arc::new(S3::new(aws.config().await, bucket, prefix)),
    }
}
