//! How many instructions a row takes from the bytes of a page to the lake, counted by valgrind.
//!
//! A count does not depend on what else the machine does, so that CI can hold it to a figure. Two runs with the same kind of pages differ
//! in their number of rows alone, so that the start of the process and of the run cancels out.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use sandbox::function::{self, root};
use serde_json::{Value, json};

use crate::process::{binary, folder, run};
use crate::source::Source;

/// By how much a count may grow. Counts of one build differ by 0.1 %, whatever the seeds of its hash maps are; what is left is for other
/// C libraries and other versions of valgrind, and for changes that are worth it.
const ALLOWED_GROWTH: f64 = 0.10;
const FIGURES: &str = "tests/bench/instructions.json";

/// Returns the records of the smaller and of the larger run: few, since valgrind makes everything some fifty times slower.
fn sizes(source: Source) -> [usize; 2] {
    match source {
        Source::Sales => [1_000, 3_000],
        Source::Events => [200, 600],
    }
}

/// Counts the instructions for a row. The error says why they cannot be counted.
pub(crate) fn count(source: Source) -> Result<f64, String> {
    let found = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        return Err("valgrind, which counts the instructions, is not installed: on Debian and Ubuntu it is the package `valgrind`".into());
    }
    let [small, large] = sizes(source).map(|records| total(source, records));
    let [small, large] = [small?, large?];
    Ok((large.instructions - small.instructions) / (large.records - small.records))
}

/// The instructions of a whole process.
struct Total {
    records: f64,
    instructions: f64,
}

fn total(source: Source, records: usize) -> Result<Total, String> {
    let file = |kind: &str| -> PathBuf { folder().join(format!("{kind}-{}-{records}", source.name())) };
    let decode = binary("bench-decode");
    let pages = file("pages");
    run(Command::new(&decode).args([source.name(), "--records", &records.to_string(), "--save"]).arg(&pages));
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", file("callgrind").display()));
    command.arg(decode).args([source.name(), "--json", "--stage", "lake", "--rounds", "1", "--pages"]).arg(&pages);
    let output = command.output().map_err(|error| format!("valgrind does not start: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let line: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let instructions = collected(&errors);
    let records = line.as_ref().and_then(|line| line["records"].as_f64());
    match (records, instructions) {
        (Some(records), Some(instructions)) if output.status.success() => Ok(Total { records, instructions }),
        _ => Err(format!("valgrind failed: {}\n{errors}", output.status)),
    }
}

/// Returns the number in the line `Collected` of what valgrind prints.
fn collected(errors: &str) -> Option<f64> {
    let line = errors.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// Compares the counts with the checked-in figures.
pub(crate) fn check() -> ExitCode {
    let mut is_allowed = true;
    for source in Source::ALL {
        let verdict = checked_in(source).and_then(|known| judge(source, known, count_unoptimised(source)?));
        match verdict {
            Ok(says) => println!("{says}"),
            Err(reason) => {
                eprintln!("{reason}");
                is_allowed = false;
            }
        }
    }
    if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the counts as the figures to compare with.
pub(crate) fn write() -> ExitCode {
    let counts = Source::ALL.map(|source| count_unoptimised(source).map(f64::round));
    let [Ok(sales), Ok(events)] = counts else {
        eprintln!("{}", counts.into_iter().filter_map(Result::err).next().unwrap_or_default());
        return ExitCode::FAILURE;
    };
    let figures = json!({"profile": "dev", "instructions_per_row": {"sales": sales as u64, "events": events as u64}});
    let text = serde_json::to_string_pretty(&figures).expect("it is JSON") + "\n";
    std::fs::write(root().join(FIGURES), &text).expect("the figures can be written");
    print!("{text}");
    ExitCode::SUCCESS
}

/// Counts in the profile that the figures are of: the tests run it, so that CI has built it anyway.
fn count_unoptimised(source: Source) -> Result<f64, String> {
    if !function::folder().ends_with("debug") {
        return Err(format!("{FIGURES} has counts of the dev profile: run target/debug/bench"));
    }
    count(source)
}

fn checked_in(source: Source) -> Result<f64, String> {
    let text = std::fs::read_to_string(root().join(FIGURES)).map_err(|error| format!("{FIGURES}: {error}"))?;
    let figures: Value = serde_json::from_str(&text).map_err(|error| format!("{FIGURES}: {error}"))?;
    let known = figures["instructions_per_row"][source.name()].as_f64().filter(|known| *known > 0.0);
    known.ok_or_else(|| format!("{FIGURES} has no figure for {}", source.name()))
}

/// Says how a count differs from the figure. The error is a growth that is not allowed.
fn judge(source: Source, known: f64, counted: f64) -> Result<String, String> {
    let growth = counted / known - 1.0;
    let name = source.name();
    let says =
        format!("{name}: {counted:.0} instructions a row, {:+.1} % of the {known:.0} in {FIGURES}", growth * 100.0);
    let renew = "`target/debug/bench instructions --write`";
    if growth > ALLOWED_GROWTH {
        let most = ALLOWED_GROWTH * 100.0;
        return Err(format!(
            "{says}: {most:.0} % more are allowed. `callgrind_annotate target/bench/callgrind-{name}-{}` says where they are. If a row \
             has to take more, write the new figure with {renew}, and say in the commit why",
            sizes(source)[1]
        ));
    }
    if growth < -ALLOWED_GROWTH {
        return Ok(format!("{says}. Write the new figure with {renew}, so that the gain stays"));
    }
    Ok(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_take_a_tenth_more_instructions_and_no_more() {
        assert!(judge(Source::Sales, 1_000.0, 1_000.0).is_ok());
        assert!(judge(Source::Sales, 1_000.0, 1_099.0).is_ok());
        let refused = judge(Source::Sales, 1_000.0, 1_101.0).unwrap_err();
        assert!(refused.contains("sales: 1101 instructions a row, +10.1 % of the 1000"), "{refused}");
    }

    #[test]
    fn a_gain_asks_for_a_new_figure() {
        assert!(!judge(Source::Events, 1_000.0, 901.0).unwrap().contains("--write"));
        assert!(judge(Source::Events, 1_000.0, 899.0).unwrap().contains("--write"));
    }

    #[test]
    fn the_count_is_found_in_what_valgrind_prints() {
        let printed = "==7== Events    : Ir\n==7== Collected : 12345678\n==7== \n==7== I   refs:      12,345,678\n";
        assert_eq!(collected(printed), Some(12_345_678.0));
        assert_eq!(collected("valgrind: cannot execute"), None);
    }

    #[test]
    fn the_checked_in_figures_are_whole() {
        for source in Source::ALL {
            let known = checked_in(source).unwrap();
            assert!(known > 1_000.0, "{}: {known}", source.name());
        }
    }
}
