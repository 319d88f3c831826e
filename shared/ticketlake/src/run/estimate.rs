//! What a run is expected to need, for `--check`.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Clients;
use client::limits::Ledger;
use client::paginate::{News, Reader};
use client::{Api, Budget};
use manifest::{Manifest, Paginator, Resource};
use crate::plan::{Estimate, Plan};
use crate::state::State;

/// Slices whose totals are asked for: one request each.
const MOST_ASKED: usize = 5;

/// Asks the API for the first page of each slice, where its answer says how much there is; else takes what the last complete run
/// needed. Nothing that fails here fails the check.
pub(super) async fn estimate(
    clients: &Clients,
    manifest: &Manifest,
    resource: &Resource,
    plan: &Plan<'_>,
    state: &State<'_>,
    budget: Budget,
    ledger: Ledger<'_>,
) -> Estimate {
    let counted = match &resource.parent {
        None if plan.len() <= MOST_ASKED => count(clients, manifest, resource, plan, budget, ledger).await,
        None => Err("it has more queries than a check asks for".to_owned()),
        Some(parent) => Err(format!("it depends on the records of `{}`", parent.resource)),
    };
    let (records, requests, basis) = match (counted, state.last()) {
        (Ok((records, requests)), _) => (records, requests, "the API's own totals".to_owned()),
        (Err(reason), Some(last)) => (last.records, last.requests, format!("the last complete run; {reason}")),
        (Err(reason), None) => return Estimate { basis: format!("unknown: {reason}"), ..Estimate::default() },
    };
    let rate = &manifest.client.rate;
    Estimate {
        records: Some(records),
        requests: Some(requests),
        seconds: rate.seconds(requests),
        quota_percent: rate.quota_percent(requests),
        basis,
    }
}

/// Records and requests of the plan, by the first page of each slice.
async fn count(
    clients: &Clients,
    manifest: &Manifest,
    resource: &Resource,
    plan: &Plan<'_>,
    budget: Budget,
    ledger: Ledger<'_>,
) -> Result<(u64, u64), String> {
    let budget = Budget { attempts: 1, ..budget };
    let http = clients.http.client().map_err(|error| error.to_string())?;
    let api = Api::new(http, &clients.secrets, manifest, budget, Some(ledger));
    let counted = first_pages(&api, resource, plan).await;
    api.close().await.map_err(|error| error.to_string())?;
    counted
}

/// What the first page of each slice says.
async fn first_pages<'r>(api: &'r Api<'r>, resource: &'r Resource, plan: &Plan<'_>) -> Result<(u64, u64), String> {
    let reader = Reader::new(api, resource);
    let (mut records, mut requests) = (0, 0);
    for index in 0..plan.len() {
        let slice = plan.slice(index).map_err(|(_, reason)| reason)?;
        let (sender, mut news) = mpsc::channel(1);
        // The reader stops where nobody receives: after its first page.
        let first = async {
            let message = news.recv().await;
            news.close();
            message
        };
        let ((), first) = futures::join!(reader.read(index, Arc::new(slice), &sender), first);
        match first.map(|message| message.news) {
            Some(News::Page(page)) => {
                let total = page.total.ok_or("the API does not say how much there is")?;
                let size = (page.records.len() as u64).max(1);
                // What is cut is read whole, whatever one query gives.
                let is_cut = plan.cut_by(index).is_some() || plan.is_cut_by_params();
                let limit = resource.endpoint.depth_limit.filter(|_| !is_cut);
                let served = limit.map_or(total, |limit| total.min(limit));
                records += total;
                requests += served.div_ceil(size).max(1) + u64::from(ends_empty(resource));
            }
            Some(News::End(Err(stop))) => return Err(stop.to_string()),
            Some(_) | None => requests += 1,
        }
    }
    Ok((records, requests))
}

/// Whether a reading ends at an empty page, because nothing else says where.
fn ends_empty(resource: &Resource) -> bool {
    match &resource.endpoint.paginator {
        Paginator::Offset { end, .. } | Paginator::PageNumber { end, .. } => {
            end.total.is_none() && resource.endpoint.total.is_none()
        }
        _ => false,
    }
}
