//! From records to stored parts: the table of one resource.
//!
//! A record is mapped to a row by the manifest's columns ([`map`]); rows gather in a buffer, and each partition's rows are merged with
//! what is stored there ([`merge`]): what is unknown is inserted, what differs is updated, the rest is left alone. A table can keep every
//! version of its rows (the history), mark or remove rows that the API no longer has, and remove rows by age.
//!
//! This crate knows the lake and the manifest. It does not know which API the records came from, or how they were asked for.
//!
//! | module | what it holds |
//! |---|---|
//! | [`map`] | from a JSON record to a row |
//! | [`merge`] | from rows to parts: the merge, the history, removal |
//! | [`layout`] | the stored document that says how the table is laid out |
//! | [`rejected`] | records that cannot become a row, kept with the reason |
//! | [`catalogue`] | the tables of a manifest, as Athena and others declare them |
//! | [`format`], [`error`] | Parquet or JSON lines; what can go wrong |

pub mod catalogue;
pub mod error;
pub mod format;
pub mod layout;
pub mod map;
pub mod merge;
pub mod rejected;

pub use error::Error;
pub use format::Format;
pub use layout::Layout;
