//! The figures of `docs/performance.md`, and the number of instructions that CI holds a row to.
//!
//! ```text
//! tests/bench/run                               builds, measures all of it and writes the table
//! tests/bench/run --records 10000 --print       shorter, and only prints the table
//! target/debug/bench instructions               compares with tests/bench/instructions.json, as tests/run does
//! target/debug/bench instructions --write       writes that file anew
//! ```
//!
//! Each measurement is a process of its own, so that none sees the memory or the warm caches of another one.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on should say where it stopped")]

mod in_process;
mod instructions;
mod page;
mod plain_loop;
mod process;
mod program;
mod servers;
mod source;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use page::{Figures, Measured};
use source::Source;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures, and writes the table of docs/performance.md.
    Table {
        /// How many sales the whole programs read; a tenth as many events.
        #[arg(long, default_value_t = 100_000)]
        records: usize,
        /// How often each measurement of time is made. The fastest one counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Print the table, and write nothing.
        #[arg(long)]
        print: bool,
    },
    /// Counts the instructions for a row, and fails if they are more than the checked-in figures allow.
    Instructions {
        /// Write the figures that were counted instead.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Table { records, rounds, print } => {
            write_table(records, rounds, print);
            ExitCode::SUCCESS
        }
        Task::Instructions { write: true } => instructions::write(),
        Task::Instructions { write: false } => instructions::check(),
    }
}

fn write_table(records: usize, rounds: usize, print: bool) {
    let measure = |source: Source| {
        eprintln!("{}: in process", source.name());
        let in_process = in_process::measure(source, records, rounds);
        eprintln!("{}: instructions", source.name());
        let instructions = instructions::count(source).map_err(|reason| eprintln!("left out: {reason}")).ok();
        eprintln!("{}: whole program", source.name());
        let program = program::measure(source, records, rounds);
        Figures { in_process, instructions, program }
    };
    let measured =
        Measured { sales: measure(Source::Sales), events: measure(Source::Events), daily: in_process::daily() };
    let table = page::table(&measured);
    println!("{table}");
    if !print {
        page::write(&table);
    }
}
