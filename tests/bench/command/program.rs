//! The release binary of a function against the sandbox, beside a plain loop in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::function::root;
use serde_json::Value;

use crate::plain_loop;
use crate::process::{Usage, binary, empty_folder, fastest, folder, run};
use crate::servers::{KEY, Sandbox};
use crate::source::Source;

/// What the whole programs took.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The first run, into an empty lake.
    pub(crate) first: Run,
    /// The run after it, which reads everything and finds nothing new.
    pub(crate) again: Run,
    /// The plain loop.
    pub(crate) plain: Run,
    /// The objects that the first run wrote.
    pub(crate) objects: u64,
    /// Their bytes for each byte that lies there afterwards.
    pub(crate) bytes_written_per_stored: f64,
}

/// One program.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The rows that it stored, or read again.
    pub(crate) rows: u64,
    /// Rows for each second of processor time.
    pub(crate) rows_per_second: f64,
    /// The most memory that it had.
    pub(crate) peak_bytes: u64,
}

impl Run {
    /// A program that had `rows` rows.
    pub(crate) fn new(rows: u64, usage: &Usage) -> Self {
        Self { rows, rows_per_second: rows as f64 / usage.seconds, peak_bytes: usage.peak_bytes }
    }
}

/// The function and the loop over the same pages of the same server.
pub(crate) fn measure(source: Source, sales: usize, rounds: usize) -> Program {
    let sandbox = Sandbox::start(source.records(sales), page_size(source));
    let manifest = manifest(source);
    let lake = format!("lake-{}", source.name());
    let function = |lake: &Path| run(&mut function(source, sandbox.base_url(source), &manifest, lake));
    let first = fastest(rounds, |_| function(&empty_folder(&lake)));
    let again = fastest(rounds, |_| function(&folder().join(&lake)));
    let (report, second_report) = (report(&first), self::report(&again));
    assert_eq!((number(&second_report, "/records/new"), number(&second_report, "/objects")), (0, 0), "{second_report}");
    let stored = size(&folder().join(&lake).join(source.api()));
    let plain = plain_loop::measure(source, sandbox.base_url(source), page_size(source), rounds);
    Program {
        objects: number(&report, "/objects"),
        bytes_written_per_stored: number(&report, "/bytes_written") as f64 / stored as f64,
        first: Run::new(number(&report, "/records/new"), &first),
        again: Run::new(number(&second_report, "/records/unchanged"), &again),
        plain,
    }
}

/// Large pages, so that requests do not outweigh rows.
fn page_size(source: Source) -> usize {
    match source {
        Source::Sales => 1_000,
        // The most that the API gives.
        Source::Events => 200,
    }
}

/// Writes the built-in manifest with the page size of the measurement, and without the limit of the API's rate, which costs time of
/// waiting and none of the processor.
fn manifest(source: Source) -> PathBuf {
    let name = format!("{}.yaml", source.api());
    let text = std::fs::read_to_string(root().join("shared/manifest/sources").join(&name)).expect("it is built in");
    let changed = match source {
        Source::Sales => text.replace("{type: offset, limit: 100,", "{type: offset, limit: 1000,"),
        Source::Events => {
            let lines = text.lines().filter(|line| !line.starts_with("  rate: "));
            lines.flat_map(|line| [line, "\n"]).collect()
        }
    };
    assert_ne!(changed, text, "{name} has another form");
    let file = folder().join(name);
    std::fs::write(&file, changed).expect("target can be written");
    file
}

fn function(source: Source, base_url: &str, manifest: &Path, lake: &Path) -> Command {
    let mut command = Command::new(binary(source.name()));
    command.env_clear().args(["--source", source.api(), "--full", "--lake"]).arg(lake).arg("--sources").arg(manifest);
    let variable = |name: &str| format!("{}_{name}", source.api().to_uppercase());
    command.env(variable("BASE_URL"), base_url).env(variable("API_KEY"), KEY);
    command.stderr(std::fs::File::create(folder().join("errors.txt")).expect("target can be written"));
    command
}

/// The report of a run, which must be complete.
fn report(usage: &Usage) -> Value {
    let report: Value = serde_json::from_str(&usage.output).expect("a report is JSON");
    assert_eq!(report["status"], "complete", "{report}");
    report
}

fn number(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report}"))
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> u64 {
    let entries =
        std::fs::read_dir(folder).expect("the run stored something").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |file| file.len()) }).sum()
}
