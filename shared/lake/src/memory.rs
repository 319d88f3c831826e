//! A store in memory, for tests. It keeps the promises of the other stores without a disk or a network.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ErrorKind, StoreError};
use crate::store::{ListedObject, Object, Precondition, Store, Version, WriteOutcome};

/// A store in memory. Its clones share their objects.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    objects: Arc<Mutex<Objects>>,
}

#[derive(Debug, Default)]
struct Objects {
    /// The bytes under each key, and the number of the write that stored them.
    stored: BTreeMap<String, (Bytes, u64)>,
    /// The number of writes so far.
    writes: u64,
    clock_offset: Option<i64>,
}

impl Memory {
    /// Sets how many seconds the clock of the store is ahead of that of the machine.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.lock().clock_offset = Some(seconds);
    }

    /// Returns the keys and bytes of all objects, in the order of the keys.
    pub fn objects(&self) -> Vec<(String, Bytes)> {
        self.lock().stored.iter().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the version that the write with this number stored.
fn version_of(write: u64) -> Version {
    Version(write.to_string())
}

#[async_trait]
impl Store for Memory {
    fn clock_offset(&self) -> Option<i64> {
        self.lock().clock_offset
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        let objects = self.lock();
        let with_prefix = objects.stored.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let listed = with_prefix.map(|(key, (bytes, write))| ListedObject {
            key: key.clone(),
            size: bytes.len() as u64,
            version: version_of(*write),
        });
        Ok(listed.collect())
    }

    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let stored = self.lock().stored.get(&listed.key).cloned();
        Ok(stored.map(|(bytes, write)| {
            Arc::new(MemoryObject { key: listed.key.clone(), bytes, version: version_of(write) }) as Arc<dyn Object>
        }))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let stored = self.lock().stored.get(key).cloned();
        Ok(stored.map(|(bytes, write)| (bytes, version_of(write))))
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let mut objects = self.lock();
        let current = objects.stored.get(key).map(|(_, write)| version_of(*write));
        let holds = match (&precondition, &current) {
            (Precondition::Absent, None) => true,
            (Precondition::Is(expected), Some(current)) => expected == current,
            _ => false,
        };
        if !holds {
            return Ok(WriteOutcome::Conflict);
        }
        objects.writes += 1;
        let write = objects.writes;
        objects.stored.insert(key.to_owned(), (bytes, write));
        Ok(WriteOutcome::Written(version_of(write)))
    }
}

/// An object as it was when it was opened.
#[derive(Debug)]
struct MemoryObject {
    key: String,
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
        match range.filter(|(start, end)| start <= end && *end <= self.bytes.len()) {
            Some((start, end)) => Ok(self.bytes.slice(start..end)),
            None => Err(StoreError {
                kind: ErrorKind::Other,
                operation: "read",
                place: self.key.clone(),
                detail: "the range lies outside of the object".into(),
            }),
        }
    }
}
