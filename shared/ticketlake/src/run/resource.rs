//! The run of one resource.

use client::api::Connection;
use client::{Api, Reader};
use futures::FutureExt;
use manifest::time::{Instant, TimeRange};
use manifest::{Manifest, WriteDisposition};
use table::Layout;
use tokio::time::Instant as Stopwatch;

use super::finish::{Finish, Finished};
use super::outcome::RunOutcome;
use super::vanished::{self, VanishedCheck};
use super::{RunOptions, estimate, lookup};
use crate::context::{Clients, RunContext, resource};
use crate::error::{Error, Stop};
use crate::ingest::Ingest;
use crate::plan::{Coverage, Due, Estimate, Plan};
use crate::read::parents::read_parents;
use crate::read::{FinishedRead, ReadOutcome, ReadState, Sink, read_plan};
use crate::report::{Report, Status};
use crate::request::Request;
use crate::state::{Calendars, Checkpoint, Progress, SeenKeys, StoredQuota, Watermarks};

/// Runs the resource that `request` names.
pub(super) async fn run(
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    options: &RunOptions<'_>,
) -> (Report, Option<Error>) {
    let begin = Stopwatch::now();
    // Boxed: the whole run is one future, too deep a type for the compiler inside the runtime's own.
    let (outcome, ended) = run_stages(clients, manifest, request, options).boxed_local().await;
    let report = outcome.into_report(&request.source, &request.resource).ended(begin.elapsed());
    match ended {
        Ok(()) => (report, None),
        Err(error) => (report.failed(&error), Some(error)),
    }
}

/// A run whose stages up to the first request have found no fault.
struct Prepared<'c> {
    layout: Layout<'c>,
    progress: Progress<'c>,
    now: Instant,
}

/// Opens the lake, and runs the resource in it.
async fn run_stages(
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    options: &RunOptions<'_>,
) -> (RunOutcome, Result<(), Error>) {
    let outcome = RunOutcome::default();
    let declared = match check(clients, manifest, request) {
        Ok(declared) => declared,
        Err(error) => return (outcome, Err(error)),
    };
    let store = match &options.store {
        Some(store) => std::sync::Arc::clone(store),
        None => lake::open(&request.lake, &clients.aws).await,
    };
    let resolved = match lookup::resolve(request, manifest, declared, store.as_ref()).await {
        Ok(resolved) => resolved,
        Err(error) => return (outcome, Err(error)),
    };
    let ctx = RunContext {
        clients,
        store: store.as_ref(),
        manifest,
        resource: declared,
        request: &resolved,
        deadline: options.deadline,
        listener: options.listener,
    };
    let prepared = match prepare(&ctx).await {
        Ok(prepared) => prepared,
        Err(error) => return (outcome, Err(error)),
    };
    let watermark = watermark(&ctx, &prepared.progress);
    let (outcome, ended) = if request.replay_rejected && !request.check {
        replay(&ctx, prepared).await
    } else if request.check {
        describe(&ctx, request, prepared).await
    } else {
        read(&ctx, request, prepared).boxed_local().await
    };
    let watermark = outcome.watermark.or(watermark);
    (RunOutcome { watermark, ..outcome }, ended)
}

/// The resource that `request` names. What is wrong with the request is said before the lake is opened.
fn check<'m>(clients: &Clients, manifest: &'m Manifest, request: &Request) -> Result<&'m manifest::Resource, Error> {
    let declared = resource(manifest, &request.resource)?;
    declared.notes.iter().for_each(|note| tracing::warn!(resource = request.resource, "{note}"));
    Plan::new(request, manifest, declared, None, clients.clock.now())?;
    Ok(declared)
}

/// Reads what earlier runs left, and checks whether the resource fits what is stored.
async fn prepare<'c>(ctx: &RunContext<'c>) -> Result<Prepared<'c>, Error> {
    let (source, name) = (&ctx.manifest.name, &ctx.resource.name);
    let layout = Layout::load(ctx.store, source, name).await?;
    layout.check(ctx.resource, ctx.request.format)?;
    let progress = Progress::load(ctx.store, source, name).await?;
    Ok(Prepared { layout, progress, now: ctx.now() })
}

fn watermark(ctx: &RunContext<'_>, progress: &Progress<'_>) -> Option<String> {
    let incremental = ctx.resource.endpoint.incremental.as_ref()?;
    progress.watermark(incremental).map(|watermark| watermark.to_string())
}

