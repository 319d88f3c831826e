//! The counts of what a run stored.

use crate::report::RecordCounts;

/// The counts of what a run stored, for its report.
#[derive(Debug, Default)]
pub struct IngestCounts {
    /// The counts of the resource.
    pub records: RecordCounts,
    /// The counts of the resources inside the records (`harvest`), by their names.
    pub harvested: Vec<(String, RecordCounts)>,
    /// The resources inside the records whose keys stand for several records.
    pub conflicts: Vec<HarvestConflicts>,
    /// The number of objects written.
    pub objects: u64,
    /// The size of these objects in bytes.
    pub bytes_written: u64,
}

/// The records inside others whose keys stand for several records.
#[derive(Clone, Debug)]
pub struct HarvestConflicts {
    /// The name of the resource.
    pub resource: String,
    /// The number of records received.
    pub received: u64,
    /// The number of records whose key another record has with other content.
    pub conflicting: u64,
    /// The key of one of them.
    pub example: String,
}
