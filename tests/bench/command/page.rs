//! The table in `docs/performance.md`.

use std::path::PathBuf;
use std::process::Command;

use chrono::Utc;
use sandbox::function::root;

use crate::in_process::{Daily, InProcess};
use crate::program::Program;

const BEGIN: &str = "<!-- generated: performance -->\n";
const END: &str = "<!-- end -->";

/// Everything that was measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Of sales.
    pub(crate) sales: Figures,
    /// Of events.
    pub(crate) events: Figures,
    /// Of sales that daily runs store.
    pub(crate) daily: Daily,
}

/// What was measured of one source.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Pages in memory.
    pub(crate) in_process: InProcess,
    /// Instructions for a row. None without valgrind.
    pub(crate) instructions: Option<f64>,
    /// The whole program.
    pub(crate) program: Program,
}

/// A row of the table: its name, which the page explains, and its cell for one source.
type Row = (&'static str, fn(&Figures, Option<&Daily>) -> String);

/// What does not depend on the machine, or little.
const RATIOS: [Row; 8] = [
    ("in process, processor time over the floor", |figures, _| {
        times(figures.in_process.floor / figures.in_process.engine_alone)
    }),
    ("processor time of the plain loop over the program's", |figures, _| {
        times(figures.program.first.rows_per_second / figures.program.plain.rows_per_second)
    }),
    ("processor time of a second run over the first one's", |figures, _| {
        times(figures.program.first.rows_per_second / figures.program.again.rows_per_second)
    }),
    ("peak memory of the plain loop over the program's", |figures, _| {
        times(figures.program.plain.peak_bytes as f64 / figures.program.first.peak_bytes as f64)
    }),
    ("instructions a row, in process", |figures, _| figures.instructions.map_or_else(nothing, count)),
    ("bytes written over bytes that stay", |figures, _| times(figures.program.bytes_written_per_stored)),
    ("bytes a row, 100 a day over two years by daily runs", |_, daily| {
        daily.map_or_else(nothing, |daily| format!("{:.1}", daily.bytes_per_row))
    }),
    ("bytes written over bytes that stay, by daily runs", |_, daily| {
        daily.map_or_else(nothing, |daily| times(daily.bytes_written_per_stored))
    }),
];

/// What the processor decides.
const ABSOLUTE: [Row; 10] = [
    ("in process, the resource alone, rows a CPU-second", |figures, _| count(figures.in_process.engine_alone)),
    ("in process, the floor, rows a CPU-second", |figures, _| count(figures.in_process.floor)),
    ("in process, with other tables, rows a CPU-second", |figures, _| count(figures.in_process.engine)),
    ("whole program, rows a CPU-second", |figures, _| count(figures.program.first.rows_per_second)),
    ("whole program, second run, rows a CPU-second", |figures, _| count(figures.program.again.rows_per_second)),
    ("plain loop, rows a CPU-second", |figures, _| count(figures.program.plain.rows_per_second)),
    ("whole program, objects written", |figures, _| count(figures.program.objects as f64)),
    ("whole program, peak memory", |figures, _| mebibytes(figures.program.first.peak_bytes)),
    ("whole program, second run, peak memory", |figures, _| mebibytes(figures.program.again.peak_bytes)),
    ("plain loop, peak memory", |figures, _| mebibytes(figures.program.plain.peak_bytes)),
];

/// Writes the table with a line about the machine.
pub(crate) fn table(measured: &Measured) -> String {
    let Measured { sales, events, daily } = measured;
    let mut text = format!(
        "Measured on {}, {} processors, on {}, with commit {}. The whole program stored {} sales and {} events, the plain loop {} and {}; in \
         process it was {} and {}.\n\n| | sales | events |\n|---|---|---|\n",
        processor(),
        std::thread::available_parallelism().map_or(1, usize::from),
        Utc::now().format("%Y-%m-%d"),
        commit(),
        count(sales.program.first.rows as f64),
        count(events.program.first.rows as f64),
        count(sales.program.plain.rows as f64),
        count(events.program.plain.rows as f64),
        count(sales.in_process.records as f64),
        count(events.in_process.records as f64),
    );
    for (name, cell) in RATIOS.iter().chain(&ABSOLUTE) {
        text += &format!("| {name} | {} | {} |\n", cell(sales, Some(daily)), cell(events, None));
    }
    text
}

/// Replaces the table of the page.
pub(crate) fn write(table: &str) {
    let text = std::fs::read_to_string(page()).expect("docs/performance.md is there");
    let replaced = replace(&text, table).expect("the page has both markers, once each");
    std::fs::write(page(), replaced).expect("docs/performance.md can be written");
}

fn page() -> PathBuf {
    root().join("docs/performance.md")
}

/// Returns `text` with another table between its markers. None if it has not one pair of them.
fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let is_only_pair = !after.contains(BEGIN) && !after.contains(END);
    is_only_pair.then(|| format!("{before}{BEGIN}{table}{END}{after}"))
}

fn nothing() -> String {
    "–".into()
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Writes a whole number with commas.
fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    line.map_or_else(|| "an unknown processor".into(), |(_, name)| name.trim().into())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"]).filter(|commit| !commit.is_empty());
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]).unwrap_or_default();
    let commit = commit.unwrap_or_else(|| "unknown".into());
    if changes.is_empty() { commit } else { format!("{commit} and changes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        std::fs::read_to_string(page()).unwrap()
    }

    #[test]
    fn the_page_has_its_markers_and_the_table_between_them() {
        let replaced = replace(&text(), "| other |\n").unwrap();
        assert!(replaced.contains(&format!("{BEGIN}| other |\n{END}")), "{replaced}");
        let (name, _) = RATIOS[0];
        assert!(!replaced.contains(&format!("| {name} |")), "the table lies outside of the markers");
    }

    #[test]
    fn a_page_without_one_pair_of_markers_is_refused() {
        let pair = format!("{BEGIN}{END}");
        assert_eq!(replace(&pair, "table\n"), Some(format!("{BEGIN}table\n{END}")));
        for text in [String::new(), BEGIN.into(), END.into(), pair.repeat(2)] {
            assert_eq!(replace(&text, "table\n"), None, "{text}");
        }
    }

    #[test]
    fn each_row_is_in_the_table_and_explained() {
        let text = text();
        for (name, _) in RATIOS.iter().chain(&ABSOLUTE) {
            assert!(text.contains(&format!("| {name} |")), "the table has no row `{name}`: run tests/bench/run");
            assert!(text.contains(&format!("**{name}**")), "the page does not explain `{name}`");
        }
    }

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!([7.0, 1_000.4, 1_234_567.0].map(count), ["7", "1,000", "1,234,567"]);
    }
}
