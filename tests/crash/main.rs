//! What the lake promises whatever crashes or overlaps: each record exactly once, each part whole, at every moment.
//!
//! Apart from `end_to_end`, as these tests keep both the processor and the disk busy, and others measure time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by `#[test]`; what they share is as much a test"
)]

mod every_operation;
mod lake;
mod sales;
mod updates;
