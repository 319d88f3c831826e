//! Small stored documents that change only by compare-and-swap.
//!
//! A document is one object. Whoever changes it passes a function from the old value to the new one, and never sees a version, a conflict
//! or a retry: [`Document::update`] reads, calls the function, and writes on condition that nobody wrote meanwhile; otherwise it reads
//! again and calls the function again.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StoreError;
use crate::conflict::{Attempt, retry_on_conflict};
use crate::store::{Precondition, Store, Version, WriteOutcome};

/// A value that is stored as one object.
pub trait Content: Clone {
    /// What the document is called in messages.
    const NAME: &'static str;

    /// The object's bytes.
    ///
    /// # Errors
    ///
    /// A message that says why the value cannot be written.
    fn encode(&self) -> Result<Bytes, String>;

    /// The value in an object's bytes.
    ///
    /// # Errors
    ///
    /// A message that says why the bytes are not such a value.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// A value that is stored as a JSON object, with the version of its form in the member `version`.
pub trait JsonContent: Clone + Serialize + DeserializeOwned {
    /// What the document is called in messages.
    const NAME: &'static str;
    /// The version of the form that this build reads and writes. Another one is refused: it was written by another build, whose meaning
    /// this one does not know.
    const VERSION: u64;
}

impl<T: JsonContent> Content for T {
    const NAME: &'static str = <T as JsonContent>::NAME;

    fn encode(&self) -> Result<Bytes, String> {
        let mut value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let members = value.as_object_mut().ok_or("it is not written as a JSON object")?;
        members.insert("version".to_owned(), T::VERSION.into());
        serde_json::to_vec_pretty(&value).map(Bytes::from).map_err(|error| error.to_string())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let version = value.as_object_mut().and_then(|members| members.remove("version"));
        match version.as_ref().map(Value::as_u64) {
            Some(Some(version)) if version == T::VERSION => {}
            Some(Some(version)) if version > T::VERSION => {
                return Err(format!(
                    "its version is {version}, this build of ticketlake reads version {}: use the build that wrote it, or a later one",
                    T::VERSION
                ));
            }
            Some(version) => {
                let seen = version.map_or_else(|| "no number".to_owned(), |version| version.to_string());
                return Err(format!("its version is {seen}, this build of ticketlake reads version {}", T::VERSION));
            }
            None => {
                return Err(
                    "it has no `version`: it is not written by ticketlake, or by a build of before version 1".into()
                );
            }
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

/// What [`Document::update`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The changed value was written.
    Written,
    /// There was nothing to change.
    Unchanged,
}

/// One stored document, as it was last read or written.
#[derive(Debug)]
pub struct Document<'s, T> {
    store: &'s dyn Store,
    key: String,
    /// `None` before the first read.
    known: Option<Option<(T, Version)>>,
}

impl<'s, T: Content> Document<'s, T> {
    /// The document at `key` of `store`. Nothing is read yet.
    pub fn new(store: &'s dyn Store, key: impl Into<String>) -> Self {
        Self { store, key: key.into(), known: None }
    }

    /// The document at `key` of `store`, read.
    ///
    /// # Errors
    ///
    /// One of kind [`Kind::Unreadable`](crate::Kind::Unreadable) for an object that is no such document, or one of another version.
    pub async fn load(store: &'s dyn Store, key: impl Into<String>) -> Result<Self, StoreError> {
        let mut document = Self::new(store, key);
        document.refresh().await?;
        Ok(document)
    }

    /// The document's key below the lake.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it was read or written already.
    pub fn is_loaded(&self) -> bool {
        self.known.is_some()
    }

    /// The value as it was last read or written; `None` if there is none.
    pub fn value(&self) -> Option<&T> {
        self.known.as_ref()?.as_ref().map(|(value, _)| value)
    }

    /// Reads the document again.
    ///
    /// # Errors
    ///
    /// See [`Document::load`].
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let stored = match self.store.get(&self.key).await? {
            Some((bytes, version)) => {
                let value = T::decode(&bytes).map_err(|detail| {
                    StoreError::unreadable(&self.key, format!("not a {} document: {detail}", T::NAME))
                })?;
                Some((value, version))
            }
            None => None,
        };
        self.known = Some(stored);
        Ok(())
    }

    /// Writes what `change` makes of the value; `None` leaves the document as it is. When another writer was first, the document is
    /// read again and `change` is called again. A value that was read before this call is taken as it is at first, since most documents
    /// have one writer at a time.
    ///
    /// # Errors
    ///
    /// The error of `change`, or the store's.
    pub async fn update<E: From<StoreError>>(
        &mut self,
        change: impl Fn(Option<&T>) -> Result<Option<T>, E>,
    ) -> Result<Update, E> {
        if self.known.is_none() {
            self.refresh().await?;
        }
        let key = self.key.clone();
        retry_on_conflict(&key, async || {
            let Some(next) = change(self.value())? else { return Ok(Attempt::Done(Update::Unchanged)) };
            if self.write(next).await? {
                return Ok(Attempt::Done(Update::Written));
            }
            self.refresh().await?;
            Ok(Attempt::Conflict)
        })
        .await
    }

    /// Writes `next` if the stored document is still the one that is known; otherwise `false`.
    async fn write(&mut self, next: T) -> Result<bool, StoreError> {
        let bytes = next
            .encode()
            .map_err(|detail| StoreError::unreadable(&self.key, format!("the {} document: {detail}", T::NAME)))?;
        let version = self.known.as_ref().and_then(|known| known.as_ref()).map(|(_, version)| version.clone());
        let precondition = version.map_or(Precondition::Absent, Precondition::Is);
        match self.store.put(&self.key, bytes, precondition).await? {
            WriteOutcome::Written(version) => {
                self.known = Some(Some((next, version)));
                Ok(true)
            }
            WriteOutcome::Conflict => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Kind, Memory};

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
    async fn every_update_counts_whoever_writes_between() {
        let store = Memory::default();
        let mut stale = Document::<Count>::load(&store, "counts/a").await.unwrap();
        let mut other = Document::<Count>::new(&store, "counts/a");
        for _ in 0..3 {
            assert_eq!(other.update(one_more).await.unwrap(), Update::Written);
        }
        assert_eq!(stale.update(one_more).await.unwrap(), Update::Written);
        assert_eq!(stale.value(), Some(&Count { count: 4 }));
        assert_eq!(stale.update(|_| Ok::<_, StoreError>(None)).await.unwrap(), Update::Unchanged);
    }

    #[tokio::test(start_paused = true)]
    async fn writers_at_once_lose_no_update() {
        let store = Memory::default();
        let writers = (0..20).map(|_| async {
            let mut document = Document::<Count>::new(&store, "counts/a");
            document.update(one_more).await.unwrap();
        });
        futures::future::join_all(writers).await;
        let document = Document::<Count>::load(&store, "counts/a").await.unwrap();
        assert_eq!(document.value(), Some(&Count { count: 20 }));
    }

    #[tokio::test]
    async fn a_document_of_another_version_is_refused() {
        for (text, expected) in [
            (r#"{"version": 3, "count": 1}"#, "its version is 3, this build of ticketlake reads version 2"),
            (r#"{"version": 1, "count": 1}"#, "its version is 1"),
            (r#"{"count": 1}"#, "it has no `version`"),
            (r#"{"version": 2}"#, "missing field `count`"),
            ("count", "it is not JSON"),
        ] {
            let store = Memory::default();
            store.put("a", text.into(), Precondition::Absent).await.unwrap();
            let error = Document::<Count>::load(&store, "a").await.unwrap_err();
            assert_eq!(error.kind, Kind::Unreadable);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
