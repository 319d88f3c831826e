//! Whole-program tests: the functions' own binaries against the sandbox, a directory, an S3 server, a Secrets Manager
//! endpoint and the Lambda emulator; DuckDB, pyarrow and Polars read what they stored.
//!
//! `tests/run` installs the servers and readers below `target/tools` and then runs these.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on ends where it stands")]

mod aws;
mod changes;
mod classes;
mod deep;
mod dlt;
mod emulator;
mod event_api;
mod eventzilla;
mod every_request;
mod growth;
mod lake;
mod lambda;
mod limits;
mod places;
mod process;
mod queries;
mod readers;
mod readme;
mod records;
mod refusals;
mod secrets;
mod see_tickets;
mod settings;
mod ticketmaster;
mod tools;
mod xurrent;
