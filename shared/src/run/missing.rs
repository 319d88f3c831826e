//! The keys that a reading of everything meets: what is stored and not among them is missing.

use std::collections::HashSet;

use crate::error::Error;
use crate::landing::Landing;
use crate::manifest::Resource;
use crate::report::Report;
use crate::state::Checkpoint;

/// Lets `landing` remember the keys of a reading that begins, or goes on with `checkpoint`, where the resource marks what is missing.
pub(super) async fn remember(
    landing: &mut Landing<'_>,
    resource: &Resource,
    checkpoint: &mut Checkpoint,
    report: &mut Report,
) -> Result<(), Error> {
    // From the next write on it names slices whose keys are not kept.
    let digest = checkpoint.seen.take();
    if resource.vanished.is_none() {
        return Ok(());
    }
    if checkpoint.is_empty() {
        landing.seen = Some(HashSet::new());
        return Ok(());
    }
    if let Some(digest) = digest {
        landing.seen = landing.state.seen(digest).await?;
    }
    if landing.seen.is_none() {
        let why = "nothing will be marked as missing: an earlier invocation of this reading was killed, and what it met is not known";
        report.warnings.push(why.into());
    }
    Ok(())
}

/// Keeps what was met so far, for the invocation that goes on.
pub(super) async fn keep(landing: &Landing<'_>, resource: &Resource, checkpoint: &mut Checkpoint) -> Result<(), Error> {
    if let Some(seen) = landing.seen.as_ref().filter(|_| resource.vanished.is_some()) {
        checkpoint.seen = Some(landing.state.keep_seen(seen).await?);
    }
    Ok(())
}
