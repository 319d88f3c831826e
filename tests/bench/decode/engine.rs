//! The stages of the engine over pages in memory.

use std::sync::Arc;

use client::api::Connection;
use client::secret::Secrets;
use client::{Api, Budget, Interrupt, Reader};
use lake::{Aws, Memory};
use manifest::query::QueryScope;
use manifest::time::SystemClock;
use manifest::{Manifest, Query, Settings};
use table::Format;
use table::map::Mapper;
use table::merge::Table;
use ticketlake::context::{Clients, RunOptions, Silent};
use ticketlake::options::Draft;
use ticketlake::request::Request;
use ticketlake::run;

use super::pages::Pages;

/// Reads all pages with the client, and maps their records if `maps`; gives how many there are.
pub(crate) async fn map(manifest: &Manifest, pages: &Arc<Pages>, maps: bool) -> usize {
    let (secrets, interrupt) = (Secrets::new(settings(), None), Interrupt::default());
    let connection = Connection {
        transport: pages.as_ref(),
        secrets: &secrets,
        clock: &SystemClock,
        quota: None,
        dates: None,
        interrupt: &interrupt,
    };
    let api = Api::new(connection, manifest, Budget::default());
    let resource = &manifest.resources[0];
    let reader = Reader::new(&api, resource);
    let mut query = Query::new(QueryScope::default(), "all");
    query.path = "pages".into();
    let store = Memory::default();
    let table = Table::new(&store, &manifest.name, resource, Format::Parquet);
    let mapper = Mapper::new(resource);
    let (mut buffer, mut records) = (table.buffer(), 0);
    let mut read = reader.pages(&Arc::new(query), None);
    while let Some(page) = read.next().await.expect("the pages are whole") {
        records += page.records.len();
        for record in page.records.iter().filter(|_| maps) {
            let text = record.text();
            let mapped = mapper.map_text(&text).expect("it is JSON");
            mapped.rows.into_iter().for_each(|row| buffer.push(row.expect("a whole record"), page.read_at));
        }
    }
    records
}

/// Runs the whole engine into an empty lake in memory.
pub(crate) async fn run(manifest: &Manifest, pages: &Arc<Pages>) {
    let resource = &manifest.resources[0].name;
    let options = [("source", manifest.name.as_str()), ("resource", resource), ("lake", "memory")];
    let request = Request::check(&Draft::new(options).with_flag("full"), None, &settings()).expect("a request");
    let clients = Clients {
        transport: Arc::<Pages>::clone(pages),
        aws: Arc::new(Aws::default()),
        secrets: Secrets::new(settings(), None),
        settings: settings(),
        clock: Arc::new(SystemClock),
        interrupt: Arc::default(),
    };
    let options = RunOptions { store: Some(Arc::new(Memory::default())), deadline: None, listener: &Silent };
    let (report, error) = run::run_source(&clients, manifest, &request, options).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.records.new, pages.records as u64, "{:?}", report.warnings);
}

/// A key, which the API in memory does not look at.
fn settings() -> Settings {
    let variable = |name: &str| (name.to_owned(), "key".to_owned());
    ["SEE_TICKETS_API_KEY", "TICKETMASTER_API_KEY"].into_iter().map(variable).collect()
}
