//! What a run expects of its records as a whole: few are rejected, and a key stands for one record.

use manifest::{Manifest, Resource};

use crate::ingest::{HarvestConflicts, IngestCounts};
use crate::report::{IncompleteQuery, RecordCounts};

/// Returns an incomplete query for each expectation that the records of a run do not meet: those of `resource`, and those inside them.
pub(super) fn unmet(manifest: &Manifest, resource: &Resource, counts: &IngestCounts) -> Vec<IncompleteQuery> {
    let harvested = counts.harvested.iter().filter_map(|(name, counts)| {
        let rejected = rejections(manifest.resource(name)?, counts)?;
        Some(IncompleteQuery { query: format!("{} of `{name}`", rejected.query), ..rejected })
    });
    let conflicts = counts.conflicts.iter().map(conflicting_harvest);
    rejections(resource, &counts.records).into_iter().chain(harvested).chain(conflicts).collect()
}

/// Returns the rejected records, if they are more than the manifest expects. A typo in the key or in the selector rejects all records.
fn rejections(resource: &Resource, counts: &RecordCounts) -> Option<IncompleteQuery> {
    let RecordCounts { received, rejected, .. } = *counts;
    let allowed = resource.rejected_max;
    #[expect(clippy::cast_precision_loss, reason = "numbers of records are far below 2^53")]
    let share = rejected as f64 / received.max(1) as f64;
    let is_excess = rejected > 0 && (share > allowed || rejected == received);
    is_excess.then(|| IncompleteQuery {
        query: "rejected records".into(),
        total: Some(received),
        received: received - rejected,
        reason: format!(
            "{rejected} of {received} records cannot become rows, more than `expect.rejected_max: {allowed}` allows; the reasons are under `_rejected`; check `primary_key`, `data_selector` and the columns"
        ),
    })
}

/// Returns the harvested records whose key is that of another record.
fn conflicting_harvest(conflicts: &HarvestConflicts) -> IncompleteQuery {
    let HarvestConflicts { resource, received, conflicting, example } = conflicts;
    IncompleteQuery {
        query: format!("harvested records of `{resource}`"),
        total: Some(*received),
        received: received - conflicting,
        reason: format!(
            "{conflicting} of {received} records have a key that another record has with other content, for example `{example}`: one row would stand for several; check the `primary_key` of `{resource}`"
        ),
    }
}
