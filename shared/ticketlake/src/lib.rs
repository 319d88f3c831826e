//! ticketlake: ticketing APIs in, a queryable lake out.
//!
//! One small Lambda binary per entity reads an API to the last record, stores each record exactly once, and keeps it as partitioned Parquet
//! (or JSON) on S3 or in a directory. There is no server, database or lock table: the stored objects are the state.
//!
//! This crate is the engine. It knows every other crate of the workspace: `manifest` (what an API looks like), `lake` (where objects lie),
//! `table` (from records to stored parts) and `client` (from queries to pages); they do not know it, and `table` and `client` do not know
//! each other.
//!
//! # The way of the data
//!
//! ```text
//! Request ─▶ Plan ─▶ read ─▶ ingest ─▶ finish ─▶ Report
//!            queries  pages    rows      evidence, progress
//!            split    evidence  parts    removal, retention
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`app`], [`cli`](app::App), [`telemetry`] | every function's `main`; logs and metrics |
//! | [`options`], [`request`] | what is asked for, the same from a Lambda event, a schedule or the command line |
//! | [`run`] | carries out a request, one stage after the other |
//! | [`plan`] | the queries that cover what was asked for |
//! | [`read`], [`split`] | reads queries to their ends; splits those that are too deep |
//! | [`evidence`] | what reading a query showed, and what that proves |
//! | [`ingest`] | pages become rows, and rows parts |
//! | [`state`] | what the runs of a resource leave for the next |
//! | [`report`], [`error`], [`context`], [`aws`] | what a run did; what can end it; what its stages share; Secrets Manager |

pub mod app;
pub mod aws;
mod cli;
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
