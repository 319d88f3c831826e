//! One run: request → plan → fetch → map → merge → report.

mod cut;
mod deep;
mod estimate;
mod lookup;
mod parents;
mod reading;

pub(crate) use self::cut::Stored;

use std::sync::Arc;
use std::time::SystemTime;

use futures::FutureExt;
use tokio::time::Instant as Clock;

use crate::aws::Aws;
use crate::cursor::Cursor;
use crate::error::{Error, Faults};
use crate::fetch::limits::Ledger;
use crate::fetch::{Api, Budget, Stop};
use crate::landing::{Harvesting, Landing};
use crate::manifest::{Manifest, Resource, WriteDisposition, catalog, nearest};
use crate::plan::{self, Estimate, ParentRow, Plan};
use crate::report::{Report, Status};
use crate::request::Request;
use crate::secret::Secrets;
use crate::settings::Settings;
use crate::state::{Checkpoint, Last, State, Watermarks};
use crate::store::{self, Store};

/// Times a slice is read before it counts as incomplete.
const PASSES: u32 = 3;
/// The resource that stands for all of a source's.
const ALL: &str = "all";

/// What every run of a process shares.
#[derive(Debug)]
pub struct Clients {
    /// For the APIs.
    pub http: reqwest::Client,
    /// For S3 and Secrets Manager.
    pub aws: Arc<Aws>,
    /// The keys.
    pub secrets: Secrets,
    /// The process's environment: what a source's users set.
    pub settings: Settings,
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
    let report = Report { source: request.source.clone(), resource: request.resource.clone(), ..Report::default() };
    let manifest = match manifest(clients, request).await {
        Ok(manifest) => manifest,
        Err(error) => return (report.failed(&error), Some(error)),
    };
    let names = names(&manifest, request);
    if let [name] = names.as_slice() {
        return one(store, clients, &manifest, request, name, until, progress).await;
    }
    let requests = match requests(&manifest, request, &names) {
        Ok(requests) => requests,
        Err(error) => return (report.failed(&error), Some(error)),
    };
    let mut reports = Vec::with_capacity(names.len());
    let mut first = None;
    let mut sent = 0;
    for (mut request, warnings) in requests {
        request.max_requests = request.max_requests.map(|most| most.saturating_sub(sent));
        let name = request.resource.clone();
        let (mut report, error) = one(store.clone(), clients, &manifest, &request, &name, until, progress).await;
        if let Some(error) = error {
            // The others may be whole all the same.
            tracing::error!(resource = name, "{}", crate::error::chain(&error));
            first.get_or_insert(error);
        }
        sent += report.requests.sent;
        report.warnings.extend(warnings);
        reports.push(report);
    }
    let mut report = Report::of_several(&request.source, reports);
    if let Some(error) = &first {
        report = report.failed(error);
    }
    (report, first)
}

/// The manifest that the request names, with its settings.
async fn manifest(clients: &Clients, request: &Request) -> Result<Manifest, Error> {
    let manifest = catalog::find(&request.source, &request.sources, &clients.aws).await?;
    Ok(manifest.configure(request.base_url.as_deref(), &clients.settings)?)
}

/// The resources that the request names: one, several with commas, or all that the manifest selects.
fn names(manifest: &Manifest, request: &Request) -> Vec<String> {
    if request.resource == ALL && manifest.resource(ALL).is_none() {
        let selected = manifest.resources.iter().filter(|resource| resource.selected);
        return selected.map(|resource| resource.name.clone()).collect();
    }
    request.resource.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The request for each of several resources, with what is left out of it; checked before anything is sent.
fn requests(manifest: &Manifest, request: &Request, names: &[String]) -> Result<Vec<(Request, Vec<String>)>, Error> {
    let mut requests = Vec::with_capacity(names.len());
    let mut faults = Vec::new();
    for name in names {
        let resource = resource(manifest, name)?;
        let mut request = Request { resource: name.clone(), ..request.clone() };
        let warnings = plan::leave_out(&mut request, resource);
        if let Err(Faults(more)) = Plan::new(&request, manifest, resource, None) {
            faults.extend(more);
        }
        requests.push((request, warnings));
    }
    if faults.is_empty() { Ok(requests) } else { Err(Faults(faults).into()) }
}

/// Reads one resource.
async fn one(
    store: Option<Arc<dyn Store>>,
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    name: &str,
    until: Option<SystemTime>,
    progress: &dyn Progress,
) -> (Report, Option<Error>) {
    let begin = Clock::now();
    let mut report = Report { source: request.source.clone(), resource: name.to_owned(), ..Report::default() };
    // Boxed: the whole run is one future, too deep a type for the compiler inside the runtime's own.
    let outcome = fill(store, clients, manifest, request, name, until, progress, &mut report).boxed_local().await;
    report.elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(()) => (report, None),
        Err(error) => (report.failed(&error), Some(error)),
    }
}