/// Maps every rejected record again.
async fn replay(ctx: &RunContext<'_>, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let mut outcome = RunOutcome { status: Status::Complete, ..RunOutcome::default() };
    let mut ingest = match Ingest::new(ctx, prepared.layout).await {
        Ok(ingest) => ingest,
        Err(error) => return (outcome, Err(error)),
    };
    let replayed = ingest.replay_rejected().await;
    outcome.counts = ingest.counts();
    let ended = match replayed {
        Ok(()) => ingest.close(None).await,
        Err(error) => Err(error),
    };
    (outcome, ended)
}

/// Says what the run would read, and what it is expected to need.
async fn describe(ctx: &RunContext<'_>, asked: &Request, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let Prepared { progress, now, .. } = prepared;
    let due = if asked.replay_rejected { None } else { Due::new(ctx.resource, asked, &progress, now) };
    let mut outcome = RunOutcome { refresh: due.as_ref().map(Due::report), ..RunOutcome::default() };
    let plan = match plan(ctx, &progress, due.as_ref(), now) {
        Ok(plan) => plan,
        Err(error) => return (outcome, Err(error)),
    };
    let estimate = if asked.replay_rejected {
        Estimate { basis: "a replay reads no API".into(), ..Estimate::default() }
    } else {
        let quota = StoredQuota::new(ctx.store, &ctx.manifest.name);
        estimate::estimate(ctx, &plan, progress.previous(), &quota).boxed_local().await
    };
    outcome.plan = Some(plan.describe(&estimate));
    outcome.status = Status::Complete;
    (outcome, Ok(()))
}

/// The plan of the run: everything that the request asks for, or the part that is due.
fn plan<'c>(
    ctx: &RunContext<'c>,
    progress: &Progress<'_>,
    due: Option<&Due<'_>>,
    now: Instant,
) -> Result<Plan<'c>, Error> {
    let incremental = ctx.resource.endpoint.incremental.as_ref();
    let watermark = incremental.and_then(|incremental| progress.watermark(incremental));
    let plan = Plan::new(ctx.request, ctx.manifest, ctx.resource, watermark, now)?;
    Ok(match due.and_then(|due| due.changes) {
        Some(changes) => plan.with_changes(changes),
        None => plan,
    })
}

/// How much a complete reading of `plan` tells of rows that have vanished: of everything, or of a near window, where records can be asked
/// for by their keys. `None`: nothing.
fn vanished_coverage(ctx: &RunContext<'_>, plan: &Plan<'_>, due: Option<&Due<'_>>) -> Option<Coverage> {
    let vanished = ctx.resource.vanished.as_ref()?;
    if plan.covers_everything() {
        return Some(Coverage::Everything);
    }
    let window = due.and_then(|due| due.changes)?.near?;
    vanished.confirm.is_some().then_some(Coverage::Window(window))
}

