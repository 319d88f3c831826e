//! A store in a directory: conditional writes by a lock and an atomic rename.
//!
//! An object is first written as a whole under `_tmp` and flushed to the disk. Then, under the lock of the lake, the stored version is
//! compared with the precondition and the new file takes its name. A killed process leaves at most a file under `_tmp`, which nobody
//! reads.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ErrorKind, StoreError};
use crate::store::{ListedObject, Object, Precondition, Store, Version, WriteOutcome};

/// The folder of the lock and of files that are not complete yet. Readers of Hive partitions ignore names that begin with `_`.
const TEMPORARY_FOLDER: &str = "_tmp";

/// The name of the file in [`TEMPORARY_FOLDER`] that is locked during a listing and at the end of a write.
const LOCK_FILE: &str = "lock";

/// A directory as a store.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// Creates a store for the lake at `root`. The first write creates the directory.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Runs `work`, which is given the root of the lake, on a thread that may block.
    async fn run_blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = self.root.clone();
        let result = tokio::task::spawn_blocking(move || work(&root)).await;
        result.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(|error| self.error(operation, key, &error))
    }

    fn error(&self, operation: &'static str, key: &str, error: &io::Error) -> StoreError {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => ErrorKind::Missing,
            _ => ErrorKind::Other,
        };
        StoreError { kind, operation, place: self.root.join(key).display().to_string(), detail: error.to_string() }
    }
}

#[async_trait]
impl Store for Local {
    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        let wanted = prefix.to_owned();
        self.run_blocking("list", prefix, move |root| list_files(root, &wanted)).await
    }

    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let key = listed.key.clone();
        let opened = self.run_blocking("read", &listed.key, move |root| open_file(&root.join(key))).await?;
        Ok(opened.map(|file| Arc::new(file) as Arc<dyn Object>))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let listed = ListedObject { key: key.to_owned(), size: 0, version: Version(String::new()) };
        match self.open(&listed).await? {
            Some(object) => Ok(Some((object.read(0..object.size()).await?, object.version().clone()))),
            None => Ok(None),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let name = key.to_owned();
        self.run_blocking("write", key, move |root| write_file(root, &name, &bytes, &precondition)).await
    }
}

/// Lists the files below `root` whose key begins with `prefix`, in the order of the keys.
fn list_files(root: &Path, prefix: &str) -> io::Result<Vec<ListedObject>> {
    let folder = prefix.rfind('/').map_or("", |end| &prefix[..end]);
    let mut found = Vec::new();
    // The lock keeps writers from replacing a file during the listing: some file systems then skip its name (tmpfs and Btrfs, in a
    // folder that takes more than one read). The rows of a skipped part would be inserted a second time.
    let lock = match File::open(root.join(TEMPORARY_FOLDER).join(LOCK_FILE)) {
        Ok(lock) => lock.lock_shared().map(|()| Some(lock))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    collect_files(root, &root.join(folder), &mut found)?;
    drop(lock);
    found.retain(|listed| listed.key.starts_with(prefix));
    found.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(found)
}

/// Adds every file below `folder` to `found`, with its key relative to `root`. A folder that does not exist has no files, and those
/// under `_tmp` do not count.
fn collect_files(root: &Path, folder: &Path, found: &mut Vec<ListedObject>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // A folder on another disk is a link. One that leads nowhere is an error, since the rows behind it would be taken for absent.
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            if entry.file_name() != TEMPORARY_FOLDER {
                collect_files(root, &path, found)?;
            }
        } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(ListedObject { key: key.to_owned(), size: metadata.len(), version: version_of(&metadata) });
        }
    }
    Ok(())
}

/// Opens the file at `path`, or returns `None` if there is none.
fn open_file(path: &Path) -> io::Result<Option<OpenFile>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let (version, size) = (version_of(&metadata), metadata.len());
    Ok(Some(OpenFile { file: Arc::new(file), version, size, place: path.display().to_string() }))
}

