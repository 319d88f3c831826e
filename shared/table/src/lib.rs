//! The table of one resource: from records to stored parts.
//!
//! [`map`] turns a record into a row with the columns of the manifest. Rows wait in a buffer until there are enough for a write. Then
//! [`merge`] compares the rows of each partition with the stored ones: it inserts rows with a new key, updates rows that differ, and
//! leaves the others alone. A table can also keep every version of its rows (the history), mark or remove rows that the API no longer
//! has, and remove rows by their age.
//!
//! This crate knows the lake and the manifest. It does not know which API the records came from, or how they were requested.
//!
//! | module | what it holds |
//! |---|---|
//! | [`map`] | from a JSON record to a row |
//! | [`merge`] | from rows to parts: merge, history, removal |
//! | [`layout`] | the document that says which format, key, partitions and columns a table has |
//! | [`rejected`] | the records that cannot become a row, stored with the reason |
//! | [`catalogue`] | the tables of a manifest, as Athena and others declare them |
//! | [`mod@format`], [`error`] | the format of parts; the errors of this crate |

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
