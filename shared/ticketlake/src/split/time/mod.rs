//! Splits a time range into windows. Each window has at most as many records as the API serves for one query.
//!
//! A window costs `total / page_size` requests, rounded up. A window that is too deep costs one request more. Windows therefore have a
//! fixed share of the limit as their target, and three sources say where it is reached:
//!
//! 1. The calendar ([`Calendar`](crate::state::Calendar)) of an earlier run, as long as it predicts well.
//! 2. The sample on the first page of a window that was too deep. It is a random sample, so its quantiles say where the next window ends.
//! 3. The week before. The next window is expected to have the records of the same time a week earlier, times the factor by which
//!    the latest windows differ from a week earlier.
//!
//! One second that has more records than the limit cannot be split by time. It is reported as [`WindowFit::Moment`].
//!
//! The tests measure the requests with 242,500 records, a limit of 1,000 and pages of 200, as the ratio to the least possible number.
//! A first run takes 1.12 to 1.14 for a calendar like the sandbox's, 1.12 to 1.13 for an even one, 1.13 to 1.15 for one with a
//! festival, and 1.15 to 1.16 for one that is crowded in its first weeks. A second run takes 1.01 if nothing has changed, 1.02
//! with 1 % changed and 1.03 to 1.04 with 5 % changed.

mod counted_range;
mod forecast;
mod next_end;
mod next_end_by_calendar;
mod next_end_without_starts;
mod recent;
#[cfg(test)]
mod tests;
mod window_splitter;
mod windows;

pub use self::window_splitter::{WindowFit, WindowSplitter};
pub use self::windows::{OpenWindow, Windows};
