//! What a run is expected to need, for `--check`.

use std::sync::Arc;

use client::api::Connection;
use client::{Api, Budget, Reader};
use futures::FutureExt;
use manifest::{Paginator, Resource};

use crate::context::RunContext;
use crate::plan::{Estimate, Plan};
use crate::state::{PreviousRun, StoredQuota};

/// Queries whose totals are asked for: one request each.
const MAX_PROBED_QUERIES: usize = 5;

/// Asks the API for the first page of each query, where its answer says how much there is; else takes what the previous complete run
/// needed. Nothing that fails here fails the check.
pub(super) async fn estimate(
    ctx: &RunContext<'_>,
    plan: &Plan<'_>,
    previous: Option<PreviousRun>,
    quota: &StoredQuota<'_>,
) -> Estimate {
    let counted = match &ctx.resource.parent {
        None if plan.len() <= MAX_PROBED_QUERIES => count(ctx, plan, quota).boxed_local().await,
        None => Err("it has more queries than a check asks for".to_owned()),
        Some(parent) => Err(format!("it depends on the records of `{}`", parent.resource)),
    };
    let (records, requests, basis) = match (counted, previous) {
        (Ok((records, requests)), _) => (records, requests, "the API's own totals".to_owned()),
        (Err(reason), Some(run)) => (run.records, run.requests, format!("the last complete run; {reason}")),
        (Err(reason), None) => return Estimate { basis: format!("unknown: {reason}"), ..Estimate::default() },
    };
    let rate = &ctx.manifest.client.rate;
    Estimate {
        records: Some(records),
        requests: Some(requests),
        seconds: rate.seconds(requests),
        quota_percent: rate.quota_percent(requests),
        basis,
    }
}

/// The records and requests of the plan, by the first page of each query.
async fn count(ctx: &RunContext<'_>, plan: &Plan<'_>, quota: &StoredQuota<'_>) -> Result<(u64, u64), String> {
    let connection = Connection {
        transport: ctx.clients.transport.as_ref(),
        secrets: &ctx.clients.secrets,
        clock: ctx.clock(),
        quota: Some(quota),
    };
    let api = Api::new(connection, ctx.manifest, Budget { attempts: 1, ..ctx.budget() });
    let counted = first_pages(&api, ctx.resource, plan).await;
    api.close().await.map_err(|error| error.to_string())?;
    counted
}

/// The records and requests that the first pages tell of.
async fn first_pages(api: &Api<'_>, resource: &Resource, plan: &Plan<'_>) -> Result<(u64, u64), String> {
    let reader = Reader::new(api, resource);
    let (mut records, mut requests) = (0, 0);
    for index in 0..plan.len() {
        let planned = plan.query(index).map_err(|unsendable| unsendable.reason)?;
        // A query that is split is read whole, whatever one query gives.
        let is_split = planned.time.is_some() || plan.splits_by_params();
        let mut pages = reader.pages(&Arc::new(planned.query), None);
        match pages.next().await.map_err(|stop| stop.to_string())? {
            Some(page) => {
                let total = page.total.ok_or("the API does not say how much there is")?;
                let size = (page.records.len() as u64).max(1);
                let limit = resource.endpoint.depth_limit.filter(|_| !is_split);
                let served = limit.map_or(total, |limit| total.min(limit));
                records += total;
                requests += served.div_ceil(size).max(1) + u64::from(ends_empty(resource));
            }
            None => requests += 1,
        }
    }
    Ok((records, requests))
}

/// Whether a query ends at an empty page, because nothing else says where.
fn ends_empty(resource: &Resource) -> bool {
    match &resource.endpoint.paginator {
        Paginator::Offset { end, .. } | Paginator::PageNumber { end, .. } => {
            end.total.is_none() && resource.endpoint.total.is_none()
        }
        _ => false,
    }
}
