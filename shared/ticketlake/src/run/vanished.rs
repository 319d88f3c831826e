//! The check which stored rows that a read did not receive have vanished: the API is asked for them by their keys.
//!
//! A record can exist and be in no query: it can move during the read from a time window that is still to be read into one that was read,
//! or move out of the near window. A query for its key returns it.

use std::collections::HashSet;
use std::sync::Arc;

use client::Reader;
use futures::FutureExt;
use manifest::time::TimeRange;
use manifest::{Confirm, Query};
use table::merge::key_hash;

use crate::context::RunContext;
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, Proof, Unproven, Verdict};
use crate::ingest::{Ingest, VanishedRows};
use crate::read::{incomplete_reason, read_pages};
use crate::report::IncompleteQuery;
use crate::state::{Checkpoint, SeenKeys};

/// Returns the seen keys at the start of a read, which may resume from `checkpoint`. `None`, with a warning, if they are not known.
pub(super) async fn load_seen_keys(
    seen_keys: &mut SeenKeys<'_>,
    checkpoint: &mut Checkpoint,
) -> Result<(Option<HashSet<u64>>, Option<String>), Error> {
    // The next checkpoint that is saved names queries whose keys are not stored yet.
    let digest = checkpoint.seen_keys.take();
    if checkpoint.is_empty() {
        checkpoint.reading = None;
        return Ok((Some(HashSet::new()), None));
    }
    let seen = match digest.filter(|_| checkpoint.reading.is_some()) {
        Some(digest) => seen_keys.load(digest).await?,
        None => None,
    };
    let warning = seen.is_none().then(|| {
        "no rows are marked as vanished: the keys that the earlier runs of this reading received are not known, since one of them was killed".to_owned()
    });
    Ok((seen, warning))
}

/// The check of the stored rows that a complete read did not receive.
pub(super) struct VanishedCheck<'w> {
    pub(super) ctx: &'w RunContext<'w>,
    /// The time window that was read.
    pub(super) window: TimeRange,
    /// The reason why the read shows nothing about rows that it did not receive. `None` if it does.
    pub(super) doubt: Option<&'static str>,
}

/// The result of the check.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// The rows that have vanished.
    pub(super) vanished: VanishedRows,
    /// The reason why no row may be marked, if there is one.
    pub(super) warning: Option<String>,
    /// A query by keys that was not read completely.
    pub(super) incomplete: Option<IncompleteQuery>,
}

impl Confirmed {
    /// Returns the result that no row may be marked.
    fn nothing(warning: impl Into<String>) -> Self {
        Self { warning: Some(warning.into()), ..Self::default() }
    }
}

