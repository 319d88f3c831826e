//! The reader of one resource's queries.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use manifest::{Endpoint, JsonPath, Paginator, Resource};
use tokio::sync::Semaphore;

use crate::api::Api;

/// Reads the queries of one resource.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) api: &'r Api<'r>,
    pub(super) endpoint: &'r Endpoint,
    /// The resource's name.
    pub(super) resource: &'r str,
    /// Where the records are, if the manifest does not say and a response has shown it.
    pub(super) detected_selector: OnceLock<JsonPath>,
    /// The paginator, if the manifest says `auto` and a response has shown it.
    pub(super) detected_paginator: OnceLock<Paginator>,
    /// Whether a response has shown that the paginator's total counts more than the records of a page.
    pub(super) has_proven_total: AtomicBool,
    /// Whether a response has shown that the API rounds offsets to whole pages.
    pub(super) rounds_offsets: AtomicBool,
    /// Whether the log says already that a first page was the only one.
    pub(super) has_reported_single_page: AtomicBool,
    /// Permits for pages that are read ahead: they are on their way, or wait for the pages before them or to be stored. A page of events has
    /// 2.3 MB.
    pub(super) read_ahead: Arc<Semaphore>,
}

impl<'r> Reader<'r> {
    /// Creates a reader of `resource` that sends its requests to `api`.
    pub fn new(api: &'r Api<'r>, resource: &'r Resource) -> Self {
        Self {
            api,
            endpoint: &resource.endpoint,
            resource: &resource.name,
            detected_selector: OnceLock::new(),
            detected_paginator: OnceLock::new(),
            has_proven_total: AtomicBool::new(false),
            rounds_offsets: AtomicBool::new(false),
            has_reported_single_page: AtomicBool::new(false),
            read_ahead: Arc::new(Semaphore::new(api.in_flight())),
        }
    }

    /// The number of requests that may be on their way at a time, 1 to 8.
    pub fn in_flight(&self) -> usize {
        self.api.in_flight()
    }

    /// The records to ask for in one page; `None` if neither the run nor the manifest says.
    pub fn page_size(&self) -> Option<u64> {
        self.api.page_size().or(self.endpoint.page_size.as_ref().map(|size| size.maximum))
    }

    /// Whether the manifest names no paginator, and no response has shown one.
    pub fn lacks_paginator(&self) -> bool {
        self.paginator().is_none()
    }

    /// The paginator of the manifest, or the one that a response has shown; `None` if that is still to be found out.
    pub(super) fn paginator(&self) -> Option<&Paginator> {
        match &self.endpoint.paginator {
            Paginator::Auto => self.detected_paginator.get(),
            paginator => Some(paginator),
        }
    }
}
