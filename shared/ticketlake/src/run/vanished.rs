//! Rows that are stored and were not received by a reading: those that have vanished, once they were asked for by their keys.
//!
//! A record that moves while everything is read, from a window that is still to be read into one that was, is in no query; one that moved
//! out of a near window is in none that a run reads. Both are there, and a query for their keys gives them as they are.

use std::collections::HashSet;
use std::sync::Arc;

use client::Reader;
use futures::FutureExt;
use manifest::time::{Instant, TimeRange};
use manifest::{Confirm, Query};
use table::merge::{UnseenRows, key_hash};

use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, Verdict};
use crate::ingest::Ingest;
use crate::read::read_pages;
use crate::report::IncompleteQuery;
use crate::state::{Checkpoint, SeenKeys};

/// The keys that a reading remembers when it begins, or goes on with `checkpoint`; with a warning where they are not known any more.
pub(super) async fn remember_keys(
    seen_keys: &mut SeenKeys<'_>,
    checkpoint: &mut Checkpoint,
) -> Result<(Option<HashSet<u64>>, Option<String>), Error> {
    // From the next write on the checkpoint names queries whose keys are not stored.
    let digest = checkpoint.seen_keys.take();
    if checkpoint.is_empty() {
        return Ok((Some(HashSet::new()), None));
    }
    let seen = match digest {
        Some(digest) => seen_keys.load(digest).await?,
        None => None,
    };
    let warning = seen.is_none().then(|| {
        "nothing will be marked as vanished: an earlier run of this reading was killed, and the keys that it received are not known".to_owned()
    });
    Ok((seen, warning))
}

/// The stored rows that a complete reading did not receive.
pub(super) struct VanishedCheck<'w> {
    pub(super) ctx: &'w RunContext<'w>,
    /// When the reading began.
    pub(super) begin: Instant,
    /// The window that was read.
    pub(super) window: TimeRange,
}

/// Which rows have vanished.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// The hashes of their keys.
    pub(super) vanished: HashSet<u64>,
    /// Why none is marked, where that is so.
    pub(super) warning: Option<String>,
    /// The query that was not read completely, where one was not.
    pub(super) incomplete: Option<IncompleteQuery>,
}

impl Confirmed {
    fn nothing(warning: impl Into<String>) -> Self {
        Self { warning: Some(warning.into()), ..Self::default() }
    }
}

impl VanishedCheck<'_> {
    /// Finds out which rows have vanished, asking for them by their keys where the manifest says how. Records that were not received and
    /// are there are stored on the way. `base` is the query that leaves no record out by time.
    pub(super) async fn confirm(
        &self,
        reader: &Reader<'_>,
        base: &Query,
        ingest: &mut Ingest<'_>,
    ) -> Result<Confirmed, Stop> {
        let UnseenRows { keys, seen_key } = ingest.find_unseen_rows(self.begin, self.window).boxed_local().await?;
        if keys.is_empty() {
            return Ok(Confirmed::default());
        }
        let Some(seen_key) = seen_key else {
            return Ok(Confirmed::nothing(
                "nothing is marked as vanished: none of what is stored came, and that says more of the API than of the records",
            ));
        };
        let vanished = self.ctx.resource.vanished.as_ref();
        let Some(confirm) = vanished.and_then(|vanished| vanished.confirm.as_ref()) else {
            let vanished = keys.iter().map(|key| key_hash(key)).collect();
            return Ok(Confirmed { vanished, ..Confirmed::default() });
        };
        let mut confirmed = Confirmed::default();
        for key_chunk in keys.chunks(confirm.most - 1) {
            let query = Arc::new(confirm_query(base, confirm, key_chunk, &seen_key));
            let seen_hash = key_hash(&seen_key);
            ingest.forget_key(seen_hash);
            let asked = self.read(reader, &query, ingest).boxed_local().await;
            let answered = ingest.remember_key(seen_hash);
            if let Some(incomplete) = asked? {
                return Ok(Confirmed { incomplete: Some(incomplete), ..Confirmed::default() });
            }
            // Without the record that is known to be there, the answer says nothing of the others.
            if !answered {
                return Ok(Confirmed::nothing(format!(
                    "nothing is marked as vanished: `{}` with several keys does not give a record that is there",
                    confirm.param
                )));
            }
            let unseen = |hash: &u64| ingest.seen().is_some_and(|seen| !seen.contains(hash));
            confirmed.vanished.extend(key_chunk.iter().map(|key| key_hash(key)).filter(unseen));
        }
        Ok(confirmed)
    }

    /// Reads and stores `query`; gives it back as incomplete where its end was not reached.
    async fn read(
        &self,
        reader: &Reader<'_>,
        query: &Arc<Query>,
        ingest: &mut Ingest<'_>,
    ) -> Result<Option<IncompleteQuery>, Stop> {
        let mut evidence = Evidence::default();
        let end = read_pages(&mut reader.pages(query, None), async |page| {
            let total = page.total;
            let ingested = ingest.page(page, query).boxed_local().await?;
            evidence.add_page(total, &ingested.records, |cursor, _| cursor);
            Ok(())
        })
        .await?;
        let reason = match evidence.verdict(&end) {
            Verdict::Complete if end == client::End::Reached => return Ok(None),
            Verdict::Short(reason) => reason.to_owned(),
            _ => "every reading gave fewer records than the API says it has".to_owned(),
        };
        let (total, received) = (evidence.total(), evidence.distinct());
        Ok(Some(IncompleteQuery { query: query.label.clone(), total, received, reason }))
    }
}

/// The query for `keys`, and for the key `control`, which was received.
fn confirm_query(base: &Query, confirm: &Confirm, keys: &[String], control: &str) -> Query {
    let mut query = base.clone();
    let list: Vec<&str> = keys.iter().map(String::as_str).chain([control]).collect();
    query.label = format!("{} keys that were not received, from {}", keys.len(), list[0]);
    query.params.extend(confirm.params.clone());
    query.params.insert(confirm.param.clone(), list.join(","));
    query
}
