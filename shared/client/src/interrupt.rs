//! A stop that is requested from outside of a run, for example by a signal.

use std::future::Future;

use tokio::sync::watch;

use crate::error::Stop;

/// A stop that can be requested while runs are in progress. Their waits and their requests end then as at a deadline: what was read is
/// stored, and a later run goes on.
#[derive(Debug)]
pub struct Interrupt(watch::Sender<Option<String>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Interrupt {
    /// Requests the stop. `reason` says why, for the report.
    pub fn request(&self, reason: impl Into<String>) {
        self.0.send_replace(Some(reason.into()));
    }

    /// Returns whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Refuses to go on if the stop was requested.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`] with the reason.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.0.borrow().clone().map_or(Ok(()), |reason| Err(Stop::Limit(reason)))
    }

    /// Returns what `work` returns, unless the stop is requested before.
    ///
    /// # Errors
    ///
    /// [`Stop::Limit`] with the reason.
    pub(crate) async fn end<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut requests = self.0.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `self`, so that the wait does not fail.
            reason = requests.wait_for(Option::is_some) => {
                Err(Stop::Limit(reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()))
            }
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_requested_stop_ends_what_is_under_way_and_what_comes() {
        let interrupt = Interrupt::default();
        assert!(matches!(interrupt.end(async { 1 }).await, Ok(1)));
        let hour = tokio::time::sleep(Duration::from_secs(3600));
        let (ended, ()) = futures::join!(interrupt.end(hour), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            interrupt.request("stopped by SIGTERM");
        });
        assert_eq!(ended.unwrap_err().to_string(), "stopped by SIGTERM");
        assert!(interrupt.is_requested() && interrupt.check().is_err());
        assert!(interrupt.end(async { 1 }).await.is_err());
    }
}
