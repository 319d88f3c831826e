//! Every key that a manifest may have: its type, its default and what it means.
//!
//! A key is declared here and nowhere else. The parser takes the known keys, the ranges, the choices and the defaults from this table,
//! and refuses every other key with the nearest known one. The reference in `docs/manifest.md` and the JSON Schema in
//! `docs/manifest.schema.json` are generated from it: the test `generated_files_are_current` writes both, and fails if they differed.
//!
//! | module | what it declares |
//! |---|---|
//! | [`source`] | the whole manifest, and its settings |
//! | [`client`], [`paginator`] | how the API is reached, and how its pages follow each other |
//! | [`resource`] | a resource, its columns and its partitions |
//! | [`endpoint`], [`incremental`] | the request for the records, and how a run continues |
//! | [`slices`], [`refresh`] | how a query is split, and how a resource is kept up to date |
//! | [`refused`] | dlt's keys that are refused with a hint |
//! | [`key`] | the types that the table is written in |

pub mod client;
pub mod endpoint;
pub mod incremental;
pub mod key;
pub mod paginator;
pub mod refresh;
pub mod refused;
pub mod resource;
pub mod slices;
pub mod source;

#[cfg(test)]
mod tests;

pub use key::{DefaultValue, Key, Mapping, Origin, Presence, Type, Variants};
pub use source::MANIFEST;
