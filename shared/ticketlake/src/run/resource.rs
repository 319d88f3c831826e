//! The run of one resource.

use client::{Api, Reader};
use futures::FutureExt;
use manifest::time::{Instant, TimeRange};
use manifest::{Manifest, ScopeId, WriteDisposition};
use table::Layout;
use tokio::time::Instant as Stopwatch;

use super::finish::FinishInput;
use super::outcome::RunOutcome;
use super::vanished::{self, VanishedCheck};
use super::{estimate, lookup};
use crate::clock::RunClock;
use crate::context::{Clients, RunContext, RunOptions, resource};
use crate::error::{Error, Stop};
use crate::evidence::StoredEvidence;
use crate::ingest::{Ingest, VanishedRows};
use crate::plan::{DueRefresh, Estimate, Plan, beginning};
use crate::read::parents::read_parents;
use crate::read::{FinishedRead, ReadOutcome, ReadState, Sink, read_plan};
use crate::report::{Report, Status};
use crate::request::Request;
use crate::state::{Calendars, Checkpoint, Progress, ReadCoverage, SeenKeys, StoredQuota};

/// Runs the resource that `request` names.
pub(super) async fn run(
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    options: &RunOptions<'_>,
) -> (Report, Option<Error>) {
    let begin = Stopwatch::now();
    // The future of a run is boxed, since its type is nested too deeply for the compiler otherwise.
    let (outcome, ended) = run_stages(clients, manifest, request, options).boxed_local().await;
    let report = outcome.into_report(&request.source, &request.resource).ended(begin.elapsed());
    match ended {
        Ok(()) => (report, None),
        Err(error) => (report.failed(&error), Some(error)),
    }
}

/// What a run needs before its first request.
struct Prepared<'c> {
    layout: Layout<'c>,
    progress: Progress<'c>,
    now: Instant,
}

/// Opens the lake and runs the stages. The outcome says what was done, also before an error.
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
        None => match request.lake.check() {
            Ok(()) => lake::open(&request.lake, &clients.aws).await,
            Err(message) => return (outcome, Err(Error::configuration("lake", message))),
        },
    };
    let resolved = match lookup::resolve(request, manifest, declared, store.as_ref()).await {
        Ok(resolved) => resolved,
        Err(error) => return (outcome, Err(error)),
    };
    let clock = RunClock::new(clients.clock.as_ref(), store.as_ref());
    let ctx = RunContext {
        clients,
        store: store.as_ref(),
        manifest,
        resource: declared,
        request: &resolved,
        deadline: options.deadline,
        listener: options.listener,
        clock: &clock,
    };
    let prepared = match prepare(&ctx).await {
        Ok(prepared) => prepared,
        Err(error) => return (outcome, Err(error)),
    };
    let watermark = watermark(&ctx, &prepared.progress);
    let (outcome, ended) = if request.replay_rejected && !request.check {
        replay(&ctx, prepared).await
    } else if request.repair && !request.check {
        repair(&ctx, prepared).await
    } else if request.check {
        describe(&ctx, request, prepared).await
    } else {
        read(&ctx, request, prepared).boxed_local().await
    };
    let watermark = outcome.watermark.or(watermark);
    (RunOutcome { watermark, ..outcome }, ended)
}

/// Returns the resource that `request` names, if it supports the request. The check needs no lake.
fn check<'m>(clients: &Clients, manifest: &'m Manifest, request: &Request) -> Result<&'m manifest::Resource, Error> {
    let declared = resource(manifest, &request.resource)?;
    declared.notes.iter().for_each(|note| tracing::warn!(resource = request.resource, "{note}"));
    Plan::new(request, manifest, declared, clients.clock.now())?;
    Ok(declared)
}

/// Reads the state of earlier runs, and checks that the resource fits the stored table.
async fn prepare<'c>(ctx: &RunContext<'c>) -> Result<Prepared<'c>, Error> {
    let (source, name) = (&ctx.manifest.name, &ctx.resource.name);
    let layout = Layout::load(ctx.store, source, name).await?;
    layout.check(ctx.resource, ctx.request.format)?;
    let scope = ScopeId::new(ctx.manifest, ctx.resource);
    let progress = Progress::load(ctx.store, source, name, scope).await?;
    Ok(Prepared { layout, progress, now: ctx.now() })
}

/// Returns the watermark as a text.
fn watermark(ctx: &RunContext<'_>, progress: &Progress<'_>) -> Option<String> {
    let incremental = ctx.resource.endpoint.incremental.as_ref()?;
    let beginning = beginning(ctx.request, ctx.resource, ctx.now());
    progress.watermark(incremental, beginning).map(|watermark| watermark.to_string())
}

