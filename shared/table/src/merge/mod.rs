//! From rows to stored parts: the one way in which rows are written.
//!
//! Rows wait in a [`Buffer`] until there are enough for a write. Then the rows of each partition are compared with the stored ones, and
//! those that are new or changed are written. Nothing here knows which API the rows came from.
//!
//! | module | what it holds |
//! |---|---|
//! | `table`, `removal`, `distinct` | [`Table`]: its merge, its removals and marks, and reading columns of it |
//! | `buffer`, `batch`, `column_builder` | rows on their way to a merge |
//! | `partition` | the merge of a batch into one partition |
//! | `newest` | which of two versions of a row is the newer one |
//! | `repair` | keys that lie in several partitions |
//! | `revision` | the change of stored rows, wherever they are in the table |
//! | `readings` | which readings may remove or mark rows |
//! | `history`, `open_runs`, `versions` | every version of a row, recorded before the table has it |
//! | `part` | one part: its name, its formats, reading and rewriting it |
//! | `context`, `memory`, `concurrent`, `merged` | what the others share: the table's settings, limits, counts |

mod batch;
mod buffer;
mod column_builder;
mod concurrent;
mod context;
mod distinct;
mod hashes;
mod history;
mod memory;
mod merged;
mod newest;
mod open_runs;
mod part;
mod partition;
mod readings;
mod removal;
mod repair;
mod revision;
mod table;
mod versions;

pub use self::buffer::Buffer;
pub use self::hashes::key_hash;
pub(crate) use self::history::{OBSERVED, REPLACES};
pub use self::merged::Merged;
pub use self::part::first_moment;
pub use self::removal::UnseenRows;
pub use self::repair::DoubledRows;
pub use self::table::Table;

#[cfg(test)]
mod tests;
