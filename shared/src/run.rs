//! One run: request → plan → fetch → map → merge → report.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;

use crate::aws::Aws;
use crate::error::Error;
use crate::fetch::limits::Ledger;
use crate::fetch::paginate::{self, End};
use crate::fetch::{Api, Budget, Stop};
use crate::landing::{Landing, Tally};
use crate::manifest::{Manifest, Resource, catalog, nearest};
use crate::plan::{Plan, Slice};
use crate::report::{IncompleteSlice, Report, Status};
use crate::request::Request;
use crate::secret::Secrets;
use crate::state::State;
use crate::store::{self, Store};
use crate::time;

/// Pages that wait to be mapped while more are on their way.
const PAGES_AHEAD: usize = 2;
/// Times a slice is read before it counts as incomplete.
const PASSES: u32 = 3;

/// What every run of a process shares.
#[derive(Debug)]
pub struct Clients {
    /// For the APIs.
    pub http: reqwest::Client,
    /// For S3 and Secrets Manager.
    pub aws: Arc<Aws>,
    /// The keys.
    pub secrets: Secrets,
}

/// Is told how far a run has come.
pub trait Progress {
    /// After each page: records so far, and how many there are where that is known.
    fn page(&self, received: u64, expected: Option<u64>);
}

/// Carries out `request` in the lake that it names. The report says what happened also when an error ended the run: what was
/// read before is stored.
pub async fn run(
    clients: &Clients,
    request: &Request,
    until: Option<SystemTime>,
    progress: &dyn Progress,
) -> (Report, Option<Error>) {
    run_into(None, clients, request, until, progress).await
}

/// As [`run`], in `store` where that is given: apart from it, so that a test can put its own store there.
pub async fn run_into(
    store: Option<Arc<dyn Store>>,
    clients: &Clients,
    request: &Request,
    until: Option<SystemTime>,
    progress: &dyn Progress,
) -> (Report, Option<Error>) {
    let begin = Clock::now();
    let mut report = Report { source: request.source.clone(), resource: request.resource.clone(), ..Report::default() };
    // Boxed: the whole run is one future, too deep a type for the compiler inside the runtime's own.
    let outcome = Box::pin(fill(store, clients, request, until, progress, &mut report)).await;
    report.elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(()) => (report, None),
        Err(error) => (report.failed(&error), Some(error)),
    }
}

async fn fill(
    store: Option<Arc<dyn Store>>,
    clients: &Clients,
    request: &Request,
    until: Option<SystemTime>,
    progress: &dyn Progress,
    report: &mut Report,
) -> Result<(), Error> {
    let mut manifest = catalog::find(&request.source, &request.sources)?;
    if let Some(base_url) = &request.base_url {
        manifest.client.base_url.clone_from(base_url);
    }
    let resource = resource(&manifest, &request.resource)?;
    // What is wrong with the request is said before the lake is opened.
    Plan::new(request, resource, None)?;
    let store = match store {
        Some(store) => store,
        None => store::open(&request.lake, &clients.aws).await,
    };
    let state = State::load(store.as_ref(), &manifest.name, &resource.name).await?;
    state.check(resource, request.format)?;
    let plan = Plan::new(request, resource, state.watermark())?;
    report.watermark = state.watermark().map(time::format_instant);
    if request.check {
        report.plan = Some(plan.describe(request, &manifest.client, resource));
        report.status = Status::Complete;
        return Ok(());
    }
    if request.replay_rejected {
        let mut landing = Landing::new(store.as_ref(), request, &manifest, resource, state, progress);
        let replayed = landing.replay().await;
        landing.count(report);
        if replayed.is_ok() {
            landing.close(None).await?;
        }
        report.status = Status::Complete;
        return replayed;
    }
    report.slices.planned = plan.slices.len();
    let budget = Budget { requests: request.max_requests, until };
    let ledger = Ledger::new(store.as_ref(), &manifest.name);
    let api = Api::new(&clients.http, &clients.secrets, &manifest, budget, Some(ledger));
    let begin = chrono::Utc::now();
    let mut landing = Landing::new(store.as_ref(), request, &manifest, resource, state, progress);
    let read = read_slices(&api, resource, &plan, &mut landing, report).await;
    // What was read before an error is as good as any: it is stored, and the watermark stays.
    let flushed = landing.flush().await;
    landing.count(report);
    report.requests = api.requests();
    if let Err(error) = api.close().await {
        // Nothing is lost but a part of the quota, until it renews.
        report.warnings.push(format!("reserved requests that were not sent count as used: {error}"));
    }
    report.quota = api.quota();
    flushed?;
    let complete = read.is_ok() && report.slices.incomplete.is_empty();
    // An error may be the store's, in the middle of a merge: what is half written then is not closed.
    if !matches!(read, Err(Stop::Error(_))) {
        landing.close((complete && plan.is_everything(request)).then_some(begin)).await?;
    }
    report.status = match read {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Limit(reason)) => {
            report.stopped = Some(reason);
            Status::Partial
        }
        Ok(()) if report.slices.incomplete.is_empty() => Status::Complete,
        Ok(()) => Status::Incomplete,
    };
    if let (Status::Complete, Some(newest)) = (report.status, landing.newest) {
        if plan.moves_watermark {
            // A record dated in the future would carry the watermark past those still to come.
            landing.state.advance(newest.min(chrono::Utc::now())).await?;
        } else {
            let why = "the watermark stays: `params` leave records out, or the range begins after it";
            report.warnings.push(why.into());
        }
    }
    report.watermark = landing.state.watermark().map(time::format_instant);
    Ok(())
}

