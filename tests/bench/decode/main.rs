//! What it costs to make rows from the pages of an API: processor time for each row, in one thread, from bytes in memory.
//!
//! ```text
//! cargo run --release --workspace --bin bench-decode -- sales                   pages of 100 sales
//! cargo run --release --workspace --bin bench-decode -- sales --page-size 1000
//! cargo run --release --workspace --bin bench-decode -- events                  pages of 200 events
//! ```
//!
//! Each stage has those before it in it:
//!
//! | stage | what is done |
//! |---|---|
//! | `floor` | `serde_json` decodes each page into structs with a field for each column; for sales alone |
//! | `floor-lake` | these structs become one Parquet file with the same columns |
//! | `read` | the client splits each page into its records |
//! | `map` | each record becomes a row in the buffer of its table |
//! | `lake` | a whole run: evidence, merges and progress, into a lake in memory |
//!
//! With `--stage` and `--rounds` one stage alone runs so often, for a profiler. Between one round and three, `valgrind
//! --tool=callgrind` counts twice the instructions of a round, whatever making the pages takes.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should say where it stopped")]

mod floor;
mod pages;

use std::sync::Arc;

use clap::{Parser, ValueEnum};
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

use pages::Pages;

#[derive(Parser)]
struct Arguments {
    /// Whose pages are decoded.
    source: Source,
    /// How many records a page has. The default is the API's own.
    #[arg(long)]
    page_size: Option<usize>,
    /// How many records there are.
    #[arg(long, default_value_t = 20_000)]
    records: usize,
    /// How often each stage runs. The fastest round counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The only stage to run.
    #[arg(long)]
    stage: Option<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Source {
    /// The sales of See Tickets, with 33 columns.
    Sales,
    /// The events of Ticketmaster, with the venues and attractions inside them.
    Events,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Stage {
    Floor,
    FloorLake,
    Read,
    Map,
    Lake,
}

fn main() {
    let arguments = Arguments::parse();
    let Arguments { source, records, rounds, .. } = arguments;
    let page_size = arguments.page_size.unwrap_or(if source == Source::Sales { 100 } else { 200 });
    let (manifest, pages) = match source {
        Source::Sales => pages::sales(records, page_size),
        Source::Events => pages::events(records, page_size),
    };
    let rows = pages.records;
    println!("{rows} records, {} on a page, {:.0} bytes each", page_size, pages.bytes() as f64 / rows as f64);
    let pages = Arc::new(pages);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for stage in Stage::value_variants().iter().filter(|stage| arguments.stage.is_none_or(|only| only == **stage)) {
        if source == Source::Events && matches!(stage, Stage::Floor | Stage::FloorLake) {
            continue;
        }
        let mut fastest = f64::INFINITY;
        for _ in 0..rounds {
            let begin = processor_seconds();
            match stage {
                Stage::Floor => assert_eq!(floor::decode(&pages), rows),
                Stage::FloorLake => assert!(floor::write(&pages) > 0),
                Stage::Read => assert_eq!(runtime.block_on(map(&manifest, &pages, false)), rows),
                Stage::Map => assert_eq!(runtime.block_on(map(&manifest, &pages, true)), rows),
                Stage::Lake => runtime.block_on(run(&manifest, &pages)),
            }
            fastest = fastest.min(processor_seconds() - begin);
        }
        let name = stage.to_possible_value().expect("it has a name").get_name().to_owned();
        println!(
            "{name:<10} {:>8.0} rows for each second of processor time, {:>6.2} µs each",
            rows as f64 / fastest,
            fastest * 1e6 / rows as f64
        );
    }
}

/// Reads all pages with the client, and maps their records if `maps`; gives how many there are.
async fn map(manifest: &Manifest, pages: &Arc<Pages>, maps: bool) -> usize {
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
async fn run(manifest: &Manifest, pages: &Arc<Pages>) {
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

/// The processor time of all threads of this process so far, in seconds.
fn processor_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux lists a process's threads");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
