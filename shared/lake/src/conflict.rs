//! The retry of a write after a write conflict.

use std::time::Duration;

use rand::RngExt;

use crate::error::{ErrorKind, StoreError};

/// The number of write conflicts after which a write is given up. With the waits between them they take a minute or more, and no
/// regular load keeps an object busy for that long.
pub const MAX_WRITE_CONFLICTS: u32 = 100;

/// The longest wait after the first conflict.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// How often the longest wait doubles: it ends at 1.28 s.
const MAX_DOUBLINGS: u32 = 6;

/// The result of one attempt to write.
#[derive(Debug)]
pub enum Attempt<T> {
    /// The attempt succeeded with this value.
    Done(T),
    /// The attempt had a write conflict. The next attempt reads again and decides again.
    Conflict,
}

/// Calls `attempt` until it has no write conflict, at most [`MAX_WRITE_CONFLICTS`] times, with a random wait after each conflict. `place`
/// names the object in the error.
///
/// # Errors
///
/// The error of `attempt`, or one of kind [`ErrorKind::Conflict`].
pub async fn retry_on_conflict<T, E: From<StoreError>>(
    place: &str,
    mut attempt: impl AsyncFnMut() -> Result<Attempt<T>, E>,
) -> Result<T, E> {
    for conflicts in 0..MAX_WRITE_CONFLICTS {
        if let Attempt::Done(value) = attempt().await? {
            return Ok(value);
        }
        tracing::debug!(place, conflicts, "write conflict; trying again");
        wait_after_conflict(conflicts).await;
    }
    Err(StoreError::conflict(place).into())
}

/// Waits after a write conflict that followed `earlier_conflicts` others. The wait grows with their number, and it is random, so that
/// writers that met once do not meet again.
pub(crate) async fn wait_after_conflict(earlier_conflicts: u32) {
    let longest = FIRST_WAIT.saturating_mul(1 << earlier_conflicts.min(MAX_DOUBLINGS));
    let wait = longest.mul_f64(rand::rng().random_range(0.1..=1.0));
    tokio::time::sleep(wait).await;
}

impl StoreError {
    /// Creates the error after [`MAX_WRITE_CONFLICTS`] write conflicts at `place`.
    pub fn conflict(place: impl Into<String>) -> Self {
        let detail =
            format!("each of {MAX_WRITE_CONFLICTS} attempts had a write conflict: try again when fewer runs write");
        Self { kind: ErrorKind::Conflict, operation: "write", place: place.into(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_is_given_up_after_the_most_conflicts() {
        let mut attempts = 0;
        let begin = tokio::time::Instant::now();
        let outcome: Result<(), StoreError> = retry_on_conflict("a", async || {
            attempts += 1;
            Ok(Attempt::Conflict)
        })
        .await;
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.is_retryable(), attempts), (ErrorKind::Conflict, true, MAX_WRITE_CONFLICTS));
        assert!((10..130).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    }
}
