//! The mutations of `tests/mutations` keep up with the engine.

use std::fs;
use std::path::Path;
use std::process::Command;

use sandbox::function::root;

/// A mutation that no longer applies shows nothing. `tests/mutations/run` plays them.
#[test]
fn each_mutation_applies_to_the_engine() {
    let folder = root().join("tests/mutations");
    let mutations = check_all(&folder);
    assert!(mutations >= 24, "{mutations}");
    check_all(&folder.join("unfound"));
}

/// Checks every diff in `folder`. Returns their number.
fn check_all(folder: &Path) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let diffs: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "diff")).collect();
    diffs.iter().for_each(|diff| check(diff));
    diffs.len()
}

/// Checks that the diff in `file` says what it breaks, changes the engine alone, and applies.
fn check(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let says = text.lines().next().unwrap_or_default();
    assert!(says.contains(" Attacks: ") && says.ends_with('.'), "{}: the first line is `{says}`", file.display());
    let is_engine = |line: &str| {
        line.strip_prefix("+++ b/shared/").and_then(|path| path.split_once("/src/")).is_some_and(|(name, path)| {
            ["client", "lake", "table", "ticketlake"].contains(&name) && !path.contains("tests")
        })
    };
    assert!(text.lines().filter(|line| line.starts_with("+++ ")).all(is_engine), "{}", file.display());
    let checked = Command::new("git").args(["apply", "--check"]).arg(file).current_dir(root()).output().unwrap();
    assert!(checked.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&checked.stderr));
}
