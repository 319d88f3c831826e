//! How many requests may leave: every rate limit of a source at once, none exceeded and all of them used.
//!
//! A limit of up to ten seconds is kept by even spacing (`pace`). A longer one is counted (`counter`): a run reserves requests in a quota
//! that all runs with the same key share (`quota`), and checks its count against the API's own, which the response headers have
//! (`headers`). `scheduler` decides by all of them, `limiter` waits and reserves.
//!
//! Spacing is each process's own: functions that run at the same time with one key share an hour and a day, not a second.

mod counter;
mod headers;
mod limiter;
mod pace;
mod quota;
mod scheduler;
mod window;

#[cfg(test)]
mod tests;

pub use self::counter::QuotaLeft;
pub(crate) use self::headers::leaves_no_requests;
pub(crate) use self::limiter::{MAX_WAIT, RateLimiter};
pub use self::quota::{MemoryQuota, Quota, QuotaChange, QuotaError, SharedQuota};
pub(crate) use self::scheduler::RequestNumber;