/// Maps every rejected record again, and stores those that fit now.
async fn replay(ctx: &RunContext<'_>, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let mut outcome = RunOutcome { status: Status::Complete, ..RunOutcome::default() };
    let mut ingest = match Ingest::new(ctx, prepared.layout, prepared.now).await {
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

/// Keeps only the newest row of each key that lies in several partitions.
async fn repair(ctx: &RunContext<'_>, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let mut outcome = RunOutcome { status: Status::Complete, ..RunOutcome::default() };
    let mut ingest = match Ingest::new(ctx, prepared.layout, prepared.now).await {
        Ok(ingest) => ingest,
        Err(error) => return (outcome, Err(error)),
    };
    let repaired = ingest.remove_doubled_rows().await;
    outcome.counts = ingest.counts();
    (outcome, repaired)
}

/// Describes the plan and its estimate.
async fn describe(ctx: &RunContext<'_>, original: &Request, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let Prepared { progress, now, .. } = prepared;
    let sends_no_requests = original.replay_rejected || original.repair;
    let due = if sends_no_requests { None } else { DueRefresh::new(ctx.resource, original, &progress, now) };
    let mut outcome = RunOutcome { refresh: due.as_ref().map(DueRefresh::report), ..RunOutcome::default() };
    let plan = match plan(ctx, &progress, due.as_ref(), now) {
        Ok(plan) => plan,
        Err(error) => return (outcome, Err(error)),
    };
    let estimate = if sends_no_requests {
        Estimate { basis: "a replay or a repair sends no requests".into(), ..Estimate::default() }
    } else {
        let quota = StoredQuota::new(ctx.store, &ctx.manifest.name);
        estimate::estimate(ctx, &plan, progress.previous(), &quota).boxed_local().await
    };
    outcome.plan = Some(plan.describe(&estimate));
    outcome.status = Status::Complete;
    (outcome, Ok(()))
}

/// Returns the plan of the run: everything that the request asks for, or the changes that are due.
fn plan<'c>(
    ctx: &RunContext<'c>,
    progress: &Progress<'_>,
    due: Option<&DueRefresh<'_>>,
    begin: Instant,
) -> Result<Plan<'c>, Error> {
    let plan = Plan::new(ctx.request, ctx.manifest, ctx.resource, begin)?;
    let plan = plan.without_covered(&coverage(ctx, progress).settled);
    Ok(match due.and_then(|due| due.changes) {
        Some(changes) => plan.with_changes(changes),
        None => plan,
    })
}

/// Returns what the runs so far have read.
fn coverage(ctx: &RunContext<'_>, progress: &Progress<'_>) -> ReadCoverage {
    let incremental = ctx.resource.endpoint.incremental.as_ref();
    incremental.map(|incremental| progress.coverage(incremental)).unwrap_or_default()
}

/// Returns the time window in which a complete read of `plan` shows which rows have vanished. It is everything, or a near window if
/// records can be requested by their keys. `None` if the read does not show that.
fn vanished_window(ctx: &RunContext<'_>, plan: &Plan<'_>, due: Option<&DueRefresh<'_>>) -> Option<TimeRange> {
    let vanished = ctx.resource.vanished.as_ref()?;
    if plan.covers_everything() {
        return Some(TimeRange::ALL);
    }
    let near = due.and_then(|due| due.changes)?.near?;
    vanished.confirm.is_some().then_some(near)
}

/// Reads the records that the request asks for.
async fn read(ctx: &RunContext<'_>, original: &Request, prepared: Prepared<'_>) -> (RunOutcome, Result<(), Error>) {
    let mut outcome = RunOutcome::default();
    let ended = read_into(&mut outcome, ctx, original, prepared).boxed_local().await;
    (outcome, ended)
}

