//! Where a lake's objects lie, and how they change.
//!
//! Two promises carry everything above this crate: an object is replaced whole, in one step, and only while it is what the writer read
//! ([`Precondition`]). A reader sees the object before or after, never between. Nothing is ever deleted.
//!
//! This crate knows bytes and small documents. It does not know what a row, a part or an API is.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the trait that every store implements, and what its promises are |
//! | [`local`], [`s3`], [`memory`] | a directory, an S3 bucket, and memory for tests |
//! | [`document`] | small objects that change by compare-and-swap |
//! | [`conflict`] | how often a write is tried that other writers win |
//! | [`location`], [`aws`], [`error`] | where a lake lies; the AWS configuration; what can go wrong |

pub mod aws;
pub mod conflict;
pub mod document;
pub mod error;
pub mod local;
pub mod location;
pub mod memory;
pub mod s3;
pub mod store;

use std::sync::Arc;

pub use aws::Aws;
pub use conflict::{Attempt, MAX_WRITE_CONFLICTS, retry_on_conflict};
pub use document::{Content, Document, JsonContent, Update};
pub use error::{Kind, StoreError};
pub use local::Local;
pub use location::Location;
pub use memory::Memory;
pub use s3::S3;
pub use store::{Listed, Object, Precondition, Store, Version, WriteOutcome};

/// The store at `location`.
pub async fn open(location: &Location, aws: &Aws) -> Arc<dyn Store> {
    match location {
        Location::Directory(path) => Arc::new(Local::new(path.clone())),
        Location::S3 { bucket, prefix } => Arc::new(S3::new(aws.config().await, bucket, prefix)),
    }
}
