//! The main job with no account and no key: starts the sandbox, runs the functions into `./lake`, runs them again to show that
//! nothing is new, prints what was stored and how to query it. Ends with an error if any of that is not so.

#![expect(clippy::expect_used, reason = "a demonstration that cannot go on should say where it stopped")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arrow_cast::display::array_value_to_string;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sandbox::function::{self, Function};
use sandbox::{Server, see_tickets, ticketmaster};
use serde_json::Value;

const KEY: &str = "sandbox-key";
/// Function, source, and the columns shown.
const JOBS: [(&str, &str, [&str; 4]); 6] = [
    ("events", "see_tickets", ["id", "name", "starts", "venueName"]),
    ("sales", "see_tickets", ["uniqueCode", "date", "eventName", "grossSales"]),
    ("events", "ticketmaster", ["id", "name", "start_local_date", "venue_name"]),
    ("venues", "ticketmaster", ["id", "name", "city_name", "country_code"]),
    ("attractions", "ticketmaster", ["id", "name", "genre_name", "url"]),
    ("classifications", "ticketmaster", ["id", "name", "genre_name", "segment_name"]),
];

fn main() -> ExitCode {
    // With the demonstration itself among them, the libraries have the features that they were compiled with for it.
    function::build(&["demo", "events", "sales", "venues", "attractions", "classifications"]);
    let lake = PathBuf::from("lake");
    let sales = see_tickets::start_blocking(see_tickets::Options { sales: 20_000, ..see_tickets::Options::default() });
    let sales = sales.expect("a port on 127.0.0.1 is free");
    let options = ticketmaster::Options { events: 900, ..ticketmaster::Options::default() };
    let market = ticketmaster::start_blocking(options).expect("a port on 127.0.0.1 is free");
    println!("A sandbox of both APIs runs at {} and {}.\n", sales.base_url, market.base_url);

    println!("First run, into ./{}:", lake.display());
    let mut whole = pass(&lake, &sales, &market).is_some();
    println!("\nThe same again:");
    match pass(&lake, &sales, &market) {
        Some((0, 0)) => println!("Nothing was new, nothing had changed, no object was written."),
        _ => whole = false,
    }
    println!("\nWhat lies in ./{}:", lake.display());
    for (resource, source, columns) in JOBS {
        show(&lake.join(source).join(resource), source, resource, &columns);
    }
    println!(
        "\nQuery it with DuckDB:
  duckdb -c \"SELECT date[:10] AS day, sum(sold) AS tickets, sum(grossSales) AS gross
             FROM read_parquet('lake/see_tickets/sales/**/*.parquet', hive_partitioning = true)
             GROUP BY day ORDER BY day DESC LIMIT 7\"
  duckdb -c \"SELECT segment_name, genre_name, count(*) AS events, min(min_price), max(max_price)
             FROM read_parquet('lake/ticketmaster/events/**/*.parquet', hive_partitioning = true)
             GROUP BY ALL ORDER BY events DESC LIMIT 10\""
    );
    if whole {
        return ExitCode::SUCCESS;
    }
    eprintln!("\nNot every run was complete, or the second run wrote something.");
    ExitCode::FAILURE
}

/// Runs every function once. Gives rows new or changed, and objects; `None` when a run was not complete.
fn pass(lake: &Path, sales: &Server, market: &Server) -> Option<(u64, u64)> {
    let mut written = Some((0, 0));
    for (name, source, _) in JOBS {
        let server = if source == "see_tickets" { sales } else { market };
        let ended = Function::reading(name, source, lake).against(source, &server.base_url, KEY).run();
        let report = &ended.report;
        let count = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        println!(
            "  {:<45} {:<10} {:>6} received {:>6} new {:>4} changed {:>6} unchanged {:>4} requests {:>3} objects",
            format!("{name} --source {source} --lake {}", lake.display()),
            report["status"].as_str().unwrap_or("?"),
            count("/records/received"),
            count("/records/new"),
            count("/records/changed"),
            count("/records/unchanged"),
            count("/requests/sent"),
            count("/objects"),
        );
        if ended.code == Some(0) {
            written = written.map(|(rows, objects)| {
                (rows + count("/records/new") + count("/records/changed"), objects + count("/objects"))
            });
        } else {
            eprintln!("{}", ended.errors);
            written = None;
        }
    }
    written
}

/// Prints how much a table holds and its first rows.
fn show(table: &Path, source: &str, resource: &str, columns: &[&str]) {
    let mut parts = Vec::new();
    find(table, &mut parts);
    parts.sort();
    let bytes: u64 = parts.iter().filter_map(|part| part.metadata().ok()).map(|metadata| metadata.len()).sum();
    println!("\n  {source}/{resource}: {} objects, {} KiB", parts.len(), bytes.div_ceil(1024));
    let Some(part) = parts.first() else { return };
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(part).expect("the part is there")).expect("Parquet");
    let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let mut batches = reader.with_projection(mask).with_batch_size(3).build().expect("the columns are there");
    println!("    {}", columns.join(" | "));
    if let Some(Ok(batch)) = batches.next() {
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|name| {
                let column = batch.column_by_name(name).expect("the column is there");
                array_value_to_string(column, row).unwrap_or_default()
            });
            println!("    {}", values.collect::<Vec<_>>().join(" | "));
        }
    }
}

fn find(folder: &Path, parts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, parts);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            parts.push(path);
        }
    }
}