/// Reads the records that the request asks for. The results of each stage are set in `outcome`, also before an error.
async fn read_into(
    outcome: &mut RunOutcome,
    ctx: &RunContext<'_>,
    original: &Request,
    prepared: Prepared<'_>,
) -> Result<(), Error> {
    let Prepared { layout, mut progress, now } = prepared;
    let due = DueRefresh::new(ctx.resource, original, &progress, now);
    outcome.refresh = due.as_ref().map(DueRefresh::report);
    let mut checkpoint = resume(ctx, original, due.as_ref(), &progress, now);
    let begin = checkpoint.begin().unwrap_or(now);
    let is_resumed = !checkpoint.is_empty();
    let plan = plan(ctx, &progress, due.as_ref(), begin)?;
    let previous = progress.previous();
    let mut ingest = Ingest::new(ctx, layout, begin).await?;
    for (id, finished) in checkpoint.all_finished() {
        let records = finished.evidence.iter().flat_map(StoredEvidence::records);
        ingest.remember_siblings(id, records);
    }
    let vanished_window = vanished_window(ctx, &plan, due.as_ref());
    if vanished_window.is_some() {
        outcome.warnings.extend(remember_keys(ctx, &mut checkpoint, &mut ingest).await?);
    }
    if ingest.seen().is_some() && (vanished_window.is_some() || plan.covers_everything()) {
        checkpoint.reading = Some(ingest.begin_reading(checkpoint.reading).await?);
    }
    let quota = StoredQuota::new(ctx.store, &ctx.manifest.name);
    let api = Api::new(ctx.connection(&quota), ctx.manifest, ctx.budget());
    let sink = Sink { ingest: &mut ingest, progress: &mut progress };
    let (plan, read) = read_from_api(ctx, &api, plan, sink, checkpoint).await;
    let FinishedRead { outcome: mut read, checkpoint, mut calendars } = read;
    if let Some(plan) = &plan
        && read.is_complete()
        && !read.proof.is_proven()
        && would_remove_rows(ctx, plan, vanished_window, &ingest).await?
    {
        let sink = Sink { ingest: &mut ingest, progress: &mut progress };
        confirm_by_second_read(ctx, &api, plan, sink, &mut read).await;
    }

    let mut vanished = VanishedRows::default();
    let clocks_agree = ctx.clock.disagreement().is_none();
    if let (Some(plan), Some(window), true) = (&plan, vanished_window, read.is_complete() && clocks_agree) {
        let check = VanishedCheck { ctx, window, doubt: vanished::doubt(&read.proof) };
        vanished = find_vanished(&check, &api, plan, &mut ingest, &mut read).await;
    }
    store_rows(outcome, &api, &mut ingest, &mut read).await?;
    if let Err(error) = calendars.save().await {
        outcome.warnings.push(format!("the calendar was not saved, so the next run needs more requests: {error}"));
    }
    let (received, requests) = (outcome.counts.records.received, outcome.requests.sent);
    let marks_vanished = vanished_window.is_some();
    let input = FinishInput {
        ctx,
        original,
        plan,
        read,
        vanished,
        begin,
        is_resumed,
        marks_vanished,
        previous,
        due,
        received,
        requests,
    };
    let (finished, ended) = input.finish(&mut ingest, &mut progress, checkpoint).boxed_local().await;
    outcome.counts = ingest.counts();
    outcome.queries = finished.queries;
    outcome.warnings.extend(finished.warnings);
    outcome.status = finished.status;
    outcome.stopped = finished.stopped;
    outcome.continuation = finished.continuation;
    outcome.watermark = watermark(ctx, &progress);
    ended
}

/// Returns whether stored rows would be removed or marked because a read did not receive them, without a request for them by their keys.
async fn would_remove_rows(
    ctx: &RunContext<'_>,
    plan: &Plan<'_>,
    vanished_window: Option<TimeRange>,
    ingest: &Ingest<'_>,
) -> Result<bool, Error> {
    let is_confirmed = ctx.resource.vanished.as_ref().is_some_and(|vanished| vanished.confirm.is_some());
    if let Some(window) = vanished_window.filter(|_| !is_confirmed) {
        return Ok(!ingest.find_unseen_rows(window).await?.keys.is_empty());
    }
    let replaces = ctx.resource.write_disposition == WriteDisposition::Replace && plan.covers_everything();
    Ok(replaces && ingest.has_unseen_rows().await?)
}

/// Reads the plan once more, also the parent's records if no total proves these. No total proves the first read, and what neither of two
/// reads receives is gone. The queries that are incomplete in the second read are added to `read`.
async fn confirm_by_second_read<'c>(
    ctx: &RunContext<'c>,
    api: &Api<'_>,
    plan: &Plan<'c>,
    sink: Sink<'_, 'c>,
    read: &mut ReadOutcome,
) {
    tracing::info!("rows would be removed, and no total proves the read; reading once more");
    let checkpoint = Checkpoint::new(ctx.request.id(), ctx.resource, ctx.now());
    let second = if read.parents.is_proven() {
        let calendars = Calendars::new(ctx.store, &ctx.manifest.name, &ctx.resource.name);
        read_plan(ctx, api, plan, sink, ReadState { checkpoint, calendars }).boxed_local().await
    } else {
        read_from_api(ctx, api, plan.without_parents(), sink, checkpoint).boxed_local().await.1
    };
    let second = second.outcome;
    read.queries.incomplete.extend(second.queries.incomplete);
    read.stopped = second.stopped;
}

