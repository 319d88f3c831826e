//! One run: request → plan → read and ingest → finish → report.
//!
//! [`run`] carries out a request: it finds the manifest, and runs one resource after the other. The stages of one resource are in
//! `resource`: each takes what it needs and returns what it found, and the report is built once, from all of them (`outcome`).

mod estimate;
mod finish;
mod lookup;
mod manifests;
mod outcome;
mod resource;
mod vanished;

use std::sync::Arc;

use chrono::TimeDelta;
use client::error::chain;
use lake::Store;
use manifest::time::Instant;
use manifest::{Faults, Manifest};

use crate::context::{Clients, ProgressListener, resource};
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::report::Report;
use crate::request::Request;

/// The resource name that stands for all of a source's.
const ALL: &str = "all";

/// What a run is carried out with, beside its request.
#[derive(Clone, Debug)]
pub struct RunOptions<'r> {
    /// The store to write to; `None`: the one that the request names. A test puts its own store here.
    pub store: Option<Arc<dyn Store>>,
    /// When reading must end, so that what was read can still be stored.
    pub deadline: Option<Instant>,
    /// Listens to how far the run has come.
    pub listener: &'r dyn ProgressListener,
}

/// Carries out `request`. The report says what happened also when an error ended the run: what was read before is stored.
pub async fn run(clients: &Clients, request: &Request, options: RunOptions<'_>) -> (Report, Option<Error>) {
    match manifests::find(clients, request).await {
        Ok(manifest) => run_source(clients, &manifest, request, options).await,
        Err(error) => (failed(request, &error), Some(error)),
    }
}

/// Carries out `request` for the source that `manifest` declares.
pub async fn run_source(
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    options: RunOptions<'_>,
) -> (Report, Option<Error>) {
    let options = RunOptions { deadline: deadline(clients, request, options.deadline), ..options };
    let names = resource_names(manifest, request);
    if let [name] = names.as_slice() {
        let request = Request { resource: name.clone(), ..request.clone() };
        return resource::run(clients, manifest, &request, &options).await;
    }
    match requests(clients, manifest, request, &names) {
        Ok(requests) => run_several(clients, manifest, requests, &options).await,
        Err(error) => (failed(request, &error), Some(error)),
    }
}

/// The report of a run that `error` ended before it began.
fn failed(request: &Request, error: &Error) -> Report {
    let report = Report { source: request.source.clone(), resource: request.resource.clone(), ..Report::default() };
    report.failed(error)
}

/// Runs one resource after the other.
async fn run_several(
    clients: &Clients,
    manifest: &Manifest,
    requests: Vec<(Request, Vec<String>)>,
    options: &RunOptions<'_>,
) -> (Report, Option<Error>) {
    let mut reports = Vec::with_capacity(requests.len());
    let mut first = None;
    let mut sent = 0;
    for (mut request, warnings) in requests {
        request.max_requests = request.max_requests.map(|most| most.saturating_sub(sent));
        let (mut report, error) = resource::run(clients, manifest, &request, options).await;
        if let Some(error) = error {
            // The others may be complete all the same.
            tracing::error!(resource = request.resource, "{}", chain(&error));
            first.get_or_insert(error);
        }
        sent += report.requests.sent;
        report.warnings.extend(warnings);
        reports.push(report);
    }
    let mut report = Report::of_several(&manifest.name, reports);
    if let Some(error) = &first {
        report = report.failed(error);
    }
    (report, first)
}

/// The earlier of the deadline that is given and the one that follows from the request.
fn deadline(clients: &Clients, request: &Request, given: Option<Instant>) -> Option<Instant> {
    let time = request.max_time.and_then(|time| TimeDelta::from_std(time).ok());
    let own = time.and_then(|time| clients.clock.now().checked_add_signed(time));
    given.into_iter().chain(own).min()
}

/// The resources that the request names: one, several with commas, or all that the manifest selects.
fn resource_names(manifest: &Manifest, request: &Request) -> Vec<String> {
    if request.resource == ALL && manifest.resource(ALL).is_none() {
        let selected = manifest.resources.iter().filter(|resource| resource.selected);
        return selected.map(|resource| resource.name.clone()).collect();
    }
    request.resource.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The request for each of several resources, with warnings for what is left out of it; checked before anything is sent.
fn requests(
    clients: &Clients,
    manifest: &Manifest,
    request: &Request,
    names: &[String],
) -> Result<Vec<(Request, Vec<String>)>, Error> {
    let mut requests = Vec::with_capacity(names.len());
    let mut faults = Vec::new();
    for name in names {
        let resource = resource(manifest, name)?;
        let mut request = Request { resource: name.clone(), ..request.clone() };
        let warnings = plan::leave_out_unsupported(&mut request, resource);
        if let Err(Faults(more)) = Plan::new(&request, manifest, resource, None, clients.clock.now()) {
            faults.extend(more);
        }
        requests.push((request, warnings));
    }
    if faults.is_empty() { Ok(requests) } else { Err(Faults(faults).into()) }
}
