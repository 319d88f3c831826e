//! The evidence of one query: what reading it observed, and the verdict whether it is complete.
//!
//! There is no I/O and no clock here: [`Evidence::verdict`] is a pure function.
//!
//! | module | purpose |
//! |---|---|
//! | `page_records` | the records of one page, as the ingestion maps them |
//! | `gathered` | [`Evidence`]: what was observed on all pages so far |
//! | `verdict` | [`Verdict`]: proven, unproven, or the reason why records can be missing |
//! | `proof` | [`Proof`]: how many queries and records of a run are proven |
//! | `split` | [`SplitEvidence`]: the records of a query that was split, and its own total |

mod gathered;
mod page_records;
mod proof;
mod split;
mod verdict;

pub use self::gathered::{Evidence, StoredEvidence};
pub use self::page_records::{PageRecords, ReceivedRecord, RecordVersion};
pub use self::proof::{Proof, ProvenQuery};
pub use self::split::SplitEvidence;
pub use self::verdict::{MAX_READS, Unproven, Verdict};
