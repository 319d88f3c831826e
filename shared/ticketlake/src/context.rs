//! What all stages of a run share.

use std::sync::Arc;

use client::secret::Secrets;
use client::{Budget, Transport};
use lake::{Aws, Store};
use manifest::time::{Clock, Instant};
use manifest::{Manifest, Resource, Settings, nearest};

use crate::error::Error;
use crate::request::Request;

/// What every run of a process shares.
#[derive(Debug)]
pub struct Clients {
    /// Sends requests to the APIs.
    pub transport: Arc<dyn Transport>,
    /// The AWS configuration, for S3.
    pub aws: Arc<Aws>,
    /// The APIs' keys.
    pub secrets: Secrets,
    /// The process's environment: what a source's users set.
    pub settings: Settings,
    /// The clock that everything that is stored or decided by the time asks.
    pub clock: Arc<dyn Clock>,
}

/// Listens to how far a run has come: a progress bar.
pub trait ProgressListener: std::fmt::Debug {
    /// After each page: the records so far, and those of the page's query where the API says how many there are.
    fn page_read(&self, received: u64, total: Option<u64>);
}

/// A listener that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl ProgressListener for Silent {
    fn page_read(&self, _received: u64, _total: Option<u64>) {}
}

/// What all stages of the run of one resource share.
#[derive(Clone, Copy, Debug)]
pub struct RunContext<'c> {
    /// What the process shares.
    pub clients: &'c Clients,
    /// The lake.
    pub store: &'c dyn Store,
    /// The source.
    pub manifest: &'c Manifest,
    /// The resource that is read.
    pub resource: &'c Resource,
    /// The request, with names in its `params` looked up.
    pub request: &'c Request,
    /// When reading must end, so that what was read can still be stored.
    pub deadline: Option<Instant>,
    /// Listens to how far the run has come.
    pub listener: &'c dyn ProgressListener,
}

impl<'c> RunContext<'c> {
    /// The time now.
    pub fn now(&self) -> Instant {
        self.clients.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &'c dyn Clock {
        self.clients.clock.as_ref()
    }

    /// What the run may use of the API.
    pub fn budget(&self) -> Budget {
        Budget {
            max_requests: self.request.max_requests,
            deadline: self.deadline,
            attempts: self.request.attempts,
            request_timeout: self.request.request_timeout,
            page_size: self.request.page_size,
        }
    }
}

/// The resource of `manifest` called `name`.
///
/// # Errors
///
/// One that names the resources that there are.
pub fn resource<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Resource, Error> {
    manifest.resource(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
        let message =
            format!("{} has no `{name}`; it has: {}{}", manifest.name, names.join(", "), nearest(name, &names));
        Error::configuration("resource", message)
    })
}
