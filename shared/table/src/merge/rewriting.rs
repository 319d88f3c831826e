//! How much of a table's parts is in memory at once, while they are rewritten.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of parts that are rewritten side by side. A part of more is rewritten alone.
const BYTES: u32 = 8 << 20;
/// Parts that are encoded at once. A writer has 95 KB of compressor for each column, 12 MB for an event's 131; encoding keeps the one
/// thread busy, and what waits for the store are the writes, which overlap.
const WRITERS: usize = 1;

/// The share of memory that rewritten parts take.
#[derive(Debug)]
pub(super) struct Rewriting {
    bytes: Semaphore,
    writers: Semaphore,
}

impl Default for Rewriting {
    fn default() -> Self {
        Self { bytes: Semaphore::new(BYTES as usize), writers: Semaphore::new(WRITERS) }
    }
}

impl Rewriting {
    /// Waits until a part of `bytes` fits beside those that are rewritten; it takes its share until what is given back is dropped,
    /// which is when it is written.
    pub(super) async fn share(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).unwrap_or(BYTES).min(BYTES);
        // Never closed: there is always a permit.
        self.bytes.acquire_many(bytes).await.ok()
    }

    /// Waits until a part may be encoded; another may when what is given back is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.writers.acquire().await.ok()
    }
}
