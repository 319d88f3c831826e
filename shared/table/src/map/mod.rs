//! From a JSON record to a row, with the columns and types that the manifest declares.
//!
//! No value is lost: one that does not fit its column's type goes to the column `_issues`, and one that no column names goes to
//! `_extra`. A record without a key or a partition is rejected, which keeps it too.
//!
//! [`Mapper`] does the work: `convert` turns a value into a cell, `explode` turns a tree into several records, `extra` finds the values
//! without a column, `fingerprint` hashes the row and `partition` names its partition. [`schema`](schema()) is the schema of the stored
//! table, [`infer`] finds the columns of a resource that declares none.

mod convert;
pub mod engine_columns;
mod explode;
mod extra;
mod fingerprint;
pub mod infer;
mod mapper;
mod partition;
mod row;
mod schema;

pub use self::mapper::Mapper;
pub use self::row::{Cell, RejectedContent, Rejection, Row, join_key};
pub use self::schema::{DECIMAL, arrow_type, list_of, schema};

#[cfg(test)]
mod tests;
