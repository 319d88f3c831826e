//! Pages in memory that become a lake in memory, beside the least that `serde_json` and Parquet need for it.

use std::process::Command;

use serde_json::Value;

use crate::process::{binary, empty_folder, run};
use crate::source::Source;

/// Rows for each second of processor time.
#[derive(Clone, Debug)]
pub(crate) struct InProcess {
    /// How many records the pages have.
    pub(crate) records: u64,
    /// The engine, with the rows of other tables that lie inside the records.
    pub(crate) engine: f64,
    /// The engine, with the rows of the resource alone.
    pub(crate) engine_alone: f64,
    /// The floor, which has the rows of the resource alone.
    pub(crate) floor: f64,
}

/// What daily runs leave behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daily {
    /// Bytes for each row.
    pub(crate) bytes_per_row: f64,
    /// Bytes written for each byte that stays.
    pub(crate) bytes_written_per_stored: f64,
}

/// Measures with a fifth as many records as the whole program reads: their pages are all in memory.
pub(crate) fn measure(source: Source, sales: usize, rounds: usize) -> InProcess {
    let records = source.records(sales / 5).max(1).to_string();
    // Short rounds: more of them, so that one of each is not disturbed.
    let rounds = (rounds * 3).to_string();
    let decode = |more: &[&str]| {
        let mut command = Command::new(binary("bench-decode"));
        let output =
            run(command.args([source.name(), "--json", "--records", &records, "--rounds", &rounds]).args(more)).output;
        output.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect::<Vec<Value>>()
    };
    let alone = decode(&["--alone", "--stage", "floor-lake", "--stage", "lake"]);
    let whole = decode(&["--stage", "lake"]);
    let [floor, engine_alone] = &alone[..] else { panic!("two stages: {alone:?}") };
    let rows = |stage: &Value| number(stage, "records") / number(stage, "seconds");
    InProcess {
        records: number(floor, "records") as u64,
        engine: rows(&whole[0]),
        engine_alone: rows(engine_alone),
        floor: rows(floor),
    }
}

/// Stores 100 sales a day over two years, a day at a time.
pub(crate) fn daily() -> Daily {
    let lake = empty_folder("daily");
    let output = run(Command::new(binary("bench-lake")).arg("--folder").arg(lake).arg("daily")).output;
    let daily: Value = serde_json::from_str(&output).expect("a line of JSON");
    let stored = number(&daily, "bytes_stored");
    Daily {
        bytes_per_row: stored / number(&daily, "rows"),
        bytes_written_per_stored: number(&daily, "bytes_written") / stored,
    }
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no number `{name}` in {value}"))
}
