//! What a lake costs at the sizes that a laptop's test cannot wait for.
//!
//! ```text
//! cargo run -p ticketlake-tests --bin bench-lake -- beside     1,000 sales of a new month beside 100 thousand and 10 million others
//! cargo run -p ticketlake-tests --bin bench-lake -- within     1,000 sales into one month of 5 million
//! cargo run -p ticketlake-tests --bin bench-lake -- grow       sales of two years, a day at a time and all in one run
//! cargo run -p ticketlake-tests --bin bench-lake -- daily      the first of these alone, by month, as JSON
//! ```
//!
//! Each measured merge is a process of its own, so that its peak memory is not that of filling the lake.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should say where it stopped")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, Subcommand};
use lake::{Local, Store};
use manifest::Transform;
use sandbox::filled;
use sandbox::see_tickets::Options;
use sandbox::store::{Cost, Faulty};
use serde_json::{Value, json};

/// The day that gets the new sales, the first one of its month.
const DAY: &str = "2026-12-01";
/// The last day that may have others.
const EVE: &str = "2026-11-30";

#[derive(Parser)]
struct Arguments {
    /// Where the lakes are made; each is left there, and used again when it is there.
    #[arg(long, default_value = "target/bench-lake")]
    folder: PathBuf,
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// New sales of a month of their own, beside few and many others.
    Beside {
        /// How many others.
        #[arg(long, value_delimiter = ',', default_value = "100000,10000000")]
        others: Vec<usize>,
        /// How many are new.
        #[arg(long, default_value_t = 1_000)]
        new: usize,
    },
    /// New sales of a month that has many.
    Within {
        /// How many it has.
        #[arg(long, default_value_t = 5_000_000)]
        stored: usize,
        /// How many are new.
        #[arg(long, default_value_t = 1_000)]
        new: usize,
    },
    /// The size of what stays, and of what was written, for sales of two years by day and by month: a day at a time, and in merges of a
    /// first run.
    Grow {
        /// How many sales a day has in the first measurement.
        #[arg(long, default_value_t = 100)]
        daily: usize,
        /// How many sales there are in the second one.
        #[arg(long, default_value_t = 1_000_000)]
        sales: usize,
        /// How many of them are merged at once.
        #[arg(long, default_value_t = 100_000)]
        batch: usize,
    },
    /// Sales of two years, a day at a time, by month: prints what lies there and what was written as JSON.
    Daily {
        /// How many sales a day has.
        #[arg(long, default_value_t = 100)]
        sales: usize,
    },
    /// Fills a lake, for the others.
    #[command(hide = true)]
    Fill { lake: PathBuf, sales: usize, days: u32, until: String },
    /// Merges new sales and prints what that cost as JSON, for the others.
    #[command(hide = true)]
    Add { lake: PathBuf, sales: usize, seed: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    match arguments.measure {
        Measure::Beside { others, new } => {
            let measured = others.iter().map(|others| {
                // 100 sales of each of a thousand days, or a hundred thousand.
                let lake = arguments.folder.join(format!("beside-{others}"));
                fill(&lake, *others, 1_000, EVE);
                // What an earlier measurement added would be found, and read.
                let _ = std::fs::remove_dir_all(lake.join("see_tickets/sales").join("sale_month=2026-12"));
                (format!("{others} other sales"), lake)
            });
            report(measured, new)
        }
        Measure::Within { stored, new } => {
            let lake = arguments.folder.join(format!("within-{stored}"));
            fill(&lake, stored, 1, DAY);
            report([(format!("{stored} sales of the same month"), lake)].into_iter(), new)
        }
        Measure::Grow { daily, sales, batch } => {
            println!("{:<48} | parts | bytes a row | written / stored | puts", "sales of 730 days");
            for transform in [Transform::Day, Transform::Month] {
                for (total, batch) in [(daily * 730, daily), (sales, batch)] {
                    let lake = arguments.folder.join(format!("grow-{total}-{transform}"));
                    let grown = runtime.block_on(grow(&lake, total, batch, transform));
                    println!(
                        "{:<48} | {:>5} | {:>11.1} | {:>16.2} | {:>4}",
                        format!("{total} by {transform}, merged {batch} at a time"),
                        grown.parts,
                        grown.bytes as f64 / total as f64,
                        grown.cost.bytes_written as f64 / grown.bytes as f64,
                        grown.cost.puts,
                    );
                }
            }
            ExitCode::SUCCESS
        }
        Measure::Daily { sales } => {
            let total = sales * 730;
            let lake = arguments.folder.join("daily");
            let Grown { parts, bytes, cost } = runtime.block_on(grow(&lake, total, sales, Transform::Month));
            let Cost { bytes_written, puts, .. } = cost;
            println!(
                "{}",
                json!({"rows": total, "parts": parts, "bytes_stored": bytes, "bytes_written": bytes_written, "puts": puts})
            );
            ExitCode::SUCCESS
        }
        Measure::Fill { lake, sales, days, until } => {
            let options = Options { seed: 1_000, sales, days, until, ..Options::default() };
            runtime.block_on(filled::add_sales(&Local::new(lake), &options, 250_000));
            ExitCode::SUCCESS
        }
        Measure::Add { lake, sales, seed } => {
            println!("{}", runtime.block_on(add(lake, sales, seed)));
            ExitCode::SUCCESS
        }
    }
}

/// Fills the lake unless that was done before.
fn fill(lake: &Path, sales: usize, days: u32, until: &str) {
    let whole = lake.join("_whole");
    if whole.exists() {
        return;
    }
    let begin = Instant::now();
    let _ = std::fs::remove_dir_all(lake);
    let arguments = ["fill", &lake.display().to_string(), &sales.to_string(), &days.to_string(), until];
    this(&arguments);
    std::fs::write(whole, "").expect("the folder can be written");
    println!("filled {} in {:.0} s", lake.display(), begin.elapsed().as_secs_f64());
}

/// Runs this program with other arguments; gives what it printed.
fn this(arguments: &[&str]) -> String {
    let this = std::env::current_exe().expect("a process has a path");
    let output = Command::new(this).args(arguments).stderr(std::process::Stdio::inherit()).output().expect("it starts");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Merges `new` sales into each lake twice, the first ones into what was there and others into that, and prints both costs.
fn report(lakes: impl Iterator<Item = (String, PathBuf)>, new: usize) -> ExitCode {
    println!("{new} new sales into a lake of      | requests | MB read | MB written | seconds | peak MiB");
    for (name, lake) in lakes {
        // Other sales each time, so that a lake that is used again gets new ones too.
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
        for (seed, what) in [(now * 2, ""), (now * 2 + 1, ", again")] {
            let text = this(&["add", &lake.display().to_string(), &new.to_string(), &seed.to_string()]);
            let cost: Value = serde_json::from_str(&text).expect("it prints JSON");
            let number = |field: &str| cost[field].as_f64().unwrap_or(f64::NAN);
            println!(
                "{:<35} | {:>8} | {:>7.2} | {:>10.2} | {:>7.2} | {:>8.1}",
                format!("{name}{what}"),
                number("requests"),
                number("bytes_read") / 1e6,
                number("bytes_written") / 1e6,
                number("seconds"),
                number("peak_kib") / 1024.0
            );
        }
    }
    ExitCode::SUCCESS
}

/// What lies in a lake, and what was asked of its store until then.
struct Grown {
    parts: usize,
    bytes: u64,
    cost: Cost,
}

/// Fills an empty lake with sales of two years, `batch` of them at a time in the order of their dates.
async fn grow(lake: &Path, sales: usize, batch: usize, transform: Transform) -> Grown {
    let _ = std::fs::remove_dir_all(lake);
    let store = Faulty::new(Arc::new(Local::new(lake.to_owned())) as Arc<dyn Store>);
    let options = Options { seed: 1_000, sales, days: 730, until: EVE.into(), ..Options::default() };
    filled::add_sales_by(&store, &options, batch, transform).await;
    let parts = store.list("see_tickets/sales/").await.expect("a store that works");
    Grown { parts: parts.len(), bytes: parts.iter().map(|part| part.size).sum(), cost: store.cost() }
}

async fn add(lake: PathBuf, sales: usize, seed: u64) -> Value {
    let store = Faulty::new(Arc::new(Local::new(lake)) as Arc<dyn Store>);
    let options = Options { seed, sales, days: 1, until: DAY.into(), ..Options::default() };
    let begin = Instant::now();
    filled::add_sales(&store, &options, usize::MAX).await;
    let seconds = begin.elapsed().as_secs_f64();
    let cost @ Cost { bytes_read, bytes_written, .. } = store.cost();
    json!({
        "requests": cost.requests(), "bytes_read": bytes_read, "bytes_written": bytes_written, "seconds": seconds,
        "peak_kib": peak_kib(),
    })
}

/// The most memory that this process ever had, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    sandbox::function::peak_kib(&status)
}
