//! A lake in memory, for tests: the same promises as the others, without a disk or a network.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::store::{Listed, Object, Precondition, Store, Version, WriteOutcome};
use crate::{Kind, StoreError};

/// Objects in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    objects: Arc<Mutex<Objects>>,
}

#[derive(Debug, Default)]
struct Objects {
    /// By key: the bytes, and the number of the write that made them.
    stored: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
}

impl Memory {
    /// The keys and bytes of all objects, in the order of their keys.
    pub fn objects(&self) -> Vec<(String, Bytes)> {
        self.with(|objects| objects.stored.iter().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Objects) -> T) -> T {
        work(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn version(write: u64) -> Version {
    Version(write.to_string())
}

#[async_trait]
impl Store for Memory {
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        Ok(self.with(|objects| {
            let from = objects.stored.range(prefix.to_owned()..);
            let listed = from.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, (bytes, write))| Listed {
                key: key.clone(),
                size: bytes.len() as u64,
                version: version(*write),
            });
            listed.collect()
        }))
    }

    async fn open(&self, listed: &Listed) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let stored = self.with(|objects| objects.stored.get(&listed.key).cloned());
        let object = |(bytes, write)| Arc::new(MemoryObject { bytes, version: version(write) }) as Arc<dyn Object>;
        Ok(stored.map(object))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        Ok(self.with(|objects| objects.stored.get(key).map(|(bytes, write)| (bytes.clone(), version(*write)))))
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        Ok(self.with(|objects| {
            let current = objects.stored.get(key).map(|(_, write)| version(*write));
            let holds = match (&precondition, &current) {
                (Precondition::Absent, None) => true,
                (Precondition::Is(expected), Some(current)) => expected == current,
                _ => false,
            };
            if !holds {
                return WriteOutcome::Conflict;
            }
            objects.writes += 1;
            objects.stored.insert(key.to_owned(), (bytes, objects.writes));
            WriteOutcome::Written(version(objects.writes))
        }))
    }
}

/// An object as it was when it was opened.
#[derive(Debug)]
struct MemoryObject {
    bytes: Bytes,
    version: Version,
}

#[async_trait]
impl Object for MemoryObject {
    fn version(&self) -> &Version {
        &self.version
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bytes = range.filter(|(from, to)| from <= to && *to <= self.bytes.len());
        bytes.map(|(from, to)| self.bytes.slice(from..to)).ok_or_else(|| StoreError {
            kind: Kind::Other,
            operation: "read",
            place: String::new(),
            detail: "the range lies outside of the object".into(),
        })
    }
}
