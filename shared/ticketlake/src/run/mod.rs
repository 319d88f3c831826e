//! One run: request → plan → fetch → map → merge → report.

mod cut;
mod deep;
mod ended;
mod estimate;
mod fetching;
mod lookup;
mod missing;
mod parents;
mod reading;
mod refresh;

pub(crate) use self::cut::Stored;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures::FutureExt;
use tokio::time::Instant as Clock;

use self::ended::Ended;
use self::missing::Whole;
use self::refresh::Due;
pub use self::refresh::Refreshed;
use lake::Aws;
use crate::error::{Error, Faults};
use client::limits::Ledger;
use client::{Api, Budget, Http, Stop};
use crate::landing::{Harvesting, Landing};
use manifest::{Manifest, Resource, WriteDisposition, catalog, nearest};
use crate::plan::{self, Estimate, ParentRow, Plan};
use crate::report::{Report, Status};
use crate::request::Request;
use client::Secrets;
use manifest::Settings;
use crate::state::{Calendars, Checkpoint, State, Watermarks};
use lake::{self, Store};
use manifest::time::Instant;

/// Times a slice is read before it counts as incomplete.
const PASSES: u32 = 3;
/// The resource that stands for all of a source's.
const ALL: &str = "all";

/// What every run of a process shares.
#[derive(Debug)]
pub struct Clients {
    /// For the APIs.
    pub http: Http,
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
    let own = request.max_time.and_then(|time| SystemTime::now().checked_add(time));
    let until = until.into_iter().chain(own).min();
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
    let report = report.ended(begin.elapsed());
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
    let store = store.as_ref();
    // As it was asked: a later invocation looks its names up again.
    let asked = Request { resource: name.to_owned(), ..request.clone() };
    let request = &lookup::resolve(request, manifest, resource, store).await?;
    let state = State::load(store, &manifest.name, &resource.name).await?;
    state.check(resource, request.format)?;
    report.watermark = state.watermark(resource).map(|watermark| watermark.to_string());
    let budget = Budget {
        requests: request.max_requests,
        until,
        attempts: request.attempts,
        request_timeout: request.request_timeout,
        page_size: request.page_size,
    };
    if request.replay_rejected && !request.check {
        return replay(Landing::new(store, request, manifest, resource, state, progress), report).await;
    }
    let now = chrono::Utc::now();
    let due = if request.replay_rejected { None } else { Due::of(resource, &asked, &state, now) };
    report.refresh = due.as_ref().map(Due::report);
    let mut plan = Plan::new(request, manifest, resource, state.watermark(resource))?;
    if let Some(changes) = due.as_ref().and_then(|due| due.changes) {
        plan = plan.with_changes(changes);
    }
    let ledger = Ledger::new(store, &manifest.name);
    if request.check {
        let estimate = match request.replay_rejected {
            true => Estimate { basis: "a replay reads no API".into(), ..Estimate::default() },
            false => {
                let asking = estimate::estimate(clients, manifest, resource, &plan, &state, budget, ledger);
                asking.boxed_local().await
            }
        };
        report.plan = Some(plan.describe(&estimate));
        report.status = Status::Complete;
        return Ok(());
    }
    let signature = due.as_ref().map_or_else(|| asked.signature(), |due| due.signature(&asked));
    // What is taken out at the end must have been read in one go.
    let earlier = state.checkpoint(&signature, now).filter(|_| resource.write_disposition != WriteDisposition::Replace);
    let mut checkpoint = earlier.unwrap_or_else(|| Checkpoint::new(signature, now));
    if !checkpoint.is_empty() {
        tracing::info!(began = checkpoint.began, "going on with a reading that was cut short");
    }
    let begin = checkpoint.begin().unwrap_or(now);
    let last = state.last();
    let watermarks = state.watermarks(resource);
    let mut landing = landing(store, request, manifest, resource, state, progress).await?;
    let watched = watched(resource, &plan, due.as_ref());
    if watched.is_some() {
        missing::remember(&mut landing, &mut checkpoint, report).await?;
    }
    let api = Api::new(clients.http.client()?, &clients.secrets, manifest, budget, Some(ledger));
    let mut calendars = Calendars::new(store, &manifest.name, &resource.name);
    let (plan, read) = match Box::pin(with_parents(&api, request, manifest, resource, plan, &watermarks, report)).await
    {
        Ok(plan) => {
            report.slices.planned = plan.len();
            let read = reading::read(
                &api,
                resource,
                &plan,
                &watermarks,
                &mut landing,
                &mut checkpoint,
                &mut calendars,
                report,
            )
            .boxed_local()
            .await;
            (Some(plan), read)
        }
        Err(stop) => (None, Err(stop)),
    };
    let (read, missing) = match (&plan, read, watched) {
        (Some(plan), Ok(()), Some(window)) if report.slices.incomplete.is_empty() => {
            let whole = Whole { resource, begin, window };
            match plan.base() {
                Ok(base) => match whole.missing(&api, &base, &mut landing, report).boxed_local().await {
                    Ok(missing) => (Ok(()), missing),
                    Err(stop) => (Err(stop), HashSet::new()),
                },
                Err((_, reason)) => return Err(Error::configuration("vanished.confirm", reason)),
            }
        }
        (_, read, _) => (read, HashSet::new()),
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
    if let Err(error) = calendars.save().await {
        report.warnings.push(format!("the next run needs more requests: {error}"));
    }
    let ended = Ended { asked: &asked, resource, plan, read, missing, begin, last, due };
    ended.settle(landing, checkpoint, report).boxed_local().await
}

/// Whether a complete reading tells what is missing: of everything (`Some(None)`), or of the window of near dates, where records can be
/// asked for by their keys.
fn watched(resource: &Resource, plan: &Plan<'_>, due: Option<&Due<'_>>) -> Option<Option<(Instant, Instant)>> {
    let vanished = resource.vanished.as_ref()?;
    if plan.is_everything() {
        return Some(None);
    }
    let window = due.and_then(|due| due.changes)?.near?;
    vanished.confirm.is_some().then_some(Some(window))
}

/// The landing of `resource`, with those of what lies inside its records.
async fn landing<'l>(
    store: &'l dyn Store,
    request: &'l Request,
    manifest: &'l Manifest,
    resource: &'l Resource,
    state: State<'l>,
    progress: &'l dyn Progress,
) -> Result<Landing<'l>, Error> {
    let mut landing = Landing::new(store, request, manifest, resource, state, progress);
    for harvest in &resource.harvest {
        let target = self::resource(manifest, &harvest.resource)?;
        let state = State::load(store, &manifest.name, &target.name).await?;
        state.check(target, request.format)?;
        let within = Landing::new(store, request, manifest, target, state, progress);
        landing.harvests.push(Harvesting::new(harvest.path.clone(), within));
    }
    Ok(landing)
}

/// Maps every rejected record anew.
async fn replay(mut landing: Landing<'_>, report: &mut Report) -> Result<(), Error> {
    let replayed = landing.replay().await;
    landing.count(report);
    if replayed.is_ok() {
        landing.close(None).await?;
    }
    report.status = Status::Complete;
    replayed
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
            key: manifest::template::plain(&value),
            fields: [(field.clone(), value)].into_iter().collect(),
        };
        Some(crate::plan::values(filter, text).into_iter().map(row).collect())
    })
}

fn resource<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Resource, Error> {
    manifest.resource(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
        let message =
            format!("{} has no `{name}`; it has: {}{}", manifest.name, names.join(", "), nearest(name, &names));
        Error::configuration("resource", message)
    })
}
