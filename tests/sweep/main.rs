//! Every event of a catalogue of Ticketmaster's size, through the function's own binary: what arrives, how many requests and how much
//! memory that takes, and that it can be stopped and killed on the way.
//!
//! Apart from `end_to_end`, as these tests keep the processor busy for minutes, and one after the other, as they measure time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by `#[test]`; what they share is as much a test"
)]

mod invocations;
mod kill;
#[path = "../end_to_end/lake.rs"]
#[allow(dead_code, reason = "`end_to_end` uses the rest")]
mod lake;
mod reading;
#[path = "../end_to_end/tools.rs"]
#[allow(dead_code, reason = "`end_to_end` uses the rest")]
mod tools;
mod whole;
