//! A lake in a directory: conditional writes by a lock and an atomic rename.
//!
//! A part is first written whole and flushed to disk under `_tmp`, then, under the lake's lock, compared and renamed. A
//! killed process leaves at most a file under `_tmp`, which nothing reads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Kind, Listed, Object, Precondition, Store, StoreError, Version, WriteOutcome};

/// Holds files being written, and the lock. Readers of Hive folders pass over names that begin with `_`.
const TEMPORARY: &str = "_tmp";
const LOCK: &str = "lock";

/// A directory as a store.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// The lake at `root`, which is made when something is first written.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn error(&self, operation: &'static str, key: &str, error: &io::Error) -> StoreError {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            io::ErrorKind::NotFound => Kind::Missing,
            _ => Kind::Other,
        };
        StoreError { kind, operation, place: self.root.join(key).display().to_string(), detail: error.to_string() }
    }

    /// Runs blocking work on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = self.root.clone();
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(|error| self.error(operation, key, &error))
    }
}

#[async_trait]
impl Store for Local {
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let wanted = prefix.to_owned();
        self.blocking("list", prefix, move |root| {
            let folder = wanted.rfind('/').map_or("", |end| &wanted[..end]);
            let mut found = Vec::new();
            // Held, so that nothing is replaced meanwhile: some file systems then pass over its name (tmpfs and Btrfs, in a
            // folder that takes more than one read). A part passed over is a key written again.
            let lock = match File::open(root.join(TEMPORARY).join(LOCK)) {
                Ok(lock) => lock.lock_shared().map(|()| Some(lock))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            walk(root, &root.join(folder), &mut found)?;
            drop(lock);
            found.retain(|listed| listed.key.starts_with(&wanted));
            found.sort_by(|one, other| one.key.cmp(&other.key));
            Ok(found)
        })
        .await
    }

    async fn open(&self, listed: &Listed) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let path = self.root.join(&listed.key);
        let opened = self.blocking("read", &listed.key, move |_| match File::open(&path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                let (version, size) = (version(&metadata), metadata.len());
                Ok(Some(OpenFile { file: Arc::new(file), version, size, place: path.display().to_string() }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        Ok(opened.await?.map(|file| Arc::new(file) as Arc<dyn Object>))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let listed = Listed { key: key.to_owned(), size: 0, version: Version(String::new()) };
        match self.open(&listed).await? {
            Some(object) => Ok(Some((object.read(0..object.size()).await?, object.version().clone()))),
            None => Ok(None),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let name = key.to_owned();
        self.blocking("write", key, move |root| {
            let temporary = root.join(TEMPORARY);
            let target = root.join(&name);
            let folder = target.parent().unwrap_or(root);
            fs::create_dir_all(&temporary)?;
            fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new().prefix("put-").tempfile_in(&temporary)?;
            file.write_all(&bytes)?;
            let lock = File::options().create(true).append(true).open(temporary.join(LOCK))?;
            lock.lock()?;
            let current = match fs::metadata(&target) {
                Ok(metadata) => Some(metadata),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let holds = match (&precondition, &current) {
                (Precondition::Absent, None) => true,
                (Precondition::Is(expected), Some(metadata)) => *expected == version(metadata),
                _ => false,
            };
            if !holds {
                return Ok(WriteOutcome::Conflict);
            }
            file.as_file().set_modified(stamp(current.as_ref())?)?;
            file.as_file().sync_all()?;
            let file = file.persist(&target).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()?;
            Ok(WriteOutcome::Written(version(&file.metadata()?)))
        })
        .await
    }
}

/// Every file below `folder`, with keys relative to `root`; names that begin with `_tmp` aside.
fn walk(root: &Path, folder: &Path, found: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            if entry.file_name() != TEMPORARY {
                walk(root, &path, found)?;
            }
        } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(Listed { key: key.to_owned(), size: metadata.len(), version: version(&metadata) });
        }
    }
    Ok(())
}

/// The time stamp of the next version: now, and later than that of the one it replaces by at least a microsecond, also when the clock
/// went back. So no two versions of a file are alike, whatever their size and inode.
fn stamp(current: Option<&fs::Metadata>) -> io::Result<SystemTime> {
    let now = SystemTime::now();
    Ok(match current {
        Some(metadata) => now.max(metadata.modified()? + Duration::from_micros(1)),
        None => now,
    })
}

fn version(metadata: &fs::Metadata) -> Version {
    Version(format!("{}.{:09}-{}-{}", metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

/// An open file: it stays the version it was, also when a newer one takes its name.
#[derive(Debug)]
struct OpenFile {
    file: Arc<File>,
    version: Version,
    size: u64,
    place: String,
}

#[async_trait]
impl Object for OpenFile {
    fn version(&self) -> &Version {
        &self.version
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        });
        read.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(|error: io::Error| StoreError {
            kind: Kind::Other,
            operation: "read",
            place: self.place.clone(),
            detail: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listing_passes_over_nothing_that_is_replaced_meanwhile() {
        // tmpfs where there is one: it passes over a replaced name that a listing in several reads has yet to come to.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let store = Local::new(root.path().to_owned());
        let key = |number: usize| format!("folder/part-{number:05}.parquet");
        let mut versions = Vec::new();
        for number in 0..2000 {
            match store.put(&key(number), Bytes::new(), Precondition::Absent).await.unwrap() {
                WriteOutcome::Written(version) => versions.push(version),
                WriteOutcome::Conflict => panic!("{} is there already", key(number)),
            }
        }
        let writes = async {
            for (number, version) in versions.into_iter().enumerate() {
                store.put(&key(number), Bytes::new(), Precondition::Is(version)).await.unwrap();
            }
        };
        let mut writes = std::pin::pin!(writes);
        let mut listed = 0;
        loop {
            tokio::select! {
                () = &mut writes => break,
                parts = store.list("folder/part-") => {
                    listed += 1;
                    assert_eq!(parts.unwrap().len(), 2000);
                }
            }
        }
        assert!(listed > 0);
    }
}
