//! The sandbox: local servers that behave like the ticketing APIs.
//!
//! A test that mocks its client proves that the client agrees with the mock. These servers hold the other side
//! instead: page caps that nobody announced, an order that moves between two pages, errors in the shapes that were
//! recorded, connections that break half-way. `apis/see_tickets.md` and `apis/ticketmaster.md` say where each
//! behaviour was seen; nothing here is linked into a function.
//!
//! All data is synthetic and follows from a seed and an index alone, so a million records cost no memory, and a test
//! asks the same options for the [`Truth`](see_tickets::Truth) that it compares with.
//!
//! Each [`Server`] runs its own runtime on its own thread: it works the same from `#[test]` and from any flavour of
//! `#[tokio::test]`, and dropping it closes every connection at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: a poisoned lock or a table that contradicts itself should end the test where it happens"
)]

#[cfg(test)]
mod client;
mod clock;
mod dice;
pub mod event_api;
mod event_management;
pub mod eventzilla;
mod faults;
pub mod filled;
pub mod function;
pub mod proxy;
pub mod runtime;
pub mod see_tickets;
mod server;
pub mod store;
pub mod stub;
pub mod ticketmaster;
mod wire;
pub mod xurrent;

pub use faults::{Fault, Faults, Rate, RetryAfter};
pub use server::{Seen, Server};