/// Writes the object `key` below `root` if `precondition` holds.
fn write_file(root: &Path, key: &str, bytes: &[u8], precondition: &Precondition) -> io::Result<WriteOutcome> {
    let temporary = root.join(TEMPORARY_FOLDER);
    let target = root.join(key);
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(&temporary)?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix("put-").tempfile_in(&temporary)?;
    file.write_all(bytes)?;
    let lock = File::options().create(true).append(true).open(temporary.join(LOCK_FILE))?;
    lock.lock()?;
    let current = match fs::metadata(&target) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let holds = match (precondition, &current) {
        (Precondition::Absent, None) => true,
        (Precondition::Is(expected), Some(metadata)) => *expected == version_of(metadata),
        _ => false,
    };
    if !holds {
        return Ok(WriteOutcome::Conflict);
    }
    file.as_file().set_modified(next_time_stamp(current.as_ref())?)?;
    file.as_file().sync_all()?;
    let file = file.persist(&target).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(WriteOutcome::Written(version_of(&file.metadata()?)))
}

/// Returns the time stamp of the file that replaces `current`: now, but at least a microsecond after that of `current`, even if the
/// clock was set back. So no two versions of a file are equal, whatever their size and inode.
fn next_time_stamp(current: Option<&fs::Metadata>) -> io::Result<SystemTime> {
    let now = SystemTime::now();
    Ok(match current {
        Some(metadata) => now.max(metadata.modified()? + Duration::from_micros(1)),
        None => now,
    })
}

/// Returns the version of a file: its time stamp, size and inode.
fn version_of(metadata: &fs::Metadata) -> Version {
    Version(format!("{}.{:09}-{}-{}", metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

/// An open file. It keeps the bytes of its version even if another file takes its name.
#[derive(Debug)]
struct OpenFile {
    file: Arc<File>,
    version: Version,
    /// The size in bytes.
    size: u64,
    /// The path, for messages.
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
            kind: ErrorKind::Other,
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
    async fn a_folder_may_be_a_link() {
        let (lake, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Local::new(lake.path().to_owned());
        store.put("table/b=0/part", Bytes::from_static(b"0"), Precondition::Absent).await.unwrap();
        fs::rename(lake.path().join("table/b=0"), other.path().join("b=0")).unwrap();
        std::os::unix::fs::symlink(other.path().join("b=0"), lake.path().join("table/b=0")).unwrap();
        let listed = store.list("table/").await.unwrap();
        assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["table/b=0/part"]);
        assert_eq!(store.get("table/b=0/part").await.unwrap().map(|(bytes, _)| bytes), Some(Bytes::from_static(b"0")));
        fs::remove_dir_all(other.path().join("b=0")).unwrap();
        assert_eq!(store.list("table/").await.unwrap_err().kind, ErrorKind::Missing);
    }

    #[tokio::test]
    async fn a_listing_has_every_object_while_others_are_replaced() {
        // On tmpfs, if there is one: a listing that takes several reads skips a name that is replaced before it gets there.
        let tmpfs = Path::new("/dev/shm");
        let root = if tmpfs.is_dir() { tempfile::tempdir_in(tmpfs) } else { tempfile::tempdir() }.unwrap();
        let store = Local::new(root.path().to_owned());
        let key = |number: usize| format!("folder/part-{number:05}.parquet");
        let mut versions = Vec::new();
        for number in 0..2000 {
            match store.put(&key(number), Bytes::new(), Precondition::Absent).await.unwrap() {
                WriteOutcome::Written(version) => versions.push(version),
                WriteOutcome::Conflict => panic!("{} exists already", key(number)),
            }
        }
        let writes = async {
            for (number, version) in versions.into_iter().enumerate() {
                store.put(&key(number), Bytes::new(), Precondition::Is(version)).await.unwrap();
            }
        };
        let mut writes = std::pin::pin!(writes);
        let mut listings = 0;
        loop {
            tokio::select! {
                () = &mut writes => break,
                parts = store.list("folder/part-") => {
                    listings += 1;
                    assert_eq!(parts.unwrap().len(), 2000);
                }
            }
        }
        assert!(listings > 0);
    }
}
