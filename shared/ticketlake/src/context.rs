//! The values that all stages of a run share.

use std::sync::Arc;

use client::api::Connection;
use client::limits::SharedQuota;
use client::secret::Secrets;
use client::{Budget, Interrupt, Transport};
use lake::{Aws, Store};
use manifest::time::{Clock, Instant};
use manifest::{Manifest, Resource, Settings, nearest};

use crate::clock::RunClock;
use crate::error::Error;
use crate::request::Request;

/// The values that all runs of a process share.
#[derive(Debug)]
pub struct Clients {
    /// Sends requests to the APIs.
    pub transport: Arc<dyn Transport>,
    /// The AWS configuration, for S3.
    pub aws: Arc<Aws>,
    /// The keys of the APIs.
    pub secrets: Secrets,
    /// The environment variables of the process.
    pub settings: Settings,
    /// The clock for everything that depends on the time.
    pub clock: Arc<dyn Clock>,
    /// Stops all runs of the process as at a deadline, when it is requested.
    pub interrupt: Arc<Interrupt>,
}

/// Receives the progress of a run, for example to show a progress bar.
pub trait ProgressListener: std::fmt::Debug {
    /// Is called after each page with the number of records received so far, and with the total of the page's query if the API gives one.
    fn page_read(&self, received: u64, total: Option<u64>);
}

/// A listener that ignores the progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl ProgressListener for Silent {
    fn page_read(&self, _received: u64, _total: Option<u64>) {}
}

/// The options of a run that are not part of its request.
#[derive(Clone, Debug)]
pub struct RunOptions<'r> {
    /// The store to write to. `None` for the one that the request names; tests use their own.
    pub store: Option<Arc<dyn Store>>,
    /// The time when reading must end, so that the rows can still be stored.
    pub deadline: Option<Instant>,
    /// The listener to the progress.
    pub listener: &'r dyn ProgressListener,
}

/// The values that all stages of the run of one resource share.
#[derive(Clone, Copy, Debug)]
pub struct RunContext<'c> {
    /// The values that all runs of the process share.
    pub clients: &'c Clients,
    /// The store of the lake.
    pub store: &'c dyn Store,
    /// The manifest of the source.
    pub manifest: &'c Manifest,
    /// The resource that is read.
    pub resource: &'c Resource,
    /// The request, with ids in place of names in its `params`.
    pub request: &'c Request,
    /// The time when reading must end, so that the rows can still be stored.
    pub deadline: Option<Instant>,
    /// The listener to the progress.
    pub listener: &'c dyn ProgressListener,
    /// The clock for everything that is stored.
    pub clock: &'c RunClock<'c>,
}

impl<'c> RunContext<'c> {
    /// Returns the present time, for what is stored.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Returns the clock for what is stored.
    pub fn clock(&self) -> &'c dyn Clock {
        self.clock
    }

    /// Returns the connection to the API. Waits and deadlines are measured by the clock of the machine.
    pub fn connection(&self, quota: &'c dyn SharedQuota) -> Connection<'c> {
        Connection {
            transport: self.clients.transport.as_ref(),
            secrets: &self.clients.secrets,
            clock: self.clients.clock.as_ref(),
            quota: Some(quota),
            interrupt: self.clients.interrupt.as_ref(),
            dates: Some(self.clock),
        }
    }

    /// Returns the limits of the run's requests.
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

/// Returns the resource of `manifest` with the name `name`.
///
/// # Errors
///
/// A fault with the names of all resources, if there is none with this name.
pub fn resource<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Resource, Error> {
    manifest.resource(name).ok_or_else(|| {
        let names: Vec<&str> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
        let message =
            format!("{} has no `{name}`; it has: {}{}", manifest.name, names.join(", "), nearest(name, &names));
        Error::configuration("resource", message)
    })
}