/// Lets `ingest` remember the keys that the read receives. Returns a warning if those of an interrupted read are not known.
async fn remember_keys(
    ctx: &RunContext<'_>,
    checkpoint: &mut Checkpoint,
    ingest: &mut Ingest<'_>,
) -> Result<Option<String>, Error> {
    let mut seen_keys = SeenKeys::new(ctx.store, &ctx.manifest.name, &ctx.resource.name);
    let (seen, warning) = vanished::load_seen_keys(&mut seen_keys, checkpoint).await?;
    ingest.remember_keys(seen);
    Ok(warning)
}

/// Returns the rows that have vanished. The results of the check are added to `read`.
async fn find_vanished(
    check: &VanishedCheck<'_>,
    api: &Api<'_>,
    plan: &Plan<'_>,
    ingest: &mut Ingest<'_>,
    read: &mut ReadOutcome,
) -> VanishedRows {
    let reader = Reader::new(api, check.ctx.resource);
    let confirmed = match plan.unbounded_query() {
        Ok(query) => check.confirm(&reader, &query, ingest).boxed_local().await,
        Err(unsendable) => Err(Stop::Error(Error::configuration("vanished.confirm", unsendable.reason))),
    };
    match confirmed {
        Ok(confirmed) => {
            read.warnings.extend(confirmed.warning);
            read.queries.incomplete.extend(confirmed.incomplete);
            confirmed.vanished
        }
        Err(stop) => {
            read.stopped = Some(stop);
            VanishedRows::default()
        }
    }
}

/// Stores the rows that are still buffered, also those that were read before an error, and ends the requests.
async fn store_rows(
    outcome: &mut RunOutcome,
    api: &Api<'_>,
    ingest: &mut Ingest<'_>,
    read: &mut ReadOutcome,
) -> Result<(), Error> {
    let stored = ingest.finish().await;
    outcome.counts = ingest.counts();
    outcome.requests = api.requests();
    if let Err(error) = api.close().await {
        // Only a part of the quota is lost, until it renews.
        outcome.warnings.push(format!("reserved requests that were not sent count as used: {error}"));
    }
    outcome.quota = api.quota_left();
    outcome.warnings.append(&mut read.warnings);
    outcome.total = read.total;
    outcome.proof = read.proof.clone();
    if stored.is_err() {
        outcome.queries = std::mem::take(&mut read.queries);
    }
    stored
}

/// Returns the checkpoint of an interrupted read of the same request, or a new one.
fn resume(
    ctx: &RunContext<'_>,
    original: &Request,
    due: Option<&DueRefresh<'_>>,
    progress: &Progress<'_>,
    now: Instant,
) -> Checkpoint {
    let id = due.map_or_else(|| original.id(), |due| due.request_id(original));
    // A read that removes the unseen rows at its end must be one run.
    let earlier = progress
        .checkpoint(id, ctx.resource, now)
        .filter(|_| ctx.resource.write_disposition != WriteDisposition::Replace);
    let checkpoint = earlier.unwrap_or_else(|| Checkpoint::new(id, ctx.resource, now));
    if !checkpoint.is_empty() {
        tracing::info!(began = checkpoint.began, "resuming an interrupted read");
    }
    checkpoint
}

/// Reads the parent's records, if the resource has a parent, then the queries of the plan. The returned plan is `None` if the parents could
/// not be read.
async fn read_from_api<'c>(
    ctx: &RunContext<'c>,
    api: &Api<'_>,
    plan: Plan<'c>,
    sink: Sink<'_, 'c>,
    checkpoint: Checkpoint,
) -> (Option<Plan<'c>>, FinishedRead<'c>) {
    let calendars = Calendars::new(ctx.store, &ctx.manifest.name, &ctx.resource.name);
    let settled = coverage(ctx, sink.progress).parents;
    let parents = match read_parents(ctx, api).boxed_local().await {
        Ok(parents) => parents,
        Err(stop) => {
            let outcome = ReadOutcome { stopped: Some(stop), ..ReadOutcome::default() };
            return (None, FinishedRead { outcome, checkpoint, calendars });
        }
    };
    let plan = match ctx.resource.parent {
        Some(_) => plan.with_parents(parents.records, &settled),
        None => plan,
    };
    let state = ReadState { checkpoint, calendars };
    let mut read = read_plan(ctx, api, &plan, sink, state).boxed_local().await;
    read.outcome.queries.incomplete.splice(0..0, parents.incomplete);
    read.outcome.proof += &parents.proof;
    read.outcome.parents = parents.proof;
    (Some(plan), read)
}