#[expect(clippy::too_many_arguments, reason = "the one place where everything that a run needs meets")]
async fn fill(
    store: Option<Arc<dyn Store>>,
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    name: &str,
    until: Option<SystemTime>,
    progress: &dyn Progress,
    report: &mut Report,
) -> Result<(), Error> {
    let resource = resource(manifest, name)?;
    resource.notes.iter().for_each(|note| tracing::warn!(resource = name, "{note}"));
    // What is wrong with the request is said before the lake is opened.
    Plan::new(request, manifest, resource, None)?;
    let store = match store {
        Some(store) => store,
        None => store::open(&request.lake, &clients.aws).await,
    };
    // As it was asked: a later invocation looks its names up again.
    let asked = Request { resource: name.to_owned(), ..request.clone() };
    let request = &lookup::resolve(request, manifest, resource, store.as_ref()).await?;
    let state = State::load(store.as_ref(), &manifest.name, &resource.name).await?;
    state.check(resource, request.format)?;
    let plan = Plan::new(request, manifest, resource, state.watermark(resource))?;
    report.watermark = state.watermark(resource).map(|watermark| watermark.to_string());
    let budget = Budget {
        requests: request.max_requests,
        until,
        attempts: request.attempts,
        request_timeout: request.request_timeout,
        page_size: request.page_size,
    };
    if request.check {
        let estimate = match request.replay_rejected {
            true => Estimate { basis: "a replay reads no API".into(), ..Estimate::default() },
            false => {
                estimate::estimate(
                    clients,
                    manifest,
                    resource,
                    &plan,
                    &state,
                    budget,
                    Ledger::new(store.as_ref(), &manifest.name),
                )
                .boxed_local()
                .await
            }
        };
        report.plan = Some(plan.describe(&estimate));
        report.status = Status::Complete;
        return Ok(());
    }
    if request.replay_rejected {
        let mut landing = Landing::new(store.as_ref(), request, manifest, resource, state, progress);
        let replayed = landing.replay().await;
        landing.count(report);
        if replayed.is_ok() {
            landing.close(None).await?;
        }
        report.status = Status::Complete;
        return replayed;
    }
    let ledger = Ledger::new(store.as_ref(), &manifest.name);
    let api = Api::new(&clients.http, &clients.secrets, manifest, budget, Some(ledger));
    let now = chrono::Utc::now();
    let signature = asked.signature();
    // What is taken out at the end must have been read in one go.
    let earlier = state.checkpoint(&signature, now).filter(|_| resource.write_disposition != WriteDisposition::Replace);
    let mut checkpoint = earlier.unwrap_or_else(|| Checkpoint::new(signature, now));
    if !checkpoint.is_empty() {
        tracing::info!(began = checkpoint.began, "going on with a reading that was cut short");
    }
    let begin = checkpoint.begin().unwrap_or(now);
    let last = state.last();
    let watermarks = state.watermarks(resource);
    let mut landing = Landing::new(store.as_ref(), request, manifest, resource, state, progress);
    for harvest in &resource.harvest {
        let target = self::resource(manifest, &harvest.resource)?;
        let state = State::load(store.as_ref(), &manifest.name, &target.name).await?;
        state.check(target, request.format)?;
        let within = Landing::new(store.as_ref(), request, manifest, target, state, progress);
        landing.harvests.push(Harvesting::new(harvest.path.clone(), within));
    }
    let (plan, read) = match Box::pin(with_parents(&api, request, manifest, resource, plan, &watermarks, report)).await
    {
        Ok(plan) => {
            report.slices.planned = plan.len();
            let read = reading::read(&api, resource, &plan, &watermarks, &mut landing, &mut checkpoint, report)
                .boxed_local()
                .await;
            (Some(plan), read)
        }
        Err(stop) => (None, Err(stop)),
    };
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
    let plan = plan.filter(|_| complete);
    let everything = plan.as_ref().is_some_and(Plan::is_everything);
    // An error may be the store's, in the middle of a merge: what is half written then is not closed.
    if !matches!(read, Err(Stop::Error(_))) {
        landing.close(everything.then_some(begin)).await?;
        for harvest in &landing.harvests {
            harvest.close().await?;
        }
    }
    if everything {
        landing.vacate(begin, report).await?;
    }
    if let Some(incremental) = &resource.endpoint.incremental {
        let parents = std::mem::take(&mut landing.reached);
        let earlier = checkpoint.newest.as_deref().and_then(|text| Cursor::parse(text, incremental.kind));
        landing.newest = match (landing.newest, earlier) {
            (Some(newest), earlier) => Some(newest.further(earlier, incremental)),
            (None, earlier) => earlier,
        };
        checkpoint.newest = landing.newest.map(|newest| newest.to_string());
        let newest = landing.newest.filter(|_| plan.as_ref().is_some_and(|plan| plan.moves_watermark));
        // A record dated in the future would carry the watermark past those still to come.
        let now = |cursor: Cursor| {
            cursor.instant().map_or(cursor, |instant| Cursor::Instant(instant.min(chrono::Utc::now())))
        };
        let parents: Vec<(String, Cursor)> = parents.into_iter().map(|(key, cursor)| (key, now(cursor))).collect();
        landing.state.advance(incremental, newest.map(now), &parents).await?;
    }
    // After the rows, never before: what it names is stored.
    landing.state.keep((!complete && !landing.discarded).then_some(&checkpoint)).await?;
    report.status = match read {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Limit(reason)) => {
            report.stopped = Some(reason);
            report.continuation = Some(asked.again());
            Status::Partial
        }
        Ok(()) if complete => Status::Complete,
        Ok(()) => Status::Incomplete,
    };
    report.watermark = landing.state.watermark(resource).map(|watermark| watermark.to_string());
    if let Some(plan) = plan {
        warn(&plan, resource, &landing, last, report);
        if plan.is_unfiltered() && report.records.received > 0 {
            let last = Last { records: report.records.received, requests: report.requests.sent };
            landing.state.note(last).await?;
        }
    }
    Ok(())
}

