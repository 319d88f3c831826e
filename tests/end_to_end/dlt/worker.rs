//! dlt itself (`losses.py`), started once for all tests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::dlt::SECRET;
use crate::tools::program;

/// What dlt made of a manifest.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Value>,
    /// The exception that ended it.
    pub(super) error: Option<String>,
}

impl Outcome {
    /// The rows, of a run that ended as if all were well.
    pub(super) fn succeeded(self) -> Vec<Value> {
        assert_eq!(self.error, None, "dlt says so");
        self.rows
    }
}

/// The rows of `resource` as dlt extracts them.
pub(super) fn extract(manifest: &Value, resource: &str) -> Outcome {
    ask(json!({"manifest": manifest, "resource": resource}))
}

/// The rows of `resource` in `destination` once dlt's pipeline `name` has loaded it.
pub(super) fn load(manifest: &Value, resource: &str, name: &str, destination: &str) -> Outcome {
    ask(json!({"manifest": manifest, "resource": resource, "pipeline": name, "destination": destination}))
}

/// The process, which ends when its input does: with this one.
struct Worker {
    _process: Child,
    cases: ChildStdin,
    answers: BufReader<ChildStdout>,
}

fn ask(mut case: Value) -> Outcome {
    static WORKER: OnceLock<Mutex<Worker>> = OnceLock::new();
    let mut worker = WORKER.get_or_init(|| Mutex::new(start())).lock().unwrap_or_else(PoisonError::into_inner);
    case["secret"] = SECRET.into();
    writeln!(worker.cases, "{case}").unwrap();
    let mut line = String::new();
    worker.answers.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("dlt gave no answer to {case}: {line}"));
    Outcome { rows: answer["rows"].as_array().unwrap().clone(), error: answer["error"].as_str().map(str::to_owned) }
}

fn start() -> Worker {
    let mut command = Command::new(program("python"));
    command.args(["-W", "ignore", "-c", include_str!("losses.py")]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (cases, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    Worker { _process: process, cases, answers: BufReader::new(answers) }
}
