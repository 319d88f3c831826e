//! What is deployed: the rights that `template.yaml` gives, and the state machine that reads long ranges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by `#[test]`; what they share is as much a test"
)]

#[path = "../end_to_end/aws.rs"]
#[allow(dead_code, reason = "`end_to_end` uses the rest")]
mod aws;
mod backfill;
mod calls;
#[path = "../end_to_end/lake.rs"]
#[allow(dead_code, reason = "`end_to_end` uses the rest")]
mod lake;
mod rights;
#[path = "../end_to_end/tools.rs"]
mod tools;

use std::io::Write;
use std::process::{Command, Stdio};

use sandbox::function;
use serde_json::Value;

/// Runs `tests/deploy/NAME.py`, which reads JSON and prints JSON as its last line.
fn script(name: &str, asked: &Value) -> Value {
    let mut command = Command::new(tools::program("python"));
    command.arg(format!("tests/deploy/{name}.py")).current_dir(function::root());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}.py: {errors}");
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("no JSON: {text}\n{errors}"))
}
