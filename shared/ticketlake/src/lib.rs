//! ticketlake: ticketing APIs in, a queryable lake out.
//!
//! One small Lambda binary per entity reads an API to the last record, lets each record in exactly once, and keeps it as
//! partitioned Parquet (or JSON) on S3 or in a directory. No server, no database, no lock table: the stored objects
//! are the state.
//!
//! # The way of the data
//!
//! ```text
//! request ──▶ plan ──▶ fetch ──▶ map ──▶ merge ──▶ report
//! (event)     slices    pages     rows    parts      (JSON)
//! ```
//!
//! | step | module | what it does |
//! |---|---|---|
//! | request | [`request`] | one value, the same from a Lambda event, a schedule or the command line |
//! | plan | [`plan`] | cuts what is asked for into slices, queries that are each read to their end |
//! | fetch | [`fetch`] | auth, pacing, retry, pagination: pages as they arrive |
//! | map | [`map`] | JSON record → typed row, by the manifest's columns |
//! | merge | [`merge`] | rows by partition against the keys stored there; writes what is new or changed |
//! | report | [`report`] | counts, and what is not complete |
//!
//! [`run`] joins them. Around them: [`manifest`] says what an API looks like, [`secret`] has its key, [`store`] is where objects lie,
//! [`state`] what one run leaves for the next, [`rejected`] keeps records without a place, [`app`] is every function's `main`.

pub mod app;
pub mod aws;
mod cli;
pub mod cursor;
pub mod error;
pub mod fetch;
mod landing;
pub mod manifest;
pub mod map;
pub mod merge;
pub mod plan;
pub mod rejected;
pub mod report;
pub mod request;
pub mod run;
pub mod secret;
pub mod settings;
pub mod state;
pub mod store;
pub mod tables;
pub mod telemetry;
pub mod time;
