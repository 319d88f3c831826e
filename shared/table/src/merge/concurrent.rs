//! Tasks that wait for the store at the same time.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use super::merged::Merged;
use crate::error::Error;

/// The number of partitions or parts that are worked on at the same time. Their reads and writes wait for the store together.
pub(super) const MAX_CONCURRENT: usize = 8;

/// Runs `tasks`, at most [`MAX_CONCURRENT`] at the same time, and adds their counts to `merged`.
///
/// After an error no other task starts. Those that run already are awaited, since their writes would not be counted otherwise.
///
/// # Errors
///
/// The first error of a task.
pub(super) async fn run_concurrently<T>(tasks: impl Iterator<Item = T>, merged: &mut Merged) -> Result<(), Error>
where
    T: Future<Output = (Merged, Result<(), Error>)>,
{
    let has_failed = AtomicBool::new(false);
    let tasks = tasks.take_while(|_| !has_failed.load(Ordering::Relaxed));
    let mut results = stream::iter(tasks).buffer_unordered(MAX_CONCURRENT);
    let mut outcome = Ok(());
    while let Some((counts, result)) = results.next().await {
        *merged += counts;
        has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        outcome = outcome.and(result);
    }
    outcome
}
