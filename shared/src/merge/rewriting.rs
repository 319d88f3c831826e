//! How much of a table's parts is in memory at once, while they are rewritten.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of parts that are rewritten side by side. A part of more is rewritten alone.
const BYTES: u32 = 12 << 20;

/// The share of memory that rewritten parts take. Each is held whole, with the row group that is being copied into it: eight parts of
/// 8 MB are more than everything else that a run holds.
#[derive(Debug)]
pub(super) struct Rewriting(Semaphore);

impl Default for Rewriting {
    fn default() -> Self {
        Self(Semaphore::new(BYTES as usize))
    }
}

impl Rewriting {
    /// Waits until a part of `bytes` fits beside the others; it takes its share until what is given back is dropped.
    pub(super) async fn acquire(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).unwrap_or(BYTES).min(BYTES);
        // Never closed: there is always a permit.
        self.0.acquire_many(bytes).await.ok()
    }
}
