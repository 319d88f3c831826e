//! What is stored and was not met by a reading: what is missing, after it was asked for by its key.
//!
//! A record that moves while everything is read, from a window that is still to be read into one that was, is met by no query; one that
//! moved out of a near window is in none that a run reads. Both are there, and a query for their keys gives them as they are.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::error::Error;
use client::paginate::{End, News, Reader};
use client::{Api, Stop};
use crate::landing::{Landing, Tally};
use manifest::{Confirm, Resource};
use table::merge::key_hash;
use crate::plan::Slice;
use crate::report::{IncompleteSlice, Report};
use crate::state::Checkpoint;
use manifest::time::Instant;

/// Lets `landing` remember the keys of a reading that begins, or goes on with `checkpoint`.
pub(super) async fn remember(
    landing: &mut Landing<'_>,
    checkpoint: &mut Checkpoint,
    report: &mut Report,
) -> Result<(), Error> {
    // From the next write on it names slices whose keys are not kept.
    let digest = checkpoint.seen.take();
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

/// A reading in which every slice is whole.
pub(super) struct Whole<'w> {
    pub(super) resource: &'w Resource,
    /// When it began.
    pub(super) begin: Instant,
    /// The window that it read; `None`: everything.
    pub(super) window: Option<(Instant, Instant)>,
}

impl<'w> Whole<'w> {
    /// The hashes of the keys that are missing. Records that were not met and are there are landed on the way.
    pub(super) async fn missing<'r>(
        &self,
        api: &'r Api<'r>,
        base: &Slice,
        landing: &mut Landing<'_>,
        report: &mut Report,
    ) -> Result<HashSet<u64>, Stop>
    where
        'w: 'r,
    {
        let (keys, met) = landing.missing(self.begin, self.window).boxed_local().await?;
        let mut missing = HashSet::new();
        if keys.is_empty() {
            return Ok(missing);
        }
        let Some(met) = met else {
            let why = "nothing is marked as missing: none of what is stored came, and that says more of the API than of the records";
            report.warnings.push(why.into());
            return Ok(missing);
        };
        let Some(confirm) = self.resource.vanished.as_ref().and_then(|vanished| vanished.confirm.as_ref()) else {
            missing.extend(keys.iter().map(|key| key_hash(key)));
            return Ok(missing);
        };
        let reader = Reader::new(api, self.resource);
        for some in keys.chunks(confirm.most - 1) {
            let slice = asking(base, confirm, some, &met);
            let control = key_hash(&met);
            if let Some(seen) = &mut landing.seen {
                seen.remove(&control);
            }
            let asked = ask(&reader, slice, landing, report).boxed_local().await;
            let answered = landing.seen.as_mut().is_some_and(|seen| !seen.insert(control));
            if !asked? {
                return Ok(HashSet::new());
            }
            // Without the one that is known to be there, the answer tells nothing of the others.
            if !answered {
                let why = format!(
                    "nothing is marked as missing: `{}` with several keys does not give a record that is there",
                    confirm.param
                );
                report.warnings.push(why);
                return Ok(HashSet::new());
            }
            let unmet = |hash: &u64| landing.seen.as_ref().is_some_and(|seen| !seen.contains(hash));
            missing.extend(some.iter().map(|key| key_hash(key)).filter(unmet));
        }
        Ok(missing)
    }
}

/// The query for `keys`, and for one that was `met`.
fn asking(base: &Slice, confirm: &Confirm, keys: &[String], met: &str) -> Arc<Slice> {
    let mut slice = base.clone();
    let list: Vec<&str> = keys.iter().map(String::as_str).chain([met]).collect();
    slice.name = format!("{} keys that were not met, from {}", keys.len(), list[0]);
    slice.params.extend(confirm.params.clone());
    slice.params.insert(confirm.param.clone(), list.join(","));
    Arc::new(slice)
}

/// Reads `slice`; whether its end was reached.
async fn ask(
    reader: &Reader<'_>,
    slice: Arc<Slice>,
    landing: &mut Landing<'_>,
    report: &mut Report,
) -> Result<bool, Stop> {
    let (sender, mut received) = mpsc::channel(1);
    let mut tally = Tally::default();
    let fetch = async {
        let sender = sender;
        reader.read(0, Arc::clone(&slice), &sender).boxed_local().await;
    };
    let take = async {
        while let Some(message) = received.recv().await {
            match message.news {
                News::Page(page) => {
                    landing.page(page, &message.slice, &mut tally).boxed_local().await?;
                }
                News::End(end) => return end,
                News::Covered { .. } | News::Part(_) | News::Sum { .. } => {}
            }
        }
        Ok(End::Reached)
    };
    let ((), end) = futures::join!(fetch, take);
    let whole = matches!(end?, End::Reached) && tally.is_whole();
    if !whole {
        report.slices.incomplete.push(IncompleteSlice {
            name: slice.name.clone(),
            expected: tally.total,
            received: tally.distinct(),
            reason: tally.lack().to_owned(),
        });
    }
    Ok(whole)
}
