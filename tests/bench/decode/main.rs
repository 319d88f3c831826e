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
//! | `floor` | `serde_json` decodes each page into structs with a field for each column |
//! | `floor-lake` | these structs become one Parquet file with the same columns |
//! | `read` | the client splits each page into its records |
//! | `map` | each record becomes a row in the buffer of its table |
//! | `lake` | a whole run: evidence, merges and progress, into a lake in memory |
//!
//! The floor of events has neither the venues nor the attractions inside them as rows: `--alone` leaves them out of the run too.
//!
//! With `--stage` and `--rounds` one stage alone runs so often, for a profiler. Making the pages costs more than a run: `--save FILE`
//! writes them, and `--pages FILE` reads them, so that a profiler sees little else than the stage.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should say where it stopped")]

mod engine;
mod floor;
mod pages;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use manifest::Manifest;
use tokio::runtime::Runtime;

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
    /// The only stages to run.
    #[arg(long)]
    stage: Vec<Stage>,
    /// Without the records of other tables that lie inside the records.
    #[arg(long)]
    alone: bool,
    /// Write the pages into this file, and run nothing.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Read the pages from this file, and make none.
    #[arg(long)]
    pages: Option<PathBuf>,
    /// Print a line of JSON for each stage.
    #[arg(long)]
    json: bool,
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
    let pages = pages(&arguments);
    if let Some(file) = &arguments.save {
        return pages.save(file).expect("the file can be written");
    }
    if !arguments.json {
        println!("{} records, {:.0} bytes each", pages.records, pages.bytes() as f64 / pages.records as f64);
    }
    let bench = Bench {
        source: arguments.source,
        manifest: manifest(&arguments),
        pages: Arc::new(pages),
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
    };
    for stage in Stage::value_variants() {
        if arguments.stage.is_empty() || arguments.stage.contains(stage) {
            let fastest = (0..arguments.rounds).map(|_| bench.measure(*stage)).fold(f64::INFINITY, f64::min);
            report(&arguments, *stage, bench.pages.records, fastest);
        }
    }
}

/// Returns the pages that are asked for.
fn pages(arguments: &Arguments) -> Pages {
    if let Some(file) = &arguments.pages {
        return Pages::load(file).expect("a file of pages");
    }
    match arguments.source {
        Source::Sales => pages::sales(arguments.records, arguments.page_size.unwrap_or(100)),
        Source::Events => pages::events(arguments.records, arguments.page_size.unwrap_or(200)),
    }
}

/// Returns the manifest of the pages, without history: the first version of each row would be written twice.
fn manifest(arguments: &Arguments) -> Manifest {
    let mut manifest = match arguments.source {
        Source::Sales => pages::manifest("see_tickets", "sales"),
        Source::Events => pages::manifest("ticketmaster", "events"),
    };
    let resource = &mut manifest.resources[0];
    resource.history = false;
    if arguments.alone {
        resource.harvest.clear();
    }
    manifest
}

fn report(arguments: &Arguments, stage: Stage, records: usize, seconds: f64) {
    let name = stage.to_possible_value().expect("it has a name").get_name().to_owned();
    if arguments.json {
        println!("{}", serde_json::json!({"stage": name, "records": records, "seconds": seconds}));
        return;
    }
    println!(
        "{name:<10} {:>8.0} rows for each second of processor time, {:>6.2} µs each",
        records as f64 / seconds,
        seconds * 1e6 / records as f64
    );
}

/// What every stage runs over.
struct Bench {
    source: Source,
    manifest: Manifest,
    pages: Arc<Pages>,
    runtime: Runtime,
}

impl Bench {
    /// Runs a stage once; gives the seconds of processor time that it took.
    fn measure(&self, stage: Stage) -> f64 {
        let (manifest, pages) = (&self.manifest, &self.pages);
        let begin = processor_seconds();
        match stage {
            Stage::Floor => assert_eq!(floor::decode(self.source, pages), pages.records),
            Stage::FloorLake => assert!(floor::write(self.source, pages) > 0),
            Stage::Read => assert_eq!(self.runtime.block_on(engine::map(manifest, pages, false)), pages.records),
            Stage::Map => assert_eq!(self.runtime.block_on(engine::map(manifest, pages, true)), pages.records),
            Stage::Lake => self.runtime.block_on(engine::run(manifest, pages)),
        }
        processor_seconds() - begin
    }
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