fn resource<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Resource, Error> {
    manifest.resource(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
        let message =
            format!("{} has no `{name}`; it has: {}{}", manifest.name, names.join(", "), nearest(name, &names));
        Error::configuration("resource", message)
    })
}

/// Reads every slice until it is whole, or has been read [`PASSES`] times.
async fn read_slices(
    api: &Api<'_>,
    resource: &Resource,
    plan: &Plan,
    landing: &mut Landing<'_>,
    report: &mut Report,
) -> Result<(), Stop> {
    for slice in &plan.slices {
        let mut pass = 1;
        let tally = loop {
            let (tally, end) = read_slice(api, resource, slice, landing).await?;
            if end == End::TooDeep || tally.is_whole() || pass == PASSES {
                break (tally, end);
            }
            tracing::warn!(
                slice = slice.name,
                expected = tally.total,
                received = tally.distinct(),
                "the slice does not add up; reading it again"
            );
            pass += 1;
        };
        let (tally, end) = tally;
        if let Some(total) = tally.total {
            *report.expected.get_or_insert_default() += total;
        }
        let reason = match end {
            End::Reached if tally.is_whole() => {
                report.slices.whole += 1;
                continue;
            }
            End::Reached => format!("{PASSES} readings gave fewer records than the API says it has"),
            End::TooDeep => format!(
                "the API serves {} records of one query and no more; narrow it with `from` and `to` or `params`",
                resource.endpoint.depth_limit.unwrap_or_default()
            ),
        };
        let incomplete =
            IncompleteSlice { name: slice.name.clone(), expected: tally.total, received: tally.distinct(), reason };
        tracing::warn!(
            slice = incomplete.name,
            expected = incomplete.expected,
            received = incomplete.received,
            "{}",
            incomplete.reason
        );
        report.slices.incomplete.push(incomplete);
    }
    Ok(())
}

/// Reads a slice once: pages are fetched ahead while earlier ones are mapped and merged.
async fn read_slice(
    api: &Api<'_>,
    resource: &Resource,
    slice: &Slice,
    landing: &mut Landing<'_>,
) -> Result<(Tally, End), Stop> {
    let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
    let fetch = paginate::read(api, &resource.endpoint, slice, sender);
    let land = async move {
        let mut tally = Tally::default();
        while let Some(page) = pages.recv().await {
            landing.page(page, &mut tally).await?;
        }
        Ok::<_, Error>(tally)
    };
    let (end, tally) = futures::join!(fetch, land);
    Ok((tally.map_err(Stop::Error)?, end?))
}
