//! The state of a resource between its runs: `_state/<source>/<resource>/progress.json` and the objects beside it.
//!
//! Progress is saved after the rows that it names, never before. Records that are read twice are merged twice, which changes nothing. The
//! layout of the table is stored separately, by [`table::Layout`], and before the first row.

mod calendar;
mod calendars;
mod checkpoint;
mod coverage;
mod marks;
mod packed_keys;
mod progress;
mod quota;
mod seen_keys;
mod window_records;

pub use self::calendar::{BIN_SECONDS, Calendar, Recorder};
pub use self::calendars::Calendars;
pub use self::checkpoint::{Checkpoint, FinishedQuery, FinishedSubquery, QueryProgress};
pub use self::coverage::{Bound, Coverage, Interval};
pub use self::marks::RefreshMarks;
pub use self::progress::{PreviousRun, Progress, ReadCoverage};
pub use self::quota::StoredQuota;
pub use self::seen_keys::SeenKeys;
pub use self::window_records::CoveredWindows;