/// Reads what the request asks for.
async fn read(ctx: &RunContext<'_>, asked: &Request, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let Prepared { layout, mut progress, now } = prepared;
    let due = Due::new(ctx.resource, asked, &progress, now);
    let mut outcome = RunOutcome { refresh: due.as_ref().map(Due::report), ..RunOutcome::default() };
    let plan = match plan(ctx, &progress, due.as_ref(), now) {
        Ok(plan) => plan,
        Err(error) => return (outcome, Err(error)),
    };
    let mut checkpoint = resume(ctx, asked, due.as_ref(), &progress, now);
    let begin = checkpoint.begin().unwrap_or(now);
    let previous = progress.previous();
    let mut ingest = match Ingest::new(ctx, layout).await {
        Ok(ingest) => ingest,
        Err(error) => return (outcome, Err(error)),
    };
    let coverage = vanished_coverage(ctx, &plan, due.as_ref());
    if coverage.is_some() {
        let mut seen_keys = SeenKeys::new(ctx.store, &ctx.manifest.name, &ctx.resource.name);
        match vanished::remember_keys(&mut seen_keys, &mut checkpoint).await {
            Ok((seen, warning)) => {
                ingest.remember_keys(seen);
                outcome.warnings.extend(warning);
            }
            Err(error) => return (outcome, Err(error)),
        }
    }
    let quota = StoredQuota::new(ctx.store, &ctx.manifest.name);
    let connection = Connection {
        transport: ctx.clients.transport.as_ref(),
        secrets: &ctx.clients.secrets,
        clock: ctx.clock(),
        quota: Some(&quota),
    };
    let api = Api::new(connection, ctx.manifest, ctx.budget());
    let sink = Sink { ingest: &mut ingest, progress: &mut progress };
    let (plan, read) = read_from_api(ctx, &api, plan, sink, checkpoint).await;
    let FinishedRead { outcome: mut read, checkpoint, mut calendars } = read;

    let mut vanished_keys = Default::default();
    if let (Some(plan), Some(coverage), true) = (&plan, coverage, read.is_complete()) {
        let unseen = VanishedCheck { ctx, begin, window: window(coverage) };
        let reader = Reader::new(&api, ctx.resource);
        let confirmed = match plan.unbounded_query() {
            Ok(query) => unseen.confirm(&reader, &query, &mut ingest).boxed_local().await,
            Err(unsendable) => Err(Stop::Error(Error::configuration("vanished.confirm", unsendable.reason))),
        };
        match confirmed {
            Ok(confirmed) => {
                vanished_keys = confirmed.vanished;
                read.warnings.extend(confirmed.warning);
                read.queries.incomplete.extend(confirmed.incomplete);
            }
            Err(stop) => read.stopped = Some(stop),
        }
    }
    // What was read before an error is as good as any: it is stored, and the watermark stays.
    let stored = ingest.finish().await;
    outcome.counts = ingest.counts();
    outcome.requests = api.requests();
    if let Err(error) = api.close().await {
        // Nothing is lost but a part of the quota, until it renews.
        outcome.warnings.push(format!("reserved requests that were not sent count as used: {error}"));
    }
    outcome.quota = api.quota_left();
    outcome.warnings.append(&mut read.warnings);
    outcome.total = read.total;
    if let Err(error) = stored {
        outcome.queries = read.queries;
        return (outcome, Err(error));
    }
    if let Err(error) = calendars.save().await {
        outcome.warnings.push(format!("the next run needs more requests: {error}"));
    }
    let received = outcome.counts.records.received;
    let requests = outcome.requests.sent;
    let finish = Finish { ctx, asked, plan, read, vanished: vanished_keys, begin, previous, due, received, requests };
    let Finished { outcome: finished, queries, ended } =
        finish.run(&mut ingest, &mut progress, checkpoint).boxed_local().await;
    outcome.counts = ingest.counts();
    outcome.queries = queries;
    outcome.warnings.extend(finished.warnings);
    outcome.status = finished.status;
    outcome.stopped = finished.stopped;
    outcome.continuation = finished.continuation;
    outcome.watermark = watermark(ctx, &progress);
    (outcome, ended)
}

/// The checkpoint that the reading goes on from: that of an earlier run that was cut short, else a new one.
fn resume(
    ctx: &RunContext<'_>,
    asked: &Request,
    due: Option<&Due<'_>>,
    progress: &Progress<'_>,
    now: Instant,
) -> Checkpoint {
    let id = due.map_or_else(|| asked.id(), |due| due.request_id(asked));
    // What is removed at the end must have been read in one go.
    let earlier = progress.checkpoint(id, now).filter(|_| ctx.resource.write_disposition != WriteDisposition::Replace);
    let checkpoint = earlier.unwrap_or_else(|| Checkpoint::new(id, now));
    if !checkpoint.is_empty() {
        tracing::info!(began = checkpoint.began, "going on with a reading that was cut short");
    }
    checkpoint
}

/// Reads the parent's records, if the resource has a parent, and the queries of the plan. The plan is `None` where the parents could not be
/// read.
async fn read_from_api<'c>(
    ctx: &RunContext<'c>,
    api: &Api<'_>,
    plan: Plan<'c>,
    sink: Sink<'_, 'c>,
    checkpoint: Checkpoint,
) -> (Option<Plan<'c>>, FinishedRead<'c>) {
    let calendars = Calendars::new(ctx.store, &ctx.manifest.name, &ctx.resource.name);
    let incremental = ctx.resource.endpoint.incremental.as_ref();
    let watermarks = incremental.map_or_else(Watermarks::default, |incremental| sink.progress.watermarks(incremental));
    let parents = match read_parents(ctx, api).boxed_local().await {
        Ok(parents) => parents,
        Err(stop) => {
            let outcome = ReadOutcome { stopped: Some(stop), ..ReadOutcome::default() };
            return (None, FinishedRead { outcome, checkpoint, calendars });
        }
    };
    let plan = match ctx.resource.parent {
        Some(_) => plan.with_parents(parents.records, &watermarks, ctx.now()),
        None => plan,
    };
    let state = ReadState { checkpoint, calendars, watermarks: &watermarks };
    let mut read = read_plan(ctx, api, &plan, sink, state).boxed_local().await;
    read.outcome.queries.incomplete.splice(0..0, parents.incomplete);
    (Some(plan), read)
}

/// The window of time that `coverage` is.
fn window(coverage: Coverage) -> TimeRange {
    match coverage {
        Coverage::Everything => TimeRange::ALL,
        Coverage::Window(window) => window,
    }
}
