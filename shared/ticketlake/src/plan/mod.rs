//! The plan of a run: the queries that together cover the request, each read to its end.
//!
//! Planning sends no request: it needs the stored progress, the manifest and the time. The queries of a resource with a parent follow from
//! the parent's records, which the reader adds ([`Plan::with_parents`]).
//!
//! | module | purpose |
//! |---|---|
//! | `resource_plan`, `range`, `check` | [`Plan`], the range of cursors that it covers, and what is wrong with a request |
//! | `proven_range` | [`RangeReading`]: which cursors a complete read of a range has proven to be read |
//! | `queries`, `planned_query`, `filter` | the plan's queries: the endpoint's templates with their values, and the request's conditions |
//! | `due`, `changes` | [`DueRefresh`]: the part of a resource that is due (the manifest's `refresh`) |
//! | `parent_record`, `describe` | a record of the parent; the plan as `--check` prints it |

mod changes;
mod check;
mod describe;
pub mod due;
mod filter;
mod parent_record;
mod planned_query;
mod proven_range;
mod queries;
mod range;
mod resource_plan;

pub use self::changes::Changes;
pub use self::check::remove_unsupported;
pub use self::describe::Estimate;
pub use self::due::DueRefresh;
pub use self::filter::values;
pub use self::parent_record::ParentRecord;
pub use self::planned_query::{PlannedQuery, QueryKind, TimeSplit, Unsendable};
pub use self::proven_range::RangeReading;
pub use self::range::beginning;
pub use self::resource_plan::Plan;

#[cfg(test)]
mod tests;