impl VanishedCheck<'_> {
    /// Finds the rows that have vanished. If the manifest says how (`vanished.confirm`), the API is asked for them by their keys, and the
    /// records that it returns are stored. `base` is the query without a time range.
    pub(super) async fn confirm(
        &self,
        reader: &Reader<'_>,
        base: &Query,
        ingest: &mut Ingest<'_>,
    ) -> Result<Confirmed, Stop> {
        let mut unseen = ingest.find_unseen_rows(self.window).boxed_local().await?;
        let keys = std::mem::take(&mut unseen.keys);
        if keys.is_empty() {
            return Ok(Confirmed::default());
        }
        if ingest.unknown_keys() > 0 {
            return Ok(Confirmed::nothing(unknown_keys("no rows are marked as vanished", ingest.unknown_keys())));
        }
        let Some(seen_key) = unseen.seen_key.take() else {
            return Ok(Confirmed::nothing(
                "no rows are marked as vanished: the read received none of the stored rows; check the filters and the key",
            ));
        };
        let vanished = self.ctx.resource.vanished.as_ref();
        let Some(confirm) = vanished.and_then(|vanished| vanished.confirm.as_ref()) else {
            if let Some(doubt) = self.doubt {
                return Ok(Confirmed::nothing(format!("no rows are marked as vanished: {doubt}")));
            }
            let vanished = VanishedRows { unseen, keys: keys.iter().map(|key| key_hash(key)).collect() };
            return Ok(Confirmed { vanished, ..Confirmed::default() });
        };
        let mut vanished = HashSet::new();
        for key_chunk in keys.chunks(confirm.most - 1) {
            let query = Arc::new(confirm_query(base, confirm, key_chunk, &seen_key));
            let seen_hash = key_hash(&seen_key);
            ingest.forget_key(seen_hash);
            let read = self.read(reader, &query, ingest).boxed_local().await;
            let has_answered = ingest.remember_key(seen_hash);
            if let Some(incomplete) = read? {
                return Ok(Confirmed { incomplete: Some(incomplete), ..Confirmed::default() });
            }
            // If the answer lacks a record that is known to exist, it does not show that the others have vanished.
            if !has_answered {
                return Ok(Confirmed::nothing(format!(
                    "no rows are marked as vanished: `{}` with several keys does not return a record that exists",
                    confirm.param
                )));
            }
            let is_unseen = |hash: &u64| ingest.seen().is_some_and(|seen| !seen.contains(hash));
            vanished.extend(key_chunk.iter().map(|key| key_hash(key)).filter(is_unseen));
        }
        if ingest.unknown_keys() > 0 {
            return Ok(Confirmed::nothing(unknown_keys("no rows are marked as vanished", ingest.unknown_keys())));
        }
        Ok(Confirmed { vanished: VanishedRows { unseen, keys: vanished }, ..Confirmed::default() })
    }

    /// Reads and stores `query`. Returns it if it is incomplete.
    async fn read(
        &self,
        reader: &Reader<'_>,
        query: &Arc<Query>,
        ingest: &mut Ingest<'_>,
    ) -> Result<Option<IncompleteQuery>, Stop> {
        let mut evidence = Evidence::default();
        let end = read_pages(&mut reader.pages(query, None), async |page| {
            let (total, hints) = (page.total, page.hints.clone());
            let ingested = ingest.page(page, query).boxed_local().await?;
            evidence.add_page(total, &ingested.records, &hints, |cursor, _| cursor);
            Ok(())
        })
        .await?;
        let reason = match evidence.verdict(&end) {
            Verdict::Proven | Verdict::Unproven(_) if matches!(end, client::End::Reached | client::End::Refused) => {
                return Ok(None);
            }
            Verdict::Proven | Verdict::Unproven(_) => "received fewer records than the total".to_owned(),
            verdict => incomplete_reason(verdict, self.ctx.resource.endpoint.depth_limit),
        };
        let (total, received) = (evidence.total(), evidence.distinct());
        Ok(Some(IncompleteQuery { query: query.label.clone(), total, received, reason }))
    }
}

/// Returns the reason why a complete read with this proof shows nothing about the rows that it did not receive. `None` if it does.
pub(super) fn doubt(proof: &Proof) -> Option<&'static str> {
    if proof.has(Unproven::Ignored) {
        return Some("`response_actions` ignore a response, which shows nothing about the rows of its query");
    }
    proof.has(Unproven::NoPaginator).then_some(
        "the manifest names no paginator, so the response may be the first page of several; name it, or `single_page`",
    )
}

/// Returns the warning that nothing is done, since `count` rejected records do not show their keys.
pub(super) fn unknown_keys(what: &str, count: u64) -> String {
    format!(
        "{what}: {count} rejected records do not show their keys, and their stored rows must stay; see `_rejected`, and correct the manifest"
    )
}

/// Returns the warning that `count` rows were left, since another run has stored rows since the reading began.
pub(super) fn disturbed(what: &str, count: u64) -> String {
    format!(
        "{count} rows that were not received were not {what}: another run has stored rows since this reading began, and may have received them; the next complete reading decides"
    )
}

/// Returns the query for `keys` and for `seen_key`, the key of a record that was received.
fn confirm_query(base: &Query, confirm: &Confirm, keys: &[String], seen_key: &str) -> Query {
    let mut query = base.clone();
    let list: Vec<&str> = keys.iter().map(String::as_str).chain([seen_key]).collect();
    query.label = format!("{} keys that were not received, from {}", keys.len(), list[0]);
    query.params.extend(confirm.params.clone());
    query.params.insert(confirm.param.clone(), list.join(","));
    query
}
