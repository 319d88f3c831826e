//! The estimate of a run's size and cost, for `--check`.

use std::sync::Arc;

use client::{Api, Budget, Reader};
use futures::FutureExt;
use manifest::{Paginator, Resource};

use crate::context::RunContext;
use crate::plan::{Estimate, Plan};
use crate::state::{PreviousRun, StoredQuota};

/// The greatest number of queries whose totals are requested. Each costs one request.
const MAX_PROBED_QUERIES: usize = 5;

/// Estimates the run by the totals on the first page of each query, or else by the size of the previous complete run. A failed request does
/// not fail the check.
pub(super) async fn estimate(
    ctx: &RunContext<'_>,
    plan: &Plan<'_>,
    previous: Option<PreviousRun>,
    quota: &StoredQuota<'_>,
) -> Estimate {
    let counted = match &ctx.resource.parent {
        None if plan.len() <= MAX_PROBED_QUERIES => count(ctx, plan, quota).boxed_local().await,
        None => Err("the plan has more queries than a check probes".to_owned()),
        Some(parent) => Err(format!("the queries depend on the records of `{}`", parent.resource)),
    };
    let (records, requests, basis) = match (counted, previous) {
        (Ok((records, requests)), _) => (records, requests, "the totals of the API".to_owned()),
        (Err(reason), Some(run)) => (run.records, run.requests, format!("the previous complete run; {reason}")),
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

/// Returns the number of records and requests of the plan, by the first page of each query.
async fn count(ctx: &RunContext<'_>, plan: &Plan<'_>, quota: &StoredQuota<'_>) -> Result<(u64, u64), String> {
    let mut connection = ctx.connection(quota);
    // A check writes no object into a lake that has none: its few requests are counted where a run has begun to count.
    if !quota.is_stored().await.map_err(|error| error.to_string())? {
        connection.quota = None;
    }
    let api = Api::new(connection, ctx.manifest, Budget { attempts: 1, ..ctx.budget() });
    let counted = first_pages(&api, ctx.resource, plan).await;
    api.close().await.map_err(|error| error.to_string())?;
    counted
}

/// Reads the first page of each query, and adds up the records and requests.
async fn first_pages(api: &Api<'_>, resource: &Resource, plan: &Plan<'_>) -> Result<(u64, u64), String> {
    let reader = Reader::new(api, resource);
    let (mut records, mut requests) = (0, 0);
    for index in 0..plan.len() {
        let planned = plan.query(index).map_err(|unsendable| unsendable.reason)?;
        // A query that is split is read completely, whatever the depth limit of one query.
        let is_split = planned.time.is_some() || plan.splits_by_params();
        let mut pages = reader.pages(&Arc::new(planned.query), None);
        match pages.next().await.map_err(|stop| stop.to_string())? {
            Some(page) => {
                let total = page.total.ok_or("the API gives no total")?;
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

/// Returns whether a query ends only at an empty page, since the API gives no total.
fn ends_empty(resource: &Resource) -> bool {
    match &resource.endpoint.paginator {
        Paginator::Offset { end, .. } | Paginator::PageNumber { end, .. } => {
            end.total.is_none() && resource.endpoint.total.is_none()
        }
        _ => false,
    }
}
