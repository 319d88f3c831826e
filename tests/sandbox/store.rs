//! A store that counts its operations, and fails or stops at a given one.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lake::{ErrorKind, ListedObject, Object, Precondition, Store, StoreError, Version, WriteOutcome};

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It fails and has not happened.
    Refused,
    /// It happens, and its answer is lost.
    AnswerLost,
    /// The process dies before it happens: this operation and all later ones fail.
    KilledBefore,
    /// The process dies when it has happened: all later operations fail too.
    KilledAfter,
}

impl Trouble {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Refused, Self::AnswerLost, Self::KilledBefore, Self::KilledAfter];

    fn takes_effect(self) -> bool {
        matches!(self, Self::AnswerLost | Self::KilledAfter)
    }

    fn is_the_end(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// What was asked of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Listings.
    pub lists: u64,
    /// Objects that they told of.
    pub listed: u64,
    /// Objects opened, of which S3 hears nothing.
    pub opens: u64,
    /// Whole objects read.
    pub gets: u64,
    /// Ranges of objects read.
    pub reads: u64,
    /// Objects written.
    pub puts: u64,
    /// Bytes of whole objects and ranges.
    pub bytes_read: u64,
    /// Bytes of the objects written.
    pub bytes_written: u64,
}

impl Cost {
    /// Requests that S3 would have answered, a listing's further pages aside.
    pub fn requests(&self) -> u64 {
        self.lists + self.gets + self.reads + self.puts
    }

    /// Bytes in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes_read + self.bytes_written
    }
}

/// A store around another.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    course: Arc<Course>,
}

/// What a store and its open objects share.
struct Course {
    /// The number of the operation that goes wrong, from 1, and how.
    trouble: Option<(u64, Trouble)>,
    begun: AtomicU64,
    dead: AtomicBool,
    cost: Mutex<Cost>,
    witness: Option<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course").field("trouble", &self.trouble).field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Faulty {
    /// Counts, and does what `inner` does.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let course = Course {
            trouble: None,
            begun: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            cost: Mutex::default(),
            witness: None,
        };
        Self { inner, course: Arc::new(course) }
    }

    /// As `inner`, but for operation `number`, from 1, in the order they begin.
    #[must_use]
    pub fn failing_at(inner: Arc<dyn Store>, number: u64, trouble: Trouble) -> Self {
        let mut faulty = Self::new(inner);
        faulty.change(|course| course.trouble = Some((number, trouble)));
        faulty
    }

    /// Calls `witness` after every write that took effect: what it sees then is what a reader may see.
    #[must_use]
    pub fn seen_by(mut self, witness: impl Fn() + Send + Sync + 'static) -> Self {
        self.change(|course| course.witness = Some(Box::new(witness)));
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut Course)) {
        change(Arc::get_mut(&mut self.course).expect("a store that is not yet in use"));
    }

    /// Operations begun so far.
    pub fn operations(&self) -> u64 {
        self.course.begun.load(Ordering::Acquire)
    }

    /// What was asked so far.
    pub fn cost(&self) -> Cost {
        *self.course.cost.lock().unwrap()
    }
}

impl Course {
    /// Does `work` unless this operation's number is up.
    async fn take<T>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let number = 1 + self.begun.fetch_add(1, Ordering::AcqRel);
        let failed = |detail: String| StoreError { kind: ErrorKind::Other, operation, place: key.to_owned(), detail };
        if self.dead.load(Ordering::Acquire) {
            return Err(failed("the process is dead".into()));
        }
        let Some((_, trouble)) = self.trouble.filter(|(at, _)| *at == number) else {
            return work.await;
        };
        if trouble.is_the_end() {
            self.dead.store(true, Ordering::Release);
        }
        if trouble.takes_effect() {
            work.await?;
        }
        Err(failed(format!("{trouble:?} at operation {number}")))
    }

    fn count(&self, count: impl FnOnce(&mut Cost)) {
        count(&mut self.cost.lock().unwrap());
    }
}

#[async_trait::async_trait]
impl Store for Faulty {
    fn clock_offset(&self) -> Option<i64> {
        self.inner.clock_offset()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        let work = async {
            let found = self.inner.list(prefix).await?;
            self.course.count(|cost| {
                cost.lists += 1;
                cost.listed += found.len() as u64;
            });
            Ok(found)
        };
        self.course.take("list", prefix, work).await
    }

    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        let work = async {
            self.course.count(|cost| cost.opens += 1);
            self.inner.open(listed).await
        };
        let opened = self.course.take("read", &listed.key, work).await?;
        let course = &self.course;
        Ok(opened.map(|inner| {
            Arc::new(FaultyObject { inner, key: listed.key.clone(), course: Arc::clone(course) }) as Arc<dyn Object>
        }))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let work = async {
            let found = self.inner.get(key).await?;
            self.course.count(|cost| {
                cost.gets += 1;
                cost.bytes_read += found.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
            });
            Ok(found)
        };
        self.course.take("read", key, work).await
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let size = bytes.len() as u64;
        let work = async {
            let put = self.inner.put(key, bytes, precondition).await?;
            self.course.count(|cost| {
                cost.puts += 1;
                cost.bytes_written += size;
            });
            if let (WriteOutcome::Written(_), Some(witness)) = (&put, &self.course.witness) {
                witness();
            }
            Ok(put)
        };
        self.course.take("write", key, work).await
    }
}

#[derive(Debug)]
struct FaultyObject {
    inner: Arc<dyn Object>,
    key: String,
    course: Arc<Course>,
}

#[async_trait::async_trait]
impl Object for FaultyObject {
    fn version(&self) -> &Version {
        self.inner.version()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let work = async {
            let bytes = self.inner.read(range).await?;
            self.course.count(|cost| {
                cost.reads += 1;
                cost.bytes_read += bytes.len() as u64;
            });
            Ok(bytes)
        };
        self.course.take("read", &self.key, work).await
    }
}