/// The plan with the parent's records, where the resource has a parent.
async fn with_parents<'p, 'a: 'p>(
    api: &'a Api<'a>,
    request: &'a Request,
    manifest: &'a Manifest,
    resource: &'a Resource,
    plan: Plan<'p>,
    watermarks: &Watermarks,
    report: &mut Report,
) -> Result<Plan<'p>, Stop> {
    let Some(parent) = &resource.parent else { return Ok(plan) };
    if let Some(rows) = named_parents(request, resource) {
        return Ok(plan.with_parents(rows, watermarks));
    }
    let parents = parents::read(api, request, manifest, parent).boxed_local().await?;
    report.slices.incomplete.extend(parents.incomplete);
    Ok(plan.with_parents(parents.rows, watermarks))
}

/// The parent's records that `params` name, instead of those that the API has.
fn named_parents(request: &Request, resource: &Resource) -> Option<Vec<ParentRow>> {
    request.params.iter().find_map(|(name, text)| {
        let filter = resource.endpoint.filters.get(name)?;
        let field = filter.parent.as_ref()?;
        let row = |value: serde_json::Value| ParentRow {
            key: crate::manifest::template::plain(&value),
            fields: [(field.clone(), value)].into_iter().collect(),
        };
        Some(crate::plan::values(filter, text).into_iter().map(row).collect())
    })
}

/// Says what a reader of a complete run's report should know.
fn warn(plan: &Plan<'_>, resource: &Resource, landing: &Landing<'_>, last: Option<Last>, report: &mut Report) {
    if resource.endpoint.incremental.is_some() && landing.newest.is_some() && !plan.moves_watermark {
        let why = "the watermark stays: `params` leave records out, or the range is not one that joins it";
        report.warnings.push(why.into());
    }
    if let Some(last) = last.filter(|last| last.records > 0)
        && report.records.received == 0
        && plan.is_unfiltered()
    {
        report
            .warnings
            .push(format!("no records came, where the last complete run received {}: is that right?", last.records));
    }
    if resource.parent.is_some() && report.slices.planned == 0 {
        report.warnings.push(format!("no records of the parent came, so nothing was asked of `{}`", resource.name));
    }
}

fn resource<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Resource, Error> {
    manifest.resource(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
        let message =
            format!("{} has no `{name}`; it has: {}{}", manifest.name, names.join(", "), nearest(name, &names));
        Error::configuration("resource", message)
    })
}
