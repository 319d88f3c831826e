//! From a JSON record to a row, with the columns and types that the manifest declares.
//!
//! No value is lost: one that does not fit its column's type goes to the column `_issues`, and one that no column names goes to
//! `_extra`. A record without a key or a partition is rejected, which keeps it too.
//!
//! [`Mapper`] does the work: `path_tree` has the paths of a resource as one tree, `decode` reads a record along it, once, from its text
//! into cells, `convert` turns a value (`field_value`) into a cell, `explode` turns a tree into several records, `fingerprint` hashes the
//! row and `partition` names its partition. [`schema`](schema()) is the schema of the stored
//! table, [`infer`] finds the columns of a resource that declares none.

mod convert;
mod decode;
pub mod engine_columns;
mod explode;
mod field_value;
mod fingerprint;
pub mod infer;
mod mapper;
mod partition;
mod path_tree;
#[cfg(test)]
mod reference;
mod row;
mod schema;

pub use self::mapper::Mapper;
pub use self::row::{Cell, MappedRecord, RejectedContent, Rejection, Row, join_key};
pub use self::schema::{DECIMAL, arrow_type, list_of, schema};

#[cfg(test)]
mod tests;
