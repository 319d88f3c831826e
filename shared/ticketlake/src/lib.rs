//! ticketlake reads ticketing APIs completely, and stores every record exactly once in a lake that can be queried.
//!
//! There is one small Lambda binary for each entity. The records are stored as partitioned Parquet or JSON on S3 or in a directory. There is
//! no server, database or lock table: the stored objects are the state.
//!
//! This crate is the engine. It uses every other crate of the workspace: `manifest` (the description of an API), `lake` (the storage of
//! objects), `table` (from records to stored parts) and `client` (from queries to pages). They do not use it, and `table` and `client` do
//! not use each other.
//!
//! # The data flow
//!
//! ```text
//! Request ─▶ Plan ─▶ read ─▶ ingest ─▶ finish ─▶ Report
//!            queries  pages    rows      evidence, progress
//!            split    evidence  parts    removal, retention
//! ```
//!
//! | module | purpose |
//! |---|---|
//! | [`entry`], [`app`], `cli`, [`telemetry`] | the `main` of every function; Lambda events; the command line; logs and metrics |
//! | [`options`], [`request`] | the options of a request, from a Lambda event, a schedule or the command line |
//! | [`run`] | runs a request, one stage after the other |
//! | [`plan`] | the queries that together cover the request |
//! | [`read`], [`split`] | read queries to their ends, and split those that are too deep |
//! | [`evidence`] | the evidence of one query, and the verdict whether it is complete |
//! | [`ingest`] | maps records to rows, and merges rows into parts |
//! | [`state`] | the state of a resource between its runs |
//! | [`report`], [`error`], [`context`], [`clock`], [`aws`] | the report; the errors; the values that all stages share; the clock of a run; Secrets Manager |

pub mod app;
pub mod aws;
mod cli;
pub mod clock;
pub mod context;
pub mod entry;
pub mod error;
pub mod evidence;
pub mod ingest;
pub mod options;
pub mod plan;
pub mod read;
pub mod report;
pub mod request;
pub mod run;
pub mod split;
pub mod state;
pub mod telemetry;

#[cfg(test)]
mod tests;
