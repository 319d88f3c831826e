//! A store in a directory, with a function that is called before every operation.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use lake::{ErrorKind, ListedObject, Local, Object, Precondition, Store, StoreError, Version, WriteOutcome};

/// The function that is called before an operation on a key. Its error is that of the operation.
type Before = dyn Fn(&'static str, &str) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

/// A store in a directory that calls a function before each operation.
pub(super) struct Interposed {
    inner: Local,
    before: Box<Before>,
}

impl Interposed {
    /// Creates a store for the lake at `root`. `before` gets `list`, `read` or `write`, and the key.
    pub(super) fn new<F>(root: &Path, before: impl Fn(&'static str, &str) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let before = move |operation, key: &str| -> BoxFuture<'static, _> { Box::pin(before(operation, key)) };
        Self { inner: Local::new(root.to_owned()), before: Box::new(before) }
    }
}

/// The error of an operation that the test refuses.
pub(super) fn refusal(kind: ErrorKind, operation: &'static str, key: &str) -> StoreError {
    StoreError { kind, operation, place: key.to_owned(), detail: "the test refuses it".into() }
}

impl fmt::Debug for Interposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interposed").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Interposed {
    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        (self.before)("list", prefix).await?;
        self.inner.list(prefix).await
    }

    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        (self.before)("read", &listed.key).await?;
        self.inner.open(listed).await
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        (self.before)("read", key).await?;
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        (self.before)("write", key).await?;
        self.inner.put(key, bytes, precondition).await
    }
}
