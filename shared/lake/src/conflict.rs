//! Writes that other writers can win: how often they are tried, and how long a writer waits between.

use std::time::Duration;

use rand::RngExt;

use crate::StoreError;

/// Write conflicts after which a write is given up: with the waits between, a minute or more, and no honest load is as long.
pub const MAX_WRITE_CONFLICTS: u32 = 100;

/// How one attempt of a write ended.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It is done.
    Done(T),
    /// Another writer was first: read again, and decide anew.
    Conflict,
}

/// Calls `attempt` until no other writer is first, at most [`MAX_WRITE_CONFLICTS`] times, with a random wait between. `place` names the
/// object in the error.
///
/// # Errors
///
/// The error of `attempt`, or one of kind [`Kind::Conflict`](crate::Kind::Conflict).
pub async fn retry_on_conflict<T, E: From<StoreError>>(
    place: &str,
    mut attempt: impl AsyncFnMut() -> Result<Attempt<T>, E>,
) -> Result<T, E> {
    for conflicts in 0..MAX_WRITE_CONFLICTS {
        if let Attempt::Done(value) = attempt().await? {
            return Ok(value);
        }
        tracing::debug!(place, conflicts, "another writer was first; trying again");
        wait_after_conflict(conflicts).await;
    }
    Err(StoreError::conflict(place).into())
}

/// Waits after a conflict: longer after each, up to 1.28 s, and at random, so that writers which met once do not meet again.
pub(crate) async fn wait_after_conflict(conflicts: u32) {
    let longest = Duration::from_millis(20).saturating_mul(1 << conflicts.min(6));
    let wait = longest.mul_f64(rand::rng().random_range(0.1..=1.0));
    tokio::time::sleep(wait).await;
}
