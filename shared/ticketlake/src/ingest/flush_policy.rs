//! When the buffered rows are merged: when they take a share of the memory there is, or have waited for a while.
//!
//! A merge writes the last part of each partition that it adds to again. Fewer and larger merges therefore write less: 250,000 events with
//! buffers of 10 MiB wrote seven times the bytes that stay. A merge is also what a killed run resumes from, so that rows do not wait longer
//! than a minute of reading.

use chrono::TimeDelta;
use manifest::Settings;
use manifest::time::Instant;

/// The memory that is assumed outside of Lambda, in MB: that of the functions in `template.yaml`.
const DEFAULT_MEMORY_MB: usize = 512;

/// The part of the memory that buffered rows may take. Their columns reserve up to twice of what they hold, and the merge and the rest of a
/// run take about 80 MiB, so that a run takes half of the memory at most.
const MEMORY_SHARE: usize = 7;

/// The longest time that rows wait for a merge while the run reads.
const MAX_WAIT: TimeDelta = TimeDelta::minutes(1);

/// Decides when the buffered rows of a run are merged.
#[derive(Debug)]
pub(super) struct FlushPolicy {
    /// The number of bytes of buffered rows at which they are merged.
    max_bytes: usize,
    /// The time of the last merge, or of the start of the run.
    flushed_at: Instant,
}

impl FlushPolicy {
    /// Creates the policy of a run that begins at `now`. Lambda says in `settings` how much memory there is.
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let configured = settings.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|memory| memory.parse().ok());
        let memory_mb: usize = configured.unwrap_or(DEFAULT_MEMORY_MB);
        Self { max_bytes: memory_mb.saturating_mul(1_000_000) / MEMORY_SHARE, flushed_at: now }
    }

    /// Returns whether rows that take `bytes` of memory are merged at `now`.
    pub(super) fn is_due(&self, bytes: usize, now: Instant) -> bool {
        bytes >= self.max_bytes || now - self.flushed_at >= MAX_WAIT
    }

    /// Says that all rows were merged at `now`.
    pub(super) fn flushed(&mut self, now: Instant) {
        self.flushed_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(memory: Option<&str>) -> (FlushPolicy, Instant) {
        let variable = |memory: &str| ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), memory.to_owned());
        let now = Instant::UNIX_EPOCH;
        (FlushPolicy::new(&memory.map(variable).into_iter().collect(), now), now)
    }

    #[test]
    fn rows_are_merged_when_they_take_a_share_of_the_memory() {
        for (memory, max_bytes) in
            [(Some("700"), 100_000_000), (Some("128"), 18_285_714), (Some("much"), 73_142_857), (None, 73_142_857)]
        {
            let (policy, now) = policy(memory);
            assert!(!policy.is_due(max_bytes - 1, now), "{memory:?}");
            assert!(policy.is_due(max_bytes, now), "{memory:?}");
        }
    }

    #[test]
    fn rows_wait_for_a_minute_at_most() {
        let (mut policy, start) = policy(None);
        assert!(!policy.is_due(1, start + TimeDelta::seconds(59)));
        assert!(policy.is_due(1, start + TimeDelta::seconds(60)));
        policy.flushed(start + TimeDelta::seconds(60));
        assert!(!policy.is_due(1, start + TimeDelta::seconds(119)));
        assert!(policy.is_due(1, start + TimeDelta::seconds(120)));
    }
}
