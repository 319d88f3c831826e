//! The functions as a user runs them: their binaries, as command lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// A command line of one function. It sees of this process's environment only `PATH` and `HOME`.
#[derive(Clone, Debug)]
pub struct Function {
    name: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// How a command line ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output, which is one JSON report.
    pub report: Value,
    /// Standard error.
    pub errors: String,
}

impl Ended {
    fn new(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no report: {text}\n{errors}"));
        Self { code: output.status.code(), report, errors }
    }
}

/// The most memory that a process ever had, by its `/proc/…/status`.
pub fn peak_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

impl Function {
    /// The function `name`, without arguments.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), arguments: Vec::new(), environment: BTreeMap::new() }
    }

    /// The function `name` reading `source` into `lake`.
    pub fn reading(name: &str, source: &str, lake: impl AsRef<Path>) -> Self {
        let lake = lake.as_ref().to_string_lossy();
        Self::new(name).with(&["--source", source, "--lake", &lake])
    }

    /// With more arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Against a sandbox server of `source`, with `key` in the environment.
    #[must_use]
    pub fn against(self, source: &str, base_url: &str, key: &str) -> Self {
        let source = source.to_uppercase();
        self.env(&format!("{source}_BASE_URL"), base_url).env(&format!("{source}_API_KEY"), key)
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary(&self.name));
        command.args(&self.arguments).env_clear().envs(&self.environment).stdin(Stdio::null());
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// The command line as one would type it, without its environment.
    pub fn typed(&self) -> String {
        format!("{} {}", self.name, self.arguments.join(" "))
    }

    /// Runs it to its end.
    pub fn run(&self) -> Ended {
        Ended::new(&self.command().output().expect("the function's binary starts"))
    }

    /// Runs it to its end; gives the most memory that its process had, in KiB, where the system tells: what it had in the last 20 ms
    /// may be missing.
    pub fn watched(&self) -> (Ended, u64) {
        let process = self.start();
        let status = format!("/proc/{}/status", process.id());
        let watch = std::thread::spawn(move || {
            let mut peak = 0;
            // A process that has ended has no memory, and then no file.
            while let Some(now) = std::fs::read_to_string(&status).ok().as_deref().and_then(peak_kib) {
                peak = now;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            peak
        });
        let output = process.wait_with_output().expect("the function's binary ends");
        (Ended::new(&output), watch.join().expect("the watch does not panic"))
    }

    /// Runs it to its end, which must be a complete one; gives the report.
    pub fn complete(&self) -> Value {
        let ended = self.run();
        assert_eq!(ended.code, Some(0), "{}\n{}\n{}", self.typed(), ended.report, ended.errors);
        assert_eq!(ended.report["status"], "complete", "{}", ended.report);
        ended.report
    }

    /// Runs it to its end, which must be an incomplete one; gives the report.
    pub fn incomplete(&self) -> Value {
        let ended = self.run();
        assert_eq!(ended.code, Some(4), "{}\n{}\n{}", self.typed(), ended.report, ended.errors);
        ended.report
    }

    /// Starts it, to be killed or waited for.
    pub fn start(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the function's binary starts")
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/sandbox/ lies in the workspace").to_owned()
}

/// Returns the folder with the binary of this process, for example `target/debug`.
pub fn folder() -> PathBuf {
    let this = std::env::current_exe().expect("a process has a path");
    let folder = this.parent().expect("a binary lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps lies in a folder").to_owned()
    } else {
        folder.to_owned()
    }
}

/// A function's binary. All binaries of the workspace are built before one is first asked for, unless [`build`] was called.
pub fn binary(name: &str) -> PathBuf {
    BUILT.get_or_init(|| run_cargo_build(&["--workspace"]));
    folder().join(name)
}

/// Builds the binaries of `packages`, which must be all that this process will run.
pub fn build(packages: &[&str]) {
    let packages: Vec<&str> = packages.iter().flat_map(|package| ["--package", package]).collect();
    BUILT.get_or_init(|| run_cargo_build(&packages));
}

static BUILT: OnceLock<()> = OnceLock::new();

fn run_cargo_build(packages: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let folder = folder();
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--bins"]).args(packages).current_dir(root());
    build.arg("--target-dir").arg(folder.parent().expect("target/debug lies in target"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo starts");
    assert!(status.success(), "the functions do not build");
}
