//! The limit for parts of one table that are rewritten at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest sum of the sizes of parts that are rewritten at the same time, in bytes as stored. A larger part is rewritten alone.
const MAX_BYTES: u32 = 8 << 20;

/// The number of parts that are encoded at the same time. An encoder holds 95 KB of compressor for each column, which is 12 MB for the
/// 131 columns of an event. Encoding keeps the one thread busy; what waits for the store are the writes, and these overlap.
const MAX_ENCODERS: usize = 1;

/// The memory that rewritten parts may take.
#[derive(Debug)]
pub(super) struct RewriteMemory {
    bytes: Semaphore,
    encoders: Semaphore,
}

impl Default for RewriteMemory {
    fn default() -> Self {
        Self { bytes: Semaphore::new(MAX_BYTES as usize), encoders: Semaphore::new(MAX_ENCODERS) }
    }
}

impl RewriteMemory {
    /// Waits until a part of this size in bytes fits into the limit together with those that are being rewritten. The part counts until the result is dropped,
    /// after it was written.
    pub(super) async fn reserve(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        // The semaphore is never closed, so there is always a permit.
        self.bytes.acquire_many(bytes).await.ok()
    }

    /// Waits until a part may be encoded. The next one may be encoded when the result is dropped.
    pub(super) async fn reserve_encoder(&self) -> Option<SemaphorePermit<'_>> {
        self.encoders.acquire().await.ok()
    }
}
