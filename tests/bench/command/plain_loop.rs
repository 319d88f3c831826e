//! `tests/bench/plain_loop.py`, which is what a user would write instead.

use std::process::Command;

use sandbox::function::root;

use crate::process::{fastest, folder, run, target};
use crate::program::Run;
use crate::servers::KEY;
use crate::source::Source;

/// Runs the loop over all pages of the server at `base_url`.
pub(crate) fn measure(source: Source, base_url: &str, page_size: usize, rounds: usize) -> Run {
    let python = target().join("tools/python/bin/python");
    assert!(python.exists(), "{} is missing: run tests/install-tools", python.display());
    let file = folder().join(format!("plain-{}.parquet", source.name()));
    let usage = fastest(rounds, |_| {
        let mut command = Command::new(&python);
        command.arg(root().join("tests/bench/plain_loop.py"));
        run(command.args([source.name(), base_url, KEY, &page_size.to_string()]).arg(&file))
    });
    let rows = usage.output.trim().parse().expect("the loop prints how many rows it wrote");
    Run::new(rows, &usage)
}
