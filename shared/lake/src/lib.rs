//! The objects of a lake: where they are stored, and how they change.
//!
//! A lake is the root of all tables. It is a directory or a prefix of an S3 bucket, and everything in it is an object: bytes under a key.
//! The crates above this one rely on two promises. An object is replaced as a whole, in one step, so that a reader sees the old object or
//! the new one. And a write happens only if its [`Precondition`] holds at that moment, so that no writer overwrites a version that it
//! did not read. Nothing is ever deleted.
//!
//! This crate knows bytes and small documents. It does not know what a row, a part or an API is.
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the trait that every store implements, and its promises |
//! | [`local`], [`s3`], [`memory`] | the stores: a directory, an S3 bucket, and memory for tests |
//! | [`document`] | small objects that change by compare-and-swap |
//! | [`conflict`] | how a writer retries after a write conflict |
//! | `date` | the clock of a store, by the dates of its responses |
//! | [`location`], [`aws`], [`error`] | the address of a lake, the AWS configuration, the errors of a store |

pub mod aws;
pub mod conflict;
mod date;
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
pub use error::{ErrorKind, StoreError};
pub use local::Local;
pub use location::Location;
pub use memory::Memory;
pub use s3::S3;
pub use store::{ListedObject, Object, Precondition, Store, Version, WriteOutcome};

/// Returns the store at `location`. No request is sent; a bucket that does not exist is found by the first operation.
pub async fn open(location: &Location, aws: &Aws) -> Arc<dyn Store> {
    match location {
        Location::Directory(path) => Arc::new(Local::new(path.clone())),
        Location::S3 { bucket, prefix } => Arc::new(S3::new(aws.config().await, bucket, prefix)),
    }
}
