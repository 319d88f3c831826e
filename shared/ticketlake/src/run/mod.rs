//! One run: request → plan → read and ingest → finish → report.
//!
//! [`run`] finds the manifest of the request and runs its resources one after the other. The stages of one resource are in `resource`.
//! Each stage returns its results, and the report is built once, from all of them (`outcome`).

mod estimate;
mod expectations;
mod finish;
mod lookup;
mod manifests;
mod outcome;
mod resource;
mod vanished;

use chrono::TimeDelta;
use client::error::chain;
use manifest::time::Instant;
use manifest::{Faults, Manifest};
use serde_json::Value;

use crate::context::{Clients, RunOptions, resource};
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::report::Report;
use crate::request::Request;

/// The resource name that stands for all resources of a source.
const ALL: &str = "all";

/// Runs `request`. The records that were read before an error are stored, so there is a report in any case.
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
        Ok(requests) => {
            let (report, error) = run_several(clients, manifest, requests, &options).await;
            let continuation = continuation(request, &report.resources);
            (Report { continuation, ..report }, error)
        }
        Err(error) => (failed(request, &error), Some(error)),
    }
}

/// The report of a run that `error` ended before it began.
fn failed(request: &Request, error: &Error) -> Report {
    let report = Report { source: request.source.clone(), resource: request.resource.clone(), ..Report::default() };
    report.failed(error)
}

/// Runs each resource. `requests` has a request and its warnings for each.
async fn run_several(
    clients: &Clients,
    manifest: &Manifest,
    requests: Vec<(Request, Vec<String>)>,
    options: &RunOptions<'_>,
) -> (Report, Option<Error>) {
    let mut reports = Vec::with_capacity(requests.len());
    let mut first_error = None;
    let mut sent = 0;
    for (mut request, warnings) in requests {
        request.max_requests = request.max_requests.map(|max| max.saturating_sub(sent));
        let (mut report, error) = resource::run(clients, manifest, &request, options).await;
        if let Some(error) = error {
            // The other resources may still be read completely.
            tracing::error!(resource = request.resource, "{}", chain(&error));
            first_error.get_or_insert(error);
        }
        sent += report.requests.sent;
        report.warnings.extend(warnings);
        reports.push(report);
    }
    let mut report = Report::of_several(&manifest.name, reports);
    if let Some(error) = &first_error {
        report = report.failed(error);
    }
    (report, first_error)
}

/// Returns the event that resumes the resources that were cut short, and reads none of the others again. `None` if there are none.
fn continuation(request: &Request, reports: &[Report]) -> Option<Value> {
    let mut cut_short = reports.iter().filter(|report| report.continuation.is_some());
    match (cut_short.next()?, cut_short.next()) {
        // The event for one resource has only the options that this resource supports.
        (only, None) => only.continuation.clone(),
        (..) => {
            let cut_short = reports.iter().filter(|report| report.continuation.is_some());
            let names: Vec<&str> = cut_short.map(|report| report.resource.as_str()).collect();
            Some(Request { resource: names.join(","), ..request.clone() }.to_event())
        }
    }
}

/// Returns the earlier of `given` and the deadline by the request's `max_seconds`.
fn deadline(clients: &Clients, request: &Request, given: Option<Instant>) -> Option<Instant> {
    let time = request.max_time.and_then(|time| TimeDelta::from_std(time).ok());
    let by_request = time.and_then(|time| clients.clock.now().checked_add_signed(time));
    given.into_iter().chain(by_request).min()
}

/// Returns the names of the requested resources: one, several with commas between them, or all that the manifest selects.
fn resource_names(manifest: &Manifest, request: &Request) -> Vec<String> {
    if request.resource == ALL && manifest.resource(ALL).is_none() {
        let selected = manifest.resources.iter().filter(|resource| resource.selected);
        return selected.map(|resource| resource.name.clone()).collect();
    }
    request.resource.split(',').map(|name| name.trim().to_owned()).collect()
}

/// Returns a request for each of several resources, with a warning for each option that the resource does not support. All requests are
/// checked before one is sent.
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
        let warnings = plan::remove_unsupported(&mut request, resource);
        if let Err(Faults(more)) = Plan::new(&request, manifest, resource, clients.clock.now()) {
            faults.extend(more);
        }
        requests.push((request, warnings));
    }
    if faults.is_empty() { Ok(requests) } else { Err(Faults(faults).into()) }
}
