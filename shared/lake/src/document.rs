//! Small stored documents that change only by compare-and-swap.
//!
//! A document is one object. The code that changes it passes a function from the old value to the new one, and never sees a version, a
//! write conflict or a retry. [`Document::update`] reads the document, calls the function, and writes the result on the condition that
//! nobody wrote since. After a write conflict it reads again and calls the function again.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::conflict::{Attempt, retry_on_conflict};
use crate::error::{ErrorKind, StoreError};
use crate::store::{Precondition, Store, Version, WriteOutcome};

/// A value that is stored as one object.
pub trait Content: Clone {
    /// The name of the document in messages.
    const NAME: &'static str;

    /// Returns the bytes of the object.
    ///
    /// # Errors
    ///
    /// A message that says why the value cannot be written.
    fn encode(&self) -> Result<Bytes, String>;

    /// Returns the value that an object's bytes hold.
    ///
    /// # Errors
    ///
    /// A message that says why the bytes do not hold such a value.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// A value that is stored as a JSON object. The member `version` of that object holds the version of its form.
///
/// The member `write` is random. A store may recognise a write whose response was lost by its bytes, so two writers that store the same value
/// must not send the same bytes: each would take the write of the other for its own, and one of two reservations of a quota would be lost.
pub trait JsonContent: Clone + Serialize + DeserializeOwned {
    /// The name of the document in messages.
    const NAME: &'static str;
    /// The version of the form that this build reads and writes. A document with another version is refused: another build wrote it, and
    /// this one does not know what it means.
    const VERSION: u64;
}

impl<T: JsonContent> Content for T {
    const NAME: &'static str = <T as JsonContent>::NAME;

    fn encode(&self) -> Result<Bytes, String> {
        let mut value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let members = value.as_object_mut().ok_or("it is not written as a JSON object")?;
        members.insert("version".to_owned(), T::VERSION.into());
        members.insert("write".to_owned(), format!("{:016x}", rand::random::<u64>()).into());
        serde_json::to_vec(&value).map(Bytes::from).map_err(|error| error.to_string())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let version = value.as_object_mut().and_then(|members| {
            members.remove("write");
            members.remove("version")
        });
        check_version(version.as_ref(), T::VERSION)?;
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

/// Checks that a document has the version that this build reads.
fn check_version(stored: Option<&Value>, readable: u64) -> Result<(), String> {
    let Some(stored) = stored else {
        return Err("it has no `version`: ticketlake did not write it, or a build from before version 1 did".into());
    };
    match stored.as_u64() {
        Some(version) if version == readable => Ok(()),
        Some(version) if version > readable => Err(format!(
            "its version is {version}, this build of ticketlake reads version {readable}: use the build that wrote it, or a later one"
        )),
        Some(version) => Err(format!("its version is {version}, this build of ticketlake reads version {readable}")),
        None => Err(format!("its version is not a number, this build of ticketlake reads version {readable}")),
    }
}

/// The result of [`Document::update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The changed value was written.
    Written,
    /// There was nothing to change, and nothing was written.
    Unchanged,
}

/// One stored document, as it was last read or written.
#[derive(Debug)]
pub struct Document<'s, T> {
    store: &'s dyn Store,
    key: String,
    stored: Stored<T>,
}

/// What a [`Document`] knows of its object.
#[derive(Debug)]
enum Stored<T> {
    /// The object was not read yet.
    Unread,
    /// There was no object when it was last read.
    Absent,
    /// The object held this value and had this version when it was last read or written.
    Present(T, Version),
    /// The object of this version could not be decoded, and the next write replaces it.
    Discarded(Version),
}

impl<'s, T: Content> Document<'s, T> {
    /// Creates a document at `key` of `store`, and reads nothing yet.
    pub fn new(store: &'s dyn Store, key: impl Into<String>) -> Self {
        Self { store, key: key.into(), stored: Stored::Unread }
    }

    /// Creates a document at `key` of `store`, and reads it.
    ///
    /// # Errors
    ///
    /// The error of the store, or one of kind [`ErrorKind::Unreadable`] for an object that is not such a document or has another version.
    pub async fn load(store: &'s dyn Store, key: impl Into<String>) -> Result<Self, StoreError> {
        let mut document = Self::new(store, key);
        document.refresh().await?;
        Ok(document)
    }

    /// Returns the key of the document, relative to the lake.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the document was read or written before.
    pub fn is_loaded(&self) -> bool {
        !matches!(self.stored, Stored::Unread)
    }

    /// Returns the value as it was last read or written, or `None` if there is no object or it was not read yet.
    pub fn value(&self) -> Option<&T> {
        match &self.stored {
            Stored::Present(value, _) => Some(value),
            Stored::Unread | Stored::Absent | Stored::Discarded(_) => None,
        }
    }

    /// Reads the document again.
    ///
    /// # Errors
    ///
    /// See [`Document::load`].
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        match self.read().await? {
            Ok(stored) => self.stored = stored,
            Err((error, _)) => return Err(error),
        }
        Ok(())
    }

