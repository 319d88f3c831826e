//! Pieces of work that wait for the store side by side.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use super::merged::Merged;
use crate::error::Error;

/// Partitions that are merged at a time: their reads and writes wait for the store side by side.
pub(super) const MAX_CONCURRENT: usize = 8;

/// Does each piece of `work`, some at a time, and adds up what they did. After an error no other piece begins, but those under way are
/// waited for: what they write would otherwise go uncounted.
pub(super) async fn run_side_by_side<W>(work: impl Iterator<Item = W>, merged: &mut Merged) -> Result<(), Error>
where
    W: Future<Output = (Merged, Result<(), Error>)>,
{
    let failed = AtomicBool::new(false);
    let unless_failed = work.take_while(|_| !failed.load(Ordering::Relaxed));
    let mut ended = stream::iter(unless_failed).buffer_unordered(MAX_CONCURRENT);
    let mut outcome = Ok(());
    while let Some((written, one)) = ended.next().await {
        *merged += written;
        failed.fetch_or(one.is_err(), Ordering::Relaxed);
        outcome = outcome.and(one);
    }
    outcome
}
