//! What the lake promises whatever crashes or overlaps: each record exactly once, each part whole, at every moment.
//!
//! Apart from `end_to_end`, as these tests keep both the processor and the disk busy, and others measure time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by `#[test]`; what they share is as much a test"
)]

mod answers;
#[path = "../end_to_end/aws.rs"]
#[allow(dead_code, reason = "`end_to_end` uses the rest")]
mod aws;
mod cost;
mod every_operation;
mod kill;
mod lake;
mod overlap;
mod place;
mod proxy;
mod sales;
#[path = "../end_to_end/tools.rs"]
mod tools;
mod updates;