    /// Reads a document again that is a hint only, so that nothing is lost with it. An object that cannot be decoded counts as no value, and
    /// the next write replaces it. Returns the reason why it could not be decoded.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub async fn refresh_or_discard(&mut self) -> Result<Option<StoreError>, StoreError> {
        let (stored, reason) = match self.read().await? {
            Ok(stored) => (stored, None),
            Err((error, version)) => (Stored::Discarded(version), Some(error)),
        };
        self.stored = stored;
        Ok(reason)
    }

    /// Reads the object. The inner error is that of an object that cannot be decoded, with its version.
    async fn read(&self) -> Result<Result<Stored<T>, (StoreError, Version)>, StoreError> {
        let Some((bytes, version)) = self.store.get(&self.key).await? else { return Ok(Ok(Stored::Absent)) };
        Ok(match T::decode(&bytes) {
            Ok(value) => Ok(Stored::Present(value, version)),
            Err(detail) => {
                let detail = format!("not a {} document: {detail}", T::NAME);
                Err((StoreError::unreadable(&self.key, detail), version))
            }
        })
    }

    /// Writes the value that `change` returns. If it returns `None`, the document stays as it is. After a write conflict the document is
    /// read again and `change` is called again. The first call gets the value that was last read or written, without another read, since
    /// most documents have one writer at a time.
    ///
    /// # Errors
    ///
    /// The error of `change`, the error of the store, or one of kind [`ErrorKind::Conflict`] after the most write conflicts.
    pub async fn update<E: From<StoreError>>(
        &mut self,
        change: impl Fn(Option<&T>) -> Result<Option<T>, E>,
    ) -> Result<Update, E> {
        let key = self.key.clone();
        let mut is_outdated = !self.is_loaded();
        retry_on_conflict(&key, async || {
            // The read follows the wait after a conflict. Before the wait, it would be outdated again.
            if is_outdated {
                self.refresh().await?;
            }
            let Some(next) = change(self.value())? else { return Ok(Attempt::Done(Update::Unchanged)) };
            is_outdated = !self.write(next).await?;
            Ok(if is_outdated { Attempt::Conflict } else { Attempt::Done(Update::Written) })
        })
        .await
    }

    /// Writes `next` if the object has the version that was last read or written. Returns `false` after a write conflict.
    async fn write(&mut self, next: T) -> Result<bool, StoreError> {
        let bytes = next.encode().map_err(|detail| self.encode_error(&detail))?;
        let precondition = match &self.stored {
            Stored::Present(_, version) | Stored::Discarded(version) => Precondition::Is(version.clone()),
            Stored::Unread | Stored::Absent => Precondition::Absent,
        };
        match self.store.put(&self.key, bytes, precondition).await? {
            WriteOutcome::Written(version) => {
                self.stored = Stored::Present(next, version);
                Ok(true)
            }
            WriteOutcome::Conflict => Ok(false),
        }
    }

    fn encode_error(&self, detail: &str) -> StoreError {
        StoreError {
            kind: ErrorKind::Unreadable,
            operation: "write",
            place: self.key.clone(),
            detail: format!("the {} document: {detail}", T::NAME),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use serde::Deserialize;

    use super::*;
    use crate::memory::Memory;
    use crate::store::{ListedObject, Object};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Count {
        count: u64,
    }

    impl JsonContent for Count {
        const NAME: &'static str = "count";
        const VERSION: u64 = 2;
    }

    fn one_more(count: Option<&Count>) -> Result<Option<Count>, StoreError> {
        Ok(Some(Count { count: count.map_or(0, |count| count.count) + 1 }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_update_of_an_outdated_document_counts() {
        let store = Memory::default();
        let mut outdated = Document::<Count>::load(&store, "counts/a").await.unwrap();
        let mut other = Document::<Count>::new(&store, "counts/a");
        for _ in 0..3 {
            assert_eq!(other.update(one_more).await.unwrap(), Update::Written);
        }
        assert_eq!(outdated.update(one_more).await.unwrap(), Update::Written);
        assert_eq!(outdated.value(), Some(&Count { count: 4 }));
        assert_eq!(outdated.update(|_| Ok::<_, StoreError>(None)).await.unwrap(), Update::Unchanged);
    }

    /// A store in memory whose operations give way to other tasks, so that their reads and writes interleave. It recognises a write by its
    /// bytes.
    #[derive(Debug, Default)]
    struct Interleaved(Memory);

    #[async_trait]
    impl Store for Interleaved {
        async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
            tokio::task::yield_now().await;
            self.0.list(prefix).await
        }

        async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
            tokio::task::yield_now().await;
            self.0.open(listed).await
        }

        async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
            tokio::task::yield_now().await;
            self.0.get(key).await
        }

        async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
            tokio::task::yield_now().await;
            let outcome = self.0.put(key, bytes.clone(), precondition).await?;
            // As S3 does, after a response that may have been lost.
            let stored = self.0.get(key).await?.filter(|(stored, _)| *stored == bytes);
            Ok(stored.map_or(outcome, |(_, version)| WriteOutcome::Written(version)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_updates_all_count() {
        let store = Interleaved::default();
        let writers = (0..20).map(|_| async {
            let mut document = Document::<Count>::new(&store, "counts/a");
            document.update(one_more).await.unwrap();
        });
        futures::future::join_all(writers).await;
        let document = Document::<Count>::load(&store, "counts/a").await.unwrap();
        assert_eq!(document.value(), Some(&Count { count: 20 }));
    }

    #[tokio::test]
    async fn a_document_with_another_version_is_refused() {
        for (text, expected) in [
            (r#"{"version": 3, "count": 1}"#, "its version is 3, this build of ticketlake reads version 2"),
            (r#"{"version": 1, "count": 1}"#, "its version is 1"),
            (r#"{"version": "2", "count": 1}"#, "its version is not a number"),
            (r#"{"count": 1}"#, "it has no `version`"),
            ("[2]", "it has no `version`"),
            (r#"{"version": 2}"#, "missing field `count`"),
            ("count", "it is not JSON"),
        ] {
            let store = Memory::default();
            store.put("a", text.into(), Precondition::Absent).await.unwrap();
            let error = Document::<Count>::load(&store, "a").await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unreadable);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
