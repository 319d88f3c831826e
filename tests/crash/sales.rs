//! The See Tickets sandbox, small enough to be read a thousand times, and runs of it in this process.

use std::sync::Arc;

use ::lake::Store;
use manifest::Settings;
use sandbox::Server;
use sandbox::see_tickets::{Options, Truth, start};
use ticketlake::app;
use ticketlake::context::{Clients, RunOptions, Silent};
use ticketlake::error::Error;
use ticketlake::options::Draft;
use ticketlake::report::Report;
use ticketlake::request::Request;
use ticketlake::run;

/// The key that the sandbox accepts.
pub(crate) const KEY: &str = "sandbox-key";

/// Four days, the last two of a month and the first two of another, which are two partitions; some records have no key, fewer than one of a
/// hundred.
pub(crate) fn few() -> Options {
    let until = "2026-11-02".into();
    Options { sales: 240, days: 4, until, pending_days: 3, page_cap: 50, broken: 2, ..Options::default() }
}

/// A server and what a run against it needs.
#[derive(Debug)]
pub(crate) struct Sales {
    pub(crate) server: Server,
    pub(crate) truth: Truth,
    clients: Clients,
    settings: Settings,
}

impl Sales {
    pub(crate) async fn start(options: Options) -> Self {
        let truth = options.truth();
        let server = start(options).await.unwrap();
        let settings: Settings =
            [("SEE_TICKETS_API_KEY", KEY), ("SOURCE", "see_tickets"), ("LAKE", "given as a store")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .chain([("SEE_TICKETS_BASE_URL".to_owned(), server.base_url.clone())])
                .collect();
        let clients = app::clients(settings.clone());
        Self { server, truth, clients, settings }
    }

    /// The request for what `draft` asks.
    pub(crate) fn request(&self, draft: &Draft) -> Request {
        Request::check(draft, Some("sales"), &self.settings).unwrap()
    }

    /// One run into `store`.
    pub(crate) async fn run(&self, store: Arc<dyn Store>, request: &Request) -> (Report, Option<Error>) {
        let options = RunOptions { store: Some(store), deadline: None, listener: &Silent };
        run::run(&self.clients, request, options).await
    }
}
