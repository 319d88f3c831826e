//! Processes, with the processor time and the memory that they took.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sandbox::function;
use wait4::Wait4;

/// What a process took, and printed.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// Processor time of all its threads, in seconds.
    pub(crate) seconds: f64,
    /// The most memory that it had. The system begins with that of the process that started it, so this process keeps its own small.
    pub(crate) peak_bytes: u64,
    /// Its standard output.
    pub(crate) output: String,
}

/// Runs a command to its end, which must be a success.
pub(crate) fn run(command: &mut Command) -> Usage {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut output = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut output).expect("it prints text");
    let ended = child.wait4().expect("the system tells how it ended");
    assert!(ended.status.success(), "{command:?}: {}\n{output}", ended.status);
    let seconds = (ended.rusage.utime + ended.rusage.stime).as_secs_f64();
    Usage { seconds, peak_bytes: ended.rusage.maxrss, output }
}

/// Returns the usage with the least processor time of `rounds` runs.
pub(crate) fn fastest(rounds: usize, run: impl FnMut(usize) -> Usage) -> Usage {
    (0..rounds).map(run).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("at least one round")
}

/// A program of this workspace, beside this one.
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = function::folder().join(name);
    assert!(path.exists(), "{} is missing: tests/bench/run builds all that is measured", path.display());
    path
}

/// A folder of its own below `target/bench`, without what an earlier measurement left in it.
pub(crate) fn empty_folder(name: &str) -> PathBuf {
    let folder = folder().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("target can be written");
    folder
}

/// `target/bench`.
pub(crate) fn folder() -> PathBuf {
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).expect("target can be written");
    folder
}

/// `target`, which is the one of this program.
pub(crate) fn target() -> PathBuf {
    function::folder().parent().map(Path::to_owned).expect("target/release lies in target")
}
