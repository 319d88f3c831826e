//! One run: request → plan → fetch → map → merge → report.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::time::Instant as Clock;
use xxhash_rust::xxh3::xxh3_64;

use crate::aws::Aws;
use crate::error::Error;
use crate::fetch::paginate::{self, End, Page};
use crate::fetch::{Api, Budget, Stop};
use crate::manifest::{Manifest, Resource, catalog, nearest};
use crate::map::{Mapper, Rejection};
use crate::merge::{Buffer, Merged, Table};
use crate::plan::{Plan, Slice};
use crate::rejected::Rejected;
use crate::report::{IncompleteSlice, Report, Status};
use crate::request::Request;
use crate::secret::Secrets;
use crate::state::State;
use crate::store::{self, Store};
use crate::time::{self, Instant};

/// Rows are merged when they take about this much memory, in bytes.
const FLUSH_BYTES: usize = 24 << 20;
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

/// Carries out `request`. The report says what happened also when an error ended the run: what was read before is stored.
pub async fn run(
    clients: &Clients,
    request: &Request,
    until: Option<SystemTime>,
    progress: &dyn Progress,
) -> (Report, Option<Error>) {
    let begin = Clock::now();
    let mut report = Report { source: request.source.clone(), resource: request.resource.clone(), ..Report::default() };
    // Boxed: the whole run is one future, too deep a type for the compiler inside the runtime's own.
    let outcome = Box::pin(fill(clients, request, until, progress, &mut report)).await;
    report.elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(()) => (report, None),
        Err(error) => (report.failed(&error), Some(error)),
    }
}

async fn fill(
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
    // Before the lake is opened, what is wrong with the request is said.
    Plan::new(request, resource, None)?;
    let store = store::open(&request.lake, &clients.aws).await;
    let state = State::load(store.as_ref(), &manifest.name, &resource.name).await?;
    let plan = Plan::new(request, resource, state.watermark())?;
    report.slices.planned = plan.slices.len();
    report.watermark = state.watermark().map(time::format_instant);
    if request.check {
        report.plan = Some(plan.describe(request, &manifest.client, resource));
        report.status = Status::Complete;
        return Ok(());
    }
    let budget = Budget { requests: request.max_requests, until };
    let api = Api::new(&clients.http, &clients.secrets, &manifest, budget);
    let mut landing = Landing::new(store.as_ref(), request, &manifest, resource, state, progress);
    let stop = read_slices(&api, resource, &plan, &mut landing, report).await;
    // What was read before an error is as good as any: it is stored, the watermark is not moved.
    let flushed = landing.flush().await;
    landing.count(report);
    let Landing { mut state, newest, .. } = landing;
    report.requests = api.requests();
    flushed?;
    match stop {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Limit(reason)) => {
            report.stopped = Some(reason);
            report.status = Status::Partial;
        }
        Ok(()) if report.slices.incomplete.is_empty() => report.status = Status::Complete,
        Ok(()) => report.status = Status::Incomplete,
    }
    if report.status == Status::Complete {
        match newest {
            // A record dated in the future would carry the watermark past those still to come.
            Some(newest) if plan.moves_watermark => state.advance(newest.min(chrono::Utc::now())).await?,
            Some(_) if resource.endpoint.incremental.is_some() => {
                report
                    .warnings
                    .push("the watermark stays: `params` leave records out, or the range begins after it".into());
            }
            _ => {}
        }
        report.watermark = state.watermark().map(time::format_instant);
    }
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

/// What a slice should have and what came of it.
#[derive(Debug, Default)]
struct Tally {
    total: Option<u64>,
    keys: HashSet<u64>,
    /// Records that no key tells apart: rejected ones, and those that were exploded.
    others: u64,
}

impl Tally {
    fn distinct(&self) -> u64 {
        self.keys.len() as u64 + self.others
    }

    fn is_whole(&self) -> bool {
        self.total.is_none_or(|total| self.distinct() >= total)
    }
}

/// Where pages become rows, and rows parts.
struct Landing<'l> {
    mapper: Mapper<'l>,
    table: Table<'l>,
    buffer: Buffer,
    rejected: Rejected<'l>,
    state: State<'l>,
    resource: &'l Resource,
    request: &'l Request,
    progress: &'l dyn Progress,
    merged: Merged,
    received: u64,
    refused: u64,
    newest: Option<Instant>,
}

impl<'l> Landing<'l> {
    fn new(
        store: &'l dyn Store,
        request: &'l Request,
        manifest: &'l Manifest,
        resource: &'l Resource,
        state: State<'l>,
        progress: &'l dyn Progress,
    ) -> Self {
        let table = Table::new(store, &manifest.name, resource, request.format);
        Self {
            mapper: Mapper::new(resource),
            buffer: table.buffer(),
            table,
            rejected: Rejected::new(store, &manifest.name, &resource.name),
            state,
            resource,
            request,
            progress,
            merged: Merged::default(),
            received: 0,
            refused: 0,
            newest: None,
        }
    }

    async fn page(&mut self, page: Page, tally: &mut Tally) -> Result<(), Error> {
        tally.total = page.total.or(tally.total);
        for record in page.records {
            self.received += 1;
            let rows = self.mapper.map(record);
            if !self.resource.explode.is_empty() {
                tally.others += 1;
            }
            for row in rows {
                match row {
                    Ok(row) => {
                        if self.resource.explode.is_empty() {
                            tally.keys.insert(xxh3_64(row.key.as_bytes()));
                        }
                        self.newest = self.newest.max(row.cursor);
                        self.buffer.push(row);
                    }
                    Err(rejection) => {
                        tally.others += u64::from(self.resource.explode.is_empty());
                        self.reject(&rejection, &page.request).await?;
                    }
                }
            }
        }
        self.progress.page(self.received, tally.total);
        if self.buffer.bytes() >= FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn reject(&mut self, rejection: &Rejection, request: &str) -> Result<(), Error> {
        self.refused += 1;
        if let Some(bytes) = self.rejected.keep(rejection, request).await? {
            tracing::warn!(reason = rejection.reason, "a record has no place; kept under _rejected");
            self.merged += Merged { objects: 1, bytes_written: bytes, ..Merged::default() };
        }
        Ok(())
    }

    /// Merges what is buffered.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.bytes() > 0 {
            self.state.claim(self.resource, self.request.format).await?;
            self.merged += self.table.merge(&mut self.buffer).await?;
        }
        Ok(())
    }

    fn count(&self, report: &mut Report) {
        report.records.received = self.received;
        report.records.new = self.merged.new;
        report.records.changed = self.merged.changed;
        report.records.unchanged = self.merged.unchanged;
        report.records.rejected = self.refused;
        report.objects = self.merged.objects;
        report.bytes_written = self.merged.bytes_written;
    }
}
