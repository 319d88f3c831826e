//! From rows to stored parts: the one way in which rows are written.
//!
//! Rows gather in a [`Buffer`] until it is worth a write. Then each partition's rows are compared with the keys that are stored there, and
//! what is new or changed is written (`partition`). Nothing here knows which API the rows came from.
//!
//! `parts` says where parts lie, `name` what they are called, `part` reads and rewrites one, by `parquet` or `jsonl`; `partition` merges
//! rows into the parts of one partition, `history` keeps every version, `revision` and `removal` change or remove rows that are stored.

mod buffer;
mod concurrent;
mod distinct;
mod history;
mod jsonl;
mod merged;
mod name;
mod parquet;
mod part;
mod partition;
mod parts;
mod removal;
mod revision;
mod rewriting;
mod table;
mod versions;
mod writer;

pub use self::buffer::Buffer;
pub(crate) use self::history::{OBSERVED, REPLACES};
pub use self::merged::Merged;
pub use self::part::first_moment;
pub use self::removal::key_hash;
pub use self::table::Table;

#[cfg(test)]
mod tests;
