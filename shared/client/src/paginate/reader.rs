//! The reader of one resource's queries.

use std::sync::{Arc, OnceLock};

use manifest::{Endpoint, JsonPath, Paginator, Resource};
use tokio::sync::Semaphore;

use crate::api::Api;

/// Reads the queries of one resource.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) api: &'r Api<'r>,
    pub(super) endpoint: &'r Endpoint,
    pub(super) resource: &'r str,
    /// Where the records lie, once the first answer has shown it.
    pub(super) selector: OnceLock<JsonPath>,
    /// How the next page is asked for, once the first answer has shown it.
    pub(super) detected: OnceLock<Paginator>,
    /// The pages that are read ahead: on their way, or waiting for those before them or to be stored. A page of events has 2.3 MB.
    pub(super) room: Arc<Semaphore>,
}

impl<'r> Reader<'r> {
    /// Reads `resource` from `api`.
    pub fn new(api: &'r Api<'r>, resource: &'r Resource) -> Self {
        Self {
            api,
            endpoint: &resource.endpoint,
            resource: &resource.name,
            selector: OnceLock::new(),
            detected: OnceLock::new(),
            room: Arc::new(Semaphore::new(api.in_flight())),
        }
    }

    /// Requests that can be on their way at a time.
    pub fn in_flight(&self) -> usize {
        self.api.in_flight()
    }

    /// The records asked for in one page; `None`: neither the request nor the manifest says.
    pub fn page_size(&self) -> Option<u64> {
        self.api.page_size().or(self.endpoint.page_size.as_ref().map(|size| size.maximum))
    }
}
